"""Movements: copies into a buffer. What is a view in memory costs nothing and returns one."""

from __future__ import annotations

from typing import Any

from perfmodel.kernels.arrays import shape_of, values_of
from perfmodel.kernels.registry import kernel


@kernel("reshape", "flatten", "squeeze", "unsqueeze", native=("fp32", "fp64", "fp16", "int8"))
def view(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """The same memory under another shape."""
    return a.x.reshape(shape_of(a.tensors.y))


_ANY = ("fp32", "fp64", "fp16", "int8")


@kernel("transpose", native=_ANY)
def transpose(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """One copy with permuted axes."""
    axes = [axis % a.x.ndim for axis in op.axes] or list(range(a.x.ndim))[::-1]
    out = ws.output(a)
    xp.copyto(out, xp.transpose(a.x, axes))
    return out


@kernel("convert_layout", native=_ANY)
def convert_layout(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """Channels moved last, or back."""
    out = ws.output(a)
    to = (1, -1) if op.to == "nhwc" else (-1, 1)
    xp.copyto(out, xp.moveaxis(a.x, *to))
    return out


@kernel("concat", native=_ANY)
def concat(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """A copy of each input."""
    return xp.concatenate(a.inputs, axis=op.axis, out=ws.output(a))


def _part(x: Any, axis: int, start: int, length: int) -> Any:
    return x[(slice(None),) * (axis % x.ndim) + (slice(start, start + length),)]


@kernel("split", native=_ANY)
def split(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """A copy of each part."""
    start, made = 0, []
    for number, tensor in enumerate(a.tensors.outputs):
        out = ws.output(a, number)
        length = shape_of(tensor)[op.axis]
        xp.copyto(out, _part(a.x, op.axis, start, length))
        start += length
        made.append(out)
    return tuple(made)


@kernel("slice", native=_ANY)
def slice_(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """One copy of a part."""
    out = ws.output(a)
    xp.copyto(out, _part(a.x, op.axis, op.start, op.length))
    return out


@kernel("pad", native=_ANY)
def pad(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """The input copied inside, then each axis's border filled, or copied plane by plane."""
    out, x = ws.output(a), a.x
    before, after = op.before, op.after or op.before
    inside = tuple(slice(b, b + n) for b, n in zip(before, x.shape, strict=True))
    xp.copyto(out[inside], x)
    for axis, (b, f) in enumerate(zip(before, after, strict=True)):
        # Axes done already are whole, those to come are the image only.
        at = (*(slice(None),) * axis, slice(None), *inside[axis + 1 :])
        lines = out[at]
        end = b + x.shape[axis]
        if op.mode != "constant":
            for i in (*range(b - 1, -1, -1), *range(end, end + f)):
                source = b + _source(i - b, x.shape[axis], op.mode)
                xp.copyto(_part(lines, axis, i, 1), _part(lines, axis, source, 1))
            continue
        for start, length in ((0, b), (end, f)):
            if length:
                xp.copyto(_part(lines, axis, start, length), 0)
    return out


def _source(i: int, size: int, mode: str) -> int:
    """Return the place of an axis of ``size`` that a place outside it takes its value from."""
    if mode == "reflect":
        return size - 1 - abs(size - 1 - abs(i))
    return min(max(i, 0), size - 1) if mode == "edge" else i % size


@kernel("tile", native=_ANY)
def tile(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """One copy of a view that repeats by a stride of 0."""
    out = ws.output(a)
    pairs = [n for both in zip(op.repeats, a.x.shape, strict=True) for n in both]
    ones = [n for size in a.x.shape for n in (1, size)]
    xp.copyto(out.reshape(pairs), a.x.reshape(ones))
    return out


@kernel("expand", native=_ANY)
def expand(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """One broadcasting copy."""
    out = ws.output(a)
    xp.copyto(out, a.x)
    return out


@kernel("roll", native=_ANY)
def roll(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """A copy of each of the blocks that the shifts cut the tensor into."""
    out, shifts = ws.output(a), [0] * a.x.ndim
    for shift, axis in zip(op.shifts, op.axes, strict=True):
        shifts[axis] = (shifts[axis] + shift) % a.x.shape[axis]
    pieces: list[tuple[tuple[slice, ...], tuple[slice, ...]]] = [((), ())]
    for n, shift in zip(a.x.shape, shifts, strict=True):
        cuts = [(slice(0, n - shift), slice(shift, n)), (slice(n - shift, n), slice(0, shift))]
        pieces = [
            ((*source, one), (*target, other))
            for source, target in pieces
            for one, other in (cuts if shift else cuts[:1])
        ]
    for source, target in pieces:
        xp.copyto(out[target], a.x[source])
    return out


@kernel("pixel_shuffle", native=_ANY)
def pixel_shuffle(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """One copy with permuted axes: channels become places."""
    out, f = ws.output(a), op.factor
    N, C, H, W = a.x.shape
    parts = a.x.reshape(N, C // f**2, f, f, H, W)
    xp.copyto(out.reshape(N, C // f**2, H, f, W, f), xp.transpose(parts, (0, 1, 4, 2, 5, 3)))
    return out


@kernel("pixel_unshuffle", native=_ANY)
def pixel_unshuffle(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """One copy with permuted axes: places become channels."""
    out, f = ws.output(a), op.factor
    N, C, H, W = a.x.shape
    parts = a.x.reshape(N, C, H // f, f, W // f, f)
    xp.copyto(out.reshape(N, C, f, f, H // f, W // f), xp.transpose(parts, (0, 1, 3, 5, 2, 4)))
    return out


@kernel("channel_shuffle", native=_ANY)
def channel_shuffle(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """One copy with two axes swapped."""
    out = ws.output(a)
    N, C, H, W = a.x.shape
    dealt = a.x.reshape(N, op.groups, C // op.groups, H, W)
    xp.copyto(out.reshape(N, C // op.groups, op.groups, H, W), xp.swapaxes(dealt, 1, 2))
    return out


@kernel("parameter", native=_ANY)
def parameter(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """The network's own memory."""
    return a.weights["weight"]


@kernel("dropout", refuses=lambda op, t: "dropout in training" if op.training else None)
def dropout(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """In inference the input itself."""
    return a.x


@kernel("max_unpool1d", "max_unpool2d", "max_unpool3d")
def max_unpool(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """Zeros, and each value put where its number says, among the places of the whole output."""
    out = ws.output(a)
    xp.copyto(out, 0.0)
    values, places = a.inputs
    if op.layout == "nhwc":
        values, places = xp.moveaxis(values, -1, 1).copy(), xp.moveaxis(places, -1, 1).copy()
        first = ws.buffer("channels first", (out.shape[0], out.shape[-1], *out.shape[1:-1]),
                          out.dtype)  # fmt: skip
        xp.copyto(first, 0.0)
        first.reshape(-1)[places.reshape(-1)] = values.reshape(-1)
        xp.copyto(xp.moveaxis(out, -1, 1), first)
        return out
    out.reshape(-1)[places.reshape(-1)] = values.reshape(-1)
    return out


@values_of("max_unpool1d", 1)
@values_of("max_unpool2d", 1)
@values_of("max_unpool3d", 1)
def _places(op: Any, t: Any, shape: tuple[int, ...], rng: Any) -> Any:
    import math

    return rng.permutation(math.prod(shape_of(t.y)))[: math.prod(shape)].reshape(shape)
