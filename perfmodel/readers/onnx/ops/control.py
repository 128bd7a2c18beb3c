"""Control flow: branches, loops, scans, sequences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from perfmodel.core import Dim
from perfmodel.core.dims import ceil_div, same, total
from perfmodel.errors import InputError
from perfmodel.readers.onnx.call import Call
from perfmodel.readers.onnx.handlers import Made, handles
from perfmodel.readers.tracing.network import Aside
from perfmodel.readers.tracing.values import Value, data_of


@handles("If")
def if_(call: Call) -> Made:
    """The branch that the condition picks, where it is known; else the larger one."""
    condition = call.input(0)
    graphs = {True: call.attr("then_branch"), False: call.attr("else_branch")}
    if condition.data is not None and condition.data.size == 1:
        chosen = bool(condition.data.item())
        made = call.subgraph(graphs[chosen], place=str(chosen))
        # A branch for other inputs than these may not fit them.
        with suppress(InputError), call.net.aside() as spare:
            call.subgraph(graphs[not chosen], place=str(not chosen))
        _learn(call, spare.learned)
        return made
    asides: dict[bool, Aside] = {}
    outputs: dict[bool, list[Value]] = {}
    for taken, graph in graphs.items():
        with call.net.aside() as asides[taken]:
            outputs[taken] = call.subgraph(graph, place=str(taken))
    larger = _size(asides[True].nodes) >= _size(asides[False].nodes)
    other = asides[not larger].learned
    call.net.adopt(asides[larger])
    _learn(call, other)
    call.net.note(
        f"If '{condition.name}' is not known before it runs: the larger branch is taken"
        f" (--value {condition.name}=0 or 1 decides)"
    )
    return outputs[larger]


def _learn(call: Call, tensors: Mapping[str, Value]) -> None:
    """Count the parameters of a branch that is not taken."""
    for name, value in tensors.items():
        if name not in call.net.learned:
            call.net.parameter(value)


def _size(nodes: Sequence[Any]) -> tuple[float, float]:
    """Return multiply-accumulates and values written, to tell the larger of two branches."""
    macs = total(n.count * n.op.algorithms(n.tensors)[0].work.macs for n in nodes if not n.is_view)
    written = total(n.count * t.elements for n in nodes for t in n.tensors.outputs)
    return float(macs), float(written)


def trips_of(call: Call, count: Value | None) -> Dim:
    """Return how often a loop's body runs: known, given, or once with a note."""
    if count is not None and count.data is not None and count.data.size == 1:
        trips = count.data.item()
        if not isinstance(trips, int | float) or 0 <= trips < 2**31:
            return trips if not isinstance(trips, float) else int(trips)
    name = count.name if count is not None else call.name
    call.net.note(
        f"{call.op} '{call.name}' runs an unknown number of times: once is taken"
        f" (--value {name}=N decides)"
    )
    return 1


@handles("Loop")
def loop(call: Call) -> Made:
    """A body run so many times; what it collects is stacked."""
    trips = trips_of(call, call.optional(0))
    body = call.attr("body")
    carried = [v for v in call.inputs[2:] if v is not None]
    if len(body.input) != len(carried) + 2:
        raise InputError(
            f"Loop's body takes {len(body.input)} inputs, {len(carried) + 2} are given"
        )
    if same(trips, 0):
        empty = [Value("", "fp32", (0,)) for _ in body.output[1 + len(carried) :]]
        return [*carried, *empty]
    before = Value(body.input[0].name, "int64", ())
    going = Value(body.input[1].name, "bool", ())
    changing = [_unknown(v) for v in carried]
    with call.net.times(trips):
        made = call.subgraph(body, [before, going, *changing])
    states = made[1 : 1 + len(carried)]
    states = [_grown(call, i, first, state, trips)
              for i, (first, state) in enumerate(zip(carried, states, strict=True))]  # fmt: skip
    stacked = [_stacked(call, v, trips, 0, f".stacked{i}")
               for i, v in enumerate(made[1 + len(carried) :])]  # fmt: skip
    return [*states, *stacked]


