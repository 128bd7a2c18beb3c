"""Pooling over windows, or over everything."""

from __future__ import annotations

from typing import Any

from perfmodel.core import Dim
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
    found = window(call, x, kernel)
    dilated = found.pop("dilation") != 1
    indices = call.op == "MaxPool" and len(call.outputs) > 1 and bool(call.outputs[1])
    if dilated or len(kernel) > 3:
        return call.opaque(*[_pooled(call, x, kernel)] * (1 + indices))
    more: dict[str, Any] = {"indices": True} if indices else {}
    return call.emit(
        f"{_WINDOWED[call.op]}{len(kernel)}d",
        x,
        kernel=plain_or_list(kernel),
        ceil_mode=bool(call.attr("ceil_mode", 0)),
        **found,
        **more,
    )


def _pooled(call: Call, x: Value, kernel: tuple[int, ...]) -> list[Dim]:
    """Return the shape that windows with steps between their places make."""
    axes = len(kernel)
    found = window(call, x, kernel)
    each = {k: list(v) if isinstance(v, tuple) else [v] * axes for k, v in found.items()}
    pads = each["padding"] if len(each["padding"]) > axes else each["padding"] * 2
    shape: list[Dim] = [*x.shape[:2]]
    for i, (size, k) in enumerate(zip(x.shape[2:], kernel, strict=True)):
        left = size + pads[i] + pads[i + axes] - (k - 1) * each["dilation"][i] - 1
        stride = each["stride"][i]
        shape.append((-(-left // stride) if call.attr("ceil_mode", 0) else left // stride) + 1)
    return shape


@handles(*_GLOBAL)
def everything(call: Call) -> Made:
    """The mean, or the largest value, of each channel."""
    x = call.input(0)
    axes = tuple(range(2, x.rank))
    return call.emit(_GLOBAL[call.op], x, axes=axes, keep=True)
