"""What makes shapes, and what only changes one: constants, views, and their like."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from perfmodel.core import Dim
from perfmodel.core.dims import product, same
from perfmodel.errors import InputError
from perfmodel.readers.onnx.call import Call
from perfmodel.readers.onnx.handlers import Made, handles
from perfmodel.readers.tracing.values import Value, data_of


@handles("Constant", treatment="free")
def constant(call: Call) -> Made:
    """A tensor in the file: stored like an initializer."""
    for name, dtype in (
        ("value", ""), ("value_float", "fp32"), ("value_floats", "fp32"), ("value_int", "int64"),
        ("value_ints", "int64"), ("value_string", "int64"), ("value_strings", "int64"),
        ("sparse_value", ""),
    ):  # fmt: skip
        found = call.attr(name)
        if found is None:
            continue
        if isinstance(found, Value):
            return replace(found, name=call.outputs[0], stored=call.outputs[0])
        data = data_of(found) if isinstance(found, list) else data_of([found], ())
        return Value(call.outputs[0], dtype, tuple(data.shape), data, stored=call.outputs[0])
    raise InputError("a Constant without a value")


@handles("Shape", treatment="free")
def shape(call: Call) -> Made:
    """``x[d0, d1, ...] -> [d0, d1, ...]``."""
    x = call.input(0)
    sizes = list(x.shape)[call.attr("start", 0) : call.attr("end", None)]
    return Value(call.outputs[0], "int64", (len(sizes),), data_of(_objects(sizes), (len(sizes),)))


@handles("Size", treatment="free")
def size(call: Call) -> Made:
    """The number of values."""
    elements = call.input(0).elements
    return Value(call.outputs[0], "int64", (), data_of(_objects([elements]), ()))


def _objects(values: list[Any]) -> Any:
    import numpy as np

    out = np.empty(len(values), dtype=object)
    for i, value in enumerate(values):
        out[i] = value
    return out


@handles("Identity", "OptionalGetElement", treatment="free")
def identity(call: Call) -> Made:
    """The input itself."""
    return replace(call.input(0))


@handles("Optional", treatment="free")
def optional(call: Call) -> Made:
    """A value that may be left out."""
    x = call.optional(0)
    return replace(x) if x is not None else Value(call.name, items=[])


@handles("ConstantOfShape")
def constant_of_shape(call: Call) -> Made:
    """Filled memory: stored where its shape is, else written when the model runs."""
    target = tuple(call.known(0, "the shape of the output"))
    value = call.attr("value")
    dtype = value.dtype if isinstance(value, Value) else "fp32"
    stored = call.input(0).stored
    if stored is not None:
        return Value(call.outputs[0], dtype, target, stored=call.outputs[0])
    return call.opaque(target, formats=[dtype])


@handles("Reshape", treatment="free")
def reshape(call: Call) -> Made:
    """``x -> y[shape]``; 0 keeps a size, -1 takes what is left over."""
    x = call.input(0)
    wanted = call.attr("shape") if call.opset < 5 else call.known(1, "the shape of the output")
    if len(wanted) > 16:
        raise InputError(f"a shape of {len(wanted)} axes, expected at most 16")
    keep = not call.attr("allowzero", 0)
    target: list[Dim] = []
    for i, d in enumerate(wanted):
        if keep and same(d, 0):
            if i >= x.rank:
                raise InputError(f"the shape keeps axis {i} of a tensor with {x.rank} axes")
            d = x.shape[i]
        target.append(d)
    target = call.importer.for_batch(target, x.shape)
    free = [i for i, d in enumerate(target) if same(d, -1)]
    if len(free) > 1:
        raise InputError(f"the shape {wanted} has more than one -1")
    if free:
        others = product(d for i, d in enumerate(target) if i != free[0])
        if same(others, 0) or not same(x.elements % others, 0):
            raise InputError(
                f"{list(x.shape)} cannot be reshaped to {wanted}",
                mend="another --set or --input may fit the sizes that the file was made for",
            )
        target[free[0]] = x.elements // others
    if not same(product(target), x.elements):
        raise InputError(
            f"{list(x.shape)} cannot be reshaped to {wanted}",
            mend="another --set or --input may fit the sizes that the file was made for",
        )
    return call.view(x, target)


@handles("Flatten", treatment="free")
def flatten(call: Call) -> Made:
    """``x -> y[M,N]``, axes before and from ``axis``."""
    x, axis = call.input(0), call.attr("axis", 1)
    axis = axis + x.rank if axis < 0 else axis
    return call.view(x, (product(x.shape[:axis]), product(x.shape[axis:])))


@handles("Squeeze", treatment="free")
def squeeze(call: Call) -> Made:
    """Axes of one place taken away."""
    x = call.input(0)
    axes = call.attr("axes")
    if call.opset >= 13:
        axes = call.known(1, "the rank of the output") if call.optional(1) is not None else None
    if axes is None:
        axes = [i for i, d in enumerate(x.shape) if same(d, 1)]
    gone = {_axis(a, x.rank) for a in axes}
    return call.view(x, [d for i, d in enumerate(x.shape) if i not in gone])


@handles("Unsqueeze", treatment="free")
def unsqueeze(call: Call) -> Made:
    """Axes of one place added."""
    x = call.input(0)
    axes = call.attr("axes") if call.opset < 13 else call.known(1, "the rank of the output")
    rank = x.rank + len(axes)
    added = {_axis(a, rank) for a in axes}
    old = iter(x.shape)
    return call.view(x, [1 if i in added else next(old) for i in range(rank)])


def _axis(axis: int, rank: int) -> int:
    if not -rank <= axis < rank:
        raise InputError(f"axis {axis} of a tensor with {rank} axes")
    return axis % rank


@handles("Transpose")
def transpose(call: Call) -> Made:
    """``x -> y``, axes permuted; moving an axis of one place moves nothing."""
    x = call.input(0)
    axes = tuple(call.attr("perm", None) or range(x.rank - 1, -1, -1))
    if sorted(axes) != list(range(x.rank)):
        raise InputError(f"perm {list(axes)} of a tensor with {x.rank} axes")
    moved = [a for a in axes if not same(x.shape[a], 1)]
    if moved == sorted(moved):
        return call.view(x, [x.shape[a] for a in axes])
    return call.emit("transpose", x, axes=axes)
