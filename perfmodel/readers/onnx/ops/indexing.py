"""Operators that choose places by index, and those whose size depends on what they find."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from perfmodel.core import Dim
from perfmodel.core.dims import minimum, product
from perfmodel.errors import InputError
from perfmodel.readers.onnx.call import Call
from perfmodel.readers.onnx.formats import FORMAT_OF
from perfmodel.readers.onnx.handlers import Made, handles
from perfmodel.readers.onnx.ops.reductions import axis_of
from perfmodel.readers.tracing.values import Value


@handles("Gather")
def gather(call: Call) -> Made:
    """Places of an axis by index; rows of a stored table are an embedding."""
    x, places = call.input(0), call.input(1)
    if not x.rank:
        raise InputError("Gather from a tensor without axes")
    axis = axis_of(call, x)
    if x.is_constant and x.tensor is None and axis == 0 and x.rank == 2 and x.is_float:
        return call.emit(
            "embedding", places, stored={"table": x}, rows=x.shape[0], width=x.shape[1]
        )
    if x.stored is not None and x.rank == 2 and x.dtype in ("int8", "int4", "int2"):
        # Rows of codes, which are brought back afterwards: the table is a weight.
        x = replace(x, whole=x)
    if not places.rank and places.is_constant:
        # One known place is a slice, which leaves the axis out.
        (taken,) = call.emit("slice", x, axis=axis, start=0, length=1)
        return call.view(taken, [*x.shape[:axis], *x.shape[axis + 1 :]])
    return call.emit("gather", x, places, axis=axis)


def taken(call: Call, x: Value, places: Value, shape: Sequence[Dim]) -> Value:
    """Put a gather into the graph whose result has ``shape``: places read, values moved."""
    rows = call.view(x, (x.elements,))
    wanted = product(shape)
    if wanted is places.elements or wanted == places.elements:
        (values,) = call.emit("gather", rows, call.view(places, (places.elements,)), axis=0)
        return call.view(values, shape)
    return call.opaque(shape, formats=[x.dtype])[0]


@handles("GatherElements")
def gather_elements(call: Call) -> Made:
    """One value for each index."""
    places = call.input(1)
    return taken(call, call.input(0), places, places.shape)


@handles("GatherND")
def gather_nd(call: Call) -> Made:
    """Slices chosen by tuples of indices."""
    x, places = call.input(0), call.input(1)
    batch, depth = call.attr("batch_dims", 0), places.shape[-1]
    shape = [*places.shape[:-1], *x.shape[batch + int(depth) :]]
    return taken(call, x, places, shape)


@handles("ScatterElements", "Scatter", "ScatterND", "TensorScatter")
def scatter(call: Call) -> Made:
    """A copy of the tensor with values put in, or added, at places."""
    return call.opaque(call.input(0).shape, formats=[call.input(0).dtype])


@handles("OneHot")
def one_hot(call: Call) -> Made:
    """One at each index, zero elsewhere: written once."""
    places = call.input(0)
    depth = call.known(1, "the depth")[0]
    axis = call.attr("axis", -1)
    shape = list(places.shape)
    shape.insert(axis if axis >= 0 else len(shape) + 1 + axis, depth)
    return call.opaque(shape, formats=[call.input(2).dtype])


@handles("EyeLike")
def eye_like(call: Call) -> Made:
    """Ones on a diagonal: written once, nothing read but the shape."""
    x = call.input(0)
    dtype = FORMAT_OF.get(call.attr("dtype", 0), x.dtype)
    return call.opaque(x.shape, formats=[dtype], read=[])


@handles("Range")
def range_(call: Call) -> Made:
    """Numbers from a start to an end: written once."""
    start, limit, step = (call.known(i, "the number of values")[0] for i in range(3))
    count: Any = -((start - limit) // step) if step != 1 else limit - start
    return call.opaque((int(count) if isinstance(count, float) else count,), read=[])


def found(call: Call, most: Sequence[Dim], formats: Sequence[str], what: str) -> list[Value]:
    """Return outputs whose first size depends on data, at the most that it can be."""
    shapes: list[Sequence[Dim]] = [most]
    call.net.note(f"{call.op} keeps {what}: the most it can is taken")
    made = list(call.opaque(*shapes, formats=list(formats)))
    for value in made:
        value.bound = True
    return made


@handles("NonZero", treatment="bounded")
def non_zero(call: Call) -> Made:
    """The places of values that are not zero: at most all."""
    x = call.input(0)
    return found(call, (max(x.rank, 1), x.elements), ["int64"], "as many as it finds")


@handles("Compress", treatment="bounded")
def compress(call: Call) -> Made:
    """Places of an axis where a condition holds: at most all."""
    x = call.input(0)
    if "axis" not in call.attributes:
        return found(call, (x.elements,), [x.dtype], "as many as it finds")
    shape = list(x.shape)
    axis = axis_of(call, x)
    shape[axis] = minimum(shape[axis], call.input(1).elements)
    return found(call, shape, [x.dtype], "as many as it finds")


@handles("Unique", treatment="bounded")
def unique(call: Call) -> Made:
    """Values that differ: at most all, sorted."""
    x = call.input(0)
    shape: list[Dim] = [x.elements]
    if "axis" in call.attributes:
        shape = list(x.shape)
    length = shape[axis_of(call, x)] if "axis" in call.attributes else x.elements
    call.net.note("Unique keeps as many as it finds: the most it can is taken")
    made = call.opaque(shape, (length,), (length,), (length,), formats=[x.dtype, *["int64"] * 3])
    for value in made:
        value.bound = True
    return made
