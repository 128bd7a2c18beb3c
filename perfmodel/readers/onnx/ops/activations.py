"""Activation functions, gated ones and dropout among them."""

from __future__ import annotations

from perfmodel.core.dims import same
from perfmodel.readers.onnx.call import Call
from perfmodel.readers.onnx.handlers import MICROSOFT, Made, handles
from perfmodel.readers.tracing.values import Value

#: ONNX operator -> ours, of one input each
_PLAIN = {
    "Relu": "relu",
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
    "Elu": "elu",
    "Selu": "selu",
    "Softplus": "softplus",
    "HardSigmoid": "hard_sigmoid",
    "HardSwish": "hard_swish",
    "LeakyRelu": "leaky_relu",
    "Mish": "mish",
    "Swish": "silu",
}
#: (vector, special) operations an element of the others
_OTHER = {
    "Softsign": (3, 1), "Celu": (4, 1), "ThresholdedRelu": (1, 0), "Shrink": (4, 0),
}  # fmt: skip


@handles(*_PLAIN)
def plain(call: Call) -> Made:
    """One value in, one out."""
    return call.emit(_PLAIN[call.op], call.input(0))


@handles(*_OTHER)
def other(call: Call) -> Made:
    """An activation of stated cost."""
    vector, special = _OTHER[call.op]
    return call.emit(
        "pointwise", call.input(0), function=call.op.lower(), vector=vector, special=special
    )


@handles("Gelu")
def gelu(call: Call) -> Made:
    """Gaussian error linear unit, by erf or by tanh."""
    return call.emit(_gelu(call), call.input(0))


@handles("Gelu", "QuickGelu", domain=MICROSOFT)
def gelu_alone(call: Call) -> Made:
    """Gelu by erf; the quick one is ``x sigmoid(1.702 x)``, a silu with one product more."""
    return call.emit("silu" if call.op == "QuickGelu" else "gelu", call.input(0))


@handles("FastGelu", "BiasGelu", domain=MICROSOFT)
def biased_gelu(call: Call) -> Made:
    """Gelu of the input plus a bias."""
    x, bias = call.input(0), call.optional(1)
    if bias is not None:
        (x,) = call.emit("add", x, bias, suffix=".bias")
    return call.emit("gelu_tanh" if call.op == "FastGelu" else "gelu", x)


def _gelu(call: Call) -> str:
    return "gelu_tanh" if call.attr("approximate", "none") == "tanh" else "gelu"


@handles("SwiGLU")
@handles("SwiGLU", domain=MICROSOFT)
def swiglu(call: Call) -> Made:
    """``silu(a) b`` of two halves, or of two inputs."""
    if call.optional(1) is None:
        return call.emit("swiglu", call.input(0))
    (gate,) = call.emit("silu", call.input(0), suffix=".gate")
    return call.emit("mul", gate, call.input(1))


@handles("PRelu")
def prelu(call: Call) -> Made:
    """``x`` or ``slope x``; a learned slope a channel, or one for all."""
    x, slope = call.input(0), call.input(1)
    shared = same(slope.elements, 1)
    fits = x.rank >= 2 and same(slope.elements, x.shape[1])
    if shared or fits:
        return call.emit("prelu", x, stored={"slope": slope}, shared=shared)
    return call.emit("pointwise", x, slope, function="prelu", vector=2)


@handles("Dropout", treatment="free")
def dropout(call: Call) -> Made:
    """The input itself, as inference has it; a mask is written only where it is read."""
    x = call.input(0)
    if not call.wants(1):
        return x
    (mask,) = call.emit("pointwise", x, function="mask", to="bool", suffix=".mask")
    return [x, mask]


@handles("BiasDropout", domain=MICROSOFT)
def bias_dropout(call: Call) -> Made:
    """A bias, and a residual where there is one; dropout itself is the identity."""
    return added(call, call.input(0), [call.optional(1), call.optional(2)])


@handles("BiasAdd", domain=MICROSOFT)
def bias_add(call: Call) -> Made:
    """A bias and a residual."""
    return added(call, call.input(0), [call.optional(1), call.optional(2)])


@handles("BiasSplitGelu", domain=MICROSOFT)
def bias_split_gelu(call: Call) -> Made:
    """``a gelu(b)`` of the two halves of the input plus a bias."""
    return call.emit("geglu", added(call, call.input(0), [call.optional(1)]))


def added(call: Call, x: Value, terms: list[Value | None]) -> Value:
    """Put the sum of ``x`` and the terms that are there into the graph."""
    for i, term in enumerate(terms, 1):
        if term is not None:
            (x,) = call.emit("add", x, term, suffix=f".add{i}")
    return x
