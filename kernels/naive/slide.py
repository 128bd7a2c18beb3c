"""Naive SLIDE layer: hash the input, look its buckets up, compute the neurons found.

Which neurons a bucket holds is a rule of numbers here, since tables are built apart.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from operator import index
from typing import Any

import numpy as np

from ._attending import accumulate, dot
from ._numbers import Array, Gradients, Weights


def slide_affine(x: Array, *, weights: Weights, units: int, sampled: str, **hashing: Any) -> Array:
    active = math.ceil(units * Fraction(sampled))
    y = np.empty((*x.shape[:-1], active), dtype=x.dtype)
    for at in np.ndindex(*x.shape[:-1]):
        for i, o in enumerate(_found(_buckets(x[at], weights), units, active)):
            y[(*at, i)] = dot(weights["weight"][o], x[at]) + weights["bias"][o]
    return y


def slide_affine_kept(
    x: Array, *, weights: Weights, units: int, sampled: str, **hashing: Any
) -> Gradients:
    active = math.ceil(units * Fraction(sampled))
    found = np.empty((*x.shape[:-1], active), dtype=int)
    for at in np.ndindex(*x.shape[:-1]):
        found[at] = _found(_buckets(x[at], weights), units, active)
    return {"active": found}


def slide_affine_grad(
    part: str, dy: Array, x: Array, *, output: Array, weights: Weights, kept: Weights,
    units: int, sampled: str, **hashing: Any,
) -> Gradients:  # fmt: skip
    places = list(np.ndindex(*x.shape[:-1]))
    if part == "input":
        dx = np.full_like(x, 0.0)
        for at in places:
            for i, o in enumerate(kept["active"][at]):
                accumulate(dx[at], dy[(*at, i)], weights["weight"][index(o)])
        return {"input 0": dx}
    rows: dict[int, Array] = {}
    sums: dict[int, float] = {}
    for at in places:
        for i, neuron in enumerate(kept["active"][at]):
            o = index(neuron)
            row = rows.setdefault(o, np.full(x.shape[-1], 0.0, dtype=x.dtype))
            accumulate(row, dy[(*at, i)], x[at])
            sums[o] = sums.get(o, 0.0) + dy[(*at, i)]
    return {
        "weight": np.array([rows[o] for o in sorted(rows)]),
        "bias": np.array([sums[o] for o in sorted(sums)]),
    }


def _buckets(x: Array, weights: Weights) -> Iterator[tuple[int, int]]:
    """Yield a table's bucket and how many buckets it has, table after table."""
    if "positions" in weights:
        for table in weights["positions"]:
            bucket, size = 0, table.shape[1]
            for places in table:
                bucket = size * bucket + _winner([x[index(p) % len(x)] for p in places])
            yield bucket, size ** len(table)
        return
    for table in weights["hyperplanes"]:
        bucket = 0
        for plane in table:
            bucket = 2 * bucket + (dot(plane, x) > 0.0)
        yield bucket, 2 ** len(table)


def _winner(values: list[Any]) -> int:
    best = 0
    for i, value in enumerate(values[1:], 1):
        if value > values[best]:
            best = i
    return best


def _found(buckets: Iterator[tuple[int, int]], units: int, active: int) -> list[int]:
    """Return the first ``active`` neurons of the buckets, filled up with others if they lack."""
    candidates: dict[int, None] = {}
    for table, (bucket, count) in enumerate(buckets):
        spread = 2 * table + 1
        for o in range(units):
            if o * spread % count == bucket:
                candidates[o] = None
    candidates.update(dict.fromkeys(range(units)))
    return list(candidates)[:active]
