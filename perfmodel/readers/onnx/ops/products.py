"""Matrix products."""

from __future__ import annotations

from perfmodel.errors import InputError, shorten
from perfmodel.readers.onnx.call import Call
from perfmodel.readers.onnx.formats import FORMAT_OF
from perfmodel.readers.onnx.handlers import MICROSOFT, Made, handles
from perfmodel.readers.tracing.products import contract, multiply, plain_equation, shown
from perfmodel.readers.tracing.values import Value


@handles("MatMul")
def matmul(call: Call) -> Made:
    """``a[...,M,K], b[...,K,N]``: affine where b is a stored matrix, else matmul."""
    return multiply(call, call.input(0), call.input(1))


@handles("FusedMatMul", "TransposeMatMul", domain=MICROSOFT)
def fused_matmul(call: Call) -> Value:
    """``alpha a' b'``, either transposed; the scale is part of the product."""
    a, b = call.input(0), call.input(1)
    if call.attr("transBatchA", 0) or call.attr("transBatchB", 0):
        first, second = (
            _batch_last(x, call.attr(f"trans{n}", 0), call.attr(f"transBatch{n}", 0), ends)
            for x, n, ends in ((a, "A", "mk"), (b, "B", "kn"))
        )
        batch = "abcdefghij"[: max(a.rank, b.rank) - 2]
        return contract(call, f"{first},{second}->{batch}mn", (a, b))
    flags = (bool(call.attr("transA", 0)), bool(call.attr("transB", 0)))
    return multiply(call, a, b, transposed=flags)


def _batch_last(x: Value, swapped: int, moved: int, ends: str) -> str:
    """Return the indices of an operand whose batch stands behind its first matrix axis."""
    batch = "abcdefghij"[: x.rank - 2]
    first, last = reversed(ends) if swapped else tuple(ends)
    return first + batch + last if moved else batch + first + last


@handles("Gemm")
def gemm(call: Call) -> Made:
    """``alpha a' b' + beta c``: affine where b is stored, else a product and an addition."""
    a, b, c = call.input(0), call.input(1), call.optional(2)
    if a.rank != 2 or b.rank != 2:
        raise InputError(f"{call.op} takes two matrices, found {shown(a)} and {shown(b)}")
    flags = (bool(call.attr("transA", 0)), bool(call.attr("transB", 0)))
    if b.is_constant and flags[0] and not a.is_constant:
        # Our affine reads rows; the product of a matrix read by columns counts the same.
        a = call.view(a, (a.shape[1], a.shape[0]))
        flags = (False, flags[1])
    return multiply(call, a, b, transposed=flags, bias=c)


_FUSED = {
    "relu": "relu", "tanh": "tanh", "sigmoid": "sigmoid", "leakyrelu": "leaky_relu", "elu": "elu",
    "hardsigmoid": "hard_sigmoid", "softplus": "softplus", "selu": "selu", "gelu": "gelu",
    "hardswish": "hard_swish", "softmax": "softmax",
}  # fmt: skip


@handles("FusedGemm", domain=MICROSOFT)
def fused_gemm(call: Call) -> Made:
    """Gemm, then an activation named by an attribute."""
    return _activated(call, gemm(call))


@handles("GemmFloat8", domain=MICROSOFT)
def gemm_float8(call: Call) -> Made:
    """Gemm of fp8 operands with a scale each, then an activation; the result's format is named."""
    y = _activated(call, gemm(call))
    return call.cast(y, FORMAT_OF.get(call.attr("dtype", 1), "fp32"))


@handles("FusedMatMulActivation", domain=MICROSOFT)
def fused_matmul_activation(call: Call) -> Made:
    """The fused product, then an activation."""
    return _activated(call, fused_matmul(call))


def _activated(call: Call, made: Made) -> Value:
    """Put the activation that an attribute names behind a product."""
    assert isinstance(made, Value)
    name = str(call.attr("activation", "") or "").lower()
    if not name:
        return made
    if name not in _FUSED:
        raise InputError(f"{call.op}: activation {shorten(name)}", mend=f"known: {list(_FUSED)}")
    return call.emit(_FUSED[name], made, suffix=".activation")[0]


@handles("GemmFastGelu", domain=MICROSOFT)
def gemm_fast_gelu(call: Call) -> Made:
    """``gelu(x w + b)`` in the approximation with tanh."""
    y = multiply(call, call.input(0), call.input(1), bias=call.optional(2))
    return call.emit("gelu_tanh", y, suffix=".activation")


@handles("Einsum")
def einsum(call: Call) -> Made:
    """Einstein summation; an ellipsis, a diagonal and an implied output among its forms."""
    operands = [v for v in call.inputs if v is not None]
    return contract(call, plain_equation(str(call.attr("equation", "")), operands), operands)
