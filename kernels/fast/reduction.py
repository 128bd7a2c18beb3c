"""Softmax, log-softmax and k-winners-take-all: rows in blocks that stay in cache."""

from __future__ import annotations

from typing import Any

from perfmodel.kernels import cuda
from perfmodel.kernels.fast._blocks import ranges, rows_of
from perfmodel.kernels.registry import kernel


def softmax_rows(xp: Any, ws: Any, x: Any, y: Any, log_form: bool = False) -> Any:
    """Set y[rows, C] to the softmax of x, or its logarithm; y may be x (not in log form)."""
    if cuda.on_gpu(xp):
        cuda.softmax(xp, x, y, log_form)
        return y
    blocks = list(ranges(xp, x.shape[0], x.shape[1] * y.itemsize))
    statistic = ws.buffer("row statistic", (blocks[0].stop, 1), y.dtype)
    power = ws.buffer("powers", (blocks[0].stop, x.shape[1]), y.dtype) if log_form else None
    for block in blocks:
        n = block.stop - block.start
        rows, made, s = x[block], y[block], statistic[:n]
        xp.max(rows, axis=1, keepdims=True, out=s)
        xp.subtract(rows, s, out=made)
        if power is not None:
            xp.exp(made, out=power[:n])
            xp.sum(power[:n], axis=1, keepdims=True, out=s)
            xp.log(s, out=s)
            xp.subtract(made, s, out=made)
            continue
        xp.exp(made, out=made)
        xp.sum(made, axis=1, keepdims=True, out=s)
        xp.reciprocal(s, out=s)
        xp.multiply(made, s, out=made)
    return y


@kernel("softmax", "log_softmax")
def softmax(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """Maximum, difference, exponential, sum, product."""
    out = ws.output(a)
    softmax_rows(xp, ws, rows_of(a.x), rows_of(out), op.name == "log_softmax")
    return out


@kernel("k_winners_take_all")
def k_winners_take_all(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """A row's k-th largest value by partition, then all that reach it; equal values all win."""
    x, out = rows_of(a.x), ws.output(a)
    y, columns = rows_of(out), a.x.shape[-1]
    if op.k >= columns:
        xp.copyto(y, x)
        return out
    blocks = list(ranges(xp, x.shape[0], columns * out.itemsize))
    losers = ws.buffer("losers", (blocks[0].stop, columns), "bool")
    for block in blocks:
        rows = x[block]
        lost = losers[: block.stop - block.start]
        ordered = xp.partition(rows, columns - op.k, axis=1)
        xp.less(rows, ordered[:, columns - op.k : columns - op.k + 1], out=lost)
        xp.copyto(y[block], rows)
        xp.copyto(y[block], 0.0, where=lost)
    return out
