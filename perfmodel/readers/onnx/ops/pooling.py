"""Pooling over windows, or over everything."""

from __future__ import annotations

from typing import Any

from perfmodel.core import Dim
from perfmodel.core.windows import window_outputs
from perfmodel.readers.onnx.call import Call
from perfmodel.readers.onnx.handlers import Made, handles
from perfmodel.readers.onnx.ops.convolution import plain_or_list, window
from perfmodel.readers.tracing.values import Value

_WINDOWED = {"MaxPool": "max_pool", "AveragePool": "avg_pool"}
_GLOBAL = {"GlobalAveragePool": "reduce_mean", "GlobalMaxPool": "reduce_max"}


@handles(*_WINDOWED)
def windowed(call: Call) -> Made:
    """The largest value, or the mean, of every window."""
    x = call.input(0)
    kernel = tuple(int(k) for k in call.attr("kernel_shape"))
    indices = call.op == "MaxPool" and call.wants(1)
    if len(kernel) > 3:
        return call.opaque(*[_pooled(call, x, kernel)] * (1 + indices))
    more: dict[str, Any] = {"indices": True} if indices else {}
    return call.emit(
        f"{_WINDOWED[call.op]}{len(kernel)}d",
        x,
        kernel=plain_or_list(kernel),
        ceil_mode=bool(call.attr("ceil_mode", 0)),
        **window(call, x, kernel),
        **more,
    )


def _pooled(call: Call, x: Value, kernel: tuple[int, ...]) -> list[Dim]:
    """Return the shape that windows over more axes than our operators have make."""
    ceil_mode = bool(call.attr("ceil_mode", 0))
    placed = window_outputs(
        call.op, x.shape[2:], kernel, **window(call, x, kernel), ceil_mode=ceil_mode
    )
    return [*x.shape[:2], *placed]


@handles(*_GLOBAL)
def everything(call: Call) -> Made:
    """The mean, or the largest value, of each channel."""
    x = call.input(0)
    axes = tuple(range(2, x.rank))
    return call.emit(_GLOBAL[call.op], x, axes=axes, keep=True)


@handles("LpPool")
def lp_pool(call: Call) -> Made:
    """The norm of every window: squares, a sum by window, roots."""
    x = call.input(0)
    kernel = tuple(int(k) for k in call.attr("kernel_shape"))
    if len(kernel) > 3:
        return call.opaque(_pooled(call, x, kernel))
    (squares,) = call.emit("mul", x, suffix=".squares")
    (sums,) = call.emit(
        f"avg_pool{len(kernel)}d",
        squares,
        kernel=plain_or_list(kernel),
        ceil_mode=bool(call.attr("ceil_mode", 0)),
        **window(call, x, kernel),
    )
    return call.emit("sqrt", sums, suffix=".root")


@handles("GlobalLpPool")
def global_lp_pool(call: Call) -> Made:
    """The norm of each channel."""
    x = call.input(0)
    return call.emit("norm", x, axes=tuple(range(2, x.rank)), keep=True)


@handles("MaxUnpool")
def max_unpool(call: Call) -> Made:
    """Values put back where a pool found them, zeros between."""
    x = call.input(0)
    if call.optional(2) is not None:
        shape = call.known(2, "the shape of the output")
    else:
        kernel, axes = call.attr("kernel_shape"), x.rank - 2
        stride, pads = call.attr("strides", [1] * axes), call.attr("pads", [0] * 2 * axes)
        shape = [*x.shape[:2], *(
            (x.shape[i + 2] - 1) * stride[i] - pads[i] - pads[i + axes] + kernel[i]
            for i in range(axes)
        )]  # fmt: skip
    return call.opaque(shape)
