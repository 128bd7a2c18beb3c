"""Control flow: branches and scans. Loops have a file of their own."""

from __future__ import annotations

from dataclasses import dataclass, replace

from perfmodel.core.dims import total
from perfmodel.errors import InputError
from perfmodel.readers.onnx.call import Call
from perfmodel.readers.onnx.handlers import Made, handles
from perfmodel.readers.onnx.repeating import computed, stacked
from perfmodel.readers.tracing.network import Trial
from perfmodel.readers.tracing.values import Value


@handles("If")
def if_(call: Call) -> Made:
    """The branch that the condition picks, where it is known; else the larger one.

    The parameters of both are stored with the network.
    """
    condition = call.input(0)
    tried = {taken: _tried(call, taken) for taken in (True, False)}
    able = [taken for taken in tried if tried[taken].error is None]
    if condition.data is not None and condition.data.size == 1:
        picked = bool(condition.data.item())
    elif not able:
        picked = True
    else:
        picked = max(able, key=lambda taken: tried[taken].size)
        call.net.note(
            f"If '{condition.name}' is not known before it runs: the larger branch is taken"
            f" (--value {condition.name}=0 or 1 decides)"
        )
    branch = tried[picked]
    if branch.error is not None:
        raise branch.error
    call.net.adopt(branch.trial)
    call.net.spare(tried[not picked].trial)
    return branch.outputs


@dataclass(eq=False)
class _Branch:
    """A branch, imported and taken out again."""

    trial: Trial
    outputs: list[Value]
    size: tuple[float, float] = (0.0, 0.0)
    error: InputError | None = None


def _tried(call: Call, taken: bool) -> _Branch:
    graph = call.attr("then_branch" if taken else "else_branch")
    if graph is None:
        raise InputError(f"an If without its {'then' if taken else 'else'}_branch")
    outputs: list[Value] = []
    error = None
    with call.net.aside() as trial:
        try:
            outputs = call.subgraph(graph, place=str(taken))
        except InputError as found:
            error = found
    return _Branch(trial, outputs, _size(trial), error)


def _size(trial: Trial) -> tuple[float, float]:
    """Return multiply-accumulates and values written, to tell the larger of two branches."""
    nodes = [n for n in trial.nodes if not n.is_view]
    macs = total(n.count * n.op.algorithms(n.tensors)[0].work.macs for n in nodes)
    written = total(n.count * t.elements for n in nodes for t in n.tensors.outputs)
    return float(macs), float(written)


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
    if not scanned or len(scanned) != count or len(given) != len(body.input):
        raise InputError(
            f"Scan has {len(given)} inputs of which {count} are scanned,"
            f" its body takes {len(body.input)}"
        )
    first = 1 if batched else 0
    places = [int(a) % max(v.rank - first, 1) for a, v in zip(axes, scanned, strict=False)]
    trips = scanned[0].shape[places[0] + first]
    batch = scanned[0].shape[0] if batched else 1
    with call.net.times(trips * batch):
        carried = [_place(call, v, 0) if batched else computed(call, v) for v in states]
        parts = [_place(call, v, 0) if batched else computed(call, v) for v in scanned]
        parts = [_place(call, v, p) for v, p in zip(parts, places, strict=True)]
        made = call.subgraph(body, [*carried, *parts])
    out_axes = call.attr("scan_output_axes", [])
    outputs: list[Value] = []
    for i, value in enumerate(made):
        if i >= len(states):
            axis = out_axes[i - len(states)] if i - len(states) < len(out_axes) else 0
            value = stacked(call, value, trips, axis)
        outputs.append(stacked(call, value, batch) if batched else replace(value, data=None))
    return outputs


def _place(call: Call, value: Value, axis: int) -> Value:
    """Return one place of an axis, which goes away: a view where it is the first."""
    (one,) = call.emit("slice", computed(call, value), length=1, axis=axis, suffix=".place")
    return call.view(one, [d for i, d in enumerate(value.shape) if i != axis])
