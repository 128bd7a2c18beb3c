"""Convolution and its relatives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from perfmodel.core import Dim
from perfmodel.core.dims import ceil_div, maximum
from perfmodel.errors import InputError
from perfmodel.readers.onnx.call import Call
from perfmodel.readers.onnx.handlers import MICROSOFT, Made, handles
from perfmodel.readers.tracing.values import Value


def window(call: Call, x: Value, kernel: Sequence[int]) -> dict[str, Any]:
    """Return stride, dilation and padding of a windowed node as our operators take them.

    ``auto_pad`` is resolved to explicit borders; ours are all befores, then all afters.
    """
    axes = len(kernel)
    if x.rank != axes + 2:
        raise InputError(f"{call.op} with a kernel of {axes} axes takes {axes + 2}, found {x.rank}")
    stride = list(call.attr("strides", [1] * axes))
    dilation = list(call.attr("dilations", [1] * axes))
    pads: list[Dim] = list(call.attr("pads", [0] * 2 * axes))
    mode = call.attr("auto_pad", "NOTSET")
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        before: list[Dim] = []
        after: list[Dim] = []
        for size, k, s, d in zip(x.shape[2:], kernel, stride, dilation, strict=True):
            needed = maximum(0, (ceil_div(size, s) - 1) * s + (k - 1) * d + 1 - size)
            small, large = needed // 2, needed - needed // 2
            before.append(small if mode == "SAME_UPPER" else large)
            after.append(large if mode == "SAME_UPPER" else small)
        pads = [*before, *after]
    elif mode == "VALID":
        pads = [0 for _ in range(2 * axes)]
    if len(stride) != axes or len(dilation) != axes or len(pads) != 2 * axes:
        raise InputError(f"{call.op}: strides, dilations or pads do not fit a {axes}-d kernel")
    # One border for every side, where they are equal, reads better in a workload file.
    return {
        "stride": plain_or_list(stride),
        "dilation": plain_or_list(dilation),
        "padding": plain_or_list(pads),
    }


def plain_or_list(values: Sequence[Any]) -> Any:
    """Return one value where all are equal, else a tuple."""
    return values[0] if all(v is values[0] or v == values[0] for v in values) else tuple(values)


@handles("Conv")
def conv(call: Call) -> Made:
    """``x[N,C,H,W], w[K,C/g,R,S], b[K]``: conv1d, conv2d or conv3d."""
    x, w, bias = call.input(0), call.input(1), call.optional(2)
    kernel = tuple(int(k) for k in call.attr("kernel_shape", None) or w.shape[2:])
    if len(kernel) not in (1, 2, 3):
        return call.opaque(_unusual(call, x, w, kernel))
    return call.emit(
        f"conv{len(kernel)}d",
        x,
        stored={"weight": w, "bias": bias} if bias is not None else {"weight": w},
        out_channels=w.shape[0],
        kernel=plain_or_list(kernel),
        groups=call.attr("group", 1),
        bias=bias is not None,
        **window(call, x, kernel),
    )


def _unusual(call: Call, x: Value, w: Value, kernel: Sequence[int]) -> list[Dim]:
    """Return the shape that a convolution of over three axes makes."""
    found = window(call, x, kernel)
    axes = len(kernel)
    each = {k: list(v) if isinstance(v, tuple) else [v] * axes for k, v in found.items()}
    pads = each["padding"] if len(each["padding"]) > axes else each["padding"] * 2
    return [
        x.shape[0],
        w.shape[0],
        *(
            (size + pads[i] + pads[i + axes] - (k - 1) * each["dilation"][i] - 1)
            // each["stride"][i]
            + 1
            for i, (size, k) in enumerate(zip(x.shape[2:], kernel, strict=True))
        ),
    ]


@handles("FusedConv", domain=MICROSOFT)
def fused_conv(call: Call) -> Made:
    """Conv, then an activation, and a residual before it."""
    made = conv(call)
    y = made if isinstance(made, Value) else next(iter(made or []))
    residual = call.optional(3)
    if residual is not None:
        (y,) = call.emit("add", y, residual, suffix=".residual")
    name = str(call.attr("activation", "")).lower()
    known = {"relu": "relu", "sigmoid": "sigmoid", "tanh": "tanh", "leakyrelu": "leaky_relu",
             "hardsigmoid": "hard_sigmoid", "hardswish": "hard_swish"}  # fmt: skip
    if name in known:
        return call.emit(known[name], y, suffix=f".{name}")
    if name:
        return call.emit("pointwise", y, function=name, vector=2, suffix=f".{name}")
    return y


@handles("ConvTranspose")
def conv_transpose(call: Call) -> Made:
    """``x[N,C,H,W], w[C,K/g,R,S]``: the gradient of a convolution, as a layer."""
    x, w, bias = call.input(0), call.input(1), call.optional(2)
    kernel = tuple(int(k) for k in call.attr("kernel_shape", None) or w.shape[2:])
    axes = len(kernel)
    stride = list(call.attr("strides", [1] * axes))
    dilation = list(call.attr("dilations", [1] * axes))
    extra: list[Dim] = list(call.attr("output_padding", [0] * axes))
    groups = call.attr("group", 1)
    span = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    full = [(size - 1) * s + p + e
            for size, s, p, e in zip(x.shape[2:], stride, span, extra, strict=True)]  # fmt: skip
    pads: list[Dim] = list(call.attr("pads", [0] * 2 * axes))
    mode = call.attr("auto_pad", "NOTSET")
    wanted: Sequence[Dim] | None = call.attr("output_shape")
    if wanted is None and mode in ("SAME_UPPER", "SAME_LOWER"):
        wanted = [size * s for size, s in zip(x.shape[2:], stride, strict=True)]
    if wanted is not None:
        cut = [a - b for a, b in zip(full, list(wanted)[-axes:], strict=True)]
        small = [maximum(0, c // 2) for c in cut]
        large = [maximum(0, c) - s for c, s in zip(cut, small, strict=True)]
        pads = [*large, *small] if mode == "SAME_LOWER" else [*small, *large]
        extra = [e + maximum(0, -c) for e, c in zip(extra, cut, strict=True)]
    if axes not in (1, 2, 3):
        shape = [f - a - b for f, a, b in zip(full, pads, pads[axes:], strict=False)]
        return call.opaque((x.shape[0], w.shape[1] * groups, *shape))
    stored = {"weight": w, "bias": bias} if bias is not None else {"weight": w}
    return call.emit(
        f"conv_transpose{axes}d",
        x,
        stored=stored,
        out_channels=w.shape[1] * groups,
        kernel=plain_or_list(kernel),
        stride=plain_or_list(stride),
        padding=plain_or_list(pads),
        output_padding=plain_or_list(extra),
        dilation=plain_or_list(dilation),
        groups=groups,
        bias=bias is not None,
    )


@handles("DeformConv", treatment="bounded")
def deform_conv(call: Call) -> Made:
    """A convolution whose taps move: bytes only."""
    x, w = call.input(0), call.input(1)
    return call.opaque(_unusual(call, x, w, tuple(int(k) for k in w.shape[2:])))


@handles("CausalConvWithState")
@handles("CausalConvWithState", domain=MICROSOFT)
def causal_conv(call: Call) -> Made:
    """A causal depthwise convolution ``x[B,C,L], w[C,1,k]`` that carries its last inputs on.

    What stands before the first place is the state, which takes the padding's place.
    """
    x, w, bias = call.input(0), call.input(1), call.optional(2)
    reach = (w.shape[-1] - 1) * call.attr("dilation", 1)
    state = (*x.shape[:-1], call.attr("state_length", 0) or reach)
    if w.rank != 3 or x.rank != 3 or call.attr("channels_last", 0) or w.shape[0] != x.shape[1]:
        return call.opaque(x.shape, state, formats=[x.dtype] * 2)
    (y,) = call.emit(
        "conv1d",
        x,
        stored={"weight": w, "bias": bias} if bias is not None else {"weight": w},
        out_channels=w.shape[0],
        kernel=w.shape[-1],
        groups=w.shape[0],
        bias=bias is not None,
        dilation=call.attr("dilation", 1),
        padding=(reach, 0),
    )
    if str(call.attr("activation", "none")).lower() in ("silu", "swish"):
        (y,) = call.emit("silu", y, suffix=".silu")
    made = [y]
    if call.wants(1):
        made += call.opaque(state, formats=[x.dtype], read=[x])
    return made
