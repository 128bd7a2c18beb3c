"""Arithmetic, comparison and logic, element by element."""

from __future__ import annotations

from perfmodel.readers.onnx.call import Call
from perfmodel.readers.onnx.handlers import MICROSOFT, Made, handles
from perfmodel.readers.tracing.values import Value

_BINARY = {"Add": "add", "Sub": "sub", "Mul": "mul", "Div": "div", "Pow": "pow"}
_UNARY = {"Abs": "abs", "Neg": "neg", "Exp": "exp", "Log": "log", "Sqrt": "sqrt"}
#: functions without an operator of their own: (vector, special) operations an element,
#: as a competent kernel computes them
_FUNCTIONS = {
    "Ceil": (1, 0), "Floor": (1, 0), "Round": (1, 0), "Sign": (2, 0), "Reciprocal": (0, 1),
    "Erf": (0, 1), "Sin": (0, 1), "Cos": (0, 1), "Tan": (0, 1), "Asin": (0, 1), "Acos": (0, 1),
    "Atan": (0, 1), "Sinh": (0, 1), "Cosh": (0, 1), "Asinh": (0, 1), "Acosh": (0, 1),
    "Atanh": (0, 1), "BitwiseNot": (1, 0), "BitwiseAnd": (1, 0), "BitwiseOr": (1, 0),
    "BitwiseXor": (1, 0), "BitShift": (1, 0), "Mod": (2, 1),
}  # fmt: skip
#: the same with a truth value as the result
_TESTS = {
    "Equal": 1, "Greater": 1, "Less": 1, "GreaterOrEqual": 1, "LessOrEqual": 1, "And": 1, "Or": 1,
    "Xor": 1, "Not": 1, "IsNaN": 1, "IsInf": 1,
}  # fmt: skip


def is_number(value: Value) -> bool:
    """Tell whether a value is one number, known before anything runs."""
    return value.is_constant and value.data is not None and value.data.size == 1


def operands(call: Call) -> list[Value]:
    """Return the inputs without known numbers, which are part of the instruction.

    A number that widens the shape stays, and so does the first where all are numbers.
    """
    values = [v for v in call.inputs if v is not None]
    rank = max((v.rank for v in values), default=0)
    kept = [v for v in values if not is_number(v)]
    if any(v.rank == rank for v in kept):
        return kept
    return kept or values[:1]


@handles(*_BINARY)
def binary(call: Call) -> Made:
    """Two operands that broadcast."""
    return call.emit(_BINARY[call.op], *operands(call))


@handles(*_UNARY)
def unary(call: Call) -> Made:
    """One operand."""
    return call.emit(_UNARY[call.op], call.input(0))


@handles(*_FUNCTIONS)
def function(call: Call) -> Made:
    """A function of each element."""
    vector, special = _FUNCTIONS[call.op]
    return call.emit(
        "pointwise", *operands(call), function=call.op.lower(), vector=vector, special=special
    )


@handles(*_TESTS)
def test(call: Call) -> Made:
    """A truth value for each element."""
    return call.emit("pointwise", *operands(call), function=call.op.lower(), to="bool")


@handles("Sum", "Max", "Min", "Mean")
def variadic(call: Call) -> Made:
    """Any number of operands, two at a time; a mean ends with a product."""
    op = {"Sum": "add", "Mean": "add", "Max": "maximum", "Min": "minimum"}[call.op]
    values = operands(call)
    several = len(call.inputs) > 2
    out = values[0]
    if len(values) == 1 and len(call.inputs) > 1:
        (out,) = call.emit(op, out)
    for i, other in enumerate(values[1:], 2):
        (out,) = call.emit(op, out, other, suffix=f".{i}" if several else "")
    if call.op == "Mean" and len(call.inputs) > 1:
        (out,) = call.emit("mul", out, suffix=".share")
    return out


@handles("Clip")
def clip(call: Call) -> Made:
    """Between two bounds: a compare for each that is given."""
    if call.opset < 11:
        low, high = call.attr("min", -3.4e38), call.attr("max", 3.4e38)
        given = [v for v in (low, high) if abs(v) < 3.4e38]
        bounds: list[Value] = []
    else:
        present = [v for v in (call.optional(1), call.optional(2)) if v is not None]
        given = [v.data.item() for v in present if v.data is not None and v.data.size == 1]
        bounds = [v for v in present if not is_number(v)]
    if not bounds and given == [0.0, 6.0]:
        return call.emit("relu6", call.input(0))
    compares = len(given) + len(bounds)
    if not compares:
        return call.input(0)
    return call.emit("pointwise", call.input(0), *bounds, function="clip", vector=compares)


@handles("Where")
def where(call: Call) -> Made:
    """One of two values, by a mask."""
    mask, yes, no = call.input(0), call.input(1), call.input(2)
    chosen = [v for v in (yes, no) if not is_number(v)]
    dtype = call.net.format(yes.dtype)
    if not chosen and mask.rank >= max(yes.rank, no.rank):
        return call.emit("pointwise", mask, function="where", to=dtype)
    return call.emit("pointwise", mask, *(chosen or [yes]), function="where", to=dtype)


@handles("Trilu")
@handles("Trilu", domain=MICROSOFT)
def trilu(call: Call) -> Made:
    """One triangle kept and the other set to zero: a copy."""
    return call.emit("pointwise", call.input(0), function="trilu", vector=1)
