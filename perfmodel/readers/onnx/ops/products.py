"""Matrix products."""

from __future__ import annotations

from perfmodel.core.dims import same
from perfmodel.readers.onnx.call import Call
from perfmodel.readers.onnx.handlers import Made, handles
from perfmodel.readers.tracing.values import Value


def linear(call: Call, x: Value, weight: Value, units_axis: int, bias: Value | None) -> Value:
    """Put ``x @ weight`` into the graph, an affine layer where the weight is stored."""
    units = weight.shape[units_axis]
    fits = bias is not None and bias.is_constant and same(bias.elements, units)
    stored = {"weight": weight, "bias": bias} if fits and bias is not None else {"weight": weight}
    (y,) = call.emit("affine", x, stored=stored, units=units, bias=fits)
    if bias is not None and not fits:
        (y,) = call.emit("add", y, bias, suffix=".bias")
    return y


@handles("MatMul")
def matmul(call: Call) -> Made:
    """``a[...,M,K], b[...,K,N]``: affine where b is a stored matrix, else matmul."""
    a, b = call.input(0), call.input(1)
    if b.is_constant and b.rank == 2 and a.rank >= 2 and not a.is_constant:
        return linear(call, a, b, 1, None)
    if a.rank >= 2 and b.rank >= 2:
        return call.emit("matmul", a, b)
    # A vector is a matrix with one row, or one column, which the result does not keep.
    left = call.view(a, (1, a.shape[0])) if a.rank == 1 else a
    right = call.view(b, (b.shape[0], 1)) if b.rank == 1 else b
    (y,) = call.emit("matmul", left, right)
    shape = list(y.shape)
    if b.rank == 1:
        del shape[-1]
    if a.rank == 1:
        del shape[-1 if b.rank == 1 else -2]
    return call.view(y, shape)


@handles("Gemm")
def gemm(call: Call) -> Made:
    """``alpha a' b' + beta c``: affine where b is stored, else matmul and add."""
    a, b, c = call.input(0), call.input(1), call.optional(2)
    if call.attr("transA", 0):
        (a,) = call.emit("transpose", a, axes=(1, 0), suffix=".transposed")
    columns = 0 if call.attr("transB", 0) else 1
    if b.is_constant:
        return linear(call, a, b, columns, c)
    if columns == 0:
        (b,) = call.emit("transpose", b, axes=(1, 0), suffix=".transposed")
    (y,) = call.emit("matmul", a, b)
    if c is not None:
        (y,) = call.emit("add", y, c, suffix=".bias")
    return y
