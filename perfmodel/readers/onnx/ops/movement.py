"""Operators that move values: joined, cut, padded, repeated, cast, turned."""

from __future__ import annotations

from typing import Any

from perfmodel.core import Dim
from perfmodel.core.dims import ceil_div, maximum, minimum, product, same
from perfmodel.core.elementwise import broadcast_shape
from perfmodel.errors import InputError
from perfmodel.readers.onnx.call import Call
from perfmodel.readers.onnx.formats import FORMAT_OF
from perfmodel.readers.onnx.handlers import MICROSOFT, Made, handles
from perfmodel.readers.onnx.ops.reductions import axis_of
from perfmodel.readers.tracing.values import Value

#: an end that means "to the last", as exporters write it
FAR = 2**31


@handles("Concat")
def concat(call: Call) -> Made:
    """Tensors one after the other along an axis; empty ones take no part."""
    values = [v for v in call.inputs if v is not None]
    axis = axis_of(call, values[0], 1)
    filled = [v for v in values if not same(v.shape[axis], 0)] or values[:1]
    if len(filled) == 1:
        return filled[0]
    return call.emit("concat", *filled, axis=axis)


@handles("Split")
def split(call: Call) -> Made:
    """Parts of one axis, equal or of given lengths."""
    x = call.input(0)
    axis = axis_of(call, x)
    lengths: list[Dim] | None = call.attr("split")
    if lengths is None and call.optional(1) is not None:
        lengths = call.known(1, "the lengths of the parts")
    if lengths is None:
        parts = call.attr("num_outputs", len(call.outputs))
        length = ceil_div(x.shape[axis], parts)
        lengths = [length] * (parts - 1)
        lengths.append(x.shape[axis] - length * (parts - 1))
    if len(lengths) == 1:
        return x
    return call.emit("split", x, axis=axis, lengths=tuple(lengths))


@handles("Slice")
def slice_(call: Call) -> Made:
    """A range of places along some axes, with steps of any sign."""
    x = call.input(0)
    if call.opset < 10:
        starts, ends = call.attr("starts"), call.attr("ends")
        axes, steps = call.attr("axes"), None
    else:
        if any(v is not None and v.data is None for v in call.inputs[1:]):
            return _unknown_range(call, x)
        starts, ends = (call.known(i, "the shape of the output") for i in (1, 2))
        axes = call.known(3, "the shape of the output") if call.optional(3) else None
        steps = call.known(4, "the shape of the output") if call.optional(4) else None
    taken: list[tuple[int, Dim, Dim, int]] = []
    for i, axis in enumerate(axes if axes is not None else range(len(starts))):
        place = int(axis) % x.rank
        step = int(steps[i]) if steps is not None else 1
        start, length = _places(x.shape[place], starts[i], ends[i], step)
        if not same(length, x.shape[place]) or step < 0:
            taken.append((place, start, length, step))
    if any(step != 1 for *_, step in taken) or any(same(length, 0) for _, _, length, _ in taken):
        shape = list(x.shape)
        for place, _, length, _ in taken:
            shape[place] = length
        return _gathered(call, x, shape)
    out = x
    for i, (place, start, length, _) in enumerate(taken):
        suffix = f".axis{place}" if i else ""
        (out,) = call.emit("slice", out, axis=place, start=start, length=length, suffix=suffix)
    return out


def _unknown_range(call: Call, x: Value) -> Value:
    """Return all of ``x``: the most that a range can take which is not known yet."""
    call.net.note("Slice takes a range that is not known before it runs: all of it is taken")
    (y,) = call.emit("pointwise", x, function="slice", vector=0)
    y.bound = True
    return y


