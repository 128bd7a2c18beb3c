"""Naive convolution, as deep learning uses the word."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._numbers import Array, Weights, mac
from ._windows import pad, per_axis


def conv2d(
    x: Array,
    *,
    weights: Weights,
    out_channels: int,
    kernel: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
    bias: bool,
) -> Array:
    x = pad(x, padding, 0.0)
    weight = weights["weight"]
    N, C, H, W = x.shape
    K = out_channels
    (R, S), (u, v), (dr, ds) = per_axis(kernel), per_axis(stride), per_axis(dilation)
    C_group, K_group = C // groups, K // groups
    tops = range(0, H - dr * (R - 1), u)
    lefts = range(0, W - ds * (S - 1), v)
    y = np.empty((N, K, len(tops), len(lefts)), dtype=x.dtype)
    for n in range(N):
        for k in range(K):
            first = k // K_group * C_group
            for p, top in enumerate(tops):
                for q, left in enumerate(lefts):
                    acc = 0.0
                    for c in range(C_group):
                        for r in range(R):
                            for s in range(S):
                                value = x[n, first + c, top + r * dr, left + s * ds]
                                acc = mac(acc, weight[k, c, r, s], value)
                    y[n, k, p, q] = acc + weights["bias"][k] if bias else acc
    return y
