"""Naive attention, backward: by computing scores again, and from kept probabilities."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ._attending import (
    HIDDEN,
    Bias,
    accumulate,
    dot,
    flash_backward,
    sum_in_order,
    visible_keys,
)
from ._numbers import Array, Gradients, Number, Weights


def attention_kept(
    q: Array, k: Array, v: Array, bias: Array | None = None, *, weights: Weights, **a: Any
) -> Gradients:
    """Return what the algorithm keeps: a number a row, or all probabilities."""
    D, (B, S, _), length = q.shape[-1] // a["q_heads"], q.shape, k.shape[1]
    visible = np.zeros((S, length), dtype=bool)
    for i in range(S):
        visible[i, list(visible_keys(i, S, length, a["causal"], a["window"]))] = True
    queries = q.reshape(B, S, a["q_heads"], D)
    keys = k.reshape(B, length, a["kv_heads"], D).repeat(a["q_heads"] // a["kv_heads"], axis=2)
    scores = np.einsum("bihd,bjhd->bhij", queries, keys) / math.sqrt(D)
    if bias is not None:
        scores = scores + np.tile(bias, (B // bias.shape[0], 1, 1, 1))
    masked = scores + np.where(visible, 0.0, HIDDEN)
    if a["algorithm"] == "unfused":
        powers = np.exp(masked - masked.max(axis=-1, keepdims=True))
        return {"probabilities": powers / powers.sum(axis=-1, keepdims=True)}
    # A row that sees no key has no statistics; any finite number stands for them.
    sums = np.where(visible.any(axis=-1), np.exp(masked).sum(axis=-1), 1.0)
    return {"log_sum_exp": np.log(sums)}


def attention_grad(
    part: str, dy: Array, q: Array, k: Array, v: Array, bias: Array | None = None, *,
    output: Array, weights: Weights, kept: Weights, **a: Any,
) -> Gradients:  # fmt: skip
    (B, S, _), length = q.shape, k.shape[1]
    q_heads, kv_heads = a["q_heads"], a["kv_heads"]
    D, E = q.shape[-1] // q_heads, v.shape[-1] // kv_heads
    made = [np.full_like(tensor, 0.0) for tensor in (q, k, v)]
    of_bias: dict[tuple[int, ...], Number] = {}
    for b in range(B):
        for h in range(q_heads):
            shared = h // (q_heads // kv_heads)
            mine, keys = slice(h * D, (h + 1) * D), slice(shared * D, (shared + 1) * D)
            rows, values = slice(h * E, (h + 1) * E), slice(shared * E, (shared + 1) * E)
            head = (q[b, :, mine], k[b, :, keys], v[b, :, values], dy[b, :, rows])
            gradients = (made[0][b, :, mine], made[1][b, :, keys], made[2][b, :, values])
            added = None if bias is None else Bias(bias, of_bias, b, h)
            if a["algorithm"] == "unfused":
                _from_probabilities(kept["probabilities"][b, h], head, gradients, added)
            else:
                visible = [visible_keys(i, S, length, a["causal"], a["window"]) for i in range(S)]
                statistics = (output[b, :, rows], kept["log_sum_exp"][b, h])
                flash_backward(visible, statistics, head, gradients, 1.0 / math.sqrt(D), added)
    if bias is not None:
        made.append(np.full_like(bias, 0.0))
        for at, gradient in of_bias.items():
            made[3][at] = gradient
    return {f"input {i}": gradient for i, gradient in enumerate(made)}


def _from_probabilities(
    probabilities: Array,
    head: tuple[Array, ...],
    gradients: tuple[Array, ...],
    bias: Bias | None,
) -> None:
    (q, k, v, dy), (dq, dk, dv) = head, gradients
    scale = 1.0 / math.sqrt(q.shape[1])
    for i, row in enumerate(probabilities):
        dp = [dot(dy[i], values) for values in v]
        along = sum_in_order([p * g for p, g in zip(row, dp, strict=True)])
        for j, p in enumerate(row):
            ds = (dp[j] - along) * p
            if bias is not None:
                bias.add(i, j, ds)
            ds = ds * scale
            accumulate(dv[j], p, dy[i])
            accumulate(dq[i], ds, k[j])
            accumulate(dk[j], ds, q[i])