def _unknown(value: Value) -> Value:
    """Return a carried value, whose numbers change from one execution to the next."""
    return replace(value, data=None)


def _grown(call: Call, i: int, first: Value, last: Value, trips: Dim) -> Value:
    """Return a carried value after all executions, where one makes it longer by a step."""
    if last.items is not None:
        added = len(last.items) - len(first.items or [])
        if added > 0 and last.items and isinstance(trips, int) and trips < 4096:
            return replace(last, items=[*(first.items or []), *last.items[-added:] * trips])
        return last
    if first.rank != last.rank or last.rank == 0:
        return last
    shape = tuple(
        a if same(a, b) else a + (b - a) * trips
        for a, b in zip(first.shape, last.shape, strict=True)
    )
    if all(map(same, shape, last.shape)) or last.is_constant:
        return last
    after = tuple(a - b for a, b in zip(shape, last.shape, strict=True))
    before = (0,) * last.rank
    return call.emit("pad", last, before=before, after=after, suffix=f".grown{i}")[0]


def _stacked(call: Call, value: Value, trips: Dim, axis: int, suffix: str) -> Value:
    """Return what every execution gives, along a new axis: copied there at the end."""
    shape: list[Dim] = list(value.shape)
    axis = axis if axis >= 0 else len(shape) + 1 + axis
    shape.insert(axis, trips)
    if value.is_constant:
        return Value("", value.dtype, tuple(shape), stored=value.stored or call.name)
    one: list[Dim] = list(shape)
    repeats: list[Dim] = [1 for _ in shape]
    one[axis], repeats[axis] = 1, trips
    return call.emit("tile", call.view(value, one), repeats=tuple(repeats), suffix=suffix)[0]


@handles("Scan")
def scan(call: Call) -> Made:
    """A body run once for each place of an axis of its inputs."""
    body, count = call.attr("body"), call.attr("num_scan_inputs")
    given = [v for v in call.inputs if v is not None]
    batched = call.opset < 9
    if batched and len(given) == len(body.input) + 1:
        given = given[1:]
    states, scanned = given[: len(given) - count], given[len(given) - count :]
    axes = call.attr("scan_input_axes", [0] * count)
    if not scanned:
        raise InputError("a Scan without an input to scan")
    places = [
        (int(a) % max(v.rank, 1)) + (1 if batched else 0)
        for a, v in zip(axes, scanned, strict=False)
    ]
    trips = scanned[0].shape[places[0]]
    batch = scanned[0].shape[0] if batched else 1
    with call.net.times(trips * batch):
        fed = [_sample(call, v, i) if batched else v for i, v in enumerate(states)]
        for i, (value, place) in enumerate(zip(scanned, places, strict=True), len(states)):
            inner = _sample(call, value, i) if batched else value
            at = place - 1 if batched else place
            (taken,) = call.emit("slice", inner, axis=at, start=0, length=1, suffix=f".place{i}")
            fed.append(call.view(taken, [d for a, d in enumerate(inner.shape) if a != at]))
        made = call.subgraph(body, [replace(v, data=None) for v in fed])
    out_axes = call.attr("scan_output_axes", [0] * (len(made) - len(states)))
    outputs: list[Value] = []
    for i, value in enumerate(made):
        if i >= len(states):
            axis = int(out_axes[i - len(states)]) if i - len(states) < len(out_axes) else 0
            value = _stacked(call, value, trips, axis, f".stacked{i}")
        outputs.append(_stacked(call, value, batch, 0, f".batch{i}") if batched else value)
    return outputs


def _sample(call: Call, value: Value, i: int) -> Value:
    """Return one sample of an input of the first Scan, whose first axis is the batch."""
    (taken,) = call.emit("slice", value, axis=0, start=0, length=1, suffix=f".sample{i}")
    return call.view(taken, value.shape[1:])


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
