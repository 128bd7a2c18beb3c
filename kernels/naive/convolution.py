"""Naive convolution, as deep learning uses the word."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _windows as windows
from ._numbers import Array, Gradients, Weights, mac


def conv1d(x: Array, *, weights: Weights, groups: int, out_channels: int, **more: Any) -> Array:
    return _convolution(x, weights, groups, **more)


def conv2d(x: Array, *, weights: Weights, groups: int, out_channels: int, **more: Any) -> Array:
    return _convolution(x, weights, groups, **more)


def conv3d(x: Array, *, weights: Weights, groups: int, out_channels: int, **more: Any) -> Array:
    return _convolution(x, weights, groups, **more)


def depthwise_conv2d(x: Array, *, weights: Weights, multiplier: int, **more: Any) -> Array:
    return _convolution(x, weights, _groups(weights, multiplier, **more), **more)


def conv1d_grad(
    part: str, dy: Array, x: Array, *, weights: Weights, groups: int, **more: Any
) -> Gradients:
    return _convolution_grad(part, dy, x, weights, groups, **more)


def conv2d_grad(
    part: str, dy: Array, x: Array, *, weights: Weights, groups: int, **more: Any
) -> Gradients:
    return _convolution_grad(part, dy, x, weights, groups, **more)


def conv3d_grad(
    part: str, dy: Array, x: Array, *, weights: Weights, groups: int, **more: Any
) -> Gradients:
    return _convolution_grad(part, dy, x, weights, groups, **more)


def depthwise_conv2d_grad(
    part: str, dy: Array, x: Array, *, weights: Weights, multiplier: int, **more: Any
) -> Gradients:
    groups = _groups(weights, multiplier, **more)
    return _convolution_grad(part, dy, x, weights, groups, **more)


def _groups(weights: Weights, multiplier: int, filter_layout: str = "kcrs", **more: Any) -> int:
    return len(windows.filters_first(weights["weight"], filter_layout)) // multiplier


def _borders(
    image: tuple[int, ...], kernel: Any, stride: Any, padding: Any, dilation: Any, pad_mode: str
) -> windows.Borders:
    rank = len(image)
    if pad_mode == "same":
        return windows.same_borders(image, *(windows.per_axis(v, rank) for v in (
            kernel, stride, dilation)))  # fmt: skip
    return windows.borders(padding, rank)


def _convolution(
    x: Array,
    weights: Weights,
    groups: int,
    *,
    kernel: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    bias: bool,
    pad_mode: str = "explicit",
    layout: str = "nchw",
    filter_layout: str = "kcrs",
) -> Array:
    x = windows.channels_first(x, layout)
    weight = windows.filters_first(weights["weight"], filter_layout)
    image = x.shape[2:]
    rank = len(image)
    x = windows.pad(x, _borders(image, kernel, stride, padding, dilation, pad_mode), 0.0)
    steps, gaps = windows.per_axis(stride, rank), windows.per_axis(dilation, rank)
    starts = windows.positions(x.shape[2:], weight.shape[2:], steps, gaps)
    y = np.full((x.shape[0], weight.shape[0], *(len(s) for s in starts)), 0.0, dtype=x.dtype)
    for to, tap, source in windows.products(x.shape, weight.shape, steps, gaps, groups):
        y[to] = mac(y[to], weight[tap], x[source])
    if bias:
        for at in np.ndindex(y.shape):
            y[at] = y[at] + weights["bias"][at[1]]
    return windows.in_layout(y, layout)


def _convolution_grad(
    part: str,
    dy: Array,
    x: Array,
    weights: Weights,
    groups: int,
    *,
    output: Array,
    kernel: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    bias: bool,
    pad_mode: str,
    layout: str,
    filter_layout: str,
    out_channels: int = 0,
) -> Gradients:
    dy, x = windows.channels_first(dy, layout), windows.channels_first(x, layout)
    weight = windows.filters_first(weights["weight"], filter_layout)
    image = x.shape[2:]
    rank = len(image)
    added = _borders(image, kernel, stride, padding, dilation, pad_mode)
    x = windows.pad(x, added, 0.0)
    steps, gaps = windows.per_axis(stride, rank), windows.per_axis(dilation, rank)
    places = windows.products(x.shape, weight.shape, steps, gaps, groups)
    if part == "input":
        dx = np.full_like(x, 0.0)
        for to, tap, source in places:
            dx[source] = mac(dx[source], weight[tap], dy[to])
        return {"input 0": windows.in_layout(dx[windows.inside(added[0], image)], layout)}
    if part == "weight":
        dw = np.full_like(weight, 0.0)
        for to, tap, source in places:
            dw[tap] = mac(dw[tap], dy[to], x[source])
        return {"weight": windows.in_filter_layout(dw, filter_layout)}
    return {"bias": windows.channel_sums(dy)}


def depthwise_separable_conv2d(
    x: Array,
    *,
    weights: Weights,
    out_channels: int,
    layout: str = "nchw",
    filter_layout: str = "kcrs",
    **more: Any,
) -> Array:
    x = windows.channels_first(x, layout)
    depthwise, pointwise = (
        windows.filters_first(weights[name], filter_layout) for name in ("depthwise", "pointwise")
    )
    between = _convolution(x, {"weight": depthwise}, x.shape[1], bias=False, **more)
    return windows.in_layout(_pointwise(between, pointwise), layout)


def depthwise_separable_conv2d_kept(
    x: Array, *, weights: Weights, out_channels: int, layout: str = "nchw", **more: Any
) -> Gradients:
    channels = windows.channels_first(x, layout).shape[1]
    depthwise = {"weight": weights["depthwise"]}
    return {
        "depthwise_output": _convolution(x, depthwise, channels, bias=False, layout=layout, **more)
    }


def _pointwise(x: Array, weight: Array) -> Array:
    y = np.full((x.shape[0], weight.shape[0], *x.shape[2:]), 0.0, dtype=x.dtype)
    for to, tap, source in windows.products(x.shape, weight.shape, (1, 1), (1, 1), 1):
        y[to] = mac(y[to], weight[tap], x[source])
    return y


def depthwise_separable_conv2d_grad(
    part: str,
    dy: Array,
    x: Array,
    *,
    output: Array,
    weights: Weights,
    kept: Weights,
    out_channels: int,
    kernel: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    layout: str = "nchw",
    filter_layout: str = "kcrs",
) -> Gradients:
    depthwise, pointwise = (
        windows.filters_first(weights[name], filter_layout) for name in ("depthwise", "pointwise")
    )
    dy, x, between = (
        windows.channels_first(tensor, layout) for tensor in (dy, x, kept["depthwise_output"])
    )
    places = windows.products(between.shape, pointwise.shape, (1, 1), (1, 1), 1)
    if part == "pointwise":
        dw = np.full_like(pointwise, 0.0)
        for to, tap, source in places:
            dw[tap] = mac(dw[tap], dy[to], between[source])
        return {"pointwise": windows.in_filter_layout(dw, filter_layout)}
    dbetween = np.full_like(between, 0.0)
    for to, tap, source in places:
        dbetween[source] = mac(dbetween[source], pointwise[tap], dy[to])
    added = windows.borders(padding, 2)
    image = x.shape[2:]
    x = windows.pad(x, added, 0.0)
    dx, dw = np.full_like(x, 0.0), np.full_like(depthwise, 0.0)
    steps, gaps = windows.per_axis(stride), windows.per_axis(dilation)
    for to, tap, source in windows.products(x.shape, depthwise.shape, steps, gaps, x.shape[1]):
        dx[source] = mac(dx[source], depthwise[tap], dbetween[to])
        dw[tap] = mac(dw[tap], dbetween[to], x[source])
    return {
        "input 0": windows.in_layout(dx[windows.inside(added[0], image)], layout),
        "depthwise": windows.in_filter_layout(dw, filter_layout),
    }