def _places(size: Dim, start: Any, end: Any, step: int) -> tuple[Dim, Dim]:
    """Return the first place and the number of places of a range, as NumPy takes it."""
    if step == 0:
        raise InputError("a slice with a step of 0")
    if step > 0:
        first = minimum(maximum(start + size if start < 0 else start, 0), size)
        last = size if end >= FAR else minimum(maximum(end + size if end < 0 else end, 0), size)
        return first, maximum(0, ceil_div(last - first, step))
    first = size - 1 if start >= FAR else minimum(start + size if start < 0 else start, size - 1)
    last = -1 if end <= -FAR else maximum(end + size if end < 0 else end, -1)
    return maximum(last + 1, 0), maximum(0, ceil_div(first - last, -step))


def _gathered(call: Call, x: Value, shape: list[Dim]) -> Value:
    """Put a copy of some of ``x`` into the graph: what is taken is read and written."""
    if any(same(d, 0) for d in shape):
        return Value(call.name, x.dtype, tuple(shape), stored=call.name)
    flat = call.view(x, (1, x.elements))
    (taken,) = call.emit("slice", flat, axis=1, start=0, length=product(shape))
    return call.view(taken, shape)


@handles("Pad")
@handles("Pad", domain=MICROSOFT)
def pad(call: Call) -> Made:
    """A border before and after each axis; a negative one cuts."""
    x = call.input(0)
    given = call.attr("pads") or call.attr("paddings")
    pads = given if given else call.known(1, "the border")
    axes = list(range(x.rank))
    if call.optional(3) is not None:
        axes = [int(a) % x.rank for a in call.known(3, "the border")]
    before: list[Dim] = [0] * x.rank
    after: list[Dim] = [0] * x.rank
    for i, axis in enumerate(axes):
        before[axis], after[axis] = pads[i], pads[i + len(axes)]
    if all(same(d, 0) for d in (*before, *after)):
        return x
    if any(d < 0 for d in (*before, *after)):
        shape = [d + a + b for d, a, b in zip(x.shape, before, after, strict=True)]
        return call.opaque(shape)
    mode = call.attr("mode", "constant")
    return call.emit("pad", x, before=tuple(before), after=tuple(after), mode=mode)


@handles("Cast", "CastLike", "BitCast")
def cast(call: Call) -> Made:
    """Another number format; nothing happens where it is the same."""
    x = call.input(0)
    to = FORMAT_OF.get(call.attr("to", 1), "fp32")
    if call.op == "CastLike":
        to = call.input(1).dtype
    if x.items is not None:
        return x
    made = call.cast(x, to)
    return Value(made.name, to, made.shape, made.data, made.tensor, made.stored, made.make)


@handles("Expand", treatment="free")
def expand(call: Call) -> Made:
    """Axes of one place repeated by steps of zero in memory."""
    x = call.input(0)
    shape = broadcast_shape("Expand", [x.shape, call.known(1, "the shape of the output")])
    if len(shape) == x.rank and all(map(same, shape, x.shape)):
        return x
    return call.emit("expand", x, shape=shape)


@handles("Tile")
def tile(call: Call) -> Made:
    """The tensor repeated along its axes."""
    x = call.input(0)
    repeats = call.known(1, "the shape of the output")
    if all(same(r, 1) for r in repeats):
        return x
    return call.emit("tile", x, repeats=tuple(repeats))


@handles("DepthToSpace", "SpaceToDepth")
def shuffle(call: Call) -> Made:
    """Channels to places, or back."""
    op = "pixel_shuffle" if call.op == "DepthToSpace" else "pixel_unshuffle"
    return call.emit(op, call.input(0), factor=call.attr("blocksize"))


@handles("ReverseSequence")
def reverse_sequence(call: Call) -> Made:
    """Each sequence turned around up to its length: a copy."""
    return call.emit("pointwise", call.input(0), function="reverse_sequence", vector=0)


@handles("CenterCropPad")
def center_crop_pad(call: Call) -> Made:
    """Axes cut or padded to a size, around the middle."""
    x = call.input(0)
    wanted = call.known(1, "the shape of the output")
    axes = [int(a) % x.rank for a in call.attr("axes") or range(x.rank)]
    shape = list(x.shape)
    for axis, size in zip(axes, wanted, strict=True):
        shape[axis] = size
    return call.opaque(shape)
