"""Recurrent layers."""

from __future__ import annotations

from typing import Any

from perfmodel.core.dims import product, same, total
from perfmodel.errors import InputError
from perfmodel.readers.torch.call import Call
from perfmodel.readers.torch.handlers import Made, handles
from perfmodel.readers.tracing.values import Value

_GATES = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}


@handles(*_GATES)
def recurrent(call: Call) -> Made:
    """``x[T,B,I]`` or ``x[B,T,I]`` through layers and directions: y and the last states."""
    x, params = call.x("input"), [v for v in call.arg("params", []) if isinstance(v, Value)]
    if x.rank != 3 or "num_layers" not in call.arguments:
        raise InputError(f"{call.op} of packed sequences")
    layers, directions = int(call.arg("num_layers")), 2 if call.arg("bidirectional") else 1
    has_biases = bool(call.arg("has_biases"))
    again = params[1]
    hidden = again.shape[0] // _GATES[call.op]
    projects = call.op == "lstm" and not same(again.shape[1], hidden)
    first = bool(call.arg("batch_first"))
    rows = x if first else call.view(x, (x.shape[1], x.shape[0], x.shape[2]))
    more: dict[str, Any] = {"biases": 2 if has_biases else 0}
    if call.op.startswith("rnn"):
        more["nonlinearity"] = call.op.removeprefix("rnn_")
    if projects:
        more["projection"] = again.shape[1]
    (y,) = call.emit(
        call.op.partition("_")[0],
        rows,
        stored=_weights(params, layers, directions, has_biases, projects),
        hidden=hidden,
        layers=layers,
        directions=directions,
        **more,
    )
    call.walker.used.update(v.stored for v in params if v.stored)
    out = [call.view(y, call.shape)]
    for i, (shape, dtype) in enumerate(call.made[1:], 1):
        if not call.wants(i):
            out.append(Value("", dtype, shape, stored=call.name))
            continue
        # The last states are part of what was computed: a copy.
        last = call.opaque(shape, formats=[dtype], read=[call.some(y, _small(y, shape))])
        out.append(last[0])
    return out


def _small(y: Value, shape: Any) -> Any:
    return shape if product(shape) <= y.elements else y.shape


def _weights(
    params: list[Value], layers: int, directions: int, biases: bool, projects: bool
) -> dict[str, Value]:
    """Return the layer's tensors as our operator groups them, each under a key of its own."""
    each = 2 + 2 * biases + projects
    runs = [params[i : i + each] for i in range(0, len(params), each)]
    groups: dict[str, list[Value]] = {
        "input_weight": [r[0] for r in runs[:directions]],
        "deeper_input_weight": [r[0] for r in runs[directions:]],
        "hidden_weight": [r[1] for r in runs],
        "bias": [v for r in runs for v in r[2:4]] if biases else [],
        "projection_weight": [r[-1] for r in runs] if projects else [],
    }
    out = {}
    for name, values in groups.items():
        if values:
            key = "+".join(v.stored or v.name for v in values)
            size = total(v.elements for v in values)
            out[name] = Value(key, values[0].dtype, (size,), stored=key, learned=True)
    return out
