"""Quantized operators: codes made, codes multiplied, codes brought back.

Rule for weights: a stored tensor of codes that is dequantized is a weight of so many
bits, and counts once; see `readers/tracing/integers.py` for what runs in integers.
"""

from __future__ import annotations

from dataclasses import replace

from perfmodel.core import Dim
from perfmodel.core.formats import FORMATS, get_format
from perfmodel.errors import InputError
from perfmodel.ops.quantization import QUANTIZED
from perfmodel.readers.onnx.call import Call
from perfmodel.readers.onnx.formats import FORMAT_OF
from perfmodel.readers.onnx.handlers import MICROSOFT, Made, handles
from perfmodel.readers.onnx.ops.convolution import conv
from perfmodel.readers.onnx.ops.pooling import everything, windowed
from perfmodel.readers.tracing.integers import real
from perfmodel.readers.tracing.products import multiply
from perfmodel.readers.tracing.values import Value


@handles("QuantizeLinear")
@handles("QuantizeLinear", domain=MICROSOFT)
def quantize(call: Call) -> Made:
    """``clamp(round(x / scale) + zero_point)``; of codes with another scale, nothing more."""
    x, scale, zero = call.input(0), call.input(1), call.optional(2)
    given = FORMAT_OF.get(call.attr("output_dtype", 0), "int8")
    to = zero.dtype if zero is not None else given
    if x.whole is not None and not x.is_constant and x.whole.dtype == to:
        return replace(x.whole, name="")
    if to not in QUANTIZED:
        return call.opaque(x.shape, formats=[to])
    several = scale.rank > 0 and scale.elements != 1
    asymmetric = zero is not None and FORMATS[to].integer
    stored = {"scale": scale, "zero_point": zero} if asymmetric and zero else {"scale": scale}
    return call.emit(
        "quantize",
        x,
        stored={k: v for k, v in stored.items() if v.is_constant and scale.rank < 2},
        precision=call.net.precision,
        to=to,
        per_channel=several,
        axis=_axis(call, x) if several else 1,
        zero_point=asymmetric,
    )


def _axis(call: Call, x: Value) -> int:
    axis = int(call.attr("axis", 1))
    if not -x.rank <= axis < x.rank:
        raise InputError(f"{call.op}: axis {axis} of a tensor with {x.rank} axes")
    return axis


@handles("DequantizeLinear")
@handles("DequantizeLinear", domain=MICROSOFT)
def dequantize(call: Call) -> Made:
    """``(x - zero_point) scale``; stored codes stay codes, a weight of so many bits."""
    x, scale = call.input(0), call.input(1)
    if x.is_constant:
        block = int(call.attr("block_size", 0))
        grouped = block > 0 and x.dtype in ("int4", "int8")
        dtype = get_format(f"{x.dtype}g{block}").name if grouped else x.dtype
        return replace(x, dtype=dtype, data=None, whole=x, tensor=None)
    return real(call, x, scale.dtype)


@handles("DynamicQuantizeLinear")
def dynamic_quantize(call: Call) -> Made:
    """Codes with the scale and zero point that the tensor's own range asks for."""
    codes, scale, zero = dynamic_codes(call, call.input(0))
    return [codes, scale, zero]


def dynamic_codes(call: Call, x: Value, suffix: str = "") -> tuple[Value, Value, Value]:
    """Put the range of ``x`` and its codes into the graph; returns codes, scale, zero point."""
    axes = tuple(range(x.rank))
    flat = call.view(x, (1,)) if not x.rank else x
    (low,) = call.emit("reduce_min", flat, axes=axes or (0,), keep=False, suffix=f"{suffix}.low")
    (high,) = call.emit("reduce_max", flat, axes=axes or (0,), keep=False, suffix=f"{suffix}.high")
    (codes,) = call.emit("quantize", x, to="int8", zero_point=True, suffix=f"{suffix}.codes")
    (zero,) = call.emit("cast", low, to="int8", suffix=f"{suffix}.zero")
    return codes, high, zero


@handles("ConvInteger")
def conv_integer(call: Call) -> Made:
    """Convolution of codes into sums of 32 bits."""
    inner = replace(call, inputs=[call.input(0), call.input(1)])
    return _sums(call, conv(inner))


@handles("MatMulInteger")
@handles("MatMulInteger16", domain=MICROSOFT)
def matmul_integer(call: Call) -> Made:
    """Product of codes into sums of 32 bits."""
    return _sums(call, multiply(call, call.input(0), call.input(1)))


def _sums(call: Call, made: Made) -> Value:
    y = made if isinstance(made, Value) else next(iter(made or []))
    (out,) = call.emit("cast", y, to="int32", suffix=".sums")
    return out


@handles("QLinearConv")
@handles("QLinearConv", domain=MICROSOFT)
def qlinear_conv(call: Call) -> Made:
    """Convolution from codes to codes: ``x, x_scale, x_zero, w, w_scale, w_zero, y.., bias``."""
    x, w, bias = call.input(0), call.input(3), call.optional(8)
    if call.attr("channels_last", 0):
        x = call.view(x, (x.shape[0], x.shape[-1], *x.shape[1:-1]))
    made = conv(replace(call, inputs=[x, w, bias]))
    y = made if isinstance(made, Value) else next(iter(made or []))
    if call.attr("channels_last", 0):
        return call.view(y, (y.shape[0], *y.shape[2:], y.shape[1]))
    return y


