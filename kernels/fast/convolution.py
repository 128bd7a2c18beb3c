"""Convolution by lowering to one matrix product (im2col), and by a product a tap (direct)."""

from __future__ import annotations

from typing import Any

from perfmodel.kernels.fast._blocks import ranges
from perfmodel.kernels.fast._products import product
from perfmodel.kernels.fast._windows import Images, Outputs, filters, slid, windows_of
from perfmodel.kernels.registry import kernel

#: bytes of lowered windows that wait in cache for their product
COLUMNS_BYTES = 1 << 21
#: columns of a product below which packing the filters costs more than it brings
LEAST_COLUMNS = 128


@kernel("conv1d", "conv2d", "conv3d", algorithm="im2col")
def im2col(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """Windows copied into columns, block by block of output rows, then filters times columns.

    A 1x1 filter needs no copy. The bias is added while a block is in cache.
    """
    s, out = slid(op, ws, a), Outputs(xp, ws, a, op.layout)
    images = Images(xp, ws, a.x, s)
    weight = filters(xp, ws, a.weights["weight"], op)
    groups = op.groups
    depth = s.channels // groups * s.taps
    rows = weight.reshape(groups, weight.shape[0] // groups, depth)
    if groups == 1:
        rows = rows.reshape(-1, depth)
    bias = a.weights.get("bias")
    bias = None if bias is None else bias.reshape(*rows.shape[:-1], 1)
    across = s.places // s.outputs[0]
    row_bytes = s.channels * s.taps * across * a.x.itemsize
    target = max(COLUMNS_BYTES, LEAST_COLUMNS * row_bytes // across)
    blocks = list(ranges(xp, s.outputs[0], row_bytes, target))
    if s.is_pointwise:
        blocks = [slice(0, s.outputs[0])]
    shape = (s.channels, *s.kernel, blocks[0].stop, *s.outputs[1:])
    lowered = None if s.is_pointwise else ws.buffer("columns", shape, a.x.dtype)
    for n in range(s.batch):
        image, y = images[n], out[n].reshape(*rows.shape[:-1], s.places)
        views = None if lowered is None else windows_of(xp, image, s)
        for block in blocks:
            width = (block.stop - block.start) * across
            if lowered is None:
                columns = image.reshape(*rows.shape[:-2], depth, width)
            else:
                part = ws.buffer("columns", (*shape[: -len(s.outputs)], block.stop - block.start,
                                             *s.outputs[1:]), a.x.dtype)  # fmt: skip
                at = (*(slice(None),) * (1 + len(s.kernel)), block)
                xp.copyto(part, views[at])
                columns = part.reshape(*rows.shape[:-2], depth, width)
            made = y[..., block.start * across : block.stop * across]
            product(xp, rows, columns, made)
            if bias is not None:
                xp.add(made, bias, out=made)
        out.done(n)
    return out.out


def _no_direct(op: Any, t: Any) -> str | None:
    if op.groups != 1:
        return f"direct runs no groups, found {op.groups}"
    return None


@kernel("conv1d", "conv2d", algorithm="direct", refuses=_no_direct)
def direct(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """A product a tap, added up: filters' tap [K, C] times a row of places [C, Q], row by row.

    BLAS takes rows of places as they lie in the image where the stride along them is
    1; with a wider stride the image is first split into one image a remainder.
    """
    s, out = slid(op, ws, a), Outputs(xp, ws, a, op.layout)
    images = Images(xp, ws, a.x, s)
    weight = filters(xp, ws, a.weights["weight"], op)
    taps = ws.once("taps", lambda: _tap_major(xp, ws, weight))
    K, step = weight.shape[0], s.stride[-1]
    P, Q = (1, *s.outputs)[-2:]
    u, d = (1, *s.stride)[-2], (1, *s.dilation)[-2]
    height, width = (1, *s.padded)[-2:]
    phases = None
    if step > 1:
        phases = ws.buffer("phases", (step, s.channels, height, -(-width // step)), a.x.dtype)
    partial = ws.buffer("partial", (P, K, Q), a.x.dtype)
    bias = a.weights.get("bias")
    for n in range(s.batch):
        image = images[n].reshape(s.channels, height, width)
        if phases is not None:
            for phase in range(min(step, width)):
                part = image[:, :, phase::step]
                xp.copyto(phases[phase, :, :, : part.shape[2]], part)
        y = xp.swapaxes(out[n].reshape(K, P, Q), 0, 1)
        for number, (tap, _) in enumerate(s.at_taps):
            r, column = (0, *tap)[-2] * d, tap[-1] * s.dilation[-1]
            source = image if phases is None else phases[column % step]
            rows = source[:, r : r + (P - 1) * u + 1 : u, column // step : column // step + Q]
            to = partial if number else y
            product(xp, taps[number], xp.swapaxes(rows, 0, 1), to)
            if number:
                xp.add(y, partial, out=y)
        if bias is not None:
            xp.add(y, bias.reshape(K, 1), out=y)
        out.done(n)
    return out.out


def _tap_major(xp: Any, ws: Any, weight: Any) -> Any:
    """Return filters [K, C, taps...] as [taps, K, C]."""
    flat = weight.reshape(*weight.shape[:2], -1)
    made = ws.buffer("tap major", (flat.shape[2], *flat.shape[:2]), weight.dtype)
    xp.copyto(made, xp.moveaxis(flat, -1, 0))
    return made
