"""Operators that move values."""

from __future__ import annotations

from perfmodel.readers.onnx.call import Call
from perfmodel.readers.onnx.handlers import Made, handles


@handles("Concat")
def concat(call: Call) -> Made:
    """Tensors one after the other along an axis."""
    values = [v for v in call.inputs if v is not None]
    if len(values) == 1:
        return values[0]
    axis = call.attr("axis", 1)
    return call.emit("concat", *values, axis=axis + values[0].rank if axis < 0 else axis)
