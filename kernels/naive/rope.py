"""Naive rotary position embedding."""

from __future__ import annotations

import numpy as np

from ._numbers import Array, Gradients, Weights


def rope(x: Array, *, weights: Weights, head_dim: int, rotary_dim: int = 0) -> Array:
    """Turn neighbours (2i, 2i+1); the table's row holds R/2 cosines, then R/2 sines."""
    table = weights["table"]
    B, S, columns = x.shape
    D, R = head_dim, rotary_dim or head_dim
    y = np.empty(x.shape, dtype=x.dtype)
    for b, s in np.ndindex(B, S):
        for start in range(0, columns, D):
            for i in range(R // 2):
                cosine, sine = table[s, i], table[s, R // 2 + i]
                even, odd = x[b, s, start + 2 * i], x[b, s, start + 2 * i + 1]
                y[b, s, start + 2 * i] = even * cosine - odd * sine
                y[b, s, start + 2 * i + 1] = even * sine + odd * cosine
            for i in range(R, D):
                y[b, s, start + i] = x[b, s, start + i]
    return y


def rope_grad(
    part: str,
    dy: Array,
    x: Array,
    *,
    output: Array,
    weights: Weights,
    head_dim: int,
    rotary_dim: int = 0,
) -> Gradients:
    """Turn back: the transpose of a rotation is its inverse."""
    table = weights["table"]
    B, S, columns = x.shape
    D, R = head_dim, rotary_dim or head_dim
    dx = np.empty_like(x)
    for b, s in np.ndindex(B, S):
        for start in range(0, columns, D):
            for i in range(R // 2):
                cosine, sine = table[s, i], table[s, R // 2 + i]
                even, odd = dy[b, s, start + 2 * i], dy[b, s, start + 2 * i + 1]
                dx[b, s, start + 2 * i] = even * cosine + odd * sine
                dx[b, s, start + 2 * i + 1] = odd * cosine - even * sine
            for i in range(R, D):
                dx[b, s, start + i] = dy[b, s, start + i]
    return {"input 0": dx}
