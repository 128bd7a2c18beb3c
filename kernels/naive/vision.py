"""Naive RoI align and non-maximum suppression."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np

from ._bilinear import beside, corners, products, weighed
from ._numbers import Array, Gradients, Number, Weights, constant
from ._sorting import merge_order
from ._windows import per_axis

#: share of the union above which a box is suppressed
OVERLAP = 0.5

Sample = tuple[list[tuple[int, int]], list[Number]]


def roi_align(
    x: Array,
    boxes: Array,
    images: Array,
    *,
    weights: Weights,
    bins: Any,
    samples: int,
    stride: int,
) -> Array:
    (P, Q), C = per_axis(bins), x.shape[1]
    y = np.empty((len(boxes), C, P, Q), dtype=x.dtype)
    for k, box in enumerate(boxes):
        image = x[images[k].__index__()]
        for p, q, part in _parts(image, box, P, Q, samples, stride):
            for c in range(C):
                total: Number = None
                for places, shares in part:
                    value = weighed([image[c, i, j] for i, j in places], shares)
                    total = value if total is None else total + value
                y[k, c, p, q] = total * (1.0 / samples**2)
    return y


def roi_align_grad(
    part: str,
    dy: Array,
    x: Array,
    boxes: Array,
    images: Array,
    *,
    output: Array,
    weights: Weights,
    bins: Any,
    samples: int,
    stride: int,
) -> Gradients:
    _, C, P, Q = dy.shape
    dx = np.full(x.shape, 0.0, dtype=dy.dtype)
    for k, box in enumerate(boxes):
        image = dx[images[k].__index__()]
        for p, q, samples_there in _parts(image, box, P, Q, samples, stride):
            for c in range(C):
                back = dy[k, c, p, q] * (1.0 / samples**2)
                for places, shares in samples_there:
                    for (i, j), share in zip(places, shares, strict=True):
                        image[c, i, j] = image[c, i, j] + back * share
    return {"input 0": dx}


def _parts(
    image: Array, box: Array, P: int, Q: int, samples: int, stride: int
) -> Iterator[tuple[int, int, list[Sample]]]:
    """Yield each output's place in the box, and its samples: corners and their weights."""
    _, H, W = image.shape
    left, top, right, bottom = (edge * (1.0 / stride) - 0.5 for edge in box)
    wide, high = (right - left) * (1.0 / (Q * samples)), (bottom - top) * (1.0 / (P * samples))
    rows = [beside(top + high * (i + 0.5), H) for i in range(P * samples)]
    columns = [beside(left + wide * (i + 0.5), W) for i in range(Q * samples)]
    for p, q in product(range(P), range(Q)):
        part: list[Sample] = []
        for row in rows[p * samples : (p + 1) * samples]:
            for column in columns[q * samples : (q + 1) * samples]:
                shares = products(row[1:], column[1:])
                part.append((corners(row[0], column[0]), shares))
        yield p, q, part


def nms(boxes: Array, scores: Array, *, weights: Weights, keep: int) -> Array:
    N = len(scores)
    kept = np.full((N, keep), -1, dtype=int)
    for n in range(N):
        order = merge_order(list(scores[n]), descending=True)
        areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in boxes[n]]
        overlapping = {
            (a, b): _overlap(boxes[n, a], boxes[n, b], areas[a] + areas[b])
            for place, a in enumerate(order)
            for b in order[place + 1 :]
        }
        left: list[int] = []
        for b in order:
            if not any(overlapping[a, b] for a in left):
                left.append(b)
        kept[n, : len(left)] = left[:keep]
    return kept


def _overlap(a: Array, b: Array, areas: Number) -> bool:
    """Tell whether the intersection is over half of the union."""
    none = constant(areas, 0.0)
    width = max(min(a[2], b[2]) - max(a[0], b[0]), none)
    height = max(min(a[3], b[3]) - max(a[1], b[1]), none)
    shared = width * height
    return bool(shared > (areas - shared) * OVERLAP)
