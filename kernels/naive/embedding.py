"""Naive embedding: rows of a table gathered by index, and summed over bags."""

from __future__ import annotations

from operator import index

import numpy as np

from ._numbers import Array, Gradients, Weights, mac


def embedding(
    indices: Array, *, weights: Weights, rows: int, width: int, sparse: bool = False
) -> Array:
    table = weights["table"]
    y = np.empty((*indices.shape, width), dtype=table.dtype)
    for at in np.ndindex(*indices.shape):
        for d in range(width):
            y[(*at, d)] = table[indices[at], d]
    return y


def embedding_grad(
    part: str, dy: Array, indices: Array, *, output: Array, weights: Weights, rows: int, width: int,
    sparse: bool = False,
) -> Gradients:  # fmt: skip
    """Return the rows of the table's gradient that were looked up, by ascending index."""
    places = list(np.ndindex(*indices.shape))
    return {"table": _accumulate([(index(indices[at]), dy[at]) for at in places])}


def embedding_bag(
    indices: Array, offsets: Array | None = None, *, weights: Weights, rows: int, width: int,
    mode: str, zipf: str, sparse: bool = False,
) -> Array:  # fmt: skip
    table = weights["table"]
    bags = _bags(indices, offsets)
    y = np.empty((len(bags), width), dtype=table.dtype)
    for b, bag in enumerate(bags):
        for d in range(width):
            total = table[bag[0], d]
            for row in bag[1:]:
                total = total + table[row, d]
            y[b, d] = total * (1.0 / len(bag)) if mode == "mean" else total
    return y


def embedding_bag_grad(
    part: str, dy: Array, indices: Array, offsets: Array | None = None, *, output: Array,
    weights: Weights, rows: int, width: int, mode: str, zipf: str, sparse: bool = False,
) -> Gradients:  # fmt: skip
    rows_of_dy = []
    for b, bag in enumerate(_bags(indices, offsets)):
        row = list(dy[b])
        if mode == "mean":
            row = [value * (1.0 / len(bag)) for value in row]
        rows_of_dy += [(at, row) for at in bag]
    return {"table": _accumulate(rows_of_dy)}


def _bags(indices: Array, offsets: Array | None) -> list[list[int]]:
    if offsets is None:
        return [[index(at) for at in bag] for bag in indices]
    flat = [index(at) for at in indices]
    starts = sorted(index(at) for at in offsets)
    return [flat[a:b] for a, b in zip(starts, [*starts[1:], len(flat)], strict=True)]


def _accumulate(rows: list[tuple[int, list[float]]]) -> Array:
    summed: dict[int, list[float]] = {}
    for at, row in rows:
        target = summed.setdefault(at, [0.0] * len(row))
        for d, value in enumerate(row):
            target[d] = target[d] + value
    return np.array([summed[at] for at in sorted(summed)])


def one_hot_affine(indices: Array, *, weights: Weights, rows: int, width: int) -> Array:
    table = weights["table"]
    y = np.empty((*indices.shape, width), dtype=table.dtype)
    for at in np.ndindex(*indices.shape):
        for d in range(width):
            acc = 0.0
            for row in range(rows):
                acc = mac(acc, 1.0 if index(indices[at]) == row else 0.0, table[row, d])
            y[(*at, d)] = acc
    return y


def one_hot_affine_grad(
    part: str, dy: Array, indices: Array, *, output: Array, weights: Weights, rows: int, width: int
) -> Gradients:
    made = np.full_like(weights["table"], 0.0)
    for at in np.ndindex(*indices.shape):
        for row in range(rows):
            one_hot = 1.0 if index(indices[at]) == row else 0.0
            for d in range(width):
                made[row, d] = mac(made[row, d], one_hot, dy[(*at, d)])
    return {"table": made}
