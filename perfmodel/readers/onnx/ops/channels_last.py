"""Operators of a runtime's own layouts: channels last, or channels in blocks.

Each is the default domain's operator on a tensor whose axes stand in another order;
counts do not depend on the order, so that the tensor is read as ``x[N,C,H,W]``.
"""

from __future__ import annotations

from dataclasses import replace

from perfmodel.core.dims import product, same
from perfmodel.errors import InputError
from perfmodel.readers.onnx.call import Call
from perfmodel.readers.onnx.handlers import MICROSOFT, Handler, Made, handler_of, handles
from perfmodel.readers.onnx.ops.convolution import conv, conv_transpose, fused_conv
from perfmodel.readers.onnx.ops.pooling import windowed
from perfmodel.readers.tracing.values import Value

NHWC = "com.ms.internal.nhwc"
NCHWC = "com.microsoft.nchwc"


def channels_first(call: Call, x: Value) -> Value:
    """Return ``x[N,H,W,C]`` as ``x[N,C,H,W]``."""
    return call.view(x, (x.shape[0], x.shape[-1], *x.shape[1:-1]))


def as_last(call: Call, handler: Handler, images: tuple[int, ...] = (0,), op: str = "") -> Made:
    """Run the handler of an operator with channels first; inputs ``images`` have them last."""
    inputs = list(call.inputs)
    for i in images:
        value = call.optional(i)
        if value is not None:
            inputs[i] = channels_first(call, value)
    made = handler(replace(call, op=op or call.op, domain="", inputs=inputs))
    values = [made] if isinstance(made, Value) else list(made or [])
    return [
        call.view(v, (v.shape[0], *v.shape[2:], v.shape[1])) if v.rank > 2 else v for v in values
    ]


@handles("NhwcConv", domain=MICROSOFT)
def nhwc_conv(call: Call) -> Made:
    """``x[N,H,W,C], w[K,R,S,C/g], b[K]``."""
    return as_last(_with_filters(call), conv)


@handles("NhwcFusedConv", domain=MICROSOFT)
def nhwc_fused_conv(call: Call) -> Made:
    """The same, then a residual and an activation."""
    return as_last(_with_filters(call), fused_conv, (0, 3))


def _with_filters(call: Call) -> Call:
    """Return the node with ``w[K,C/g,R,S]``: runtimes store filters in either order."""
    x, w = call.input(0), call.input(1)
    depth = x.shape[-1] // call.attr("group", 1)
    if w.rank < 3 or not (same(w.shape[1], depth) or same(w.shape[-1], depth)):
        raise InputError(
            f"{call.op}: filters {list(map(str, w.shape))} do not fit {depth} channels"
        )
    kernel = call.attr("kernel_shape")
    first = same(w.shape[1], depth) and (not kernel or list(w.shape[2:]) == list(kernel))
    if first:
        return call
    turned = replace(w, shape=(w.shape[0], w.shape[-1], *w.shape[1:-1]))
    if w.tensor is not None:
        turned = call.view(w, turned.shape)
    return replace(call, inputs=[x, turned, *call.inputs[2:]])


@handles("NhwcMaxPool", domain=MICROSOFT)
def nhwc_max_pool(call: Call) -> Made:
    """The largest value of every window."""
    return as_last(call, windowed, op="MaxPool")


@handles("MaxpoolWithMask", domain=MICROSOFT)
def max_pool_with_mask(call: Call) -> Made:
    """The largest value of every window, of the places that a mask keeps."""
    x, mask = call.input(0), call.input(1)
    (kept,) = call.emit(
        "pointwise", x, call.view(mask, mask.shape), function="mask", suffix=".kept"
    )
    return windowed(replace(call, op="MaxPool", domain="", inputs=[kept]))


@handles(
    "AveragePool", "BatchNormalization", "Conv", "ConvTranspose", "DepthToSpace",
    "GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool", "GridSample", "InstanceNormalization",
    "LRN", "LpPool", "MaxPool", "MaxUnpool", "SpaceToDepth", domain=NHWC,
)  # fmt: skip
def internal(call: Call) -> Made:
    """The default domain's operator with channels last."""
    handler = handler_of("", call.op)
    assert handler is not None
    return as_last(call, handler)


@handles("Resize", domain=NHWC)
def internal_resize(call: Call) -> Made:
    """Sizes and scales stand in the order of the axes, so that nothing is turned."""
    handler = handler_of("", "Resize")
    assert handler is not None
    return handler(replace(call, domain=""))


@handles("QLinearConv", "QLinearAveragePool", domain=NHWC)
def internal_codes(call: Call) -> Made:
    """Operators on codes with channels last."""
    handler = handler_of(MICROSOFT, call.op)
    assert handler is not None
    attributes = {k: v for k, v in call.attributes.items() if k != "channels_last"}
    return as_last(replace(call, attributes=attributes, constants={}), handler)


@handles("QLinearConvTranspose", domain=NHWC)
def internal_transpose(call: Call) -> Made:
    """``x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero, bias`` with channels last."""
    inputs = [call.input(0), call.input(3), call.optional(8)]
    return as_last(replace(call, inputs=inputs), conv_transpose)


@handles("Conv", domain=NCHWC)
def blocked_conv(call: Call) -> Made:
    """A convolution with channels in blocks, which the shapes do not show."""
    return fused_conv(call)


@handles("MaxPool", "AveragePool", "GlobalMaxPool", "GlobalAveragePool", domain=NCHWC)
def blocked_pool(call: Call) -> Made:
    """Pools with channels in blocks."""
    handler = handler_of("", call.op)
    assert handler is not None
    return handler(replace(call, domain=""))


@handles("ReorderInput", domain=NCHWC)
def reorder_input(call: Call) -> Made:
    """A copy with the channels in blocks."""
    x = call.input(0)
    rows = channels_first(call, x) if call.attr("channels_last", 0) else x
    return call.emit("pointwise", rows, function="reorder", vector=0)


@handles("ReorderOutput", domain=NCHWC)
def reorder_output(call: Call) -> Made:
    """A copy without blocks, of the channels that are no filling."""
    x, channels = call.input(0), call.attr("channels")
    if not same(x.shape[1], channels):
        (x,) = call.emit("slice", x, axis=1, start=0, length=channels, suffix=".kept")
    (y,) = call.emit("pointwise", x, function="reorder", vector=0)
    if not call.attr("channels_last", 0):
        return y
    return call.view(y, (y.shape[0], *y.shape[2:], y.shape[1]))


@handles("Upsample", domain=NCHWC)
def blocked_upsample(call: Call) -> Made:
    """Planes made larger by whole factors, one for each axis."""
    x = call.input(0)
    scales = call.attr("scales") or [1] * x.rank
    shape = [d * int(s) for d, s in zip(x.shape, scales, strict=True)]
    mode = {"linear": "bilinear"}.get(call.attr("mode", "nearest"), "nearest")
    if x.rank != 4:
        return call.opaque(shape)
    planes = call.view(x, (1, product(x.shape[:2]), *x.shape[2:]))
    return call.view(call.emit("resize", planes, target=tuple(shape[2:]), mode=mode)[0], shape)
