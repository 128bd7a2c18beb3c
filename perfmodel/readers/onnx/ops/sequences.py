"""Lists of tensors, and values that may be left out."""

from __future__ import annotations

from dataclasses import replace

from perfmodel.core import Dim
from perfmodel.core.dims import ceil_div
from perfmodel.errors import InputError
from perfmodel.readers.onnx.call import Call
from perfmodel.readers.onnx.handlers import Made, handles
from perfmodel.readers.tracing.values import Value, data_of


@handles("SequenceConstruct", treatment="free")
def sequence_construct(call: Call) -> Made:
    """A list of tensors."""
    items = [v for v in call.inputs if v is not None]
    return Value(call.name, items[0].dtype if items else "fp32", items=items)


@handles("SequenceEmpty", treatment="free")
def sequence_empty(call: Call) -> Made:
    """A list of nothing."""
    return Value(call.name, items=[])


@handles("SequenceInsert", treatment="free")
def sequence_insert(call: Call) -> Made:
    """A list with one tensor more."""
    listed = call.input(0)
    return replace(listed, items=[*(listed.items or []), call.input(1)])


@handles("SequenceErase", treatment="free")
def sequence_erase(call: Call) -> Made:
    """A list with one tensor less."""
    listed = call.input(0)
    return replace(listed, items=(listed.items or [])[:-1])


@handles("SequenceAt", treatment="free")
def sequence_at(call: Call) -> Made:
    """One tensor of a list; the first where its place is not known."""
    items = call.input(0).items or []
    place = call.input(1).data
    index = int(place.item()) if place is not None and place.size == 1 else 0
    if not items:
        raise InputError("SequenceAt of a list whose tensors are not known")
    return replace(items[index if -len(items) <= index < len(items) else 0])


@handles("SequenceLength", treatment="free")
def sequence_length(call: Call) -> Made:
    """How many tensors a list holds."""
    return Value(call.name, "int64", (), data_of([len(call.input(0).items or [])], ()))


@handles("SplitToSequence")
def split_to_sequence(call: Call) -> Made:
    """Parts of an axis as a list."""
    x = call.input(0)
    axis = int(call.attr("axis", 0)) % max(x.rank, 1)
    size = x.shape[axis]
    lengths: list[Dim]
    if call.optional(1) is None:
        lengths = [1] * int(size) if int(size) <= 4096 else [size]
    else:
        given = call.known(1, "the lengths of the parts")
        part = given[0]
        whole = int(ceil_div(size, part)) if not call.input(1).shape else len(given)
        last = size - part * (whole - 1)
        lengths = given if call.input(1).shape else [*[part] * (min(whole, 4096) - 1), last]
    parts = call.emit("split", x, axis=axis, lengths=tuple(lengths)) if len(lengths) > 1 else (x,)
    if call.optional(1) is None and not call.attr("keepdims", 1):
        parts = tuple(call.view(p, [d for i, d in enumerate(p.shape) if i != axis]) for p in parts)
    return Value(call.name, x.dtype, items=list(parts))


@handles("ConcatFromSequence")
def concat_from_sequence(call: Call) -> Made:
    """The tensors of a list joined, along an axis that is there or a new one."""
    items = call.input(0).items or []
    if not items:
        raise InputError("ConcatFromSequence of a list whose tensors are not known")
    axis = int(call.attr("axis"))
    if call.attr("new_axis", 0):
        place = axis if axis >= 0 else items[0].rank + 1 + axis
        items = [call.view(v, [*v.shape[:place], 1, *v.shape[place:]]) for v in items]
        axis = place
    if len(items) == 1:
        return items[0]
    return call.emit("concat", *items, axis=axis % max(items[0].rank, 1))


@handles("SequenceMap")
def sequence_map(call: Call) -> Made:
    """A body run on every tensor of a list."""
    body, first = call.attr("body"), call.input(0)
    outputs: list[list[Value]] = [[] for _ in body.output]
    for i, item in enumerate((first.items or [])[:256]):
        others = [
            (v.items[i] if v.items is not None and i < len(v.items) else v)
            for v in call.inputs[1:]
            if v is not None
        ]
        for listed, value in zip(
            outputs, call.subgraph(body, [item, *others], str(i)), strict=True
        ):
            listed.append(value)
    return [Value(call.name, v[0].dtype if v else "fp32", items=v) for v in outputs]


@handles("OptionalHasElement", treatment="free")
def has_element(call: Call) -> Made:
    """Whether an optional value is there."""
    there = call.optional(0) is not None
    return Value(call.name, "bool", (), data_of([there], ()))
