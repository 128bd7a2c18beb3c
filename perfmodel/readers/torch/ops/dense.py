"""Matrix products, linear layers, convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from perfmodel.core import Dim
from perfmodel.core.dims import same
from perfmodel.readers.torch.call import Call
from perfmodel.readers.torch.handlers import Made, handles
from perfmodel.readers.tracing.products import contract, linear, multiply, plain_equation
from perfmodel.readers.tracing.values import Value


@handles("linear")
def linear_(call: Call) -> Made:
    """``x[..., I] w[O, I]' + b[O]``."""
    x, weight, bias = call.x("input"), call.x("weight"), call.maybe("bias")
    if weight.rank == 2 and weight.is_constant and not x.is_constant and x.rank:
        return linear(call, x, weight, 0, bias)
    return multiply(call, x, weight, transposed=(False, weight.rank > 1), bias=bias)


@handles("mm", "bmm", "matmul", "mv", "dot", "vdot", "_int_mm", "_scaled_mm")
def matmul(call: Call) -> Made:
    """Matrices, in a batch or not; vectors too."""
    a, b = call.operands()[:2]
    y = multiply(call, a, b)
    return call.view(y, call.shape)


@handles("addmm", "baddbmm", "addbmm", "addmv")
def addmm(call: Call) -> Made:
    """``c + a b``: affine where b is stored."""
    bias, a, b = call.operands()[:3]
    if call.op == "addbmm":
        return call.bytes_only()
    return call.view(multiply(call, a, b, bias=bias), call.shape)


@handles("einsum")
def einsum(call: Call) -> Made:
    """Einstein summation."""
    operands = call.operands()
    equation = plain_equation(str(call.arg("equation", "")), operands)
    if len(operands) == 2 and operands[1].is_constant and operands[1].rank == 2:
        left, _, out = equation.partition("->")
        a, b = left.split(",")
        # A product of rows with a stored matrix is an affine layer.
        if a[:-1] == out[:-1] and a[-1] in b and out[-1] in b and len(set(a + b)) == len(a) + 1:
            return linear(call, operands[0], operands[1], b.index(out[-1]), None)
    return contract(call, equation, operands)


def plain(values: Sequence[Any]) -> Any:
    """Return one value where all are equal, else a tuple."""
    return values[0] if all(same(v, values[0]) for v in values) else tuple(values)


@handles("convolution", "_convolution")
def convolution(call: Call) -> Made:
    """``x[N,C,...], w[K,C/g,...], b[K]``: one to three axes, transposed or not."""
    x, w, bias = call.x("input"), call.x("weight"), call.maybe("bias")
    axes = w.rank - 2
    lone = x.rank == axes + 1
    if lone:
        x = call.view(x, (1, *x.shape))

    def each(name: str) -> list[Dim]:
        given = list(call.arg(name, [0]))
        return given * axes if len(given) == 1 else given

    padding, groups = each("padding"), call.arg("groups", 1)
    common: dict[str, Any] = {
        "kernel": plain(w.shape[2:]),
        "stride": plain(each("stride")),
        "padding": plain(padding * 2),
        "dilation": plain(each("dilation")),
        "groups": groups,
        "bias": bias is not None,
    }
    stored = {"weight": w, "bias": bias} if bias is not None else {"weight": w}
    if call.arg("transposed", False):
        common["output_padding"] = plain(each("output_padding"))
        (y,) = call.emit(f"conv_transpose{axes}d", x, stored=stored,
                         out_channels=w.shape[1] * groups, **common)  # fmt: skip
    else:
        (y,) = call.emit(f"conv{axes}d", x, stored=stored, out_channels=w.shape[0], **common)
    return call.view(y, call.shape) if lone else y


@handles("convolution_backward", "native_layer_norm_backward", "native_group_norm_backward",
         "embedding_dense_backward", "avg_pool2d_backward", "max_pool2d_with_indices_backward",
         "_adaptive_avg_pool2d_backward", treatment="bounded")  # fmt: skip
def backward(call: Call) -> Made:
    """A gradient written out in the program: bytes only; the training phase has its own."""
    return call.bytes_only()


@handles("cdist", "_cdist_forward", "_pdist_forward", "linalg_vector_norm", treatment="bounded")
def distance(call: Call) -> Made:
    """Distances of all pairs, or norms of other orders: bytes only."""
    if call.op == "linalg_vector_norm" and call.arg("ord", 2) == 2:
        x = call.x()
        keep = bool(call.arg("keepdim", False))
        return call.emit("norm", x, axes=call.axes(x), keep=keep)
    return call.bytes_only()


@handles("bilinear", "_trilinear", treatment="bounded")
def bilinear(call: Call) -> Made:
    """``a w b`` for each output: bytes only."""
    return call.bytes_only()


def stored_values(values: Sequence[Value]) -> dict[str, Value]:
    """Return stored tensors by name."""
    return {v.name: v for v in values}
