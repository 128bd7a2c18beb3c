"""Quantization and back: a few passes over blocks of rows, a cast among them."""

from __future__ import annotations

from typing import Any

from perfmodel.kernels.arrays import values_of
from perfmodel.kernels.fast._blocks import BLOCK_BYTES, ranges
from perfmodel.kernels.registry import kernel


def _constant(v: Any, op: Any, x: Any) -> Any:
    """Return a scale or zero point as an array that broadcasts against x."""
    shape = [1] * x.ndim
    if op.per_channel:
        shape[op.axis % x.ndim] = -1
    return v.reshape(shape)


def _blocks(xp: Any, x: Any) -> tuple[list[slice], tuple[int, ...]]:
    row = x.size // x.shape[0] * 4
    blocks = list(ranges(xp, x.shape[0], row, BLOCK_BYTES))
    return blocks, (blocks[0].stop, *x.shape[1:])


def _part(v: Any, block: slice) -> Any:
    return v[block] if v.shape[0] > 1 else v


@kernel("quantize", native=("fp32", "fp64", "int8"))
def quantize(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """Multiply, round, add the zero point, clip, cast."""
    x, out = a.x, ws.output(a)
    blocks, shape = _blocks(xp, x)
    t = ws.buffer("t", shape, x.dtype)
    factor = ws.once("factor", lambda: xp.reciprocal(_constant(a.weights["scale"], op, x)))
    zero = None
    if op.zero_point:
        zero = ws.once("zero", lambda: _constant(a.weights["zero_point"], op, x).astype(x.dtype))
    for block in blocks:
        room = t[: block.stop - block.start]
        xp.multiply(x[block], _part(factor, block), out=room)
        xp.rint(room, out=room)
        if zero is not None:
            xp.add(room, _part(zero, block), out=room)
        xp.clip(room, -128.0, 127.0, out=room)
        xp.copyto(out[block], room, casting="unsafe")
    return out


@kernel("dequantize", native=("fp32", "fp64", "int8"))
def dequantize(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """Cast, subtract the zero point, multiply."""
    x, out = a.x, ws.output(a)
    blocks, _ = _blocks(xp, x)
    scale, zero = _constant(a.weights["scale"], op, x), None
    if op.zero_point:
        zero = ws.once("zero", lambda: _constant(a.weights["zero_point"], op, x).astype(out.dtype))
    for block in blocks:
        y = out[block]
        xp.copyto(y, x[block])
        if zero is not None:
            xp.subtract(y, _part(zero, block), out=y)
        xp.multiply(y, _part(scale, block), out=y)
    return out


@values_of("quantize", "scale")
@values_of("dequantize", "scale")
def _scales(op: Any, t: Any, shape: tuple[int, ...], rng: Any) -> Any:
    return rng.uniform(0.01, 0.02, shape)
