"""Naive partial convolution."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _windows as windows
from ._numbers import Array, Gradients, Weights, mac

#: keeps the ratio of an empty window finite
TINY = 1e-8


def partial_conv2d(
    x: Array,
    mask: Array,
    *,
    weights: Weights,
    out_channels: int,
    kernel: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    bias: bool,
    layout: str = "nchw",
    filter_layout: str = "kcrs",
) -> tuple[Array, Array]:
    x, mask = windows.channels_first(x, layout), windows.channels_first(mask, layout)
    ratio, new_mask = _ratios(x, mask, kernel, stride, padding, dilation)
    x = windows.pad(_masked(x, mask), windows.borders(padding, 2), 0.0)
    weight = windows.filters_first(weights["weight"], filter_layout)
    steps, gaps = windows.per_axis(stride), windows.per_axis(dilation)
    y = np.full((x.shape[0], out_channels, *ratio.shape[2:]), 0.0, dtype=x.dtype)
    for to, tap, source in windows.products(x.shape, weight.shape, steps, gaps, 1):
        y[to] = mac(y[to], weight[tap], x[source])
    for n, k, p, q in np.ndindex(y.shape):
        value = y[n, k, p, q] * ratio[n, 0, p, q]
        y[n, k, p, q] = (value + weights["bias"][k]) * new_mask[n, 0, p, q] if bias else value
    return windows.in_layout(y, layout), windows.in_layout(new_mask, layout)


def partial_conv2d_kept(
    x: Array,
    mask: Array,
    *,
    weights: Weights,
    out_channels: int,
    kernel: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    bias: bool,
    layout: str = "nchw",
    filter_layout: str = "kcrs",
) -> Gradients:
    x, mask = windows.channels_first(x, layout), windows.channels_first(mask, layout)
    ratio, _ = _ratios(x, mask, kernel, stride, padding, dilation)
    return {"ratio": windows.in_layout(ratio, layout)}


def _masked(x: Array, mask: Array) -> Array:
    out = np.empty_like(x)
    for n, c, h, w in np.ndindex(x.shape):
        out[n, c, h, w] = x[n, c, h, w] * mask[n, 0, h, w]
    return out


def _ratios(
    x: Array, mask: Array, kernel: Any, stride: Any, padding: Any, dilation: Any
) -> tuple[Array, Array]:
    mask = windows.pad(mask, windows.borders(padding, 2), 0.0)
    R, S = windows.per_axis(kernel)
    dr, ds = windows.per_axis(dilation)
    tops, lefts = windows.positions(mask.shape[2:], (R, S), windows.per_axis(stride), (dr, ds))
    ratio = np.empty((mask.shape[0], 1, len(tops), len(lefts)), dtype=x.dtype)
    new_mask = np.empty(ratio.shape, dtype=mask.dtype)
    for n, _, p, q in np.ndindex(ratio.shape):
        total: Any = None
        for r, s in np.ndindex(R, S):
            value = mask[n, 0, tops[p] + r * dr, lefts[q] + s * ds]
            total = value if total is None else total + value
        seen = 1 if total > 0 else 0
        ratio[n, 0, p, q] = R * S / (total + TINY) * seen
        new_mask[n, 0, p, q] = seen
    return ratio, new_mask


def partial_conv2d_grad(
    part: str,
    dy: tuple[Array, Array],
    x: Array,
    mask: Array,
    *,
    output: tuple[Array, Array],
    weights: Weights,
    kept: Weights,
    out_channels: int,
    kernel: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    bias: bool,
    layout: str = "nchw",
    filter_layout: str = "kcrs",
) -> Gradients:
    x, mask, of_y, factor = (
        windows.channels_first(tensor, layout)
        for tensor in (x, mask, dy[0], output[1] if part == "bias" else kept["ratio"])
    )
    weight = windows.filters_first(weights["weight"], filter_layout)
    scaled = np.empty_like(of_y)
    for n, k, p, q in np.ndindex(scaled.shape):
        scaled[n, k, p, q] = of_y[n, k, p, q] * factor[n, 0, p, q]
    if part == "bias":
        return {"bias": windows.channel_sums(scaled)}
    added, image = windows.borders(padding, 2), x.shape[2:]
    steps, gaps = windows.per_axis(stride), windows.per_axis(dilation)
    padded = windows.pad(x if part == "input" else _masked(x, mask), added, 0.0)
    places = windows.products(padded.shape, weight.shape, steps, gaps, 1)
    if part == "input":
        dx = np.full_like(padded, 0.0)
        for to, tap, source in places:
            dx[source] = mac(dx[source], weight[tap], scaled[to])
        dx = _masked(dx[windows.inside(added[0], image)], mask)
        return {"input 0": windows.in_layout(dx, layout)}
    dw = np.full_like(weight, 0.0)
    for to, tap, source in places:
        dw[tap] = mac(dw[tap], scaled[to], padded[source])
    return {"weight": windows.in_filter_layout(dw, filter_layout)}
