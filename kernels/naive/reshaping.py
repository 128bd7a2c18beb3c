"""Naive views: the same values in the same order."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ._numbers import Array, Gradients, Weights
from ._places import Place, added_up, copied, refilled


def reshape(x: Array, *, weights: Weights, shape: Sequence[int]) -> Array:
    known = math.prod(d for d in shape if d != -1)
    return refilled(x, tuple(x.size // known if d == -1 else d for d in shape))


def reshape_grad(
    part: str, dy: Array, x: Array, *, output: Array, weights: Weights, shape: Sequence[int]
) -> Gradients:
    return {"input 0": refilled(dy, x.shape)}


def flatten(x: Array, *, weights: Weights) -> Array:
    return refilled(x, (x.shape[0], x.size // x.shape[0]))


def flatten_grad(part: str, dy: Array, x: Array, *, output: Array, weights: Weights) -> Gradients:
    return {"input 0": refilled(dy, x.shape)}


def squeeze(x: Array, *, weights: Weights, axes: Sequence[int]) -> Array:
    gone = {axis % x.ndim for axis in axes}
    return refilled(x, [d for i, d in enumerate(x.shape) if i not in gone])


def squeeze_grad(
    part: str, dy: Array, x: Array, *, output: Array, weights: Weights, axes: Sequence[int]
) -> Gradients:
    return {"input 0": refilled(dy, x.shape)}


def unsqueeze(x: Array, *, weights: Weights, axes: Sequence[int]) -> Array:
    rank = x.ndim + len(axes)
    shape = list(x.shape)
    for axis in sorted(axis % rank for axis in axes):
        shape.insert(axis, 1)
    return refilled(x, shape)


def unsqueeze_grad(
    part: str, dy: Array, x: Array, *, output: Array, weights: Weights, axes: Sequence[int]
) -> Gradients:
    return {"input 0": refilled(dy, x.shape)}


def expand(x: Array, *, weights: Weights, shape: Sequence[int]) -> Array:
    before = (1,) * (len(shape) - x.ndim) + x.shape
    full = [b if d == -1 else d for b, d in zip(before, shape, strict=True)]
    return copied(x, full, lambda at: _unexpanded(at, x))


def expand_grad(
    part: str, dy: Array, x: Array, *, output: Array, weights: Weights, shape: Sequence[int]
) -> Gradients:
    return {"input 0": added_up(dy, x.shape, lambda at: _unexpanded(at, x))}


def _unexpanded(at: Place, x: Array) -> Place:
    last = at[len(at) - x.ndim :]
    return tuple(0 if d == 1 else i for i, d in zip(last, x.shape, strict=True))
