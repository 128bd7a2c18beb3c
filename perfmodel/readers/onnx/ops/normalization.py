"""Normalizations, softmax among them."""

from __future__ import annotations

from perfmodel.readers.onnx.call import Call
from perfmodel.readers.onnx.handlers import Made, handles


@handles("BatchNormalization")
def batch_norm(call: Call) -> Made:
    """``(x - mean) / sqrt(variance + epsilon) * scale + bias``, each channel with its own."""
    names = ("scale", "bias", "mean", "variance")
    own = [w.name for w in _weights(call)]
    stored = {n: call.input(i + 1) for i, n in enumerate(names)}
    return call.emit(
        "batch_norm", call.input(0), stored={k: v for k, v in stored.items() if k in own}
    )


def _weights(call: Call):  # type: ignore[no-untyped-def]
    from perfmodel.core import parse_precision
    from perfmodel.ops import get_operator

    return (
        get_operator("batch_norm")()
        .infer([call.net.tensor(call.input(0))], parse_precision("fp32"))
        .weights
    )


@handles("LRN")
def local_response_norm(call: Call) -> Made:
    """Each value over a power of its neighbours' squares, across channels."""
    return call.emit("local_response_norm", call.input(0), size=call.attr("size"))
