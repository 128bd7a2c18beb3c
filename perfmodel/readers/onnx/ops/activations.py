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
