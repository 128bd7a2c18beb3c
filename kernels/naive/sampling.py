"""Naive resizing of images, and bilinear samples at given places."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from ._bilinear import beside, corners, products, weighed
from ._numbers import Array, Gradients, Number, Weights
from ._places import added_up, copied
from ._windows import per_axis

#: Keys' parameter, as PyTorch has it
SHARPNESS = -0.75

Taps = list[tuple[int, float]]


def resize(x: Array, *, weights: Weights, target: Any, mode: str) -> Array:
    N, C, H, W = x.shape
    P, Q = per_axis(target)
    if mode == "nearest":
        return copied(x, (N, C, P, Q), lambda at: (*at[:2], at[2] * H // P, at[3] * W // Q))
    y = np.empty((N, C, P, Q), dtype=x.dtype)
    for n, c, p, q in product(range(N), range(C), range(P), range(Q)):
        rows, columns = _taps(p, P, H, mode), _taps(q, Q, W, mode)
        lines = [
            weighed([x[n, c, i, j] for j, _ in columns], [b for _, b in columns]) for i, _ in rows
        ]
        y[n, c, p, q] = weighed(lines, [a for _, a in rows])
    return y


def resize_grad(
    part: str,
    dy: Array,
    x: Array,
    *,
    output: Array,
    weights: Weights,
    target: Any,
    mode: str,
) -> Gradients:
    N, C, H, W = x.shape
    _, _, P, Q = dy.shape
    if mode == "nearest":
        return {
            "input 0": added_up(dy, x.shape, lambda at: (*at[:2], at[2] * H // P, at[3] * W // Q))
        }
    dx = np.full(x.shape, 0.0, dtype=dy.dtype)
    for n, c, p, q in product(range(N), range(C), range(P), range(Q)):
        for i, a in _taps(p, P, H, mode):
            line = dy[n, c, p, q] * a
            for j, b in _taps(q, Q, W, mode):
                dx[n, c, i, j] = dx[n, c, i, j] + line * b
    return {"input 0": dx}


def _taps(p: int, P: int, H: int, mode: str) -> Taps:
    """Return the places around output ``p`` of P along an axis of H, and their weights."""
    cell, rest = divmod((2 * p + 1) * H - P, 2 * P)
    f = rest / (2 * P)
    if mode == "bilinear":
        found = [(cell, 1 - f), (cell + 1, f)]
    else:
        a = SHARPNESS
        near = [((a + 2) * d - (a + 3)) * d * d + 1 for d in (f, 1 - f)]
        far = [((a * d - 5 * a) * d + 8 * a) * d - 4 * a for d in (1 + f, 2 - f)]
        found = list(zip(range(cell - 1, cell + 3), (far[0], *near, far[1]), strict=True))
    return [(min(max(i, 0), H - 1), weight) for i, weight in found]


def grid_sample(x: Array, grid: Array, *, weights: Weights) -> Array:
    N, C, _, _ = x.shape
    _, P, Q, _ = grid.shape
    y = np.empty((N, C, P, Q), dtype=x.dtype)
    for n, p, q in product(range(N), range(P), range(Q)):
        places, shares, _ = _sample(x, grid[n, p, q])
        for c in range(C):
            y[n, c, p, q] = weighed([x[n, c, i, j] for i, j in places], shares)
    return y


def grid_sample_grad(
    part: str, dy: Array, x: Array, grid: Array, *, output: Array, weights: Weights
) -> Gradients:
    N, C, H, W = x.shape
    _, P, Q, _ = grid.shape
    dx, dgrid = np.full(x.shape, 0.0, dtype=dy.dtype), np.empty(grid.shape, dtype=dy.dtype)
    for n, p, q in product(range(N), range(P), range(Q)):
        places, shares, (top, bottom, left, right) = _sample(x, grid[n, p, q])
        sums: list[Number] = []
        for (i, j), share in zip(places, shares, strict=True):
            for c in range(C):
                dx[n, c, i, j] = dx[n, c, i, j] + dy[n, c, p, q] * share
            sums.append(weighed([x[n, c, i, j] for c in range(C)], list(dy[n, :, p, q])))
        a, b, c_, d = sums
        dgrid[n, p, q, 0] = ((b - a) * top + (d - c_) * bottom) * ((W - 1) / 2)
        dgrid[n, p, q, 1] = ((c_ - a) * left + (d - b) * right) * ((H - 1) / 2)
    return {"input 0": dx, "input 1": dgrid}


def _sample(x: Array, place: Array) -> tuple[list[tuple[int, int]], list[Number], list[Number]]:
    """Return the corners around a place, their weights, and the weights along each axis."""
    H, W = x.shape[2:]
    columns, left, right = beside((place[0] + 1.0) * ((W - 1) / 2), W)
    rows, top, bottom = beside((place[1] + 1.0) * ((H - 1) / 2), H)
    shares = products((top, bottom), (left, right))
    return corners(rows, columns), shares, [top, bottom, left, right]
