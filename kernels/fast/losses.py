"""Losses from logits or predictions: passes over blocks of rows, sums of each block added up."""

from __future__ import annotations

from typing import Any

from perfmodel.kernels.arrays import values_of
from perfmodel.kernels.fast._blocks import BLOCK_BYTES, ranges, rows_of
from perfmodel.kernels.registry import kernel


@kernel("cross_entropy")
def cross_entropy(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """Maximum, difference, exponential, sum, logarithm, minus the target's own score."""
    x, out = rows_of(a.x), ws.output(a)
    targets = a.inputs[1].reshape(-1, 1)
    columns = x.shape[1]
    blocks = list(ranges(xp, x.shape[0], columns * x.itemsize))
    shifted, power = (
        ws.buffer(name, (blocks[0].stop, columns), x.dtype) for name in ("shifted", "power")
    )
    losses = ws.buffer("losses", (x.shape[0], 1), x.dtype)
    for block in blocks:
        n = block.stop - block.start
        rows, s, p, loss = x[block], shifted[:n], power[:n], losses[block]
        xp.max(rows, axis=1, keepdims=True, out=loss)
        xp.subtract(rows, loss, out=s)
        xp.exp(s, out=p)
        xp.sum(p, axis=1, keepdims=True, out=loss)
        xp.log(loss, out=loss)
        xp.subtract(loss, xp.take_along_axis(s, targets[block], axis=1), out=loss)
    return _reduced(xp, op, losses.reshape(-1), out)


def _reduced(xp: Any, op: Any, losses: Any, out: Any) -> Any:
    if op.reduction == "none":
        xp.copyto(out, losses.reshape(out.shape))
        return out
    xp.sum(losses, axis=0, keepdims=True, out=out.reshape(1))
    xp.multiply(out.reshape(1), 1.0 / losses.shape[0], out=out.reshape(1))
    return out


def _in_blocks(xp: Any, ws: Any, op: Any, a: Any, body: Any) -> Any:
    """Run ``body(x, target, y, t)`` over blocks; the losses' mean, or the losses."""
    x, target = (v.reshape(-1) for v in a.inputs)
    out, each = ws.output(a), op.reduction == "none"
    blocks = list(ranges(xp, x.shape[0], x.itemsize))
    size = min(x.shape[0], BLOCK_BYTES // x.itemsize)
    losses, t = (ws.buffer(name, (size,), x.dtype) for name in ("losses", "t"))
    sums = ws.buffer("sums", (len(blocks),), x.dtype)
    for number, block in enumerate(blocks):
        n = block.stop - block.start
        y = out.reshape(-1)[block] if each else losses[:n]
        body(x[block], target[block], y, t[:n])
        if not each:
            xp.sum(y, axis=0, keepdims=True, out=sums[number : number + 1])
    if not each:
        xp.sum(sums, axis=0, keepdims=True, out=out.reshape(1))
        xp.multiply(out.reshape(1), 1.0 / x.shape[0], out=out.reshape(1))
    return out


@kernel("mse")
def mse(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """Differences and their squares."""

    def body(x: Any, target: Any, y: Any, t: Any) -> None:
        xp.subtract(x, target, out=y)
        xp.multiply(y, y, out=y)

    return _in_blocks(xp, ws, op, a, body)


@kernel("binary_cross_entropy")
def binary_cross_entropy(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """max(x, 0) - x t + log(1 + exp(-|x|))."""

    def body(x: Any, target: Any, y: Any, t: Any) -> None:
        xp.absolute(x, out=y)
        xp.negative(y, out=y)
        xp.exp(y, out=y)
        xp.add(y, 1.0, out=y)
        xp.log(y, out=y)
        xp.multiply(x, target, out=t)
        xp.subtract(y, t, out=y)
        xp.maximum(x, 0.0, out=t)
        xp.add(y, t, out=y)

    return _in_blocks(xp, ws, op, a, body)


@values_of("cross_entropy", 1)
def _classes(op: Any, t: Any, shape: tuple[int, ...], rng: Any) -> Any:
    return rng.integers(0, int(t.x.shape[-1]), shape)
