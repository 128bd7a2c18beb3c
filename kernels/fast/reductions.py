"""Reductions along axes, and running sums: one library call, or a few in cache."""

from __future__ import annotations

from typing import Any

from perfmodel.kernels.fast._blocks import ranges
from perfmodel.kernels.registry import kernel


def _axes(op: Any, x: Any) -> tuple[int, ...]:
    return tuple(sorted(axis % x.ndim for axis in op.axes))


def _kept(x: Any, axes: tuple[int, ...], keep: bool) -> tuple[int, ...]:
    return tuple(1 if i in axes else n for i, n in enumerate(x.shape) if keep or i not in axes)


@kernel("reduce_sum", "reduce_mean", "reduce_max", "reduce_min")
def reduce(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """One reduction; a mean is scaled afterwards."""
    x, axes, out = a.x, _axes(op, a.x), ws.output(a)
    call = {"reduce_max": xp.max, "reduce_min": xp.min}.get(op.name, xp.sum)
    call(x, axis=axes, keepdims=op.keep, out=out)
    if op.name == "reduce_mean":
        xp.multiply(out, out.size / x.size, out=out)
    return out


@kernel("norm")
def norm(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """Squares, their sum and its root; whole rows of the first axis in blocks where it is kept."""
    x, axes, out = a.x, _axes(op, a.x), ws.output(a)
    made = out.reshape(_kept(x, axes, True))
    blocks = [slice(0, x.shape[0])]
    if 0 not in axes:
        blocks = list(ranges(xp, x.shape[0], x.size // x.shape[0] * x.itemsize))
    t = ws.buffer("t", (blocks[0].stop, *x.shape[1:]), x.dtype)
    for block in blocks:
        part = t[: block.stop - block.start]
        xp.multiply(x[block], x[block], out=part)
        to = made[block] if 0 not in axes else made
        xp.sum(part, axis=axes, keepdims=True, out=to)
    xp.sqrt(out, out=out)
    return out


@kernel("cumsum")
def cumsum(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """One running sum."""
    return xp.cumsum(a.x, axis=op.axis, out=ws.output(a))
