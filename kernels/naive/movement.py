"""Naive movements: every value copied to its place, one at a time."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import product

import numpy as np

from ._numbers import Array, Gradients, Weights
from ._places import Place, added_up, copied, moved


def transpose(x: Array, *, weights: Weights, axes: Sequence[int], strided: bool = False) -> Array:
    order = [axis % x.ndim for axis in axes] or list(range(x.ndim))[::-1]
    shape = [x.shape[axis] for axis in order]
    return copied(x, shape, lambda at: tuple(at[order.index(i)] for i in range(x.ndim)))


def transpose_grad(
    part: str,
    dy: Array,
    x: Array,
    *,
    output: Array,
    weights: Weights,
    axes: Sequence[int],
    strided: bool = False,
) -> Gradients:
    order = [axis % x.ndim for axis in axes] or list(range(x.ndim))[::-1]
    return {"input 0": copied(dy, x.shape, lambda at: tuple(at[axis] for axis in order))}


def concat(*tensors: Array, weights: Weights, axis: int) -> Array:
    shape = list(tensors[0].shape)
    shape[axis] = sum(t.shape[axis] for t in tensors)
    y = np.empty(shape, dtype=tensors[0].dtype)
    offset = 0
    for tensor in tensors:
        for at in product(*map(range, tensor.shape)):
            y[moved(at, axis, offset)] = tensor[at]
        offset += tensor.shape[axis]
    return y


def concat_grad(
    part: str, dy: Array, *tensors: Array, output: Array, weights: Weights, axis: int
) -> Gradients:
    made = _cut(dy, [t.shape[axis] for t in tensors], axis)
    return {f"input {i}": dx for i, dx in enumerate(made)}


def split(
    x: Array, *, weights: Weights, parts: int, lengths: Sequence[int], axis: int
) -> tuple[Array, ...]:
    return _cut(x, lengths or [x.shape[axis] // parts] * parts, axis)


def split_grad(
    part: str,
    dy: Array | tuple[Array, ...],
    x: Array,
    *,
    output: Array | tuple[Array, ...],
    weights: Weights,
    parts: int,
    lengths: Sequence[int],
    axis: int,
) -> Gradients:
    pieces = dy if isinstance(dy, tuple) else (dy,)
    return {"input 0": concat(*pieces, weights=weights, axis=axis)}


def slice(
    x: Array, *, weights: Weights, length: int, axis: int, start: int, strided: bool = False
) -> Array:
    shape = list(x.shape)
    shape[axis] = length
    return copied(x, shape, lambda at: moved(at, axis, start))


def slice_grad(
    part: str,
    dy: Array,
    x: Array,
    *,
    output: Array,
    weights: Weights,
    length: int,
    axis: int,
    start: int,
    strided: bool = False,
) -> Gradients:
    def source(at: Place) -> Place | None:
        return moved(at, axis, -start) if start <= at[axis] < start + length else None

    return {"input 0": copied(dy, x.shape, source)}


def pad(
    x: Array, *, weights: Weights, before: Sequence[int], after: Sequence[int], mode: str
) -> Array:
    shape = [b + d + a for b, d, a in zip(before, x.shape, after or before, strict=True)]
    return copied(x, shape, lambda at: _inside(at, x.shape, before, mode))


def pad_grad(
    part: str,
    dy: Array,
    x: Array,
    *,
    output: Array,
    weights: Weights,
    before: Sequence[int],
    after: Sequence[int],
    mode: str,
) -> Gradients:
    return {"input 0": added_up(dy, x.shape, lambda at: _inside(at, x.shape, before, mode))}


def _inside(at: Place, shape: Place, before: Sequence[int], mode: str) -> Place | None:
    place = [i - b for i, b in zip(at, before, strict=True)]
    if mode == "reflect":
        place = [d - 1 - abs(d - 1 - abs(i)) for i, d in zip(place, shape, strict=True)]
    if mode == "edge":
        place = [min(max(i, 0), d - 1) for i, d in zip(place, shape, strict=True)]
    if mode == "wrap":
        place = [i % d for i, d in zip(place, shape, strict=True)]
    inside = all(0 <= i < d for i, d in zip(place, shape, strict=True))
    return tuple(place) if inside else None


def tile(x: Array, *, weights: Weights, repeats: Sequence[int]) -> Array:
    shape = [d * r for d, r in zip(x.shape, repeats, strict=True)]
    return copied(x, shape, lambda at: _untiled(at, x.shape))


def tile_grad(
    part: str, dy: Array, x: Array, *, output: Array, weights: Weights, repeats: Sequence[int]
) -> Gradients:
    return {"input 0": added_up(dy, x.shape, lambda at: _untiled(at, x.shape))}


def _untiled(at: Place, shape: Place) -> Place:
    return tuple(i % d for i, d in zip(at, shape, strict=True))


def _cut(x: Array, lengths: Sequence[int], axis: int) -> tuple[Array, ...]:
    cut, start = [], 0
    for length in lengths:
        shape = list(x.shape)
        shape[axis] = length
        cut.append(copied(x, shape, partial(moved, axis=axis, by=start)))
        start += length
    return tuple(cut)
