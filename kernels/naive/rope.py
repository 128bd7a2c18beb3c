"""Naive rotary position embedding."""

from __future__ import annotations

import numpy as np

from ._numbers import Array, Gradients, Weights


def rope(x: Array, *, weights: Weights, head_dim: int) -> Array:
    """Turn neighbours (2i, 2i+1); the table's row holds D/2 cosines, then D/2 sines."""
    table = weights["table"]
    B, S, columns = x.shape
    D = head_dim
    y = np.empty(x.shape, dtype=x.dtype)
    for b, s in np.ndindex(B, S):
        for start in range(0, columns, D):
            for i in range(D // 2):
                cosine, sine = table[s, i], table[s, D // 2 + i]
                even, odd = x[b, s, start + 2 * i], x[b, s, start + 2 * i + 1]
                y[b, s, start + 2 * i] = even * cosine - odd * sine
                y[b, s, start + 2 * i + 1] = even * sine + odd * cosine
    return y


def rope_grad(
    part: str, dy: Array, x: Array, *, output: Array, weights: Weights, head_dim: int
) -> Gradients:
    """Turn back: the transpose of a rotation is its inverse."""
    table = weights["table"]
    B, S, columns = x.shape
    D = head_dim
    dx = np.empty_like(x)
    for b, s in np.ndindex(B, S):
        for start in range(0, columns, D):
            for i in range(D // 2):
                cosine, sine = table[s, i], table[s, D // 2 + i]
                even, odd = dy[b, s, start + 2 * i], dy[b, s, start + 2 * i + 1]
                dx[b, s, start + 2 * i] = even * cosine + odd * sine
                dx[b, s, start + 2 * i + 1] = odd * cosine - even * sine
    return {"input 0": dx}
