"""Activation functions."""

from __future__ import annotations

from perfmodel.readers.onnx.call import Call
from perfmodel.readers.onnx.handlers import Made, handles

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
}


@handles(*_PLAIN)
def plain(call: Call) -> Made:
    """One value in, one out."""
    return call.emit(_PLAIN[call.op], call.input(0))


@handles("Dropout", treatment="free")
def dropout(call: Call) -> Made:
    """The input itself, as inference has it; the mask is not made."""
    return [call.input(0), call.input(0)]
