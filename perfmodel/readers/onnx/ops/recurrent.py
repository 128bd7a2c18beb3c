"""Recurrent units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from perfmodel.core import Dim
from perfmodel.core.dims import same
from perfmodel.errors import InputError, shorten
from perfmodel.readers.onnx.call import Call
from perfmodel.readers.onnx.handlers import MICROSOFT, Made, handles
from perfmodel.readers.tracing.products import shown
from perfmodel.readers.tracing.values import Value

_GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
_DIRECTIONS = {"forward": 1, "reverse": 1, "bidirectional": 2}


@handles("RNN", "GRU", "LSTM")
def recurrent(call: Call) -> Made:
    """``x[T,B,I], W[D,GH,I], R[D,GH,H], B[D,2GH], P[D,3H] -> y[T,D,B,H], h[D,B,H], c[D,B,H]``."""
    stored = {"input_weight": call.input(1), "hidden_weight": call.input(2)}
    bias, peephole = call.optional(3), call.optional(7) if call.op == "LSTM" else None
    if bias is not None:
        stored["bias"] = bias
    if peephole is not None:
        stored["peephole"] = peephole
    return unit(call, call.op, stored, hidden_axis=1)


@handles("DynamicQuantizeLSTM", domain=MICROSOFT)
def dynamic_quantize_lstm(call: Call) -> Made:
    """LSTM with weights of 8 bits, ``W[D,I,4H], R[D,H,4H]``; the codes of x are made on the way."""
    stored = {"input_weight": call.input(1), "hidden_weight": call.input(2)}
    for name, place in (("bias", 3), ("peephole", 7)):
        value = call.optional(place)
        if value is not None:
            stored[name] = value
    return unit(call, "LSTM", stored, hidden_axis=2)


def unit(call: Call, kind: str, stored: dict[str, Value], hidden_axis: int) -> list[Value]:
    """Put a recurrent layer into the graph and return y and its last states."""
    x, weight, again = call.input(0), stored["input_weight"], stored["hidden_weight"]
    direction = call.attr("direction", "forward")
    if direction not in _DIRECTIONS:
        raise InputError(f"{call.op}: direction {shorten(direction)}")
    directions = _DIRECTIONS[direction]
    if x.rank != 3 or weight.rank != 3 or again.rank != 3:
        raise InputError(f"{call.op} takes x[T,B,I] and weights of three axes, found {shown(x)}")
    gates = weight.shape[hidden_axis]
    hidden = call.attr("hidden_size") or gates // _GATES[kind]
    if not same(gates, _GATES[kind] * hidden) or not same(weight.shape[0], directions):
        raise InputError(
            f"{call.op}: {shown(weight)} does not fit {directions} directions of {hidden} units"
        )
    if not same(weight.shape[3 - hidden_axis], x.shape[2]):
        raise InputError(f"{call.op}: {shown(weight)} does not fit {shown(x)}")
    batch_first = bool(call.attr("layout", 0))
    steps, batch = (x.shape[1], x.shape[0]) if batch_first else (x.shape[0], x.shape[1])
    # Our units take the batch first; counts do not depend on the order of axes.
    rows = call.view(x, (batch, steps, x.shape[2]))
    (y,) = call.emit(
        kind.lower(),
        rows,
        stored=stored,
        hidden=hidden,
        directions=directions,
        **_more(call, kind, stored),
    )
    return [*_outputs(call, y, kind, steps, batch, directions, hidden, batch_first)]


def _more(call: Call, kind: str, stored: dict[str, Value]) -> dict[str, Any]:
    more: dict[str, Any] = {"biases": 2 if "bias" in stored else 0}
    if kind == "LSTM" and "peephole" in stored:
        more["peephole"] = True
    names = [str(n).lower() for n in call.attr("activations", None) or []]
    if kind == "RNN" and names and names[0] in ("relu", "leakyrelu", "thresholdedrelu"):
        more["nonlinearity"] = "relu"
    return more


def _outputs(
    call: Call, y: Value, kind: str, steps: Dim, batch: Dim, d: int, hidden: Dim, batch_first: bool
) -> Sequence[Value]:
    """Return y, and the states after the last step, which are part of what y holds."""
    shape = (batch, steps, d, hidden) if batch_first else (steps, d, batch, hidden)
    out = [call.view(y, shape)]
    state = (batch, d, hidden) if batch_first else (d, batch, hidden)
    for i, name in enumerate(("last", "cell")[: 2 if kind == "LSTM" else 1], 1):
        if not call.wants(i):
            out.append(Value("", y.dtype, state))
            continue
        (last,) = call.emit("slice", y, axis=1, start=0, length=1, suffix=f".{name}")
        out.append(call.view(last, state))
    return out


@handles("AttnLSTM", domain=MICROSOFT, treatment="bounded")
def attention_lstm(call: Call) -> Made:
    """LSTM with attention over a memory: bytes only, and shapes as an LSTM's."""
    x, weight = call.input(0), call.input(1)
    hidden, d = call.attr("hidden_size") or weight.shape[1] // 4, weight.shape[0]
    steps, batch = x.shape[0], x.shape[1]
    state = (d, batch, hidden)
    return call.opaque((steps, d, batch, hidden), state, state, formats=[x.dtype] * 3)
