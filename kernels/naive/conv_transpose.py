"""Naive transposed convolution: a convolution's loop, its sum going from y to x."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _windows as windows
from ._numbers import Array, Gradients, Weights, mac


def conv_transpose1d(x: Array, *, weights: Weights, **more: Any) -> Array:
    return _transposed(x, weights, **more)


def conv_transpose2d(x: Array, *, weights: Weights, **more: Any) -> Array:
    return _transposed(x, weights, **more)


def conv_transpose3d(x: Array, *, weights: Weights, **more: Any) -> Array:
    return _transposed(x, weights, **more)


def conv_transpose1d_grad(
    part: str, dy: Array, x: Array, *, weights: Weights, **more: Any
) -> Gradients:
    return _transposed_grad(part, dy, x, weights, **more)


def conv_transpose2d_grad(
    part: str, dy: Array, x: Array, *, weights: Weights, **more: Any
) -> Gradients:
    return _transposed_grad(part, dy, x, weights, **more)


def conv_transpose3d_grad(
    part: str, dy: Array, x: Array, *, weights: Weights, **more: Any
) -> Gradients:
    return _transposed_grad(part, dy, x, weights, **more)


def _transposed(
    x: Array,
    weights: Weights,
    *,
    out_channels: int,
    kernel: Any,
    stride: Any,
    padding: Any,
    output_padding: Any,
    dilation: Any,
    groups: int,
    bias: bool,
    layout: str = "nchw",
    filter_layout: str = "kcrs",
) -> Array:
    x = windows.channels_first(x, layout)
    weight = windows.filters_first(weights["weight"], filter_layout)
    image = x.shape[2:]
    rank = len(image)
    taps, steps, gaps, more = (
        windows.per_axis(v, rank) for v in (kernel, stride, dilation, output_padding)
    )
    before, after = windows.borders(padding, rank)
    padded = [
        max((i - 1) * u + g * (t - 1) + 1, (i - 1) * u + g * (t - 1) + 1 + m - a)
        for i, u, g, t, m, a in zip(image, steps, gaps, taps, more, after, strict=True)
    ]
    made = [
        (i - 1) * u + g * (t - 1) + 1 + m - b - a
        for i, u, g, t, m, b, a in zip(image, steps, gaps, taps, more, before, after, strict=True)
    ]
    y = np.full((x.shape[0], out_channels, *padded), 0.0, dtype=x.dtype)
    for source, tap, to in _products(x, weight, padded, steps, gaps, groups, out_channels):
        y[to] = mac(y[to], weight[tap], x[source])
    y = y[windows.inside(before, tuple(made))]
    if bias:
        for at in np.ndindex(y.shape):
            y[at] = weights["bias"][at[1]] + y[at]
    return windows.in_layout(y, layout)


def _products(
    x: Array,
    weight: Array,
    padded: list[int],
    steps: tuple[int, ...],
    gaps: tuple[int, ...],
    groups: int,
    out_channels: int,
) -> Any:
    """Yield places in x, weight and padded y; output padding adds no position of the filter."""
    shape = (x.shape[0], out_channels, *padded)
    for source, tap, to in windows.products(shape, weight.shape, steps, gaps, groups):
        if all(s < i for s, i in zip(source[2:], x.shape[2:], strict=True)):
            yield source, tap, to


def _transposed_grad(
    part: str,
    dy: Array,
    x: Array,
    weights: Weights,
    *,
    output: Array,
    out_channels: int,
    kernel: Any,
    stride: Any,
    padding: Any,
    output_padding: Any,
    dilation: Any,
    groups: int,
    bias: bool,
    layout: str,
    filter_layout: str,
) -> Gradients:
    dy, x = windows.channels_first(dy, layout), windows.channels_first(x, layout)
    if part == "bias":
        return {"bias": windows.channel_sums(dy)}
    weight = windows.filters_first(weights["weight"], filter_layout)
    rank = x.ndim - 2
    dy = windows.pad(dy, windows.borders(padding, rank), 0.0)
    steps, gaps = windows.per_axis(stride, rank), windows.per_axis(dilation, rank)
    places = _products(x, weight, list(dy.shape[2:]), steps, gaps, groups, out_channels)
    if part == "input":
        dx = np.full_like(x, 0.0)
        for source, tap, to in places:
            dx[source] = mac(dx[source], weight[tap], dy[to])
        return {"input 0": windows.in_layout(dx, layout)}
    dw = np.full_like(weight, 0.0)
    for source, tap, to in places:
        dw[tap] = mac(dw[tap], x[source], dy[to])
    return {"weight": windows.in_filter_layout(dw, filter_layout)}
