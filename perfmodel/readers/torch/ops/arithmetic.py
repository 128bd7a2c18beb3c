"""Arithmetic, comparison and activations, element by element."""

from __future__ import annotations

from typing import Any

from perfmodel.readers.torch.call import Call
from perfmodel.readers.torch.handlers import Made, handles
from perfmodel.readers.tracing.values import Value

_BINARY = {
    "add": "add", "sub": "sub", "rsub": "sub", "mul": "mul", "pow": "pow", "maximum": "maximum",
    "minimum": "minimum", "fmax": "maximum", "fmin": "minimum",
}  # fmt: skip
#: PyTorch operator -> ours, of one input each
_UNARY = {
    "abs": "abs", "neg": "neg", "exp": "exp", "log": "log", "sqrt": "sqrt", "relu": "relu",
    "relu6": "relu6", "sigmoid": "sigmoid", "tanh": "tanh", "elu": "elu", "selu": "selu",
    "silu": "silu", "mish": "mish", "softplus": "softplus", "leaky_relu": "leaky_relu",
    "hardsigmoid": "hard_sigmoid", "hardswish": "hard_swish",
}  # fmt: skip
#: functions without an operator of their own: (vector, special) operations an element,
#: as a competent kernel computes them
_FUNCTIONS = {
    "acos": (0, 1), "acosh": (0, 1), "asin": (0, 1), "asinh": (0, 1), "atan": (0, 1),
    "atanh": (0, 1), "cos": (0, 1), "cosh": (0, 1), "sin": (0, 1), "sinh": (0, 1), "tan": (0, 1),
    "erf": (0, 1), "erfc": (1, 1), "erfinv": (0, 1), "exp2": (0, 1), "expm1": (1, 1),
    "log10": (0, 1), "log1p": (1, 1), "log2": (0, 1), "reciprocal": (0, 1), "rsqrt": (0, 2),
    "lgamma": (0, 1), "digamma": (0, 1), "sinc": (1, 2), "logit": (1, 2), "i0": (0, 1),
    "ceil": (1, 0), "floor": (1, 0), "round": (1, 0), "trunc": (1, 0), "frac": (2, 0),
    "sign": (2, 0), "sgn": (2, 0), "square": (1, 0), "nan_to_num": (3, 0), "deg2rad": (1, 0),
    "bitwise_not": (1, 0), "celu": (4, 1), "softsign": (3, 1), "softshrink": (4, 0),
    "hardshrink": (2, 0), "threshold": (1, 0), "log_sigmoid": (3, 2), "log_sigmoid_forward": (3, 2),
    "fake_quantize_per_tensor_affine": (7, 0), "fake_quantize_per_channel_affine": (7, 0),
    "fake_quantize_per_tensor_affine_cachemask": (7, 0),
    "fake_quantize_per_channel_affine_cachemask": (7, 0),
    "_fake_quantize_per_tensor_affine_cachemask_tensor_qparams": (7, 0),
    "tril": (1, 0), "triu": (1, 0), "conj": (1, 0), "_conj": (1, 0),
}  # fmt: skip
#: the same of two operands or more
_SEVERAL = {
    "atan2": (0, 1), "fmod": (2, 1), "remainder": (2, 1), "bitwise_and": (1, 0),
    "bitwise_or": (1, 0), "bitwise_xor": (1, 0), "bitwise_left_shift": (1, 0),
    "bitwise_right_shift": (1, 0), "floor_divide": (1, 1), "hypot": (3, 1), "copysign": (1, 0),
    "addcmul": (3, 0), "addcdiv": (2, 1), "lerp": (3, 0), "xlogy": (1, 1), "logaddexp": (3, 2),
    "masked_fill": (1, 0), "heaviside": (1, 0), "clamp_min": (1, 0), "clamp_max": (1, 0),
}  # fmt: skip
_TESTS = (
    "eq", "ne", "lt", "le", "gt", "ge", "isinf", "isnan", "isfinite", "logical_and",
    "logical_not", "logical_or", "logical_xor", "signbit", "isclose",
)  # fmt: skip


def operands(call: Call) -> list[Value]:
    """Return the tensors that a kernel reads: a single number that is known is no tensor."""
    values = call.operands()
    read = [v for v in values if v.data is None or v.data.size != 1 or v.tensor is not None]
    rank = max((v.rank for v in values), default=0)
    return read if any(v.rank == rank for v in read) else (read or values[:1])


def pointwise(call: Call, values: list[Value], vector: int, special: int) -> Made:
    """Put a function of each element into the graph, with the output's format."""
    return typed(call, "pointwise", values, function=call.op, vector=vector, special=special)


def typed(call: Call, op: str, values: list[Value], **attributes: Any) -> Made:
    """Put an elementwise operator into the graph whose output has the program's format."""
    form = call.net.format(call.dtype)
    first = call.net.tensor(values[0]).dtype if values[0].whole is None else form
    return call.emit(op, *values, to=form if form != first else "", **attributes)


