"""Mixtures of experts, and what chooses among them."""

from __future__ import annotations

from dataclasses import replace

from perfmodel.core import Dim
from perfmodel.core.dims import product, same
from perfmodel.errors import InputError
from perfmodel.readers.onnx.call import Call
from perfmodel.readers.onnx.handlers import MICROSOFT, Made, handles
from perfmodel.readers.onnx.ops.few_bits import few_bits, packed_format
from perfmodel.readers.tracing.products import multiply
from perfmodel.readers.tracing.values import Value


@handles("MoE", domain=MICROSOFT)
def moe(call: Call) -> Made:
    """``x, scores, fc1, bias, fc2, bias, fc3, bias``: a few experts a token."""
    places = (2, 4, 6)
    biases = [call.optional(i) for i in (3, 5, 7)]
    return _experts(call, [call.optional(i) for i in places], biases, call.input(2).dtype, 1)


@handles("QMoE", domain=MICROSOFT)
def quantized_moe(call: Call) -> Made:
    """The same with weights of few bits, ``fc1, scales, bias`` and so on, packed in bytes."""
    bits, block = call.attr("expert_weight_bits", 4), call.attr("block_size", 0)
    kind = str(call.attr("quant_type", "int"))
    if kind.startswith("int"):
        dtype = few_bits(call, bits, block)
    else:
        dtype = "nvfp4" if "fp4" in kind else "fp8_e4m3"
        bits = 4 if "fp4" in kind else 8
    packed = 1 if call.input(2).dtype in ("int4", "int2") else 8 // bits
    weights = [call.optional(i) for i in (2, 5, 8)]
    return _experts(call, weights, [call.optional(i) for i in (4, 7, 10)], dtype, packed)


@handles("MoEPacked", domain=MICROSOFT)
def packed_moe(call: Call) -> Made:
    """The same with weights in blobs of blocks: ``x, scores, gate, up, down``."""
    x, gate, up, down = call.input(0), call.input(2), call.optional(3), call.input(4)
    experts, hidden = gate.shape[0], x.shape[-1]
    # A blob's rows are an expert's units, so that the bytes of a row say the bits of a value.
    inner = gate.shape[1]
    dtype = packed_format(gate.elements, experts * inner * hidden)
    shaped = [replace(w, shape=(experts, inner, hidden)) if w is not None else None
              for w in (gate, down, up)]  # fmt: skip
    return _experts(call, shaped, [], dtype, 1)


def _experts(
    call: Call, weights: list[Value | None], biases: list[Value | None], dtype: str, packed: int
) -> Value:
    """Put a mixture of experts into the graph; ``packed`` values of a weight lie in one.

    Its experts' hidden units follow from the second weight, whatever its layout. A
    first weight of twice the units holds gate and value; a third one holds the value.
    """
    x, scores = call.input(0), call.input(1)
    first, second, third = weights
    if first is None or second is None or first.rank != 3:
        raise InputError(f"{call.op}: expected weights of three axes, one expert after the other")
    experts, hidden = first.shape[0], x.shape[-1]
    inner: Dim = second.elements * packed // (experts * hidden)
    gated = third is not None or same(first.elements * packed, 2 * experts * hidden * inner)
    kind = str(call.attr("activation_type", "relu")).lower()
    if not gated and kind not in ("relu", "identity"):
        call.net.note(f"{call.op}: the experts' {kind} is counted as a relu")
    parts = {"up_weight": first, "down_weight": second}
    if gated:
        parts |= {"gate_weight": third if third is not None else first}
    shapes = dict.fromkeys(parts, (experts, inner, hidden)) | {
        "down_weight": (experts, hidden, inner)
    }
    stored = {
        name: replace(
            w, dtype=dtype, shape=shapes[name], data=None,
            stored=f"{w.stored}.{name}" if w.stored is not None else None,
        )
        for name, w in parts.items()
    }  # fmt: skip
    for bias in biases:
        if bias is not None and bias.is_constant:
            call.net.tensor(bias)
    rows = call.view(scores, (product(x.shape[:-1]), experts))
    return call.emit(
        "moe", x, rows, stored=stored, intermediate=inner, experts=experts,
        top_k=call.attr("k", 1), activation="swiglu" if gated else "relu", routed=True,
    )[0]  # fmt: skip


@handles("MoEGroupRouter", domain=MICROSOFT)
def group_router(call: Call) -> Made:
    """``s = sigmoid(logits)``; the largest of the best groups keep it; a projection before."""
    logits, bias = call.input(0), call.input(1)
    projection = call.optional(2)
    if projection is not None:
        logits = multiply(call, logits, projection, suffix=".logits")
    rows = call.view(logits, (product(logits.shape[:-1]), logits.shape[-1]))
    (weights,) = call.emit("sigmoid", rows, suffix=".weights")
    (scores,) = call.emit("add", weights, bias, suffix=".scores")
    call.emit("topk", scores, axis=1, k=call.attr("top_k"), suffix=".chosen")
    (kept,) = call.emit("pointwise", weights, function="log_or_never", special=1, vector=2,
                        suffix=".probabilities")  # fmt: skip
    return [kept, scores, weights]


@handles("RouterGateUpProj", domain=MICROSOFT)
def router_gate_up(call: Call) -> Made:
    """One product, split into the router's logits and the halves of a gated layer."""
    made = multiply(call, call.input(0), call.input(1))
    router = call.attr("router_size")
    inner = (made.shape[-1] - router) // 2
    axis = made.rank - 1
    logits, halves = call.emit("split", made, axis=axis, lengths=(router, 2 * inner),
                               suffix=".parts")  # fmt: skip
    return [logits, *call.emit("swiglu", halves, suffix=".activated")]
