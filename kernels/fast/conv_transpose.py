"""Transposed convolution: filters times image, each tap's values added where it reaches."""

from __future__ import annotations

from itertools import product as all_of
from typing import Any

from perfmodel.core import per_axis, split_borders
from perfmodel.kernels.fast._blocks import ranges
from perfmodel.kernels.fast._products import product
from perfmodel.kernels.fast._windows import Outputs, filters
from perfmodel.kernels.registry import kernel

#: bytes of products that wait in cache to be added
COLUMNS_BYTES = 1 << 21


@kernel("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
def conv_transpose(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """W^T[K taps, C] x[C, places] a block of output channels at a time, then a sum a tap."""
    x = xp.moveaxis(a.x, -1, 1) if op.layout == "nhwc" else a.x
    N, C, *image = x.shape
    rank, groups = len(image), op.groups
    kernel_, stride, dilation = (per_axis(v, rank) for v in (op.kernel, op.stride, op.dilation))
    before = split_borders(op.padding, rank)[0]
    out = Outputs(xp, ws, a, op.layout)
    weight = ws.once(
        "by output", lambda: _by_output(xp, ws, filters(xp, ws, a.weights["weight"], op), groups)
    )
    _, each, taps, depth = weight.shape
    places = 1
    for n in image:
        places *= n
    full = tuple(
        (i - 1) * u + d * (r - 1) + 1
        for i, u, d, r in zip(image, stride, dilation, kernel_, strict=True)
    )
    sizes = out[0].shape[1:]
    padded = tuple(max(f, b + p) for f, b, p in zip(full, before, sizes, strict=True))
    blocks = list(ranges(xp, each, taps * places * a.x.itemsize, COLUMNS_BYTES))
    high = blocks[0].stop
    sums = ws.buffer("sums", (high, *padded), a.x.dtype)
    inside = (slice(None), *(slice(b, b + p) for b, p in zip(before, sizes, strict=True)))
    bias = a.weights.get("bias")
    for n in range(N):
        source = x[n]
        if op.layout == "nhwc":
            source = ws.buffer("channels first", (C, *image), a.x.dtype)
            xp.copyto(source, x[n])
        columns_of = source.reshape(groups, depth, places)
        for g, block in all_of(range(groups), blocks):
            wide = block.stop - block.start
            made = ws.buffer("products", (wide, taps, *image), a.x.dtype)
            rows = weight[g, block].reshape(wide * taps, depth)
            product(xp, rows, columns_of[g], made.reshape(wide * taps, places))
            total = sums[:wide]
            xp.copyto(total, 0.0)
            for number, tap in enumerate(all_of(*map(range, kernel_))):
                to = total[(slice(None), *(
                    slice(t * d, t * d + (i - 1) * u + 1, u)
                    for t, d, i, u in zip(tap, dilation, image, stride, strict=True)
                ))]  # fmt: skip
                xp.add(to, made[:, number], out=to)
            first = g * each + block.start
            y = out[n][first : first + wide]
            if bias is None:
                xp.copyto(y, total[inside])
            else:
                vector = bias[first : first + wide].reshape(wide, *(1,) * rank)
                xp.add(total[inside], vector, out=y)
        out.done(n)
    return out.out


def _by_output(xp: Any, ws: Any, weight: Any, groups: int) -> Any:
    """Return filters [C, K / groups, taps...] as [groups, K / groups, taps, C / groups]."""
    flat = weight.reshape(groups, weight.shape[0] // groups, weight.shape[1], -1)
    view = xp.moveaxis(flat, 1, -1)
    made = ws.buffer("rows", view.shape, weight.dtype)
    xp.copyto(made, view)
    return made
