"""Arithmetic, element by element."""

from __future__ import annotations

from perfmodel.readers.onnx.call import Call
from perfmodel.readers.onnx.handlers import Made, handles

_BINARY = {"Add": "add", "Sub": "sub", "Mul": "mul", "Div": "div", "Pow": "pow"}


@handles(*_BINARY)
def binary(call: Call) -> Made:
    """Two operands that broadcast; one known number becomes part of the operator."""
    a, b = call.input(0), call.input(1)
    op = _BINARY[call.op]
    for x, other in ((a, b), (b, a)):
        if (
            other.is_constant
            and other.data is not None
            and other.data.size == 1
            and other.rank <= x.rank
        ):
            return call.emit(op, x)
    return call.emit(op, a, b)


@handles("Sum", "Max", "Min", "Mean")
def variadic(call: Call) -> Made:
    """Any number of operands, two at a time; a mean ends with a product."""
    op = {"Sum": "add", "Mean": "add", "Max": "maximum", "Min": "minimum"}[call.op]
    out = call.input(0)
    for i, other in enumerate(call.inputs[1:]):
        if other is not None:
            (out,) = call.emit(op, out, other, suffix=f".{i + 2}" if len(call.inputs) > 2 else "")
    if call.op == "Mean":
        (out,) = call.emit("mul", out, suffix=".share")
    return out