@handles(*_BINARY)
def binary(call: Call) -> Made:
    """Two operands that broadcast; sums of integers and reals have the reals' format."""
    values = operands(call)
    first = values[0]
    if first.dtype == call.dtype or first.whole is not None:
        return call.emit(_BINARY[call.op], *values)
    other = next((i for i, v in enumerate(values) if v.dtype == call.dtype), None)
    if other is not None and call.op not in ("pow", "sub", "rsub"):
        return call.emit(_BINARY[call.op], values[other], *values[:other])
    return pointwise(call, values, int(call.op != "pow"), int(call.op == "pow"))


@handles("div", "true_divide")
def div(call: Call) -> Made:
    """Quotient, rounded where a mode says so."""
    values = operands(call)
    rounded = call.arg("rounding_mode") is not None
    if not rounded and values[0].dtype == call.dtype:
        return call.emit("div", *values)
    return pointwise(call, values, int(rounded), 1)


@handles(*_UNARY)
def unary(call: Call) -> Made:
    """One operand."""
    x = call.x()
    if call.op == "abs" and x.rank == len(call.shape) + 1:
        # Complex numbers are pairs.
        return call.emit("norm", x, axes=(-1,), keep=False)
    if x.dtype != call.dtype and x.whole is None:
        return pointwise(call, [x], 1, 1)
    return call.emit(_UNARY[call.op], x)


@handles(*_FUNCTIONS)
def function(call: Call) -> Made:
    """A function of each element; a second output is a mask that training keeps."""
    vector, special = _FUNCTIONS[call.op]
    made = pointwise(call, [call.x()], vector, special)
    assert isinstance(made, tuple)
    more = [Value("", dtype, shape, stored=call.name) for shape, dtype in call.made[1:]]
    return [*made, *more]


@handles(*_SEVERAL)
def several(call: Call) -> Made:
    """A function of several operands."""
    return pointwise(call, operands(call), *_SEVERAL[call.op])


@handles(*_TESTS)
def test(call: Call) -> Made:
    """A truth value for each element."""
    return pointwise(call, operands(call), 1, 0)


@handles("gelu")
def gelu(call: Call) -> Made:
    """Gaussian error linear unit, by erf or by tanh."""
    return call.emit("gelu_tanh" if call.arg("approximate") == "tanh" else "gelu", call.x())


@handles("glu")
def glu(call: Call) -> Made:
    """``a sigmoid(b)`` of the halves along an axis; counts do not mind where it stands."""
    x = call.x()
    axis = call.axis(x, default=-1)
    shape = [*(d for i, d in enumerate(x.shape) if i != axis), x.shape[axis]]
    return call.view(call.emit("glu", call.view(x, shape))[0], call.shape)


@handles("clamp", "hardtanh")
def clamp(call: Call) -> Made:
    """Between two bounds: a compare for each that is given."""
    bounds = [call.arguments.get(n) for n in ("min", "max", "min_val", "max_val")]
    given = [b for b in bounds if b is not None]
    if given == [0.0, 6.0] and call.x().dtype == call.dtype:
        return call.emit("relu6", call.x())
    return pointwise(call, operands(call), len(given), 0)


@handles("where")
def where(call: Call) -> Made:
    """One of two values, by a mask."""
    mask, *chosen = call.operands()
    read = [v for v in chosen if v.data is None or v.data.size != 1]
    if not read and mask.rank < max((v.rank for v in chosen), default=0):
        read = chosen[:1]
    return typed(call, "pointwise", [mask, *read], function="where")


@handles("prelu", "_prelu_kernel")
def prelu(call: Call) -> Made:
    """``x`` or ``slope x``; a learned slope a channel, or one for all."""
    x, slope = call.operands()
    shared = slope.elements == 1
    if shared or (x.rank >= 2 and slope.elements == x.shape[1]):
        return call.emit("prelu", x, stored={"slope": slope}, shared=bool(shared))
    return call.emit("pointwise", x, slope, function="prelu", vector=2)


@handles("dropout", domain="perfmodel", treatment="free")
def dropout(call: Call) -> Made:
    """The input itself; the training phase draws a mask."""
    rate = float(call.arg("p", 0.5))
    if not 0 < rate < 1:
        return call.x()
    return call.emit("dropout", call.x(), rate=f"{rate:g}")


@handles("dropout", "feature_dropout", "alpha_dropout", treatment="free")
def idle_dropout(call: Call) -> Made:
    """The input itself, as inference has it."""
    return call.x()


@handles("native_dropout")
def native_dropout(call: Call) -> Made:
    """Dropout with its mask."""
    x = call.x()
    rate = float(call.arg("p", 0.5))
    if call.arg("train") is False or not 0 < rate < 1:
        return [x, Value("", "bool", x.shape, stored=call.name)]
    return call.emit("dropout", x, rate=f"{rate:g}", training=True)
