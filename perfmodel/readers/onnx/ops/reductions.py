"""Reductions along axes."""

from __future__ import annotations

from perfmodel.core.dims import product
from perfmodel.readers.onnx.call import Call
from perfmodel.readers.onnx.handlers import Made, handles


@handles("Softmax", "LogSoftmax", "Hardmax")
def softmax(call: Call) -> Made:
    """Softmax along an axis; before opset 13 along all axes from it."""
    op = {"Softmax": "softmax", "LogSoftmax": "log_softmax", "Hardmax": "argmax"}[call.op]
    x = call.input(0)
    axis = call.attr("axis", -1 if call.opset >= 13 else 1)
    axis = axis + x.rank if axis < 0 else axis
    if call.opset < 13 and axis < x.rank - 1:
        flat = call.view(x, (product(x.shape[:axis]), product(x.shape[axis:])))
        return call.view(call.emit(op, flat)[0], x.shape)
    if axis == x.rank - 1:
        return call.emit(op, x)
    # Our rows are the last axis; counts do not depend on where the axis stands.
    order = [*(i for i in range(x.rank) if i != axis), axis]
    flat = call.view(x, [x.shape[i] for i in order])
    return call.view(call.emit(op, flat)[0], x.shape)
