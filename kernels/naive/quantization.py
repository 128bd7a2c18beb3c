"""Naive cast, quantization and dequantization."""

from __future__ import annotations

import numpy as np

from ._numbers import Array, Gradients, Number, Weights, each

#: added to a number and taken away again, it leaves no fraction: the last bit of 2^52 is one
ROUNDING = 1.5 * 2.0**52
#: the least and the largest code of each format
CODES = {
    "int8": (-128.0, 127.0),
    "int4": (-8.0, 7.0),
    "fp8_e4m3": (-448.0, 448.0),
    "fp8_e5m2": (-57344.0, 57344.0),
}


def cast(x: Array, *, weights: Weights, to: str) -> Array:
    return each(x, lambda value: value)


def cast_grad(
    part: str, dy: Array, x: Array, *, output: Array, weights: Weights, to: str
) -> Gradients:
    return {"input 0": each(dy, lambda value: value)}


def quantize(
    x: Array, *, weights: Weights, to: str, per_channel: bool, axis: int, zero_point: bool
) -> Array:
    factors = [1.0 / scale for scale in weights["scale"]]
    down: list[Number] = [ROUNDING] * len(factors)
    if zero_point:
        down = [ROUNDING - zero for zero in weights["zero_point"]]
    least, largest = CODES[to]
    y = np.empty(x.shape, dtype=x.dtype)
    for at in np.ndindex(*x.shape):
        channel = at[axis] if per_channel else 0
        code = x[at] * factors[channel]
        if to.startswith("int"):
            code = (code + ROUNDING) - down[channel]
        y[at] = min(max(code, least), largest)
    return y


def dequantize(
    x: Array, *, weights: Weights, to: str, per_channel: bool, axis: int, zero_point: bool
) -> Array:
    y = np.empty(x.shape, dtype=float if x.dtype != object else object)
    for at in np.ndindex(*x.shape):
        channel = at[axis] if per_channel else 0
        code = x[at] - weights["zero_point"][channel] if zero_point else x[at]
        y[at] = code * weights["scale"][channel]
    return y
