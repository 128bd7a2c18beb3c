"""Gated linear units: the last axis's first half times, or by, the second; rows in blocks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from perfmodel.kernels import cuda
from perfmodel.kernels.fast import activations
from perfmodel.kernels.fast._blocks import ranges, rows_of
from perfmodel.kernels.registry import kernel


def _gate(
    name: str, body: Callable[..., Any], scratch: int, gate_first: bool, expression: str
) -> None:
    """Register ``y = f(gate) value``, the gate being the first half or the second."""

    def run(xp: Any, op: Any, ws: Any, a: Any) -> Any:
        x, out = rows_of(a.x), ws.output(a)
        y = rows_of(out)
        half = y.shape[1]
        halves = x[:, :half], x[:, half:]
        gate, value = halves if gate_first else halves[::-1]
        if cuda.on_gpu(xp):
            cuda.elementwise(xp, expression, gate, value, y)
            return out
        blocks = list(ranges(xp, y.shape[0], half * out.itemsize))
        shape = (blocks[0].stop, half)
        room = [ws.buffer(("scratch", i), shape, out.dtype) for i in range(scratch)]
        for block in blocks:
            n = block.stop - block.start
            body(xp, gate[block], y[block], *[r[:n] for r in room])
            xp.multiply(y[block], value[block], out=y[block])
        return out

    kernel(name)(run)


_gate("glu", activations.sigmoid, 0, False, "b / (C(1) + exp(-a))")
_gate("swiglu", activations.silu, 1, True, "a / (C(1) + exp(-a)) * b")
_gate("geglu", activations.gelu, 3, True, "a * normcdf(a) * b")