@handles("QLinearMatMul")
def qlinear_matmul(call: Call) -> Made:
    """Product from codes to codes: ``a, a_scale, a_zero, b, b_scale, b_zero, y..``."""
    return multiply(call, call.input(0), call.input(3))


@handles("QGemm", domain=MICROSOFT)
def qgemm(call: Call) -> Made:
    """``a' b' + c`` of codes; real numbers where no output scale is given."""
    a, b, c = call.input(0), call.input(3), call.optional(6)
    flags = (bool(call.attr("transA", 0)), bool(call.attr("transB", 0)))
    if flags[0] and not a.is_constant:
        a, flags = call.view(a, (a.shape[1], a.shape[0])), (False, flags[1])
    y = multiply(call, a, b, transposed=flags, bias=c)
    return y if call.optional(7) is not None else real(call, y, call.input(1).dtype)


@handles("MatMulIntegerToFloat", domain=MICROSOFT)
def matmul_integer_to_float(call: Call) -> Made:
    """Product of codes, times both scales: ``a, b, a_scale, b_scale, a_zero, b_zero, bias``."""
    return _with_bias(call, real(call, multiply(call, call.input(0), call.input(1)),
                                 call.input(2).dtype), call.optional(6))  # fmt: skip


@handles("DynamicQuantizeMatMul", domain=MICROSOFT)
def dynamic_quantize_matmul(call: Call) -> Made:
    """Codes of ``a`` made on the way, times codes of ``b``: ``a, b, b_scale, b_zero, bias``."""
    codes, _, _ = dynamic_codes(call, call.input(0))
    y = real(call, multiply(call, codes, call.input(1)), call.input(0).dtype)
    return _with_bias(call, y, call.optional(4))


def _with_bias(call: Call, y: Value, bias: Value | None) -> Value:
    return y if bias is None else call.emit("add", y, bias, suffix=".bias")[0]


#: operator on codes -> ours, and where its operands stand
_PLAIN = {
    "QLinearAdd": ("add", (0, 3)), "QLinearMul": ("mul", (0, 3)),
    "QLinearSigmoid": ("sigmoid", (0,)), "QLinearLeakyRelu": ("leaky_relu", (0,)),
}  # fmt: skip


@handles(*_PLAIN, domain=MICROSOFT)
def qlinear_plain(call: Call) -> Made:
    """Element by element, from codes to codes."""
    op, places = _PLAIN[call.op]
    return call.emit(op, *(call.input(i) for i in places))


@handles("QLinearSoftmax", domain=MICROSOFT)
def qlinear_softmax(call: Call) -> Made:
    """Softmax along an axis, from codes to codes; counts do not depend on where it stands."""
    x = call.input(0)
    axis = int(call.attr("axis", -1))
    axis = axis + x.rank if axis < 0 else axis
    if not 0 <= axis < x.rank:
        raise InputError(f"{call.op}: axis {axis} of a tensor with {x.rank} axes")
    order: list[Dim] = [d for i, d in enumerate(x.shape) if i != axis]
    (y,) = call.emit("softmax", call.view(x, [*order, x.shape[axis]]))
    return call.view(y, x.shape)


@handles("QLinearConcat", domain=MICROSOFT)
def qlinear_concat(call: Call) -> Made:
    """Codes one after the other: ``y_scale, y_zero, (x, x_scale, x_zero)...``."""
    values = [call.input(i) for i in range(2, len(call.inputs), 3)]
    axis = int(call.attr("axis", 1))
    return call.emit("concat", *values, axis=axis + values[0].rank if axis < 0 else axis)


@handles("QLinearAveragePool", "QLinearGlobalAveragePool", domain=MICROSOFT)
def qlinear_pool(call: Call) -> Made:
    """Means of codes, over windows or over everything."""
    x, last = call.input(0), call.attr("channels_last", 0)
    if last:
        x = call.view(x, (x.shape[0], x.shape[-1], *x.shape[1:-1]))
    pool, op = (
        (windowed, "AveragePool")
        if call.op == "QLinearAveragePool"
        else (everything, "GlobalAveragePool")
    )
    made = pool(replace(call, op=op, inputs=[x]))
    y = made if isinstance(made, Value) else next(iter(made or []))
    return call.view(y, (y.shape[0], *y.shape[2:], y.shape[1])) if last else y


@handles("QLinearReduceMean", domain=MICROSOFT)
def qlinear_reduce_mean(call: Call) -> Made:
    """Means of codes along axes."""
    x = call.input(0)
    axes = tuple(int(a) % x.rank for a in call.attr("axes", None) or range(x.rank))
    return call.emit("reduce_mean", x, axes=axes, keep=bool(call.attr("keepdims", 1)))


@handles("QOrderedMatMul", domain=MICROSOFT)
def qordered_matmul(call: Call) -> Made:
    """Product of codes in a tiled layout: ``a, a_scale, b, b_scale, y_scale, bias``."""
    return multiply(call, call.input(0), call.input(2), bias=call.optional(5))


@handles("QOrderedGelu", domain=MICROSOFT)
def qordered_gelu(call: Call) -> Made:
    """Gelu from codes to codes."""
    return call.emit("gelu", call.input(0))
