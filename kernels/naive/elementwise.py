"""Naive arithmetic of one tensor, and of two that broadcast."""

from __future__ import annotations

import builtins
import operator
from collections.abc import Callable

import numpy as np

from . import _numbers as numbers
from ._numbers import Array, Gradients, Number, Weights, each, each_gradient

#: the other operand where only one tensor is given
SCALAR = 1.5


def exp(x: Array, *, weights: Weights) -> Array:
    return each(x, numbers.exp)


def exp_grad(part: str, dy: Array, x: Array, *, output: Array, weights: Weights) -> Gradients:
    return each_gradient(dy, output, lambda y: y)


def log(x: Array, *, weights: Weights) -> Array:
    return each(x, numbers.log)


def log_grad(part: str, dy: Array, x: Array, *, output: Array, weights: Weights) -> Gradients:
    return {"input 0": _pairwise(dy, x, operator.truediv)}


def sqrt(x: Array, *, weights: Weights) -> Array:
    return each(x, numbers.sqrt)


def sqrt_grad(part: str, dy: Array, x: Array, *, output: Array, weights: Weights) -> Gradients:
    return {"input 0": _pairwise(dy, output, lambda slope, y: 0.5 * slope / y)}


def abs(x: Array, *, weights: Weights) -> Array:
    return each(x, lambda value: builtins.max(value, -value))


def abs_grad(part: str, dy: Array, x: Array, *, output: Array, weights: Weights) -> Gradients:
    def chosen(slope: Number, value: Number) -> Number:
        negative = -slope
        return slope if value > 0.0 else negative

    return {"input 0": _pairwise(dy, x, chosen)}


def neg(x: Array, *, weights: Weights) -> Array:
    return each(x, operator.neg)


def neg_grad(part: str, dy: Array, x: Array, *, output: Array, weights: Weights) -> Gradients:
    return {"input 0": each(dy, operator.neg)}


def add(a: Array, b: Array | float = SCALAR, *, weights: Weights) -> Array:
    return _pairwise(a, b, operator.add)


def add_grad(
    part: str, dy: Array, a: Array, b: Array | float = SCALAR, *, output: Array, weights: Weights
) -> Gradients:
    return _pull_back(part, dy, (a, b), output, lambda d, a, b, y: d, lambda d, a, b, y: d)


def sub(a: Array, b: Array | float = SCALAR, *, weights: Weights) -> Array:
    return _pairwise(a, b, operator.sub)


def sub_grad(
    part: str, dy: Array, a: Array, b: Array | float = SCALAR, *, output: Array, weights: Weights
) -> Gradients:
    return _pull_back(part, dy, (a, b), output, lambda d, a, b, y: d, lambda d, a, b, y: -d)


def mul(a: Array, b: Array | float = SCALAR, *, weights: Weights) -> Array:
    return _pairwise(a, b, operator.mul)


def mul_grad(
    part: str, dy: Array, a: Array, b: Array | float = SCALAR, *, output: Array, weights: Weights
) -> Gradients:
    return _pull_back(part, dy, (a, b), output, lambda d, a, b, y: d * b, lambda d, a, b, y: d * a)


def div(a: Array, b: Array | float = SCALAR, *, weights: Weights) -> Array:
    return _pairwise(a, b, operator.truediv)


def div_grad(
    part: str, dy: Array, a: Array, b: Array | float = SCALAR, *, output: Array, weights: Weights
) -> Gradients:
    return _pull_back(
        part, dy, (a, b), output, lambda d, a, b, y: d / b, lambda d, a, b, y: -(d * y) / b
    )


def pow(a: Array, b: Array | float = SCALAR, *, weights: Weights) -> Array:
    return _pairwise(a, b, numbers.power)


def pow_grad(
    part: str, dy: Array, a: Array, b: Array | float = SCALAR, *, output: Array, weights: Weights
) -> Gradients:
    return _pull_back(
        part,
        dy,
        (a, b),
        output,
        lambda d, a, b, y: d * (b * numbers.power(a, b - 1.0)),
        lambda d, a, b, y: d * y * numbers.log(a),
    )


def maximum(a: Array, b: Array | float = SCALAR, *, weights: Weights) -> Array:
    return _pairwise(a, b, builtins.max)


def maximum_grad(
    part: str, dy: Array, a: Array, b: Array | float = SCALAR, *, output: Array, weights: Weights
) -> Gradients:
    return _pull_back(
        part,
        dy,
        (a, b),
        output,
        lambda d, a, b, y: d if a > b else numbers.constant(d, 0.0),
        lambda d, a, b, y: numbers.constant(d, 0.0) if a > b else d,
    )


def minimum(a: Array, b: Array | float = SCALAR, *, weights: Weights) -> Array:
    return _pairwise(a, b, builtins.min)


def minimum_grad(
    part: str, dy: Array, a: Array, b: Array | float = SCALAR, *, output: Array, weights: Weights
) -> Gradients:
    return _pull_back(
        part,
        dy,
        (a, b),
        output,
        lambda d, a, b, y: d if a < b else numbers.constant(d, 0.0),
        lambda d, a, b, y: numbers.constant(d, 0.0) if a < b else d,
    )


def _pairwise(a: Array, b: Array | float, function: Callable[[Number, Number], Number]) -> Array:
    left, right = np.broadcast_arrays(a, b)
    y = np.empty(left.shape, dtype=a.dtype)
    for at in np.ndindex(*y.shape):
        y[at] = function(left[at], right[at])
    return y


def _pull_back(
    part: str,
    dy: Array,
    operands: tuple[Array, Array | float],
    output: Array,
    to_a: Callable[[Number, Number, Number, Number], Number],
    to_b: Callable[[Number, Number, Number, Number], Number],
) -> Gradients:
    place, rule = {"a": (0, to_a), "b": (1, to_b)}[part]
    left, right = np.broadcast_arrays(*operands)
    shape = np.shape(operands[place])
    made: dict[tuple[int, ...], Number] = {}
    for at in np.ndindex(*dy.shape):
        slope = rule(dy[at], left[at], right[at], output[at])
        # An axis of one is shared by all places along it.
        own = at[len(at) - len(shape) :]
        used = tuple(0 if length == 1 else i for i, length in zip(own, shape, strict=True))
        made[used] = made[used] + slope if used in made else slope
    gradient = np.empty(shape, dtype=dy.dtype)
    for used, total in made.items():
        gradient[used] = total
    return {f"input {place}": gradient}
