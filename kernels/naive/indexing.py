"""Naive gather and scatter."""

from __future__ import annotations

from itertools import product

import numpy as np

from ._numbers import Array, Gradients, Weights
from ._places import Place


def gather(x: Array, indices: Array, *, weights: Weights, axis: int) -> Array:
    axis %= x.ndim
    y = np.empty((*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]), dtype=x.dtype)
    for at in product(*map(range, y.shape)):
        y[at] = x[_source(at, indices, axis)]
    return y


def gather_grad(
    part: str,
    dy: Array,
    x: Array,
    indices: Array,
    *,
    output: Array,
    weights: Weights,
    axis: int,
) -> Gradients:
    dx = np.full(x.shape, 0.0, dtype=dy.dtype)
    for at in product(*map(range, dy.shape)):
        place = _source(at, indices, axis % x.ndim)
        dx[place] = dx[place] + dy[at]
    return {"input 0": dx}


def _source(at: Place, indices: Array, axis: int) -> Place:
    end = axis + indices.ndim
    return (*at[:axis], indices[at[axis:end]].__index__(), *at[end:])


def scatter(x: Array, indices: Array, updates: Array, *, weights: Weights, mode: str) -> Array:
    y = x.copy()
    for at in product(*map(range, updates.shape)):
        place = _target(at, indices)
        y[place] = y[place] + updates[at] if mode == "add" else updates[at]
    return y


def scatter_grad(
    part: str,
    dy: Array,
    x: Array,
    indices: Array,
    updates: Array,
    *,
    output: Array,
    weights: Weights,
    mode: str,
) -> Gradients:
    if part == "updates":
        du = np.empty(updates.shape, dtype=dy.dtype)
        for at in product(*map(range, updates.shape)):
            du[at] = dy[_target(at, indices)]
        return {"input 2": du}
    dx = dy.copy()
    if mode == "replace":
        for at in product(*map(range, updates.shape)):
            dx[_target(at, indices)] = 0.0
    return {"input 0": dx}


def _target(at: Place, indices: Array) -> Place:
    return (indices[at[: indices.ndim]].__index__(), *at[indices.ndim :])
