"""Depthwise convolution: a product and a sum a tap over blocks of channels in cache."""

from __future__ import annotations

from typing import Any

from perfmodel.kernels.fast._blocks import ranges
from perfmodel.kernels.fast._products import product
from perfmodel.kernels.fast._windows import Images, Outputs, filters, slid
from perfmodel.kernels.registry import kernel


def _taps(
    xp: Any, ws: Any, image: Any, weight: Any, s: Any, y: Any, multiplier: int, bias: Any
) -> None:
    """Set y[C multiplier, outputs...] from image[C, padded...], weight[C multiplier, taps]."""
    C, rank = s.channels, len(s.outputs)
    made = y.reshape(C, multiplier, *s.outputs)
    blocks = list(ranges(xp, C, multiplier * s.places * y.itemsize))
    t = ws.buffer("tap", (blocks[0].stop, multiplier, *s.outputs), y.dtype)
    by_tap = weight.reshape(C, multiplier, s.taps, *(1,) * rank)
    for block in blocks:
        to, room = made[block], t[: block.stop - block.start]
        part = image[block].reshape(-1, 1, *image.shape[1:])
        for number, (_, at) in enumerate(s.at_taps):
            values = part[(slice(None), slice(None), *at)]
            factor = by_tap[block, :, number]
            if not number:
                xp.multiply(values, factor, out=to)
                continue
            xp.multiply(values, factor, out=room)
            xp.add(to, room, out=to)
        if bias is not None:
            xp.add(to, bias.reshape(C, multiplier, *(1,) * rank)[block], out=to)


@kernel("depthwise_conv2d")
def depthwise_conv2d(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """Each channel by its own filters."""
    s, out = slid(op, ws, a), Outputs(xp, ws, a, op.layout)
    images = Images(xp, ws, a.x, s)
    weight = filters(xp, ws, a.weights["weight"], op)
    for n in range(s.batch):
        _taps(xp, ws, images[n], weight, s, out[n], op.multiplier, a.weights.get("bias"))
        out.done(n)
    return out.out


@kernel("depthwise_separable_conv2d")
def depthwise_separable_conv2d(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """Each channel by its own filter into a buffer, then a product over channels."""
    s, out = slid(op, ws, a), Outputs(xp, ws, a, op.layout)
    images = Images(xp, ws, a.x, s)
    depthwise = filters(xp, ws, a.weights["depthwise"], op, "depthwise")
    pointwise = filters(xp, ws, a.weights["pointwise"], op, "pointwise")
    between = ws.buffer("between", (s.channels, *s.outputs), a.x.dtype)
    rows = pointwise.reshape(pointwise.shape[0], s.channels)
    for n in range(s.batch):
        _taps(xp, ws, images[n], depthwise, s, between, 1, None)
        y = out[n].reshape(rows.shape[0], s.places)
        product(xp, rows, between.reshape(s.channels, s.places), y)
        out.done(n)
    return out.out
