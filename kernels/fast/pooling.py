"""Pooling over sliding windows: one axis after the other, by shifted views, channels in blocks."""

from __future__ import annotations

import math
from typing import Any

from perfmodel.kernels.fast._blocks import ranges
from perfmodel.kernels.fast._windows import Images, Outputs, slid, windows_of
from perfmodel.kernels.registry import kernel


def _no_indices(op: Any, t: Any) -> str | None:
    return "this kernel keeps no indices" if getattr(op, "indices", False) else None


def _only_indices(op: Any, t: Any) -> str | None:
    return None if getattr(op, "indices", False) else "this kernel is for pooling with indices"


@kernel("max_pool1d", "max_pool2d", "max_pool3d", refuses=_no_indices)
def max_pool(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """The maximum of shifted views: down the window first, then of what that left across it."""
    return _pool(xp, op, ws, a, xp.maximum, -math.inf)


@kernel("avg_pool1d", "avg_pool2d", "avg_pool3d")
def avg_pool(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """The sum of shifted views, then scaled; the border counts as zeros."""
    return _pool(xp, op, ws, a, xp.add, 0.0)


def _pool(xp: Any, op: Any, ws: Any, a: Any, join: Any, fill: float) -> Any:
    s, out = slid(op, ws, a), Outputs(xp, ws, a, op.layout)
    images = Images(xp, ws, a.x, s, fill)
    blocks = list(ranges(xp, s.channels, s.places * out.out.itemsize))
    high = blocks[0].stop
    for n in range(s.batch):
        image, y = images[n], out[n]
        for block in blocks:
            current = image[block]
            for axis in range(len(s.outputs)):
                shape = (*s.outputs[: axis + 1], *s.padded[axis + 1 :])
                made = y[block]
                if axis < len(s.outputs) - 1:
                    room = ws.buffer(("axis", axis), (high, *shape), y.dtype)
                    made = room[: block.stop - block.start]
                _along(xp, s, axis, current, made, join)
                current = made
            if join is xp.add:
                xp.multiply(current, 1.0 / s.taps, out=current)
        out.done(n)
    return out.out


def _along(xp: Any, s: Any, axis: int, x: Any, y: Any, join: Any) -> None:
    """Join the taps along one axis of x[C, ...]: views shifted by a tap each."""
    u, p, d = s.stride[axis], s.outputs[axis], s.dilation[axis]
    views = [
        x[(slice(None),) * (1 + axis) + (slice(t * d, t * d + (p - 1) * u + 1, u),)]
        for t in range(s.kernel[axis])
    ]
    if len(views) == 1:
        xp.copyto(y, views[0])
        return
    join(views[0], views[1], out=y)
    for view in views[2:]:
        join(y, view, out=y)


@kernel(
    "max_pool1d", "max_pool2d", "max_pool3d", algorithm="indices", refuses=_only_indices
)  # fmt: skip
def max_pool_indices(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """Windows copied side by side, the place of the largest, its value and number in the input."""
    s, out = slid(op, ws, a), Outputs(xp, ws, a, op.layout)
    where = Outputs(xp, ws, a, op.layout, 1)
    images = Images(xp, ws, a.x, s, -math.inf)
    numbers = ws.once("numbers", lambda: _numbers(xp, s))
    for n in range(s.batch):
        view = windows_of(xp, images[n], s)
        side = ws.buffer("windows", (s.channels, *s.outputs, s.taps), a.x.dtype)
        shaped = side.reshape(s.channels, *s.outputs, *s.kernel)
        rank = len(s.outputs)
        order = (0, *range(1 + rank, 1 + 2 * rank), *range(1, 1 + rank))
        xp.copyto(shaped, xp.transpose(view, order))
        best = xp.argmax(side, axis=-1, keepdims=True)
        y, place = out[n], where[n]
        xp.copyto(y, xp.take_along_axis(side, best, axis=-1).reshape(y.shape))
        table = xp.broadcast_to(numbers, (s.channels, *s.outputs, s.taps))
        found = xp.take_along_axis(table, best, axis=-1).reshape(place.shape)
        offsets = ws.once(("offsets", n), lambda n=n: _offsets(xp, s, n))
        xp.add(found, offsets, out=found)
        xp.copyto(place, found, casting="unsafe")
        out.done(n)
        where.done(n)
    return out.out, where.out


def _numbers(xp: Any, s: Any) -> Any:
    """Return each window's places as numbers in an image, [outputs..., taps]."""
    import numpy as np

    places = np.arange(math.prod(s.image)).reshape(s.image)
    padded = np.zeros(s.padded, dtype=np.int64)
    padded[tuple(slice(b, b + i) for b, i in zip(s.before, s.image, strict=True))] = places
    view = windows_of(np, padded[None], s)[0].reshape(s.taps, *s.outputs)
    return xp.asarray(np.ascontiguousarray(np.moveaxis(view, 0, -1)))


def _offsets(xp: Any, s: Any, n: int) -> Any:
    """Return the number of each channel's first place in the whole input, [C, 1, ...]."""
    import numpy as np

    first = (n * s.channels + np.arange(s.channels)) * math.prod(s.image)
    return xp.asarray(first.reshape(-1, *(1,) * len(s.image)))


@kernel(
    "global_avg_pool1d", "global_avg_pool2d", "global_avg_pool3d",
    "global_max_pool1d", "global_max_pool2d", "global_max_pool3d",
)  # fmt: skip
def global_pool(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """One reduction over the image; a mean is scaled afterwards."""
    x, out, largest = a.x, ws.output(a), op.name.startswith("global_max")
    N, last = x.shape[0], op.layout == "nhwc"
    C = x.shape[-1] if last else x.shape[1]
    rows = x.reshape(N, -1, C) if last else x.reshape(N, C, -1)
    axis = 1 if last else 2
    y = out.reshape(N, C)
    (xp.max if largest else xp.sum)(rows, axis=axis, out=y)
    if not largest:
        xp.multiply(y, 1.0 / rows.shape[axis], out=y)
    return out


@kernel(
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d",
    "adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d",
)  # fmt: skip
def adaptive_pool(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """A reduction a bin and axis, one axis after the other, over all channels."""
    out = ws.output(a)
    last = op.layout == "nhwc"
    x = xp.moveaxis(a.x, -1, 1) if last else a.x
    y = xp.moveaxis(out, -1, 1) if last else out
    _bins(xp, ws, x, y, op.name.startswith("adaptive_max"))
    return out


def _bins(xp: Any, ws: Any, x: Any, y: Any, largest: bool, name: str = "") -> None:
    """Set y[N, C, bins...] to the means or maxima of x[N, C, ...] over its shares."""
    current, rank = x, x.ndim - 2
    for axis in range(x.ndim - 1, 1, -1):
        size, count = x.shape[axis], y.shape[axis]
        shape = (*current.shape[:axis], count, *current.shape[axis + 1 :])
        made = y if axis == 2 else ws.buffer((name, "axis", axis), shape, y.dtype)
        for b in range(count):
            first, end = b * size // count, -(-(b + 1) * size // count)
            before = (slice(None),) * axis
            to = made[(*before, slice(b, b + 1))]
            part = current[(*before, slice(first, end))]
            (xp.max if largest else xp.sum)(part, axis=axis, keepdims=True, out=to)
            if not largest:
                xp.multiply(to, 1.0 / (end - first), out=to)
        current = made
    if rank == 0:
        xp.copyto(y, x)


@kernel("spatial_pyramid_pool2d")
def spatial_pyramid_pool2d(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """Maxima over the bins of each level, side by side."""
    out = ws.output(a)
    x = xp.moveaxis(a.x, -1, 1) if op.layout == "nhwc" else a.x
    N, C = x.shape[:2]
    start = 0
    for level in op.levels:
        made = ws.buffer(("level", level), (N, C, level, level), out.dtype)
        _bins(xp, ws, x, made, True, f"level {level}")
        end = start + C * level * level
        xp.copyto(out[:, start:end], made.reshape(N, -1))
        start = end
    return out
