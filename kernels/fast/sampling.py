"""Resizing, samples at given places, regions of interest: rows gathered and weighed."""

from __future__ import annotations

from typing import Any

from perfmodel.core import per_axis
from perfmodel.kernels.arrays import values_of
from perfmodel.kernels.fast._blocks import ranges
from perfmodel.kernels.fast.embedding import take
from perfmodel.kernels.registry import kernel

#: bytes of samples that wait in cache to be averaged
SAMPLES_BYTES = 1 << 20
#: Keys' parameter, as PyTorch has it
SHARPNESS = -0.75


def _taps(outputs: int, extent: int, mode: str) -> Any:
    """Return the places around each output along an axis, and their weights, [taps, outputs]."""
    import numpy as np

    place = np.arange(outputs)
    if mode == "nearest":
        return (place * extent // outputs)[None], np.ones((1, outputs))
    cell, rest = np.divmod((2 * place + 1) * extent - outputs, 2 * outputs)
    f = rest / (2 * outputs)
    if mode == "bilinear":
        cells, weights = [cell, cell + 1], [1 - f, f]
    else:
        a = SHARPNESS
        near = [((a + 2) * d - (a + 3)) * d * d + 1 for d in (f, 1 - f)]
        far = [((a * d - 5 * a) * d + 8 * a) * d - 4 * a for d in (1 + f, 2 - f)]
        cells, weights = [cell + i for i in (-1, 0, 1, 2)], [far[0], *near, far[1]]
    return np.clip(np.stack(cells), 0, extent - 1), np.stack(weights)


def _tables(xp: Any, outputs: int, extent: int, mode: str, dtype: Any, shape: Any) -> Any:
    places, weights = _taps(outputs, extent, mode)
    return [
        (xp.asarray(p.astype("int64")), xp.asarray(w.astype(str(dtype)).reshape(shape)))
        for p, w in zip(places, weights, strict=True)
    ]


@kernel("resize")
def resize(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """Rows first, then columns: a gather a tap, weighed and added, image by image."""
    out = ws.output(a)
    N, C, H, W = a.x.shape
    P, Q = per_axis(op.target, 2)
    down = ws.once("down", lambda: _tables(xp, P, H, op.mode, out.dtype, (-1, 1)))
    across = ws.once("across", lambda: _tables(xp, Q, W, op.mode, out.dtype, (1, -1)))
    rows, one = (ws.buffer(name, (C, P, W), out.dtype) for name in ("rows", "one"))
    t = ws.buffer("t", (C, P, Q), out.dtype)
    for n in range(N):
        _weighed(xp, a.x[n], down, 1, rows, one)
        _weighed(xp, rows, across, 2, out[n], t)
    return out


def _weighed(xp: Any, x: Any, taps: Any, axis: int, y: Any, t: Any) -> None:
    for number, (places, weights) in enumerate(taps):
        to = t if number else y
        take(xp, x, places, axis, to)
        if len(taps) > 1:
            xp.multiply(to, weights, out=to)
        if number:
            xp.add(y, t, out=y)


def _beside(xp: Any, position: Any, extent: int) -> tuple[Any, Any, Any, Any]:
    """Return the two cells beside positions, and their weights."""
    cell = xp.floor(position)
    second = xp.subtract(position, cell)
    low = xp.clip(cell, 0.0, extent - 1.0)
    xp.add(cell, 1.0, out=cell)
    high = xp.clip(cell, 0.0, extent - 1.0)
    return low, high, xp.subtract(1.0, second), second


def _bilinear(xp: Any, ws: Any, image: Any, rows: Any, columns: Any, width: int, y: Any) -> None:
    """Set y[C, places] to samples of image[C, H W] at flat rows and columns."""
    t = ws.like("sampled", y)
    number = 0
    for row, of_row in ((rows[0], rows[2]), (rows[1], rows[3])):
        for column, of_column in ((columns[0], columns[2]), (columns[1], columns[3])):
            place = xp.multiply(row, float(width))
            place = xp.add(place, column).astype("int64")
            share = xp.multiply(of_row, of_column)
            to = t if number else y
            take(xp, image, place.reshape(-1), 1, to)
            xp.multiply(to, share.reshape(1, -1), out=to)
            if number:
                xp.add(y, t, out=y)
            number += 1


@kernel("grid_sample")
def grid_sample(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """Four gathers an image, weighed by where the place lies between its corners."""
    x, grid = a.inputs
    out = ws.output(a)
    N, C, H, W = x.shape
    for n in range(N):
        positions = []
        for part, extent in ((1, H), (0, W)):
            p = xp.add(grid[n, :, :, part], 1.0)
            xp.multiply(p, (extent - 1) / 2, out=p)
            positions.append(_beside(xp, p, extent))
        _bilinear(xp, ws, x[n].reshape(C, H * W), *positions, W, out[n].reshape(C, -1))
    return out


@kernel("roi_align")
def roi_align(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """The four corners of every sample gathered, weighed, and averaged by bin; boxes in blocks."""
    x, boxes, images = a.inputs
    out, k = ws.output(a), op.samples
    (P, Q), (N, C, H, W) = per_axis(op.bins, 2), x.shape
    edges = xp.multiply(boxes, 1.0 / op.stride)
    xp.add(edges, -0.5, out=edges)
    channels = ws.buffer("channels first", (C, N, H * W), x.dtype)
    xp.copyto(channels, xp.swapaxes(x.reshape(N, C, H * W), 0, 1))
    flat = channels.reshape(C, N * H * W)
    first_rows = xp.multiply(images.astype(x.dtype), float(H)).reshape(-1, 1, 1)
    samples = P * k * Q * k
    for block in ranges(xp, boxes.shape[0], C * samples * x.itemsize, SAMPLES_BYTES):
        wide = block.stop - block.start
        axes = []
        for low, high, count, extent in ((1, 3, P * k, H), (0, 2, Q * k, W)):
            first = edges[block, low : low + 1]
            step = xp.multiply(xp.subtract(edges[block, high : high + 1], first), 1.0 / count)
            grid = ws.once(("half", count), lambda count=count: _halves(xp, count, x.dtype))
            axes.append(_beside(xp, xp.add(xp.multiply(grid, step), first), extent))
        rows = [v.reshape(wide, -1, 1) for v in axes[0]]
        rows[:2] = [xp.add(v, first_rows[block]) for v in rows[:2]]
        columns = [v.reshape(wide, 1, -1) for v in axes[1]]
        y = ws.buffer("samples", (C, wide * samples), x.dtype)
        _bilinear(xp, ws, flat, rows, columns, W, y)
        to = out[block]
        xp.sum(y.reshape(C, wide, P, k, Q, k), axis=(3, 5), out=xp.swapaxes(to, 0, 1))
        xp.multiply(to, 1.0 / k**2, out=to)
    return out


def _halves(xp: Any, count: int, dtype: Any) -> Any:
    import numpy as np

    return xp.asarray((np.arange(count) + 0.5).astype(str(dtype)))


@values_of("roi_align", 1)
@values_of("nms", 0)
def _boxes(op: Any, t: Any, shape: tuple[int, ...], rng: Any) -> Any:
    import numpy as np

    corner = rng.uniform(0.0, 20.0, (*shape[:-1], 2))
    return np.concatenate([corner, corner + rng.uniform(1.0, 20.0, corner.shape)], axis=-1)


@values_of("roi_align", 2)
def _images(op: Any, t: Any, shape: tuple[int, ...], rng: Any) -> Any:
    return rng.integers(0, int(t.x.shape[0]), shape)


@values_of("grid_sample", 1)
def _grid(op: Any, t: Any, shape: tuple[int, ...], rng: Any) -> Any:
    return rng.uniform(-1.2, 1.2, shape)


#: share of the union above which a box is suppressed
OVERLAP = 0.5


@kernel("nms")
def nms(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """Boxes by falling score; each that is left suppresses those after it that it overlaps."""
    boxes, scores = a.inputs
    out = ws.output(a)
    N, M = scores.shape
    for n in range(N):
        order = xp.argsort(xp.negative(scores[n]), axis=0, kind="stable")
        left, top, right, bottom = (
            xp.take(edge, order, axis=0) for edge in (boxes[n, :, i] for i in range(4))
        )
        area = xp.multiply(xp.subtract(right, left), xp.subtract(bottom, top))
        alive, hit = (ws.buffer(name, (M,), "bool") for name in ("alive", "hit"))
        over = ws.buffer("over", (M, M), "bool")
        for rows in ranges(xp, M, M * area.itemsize):
            shape = (rows.stop - rows.start, M)
            width, height, t = (ws.buffer(v, shape, area.dtype) for v in ("width", "height", "t"))
            for size, low, high in ((width, left, right), (height, top, bottom)):
                xp.minimum(high[rows, None], high, out=size)
                xp.maximum(low[rows, None], low, out=t)
                xp.subtract(size, t, out=size)
                xp.maximum(size, 0.0, out=size)
            shared = xp.multiply(width, height, out=width)
            union = xp.add(area[rows, None], area, out=height)
            xp.subtract(union, shared, out=union)
            xp.greater(shared, xp.multiply(union, OVERLAP, out=union), out=over[rows])
        xp.copyto(alive, True)
        for i in range(M - 1):
            rest, seen = alive[i + 1 :], hit[i + 1 :]
            xp.logical_and(over[i, i + 1 :], alive[i : i + 1], out=seen)
            # greater of truths: alive and not suppressed.
            xp.greater(rest, seen, out=rest)
        gone = xp.logical_not(alive)
        kept = xp.argsort(gone, axis=0, kind="stable")[: op.keep]
        found = ws.buffer("found", (op.keep,), "int64")
        xp.copyto(found, -1)
        room = min(op.keep, M)
        xp.copyto(found[:room], xp.take(order, kept, axis=0))
        xp.copyto(found[:room], -1, where=xp.take(gone, kept, axis=0))
        xp.copyto(out[n], found, casting="unsafe")
    return out
