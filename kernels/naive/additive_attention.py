"""Naive additive attention."""

from __future__ import annotations

import numpy as np

from ._attending import accumulate, dot, sum_in_order
from ._numbers import Array, Gradients, Weights, softmax_row, tanh


def additive_attention(q: Array, k: Array, *, weights: Weights, units: int) -> Array:
    return _run(q, k, weights)[0]


def additive_attention_kept(q: Array, k: Array, *, weights: Weights, units: int) -> Gradients:
    return _run(q, k, weights)[1]


def _run(q: Array, k: Array, weights: Weights) -> tuple[Array, Gradients]:
    (B, S, _), (_, T, D) = q.shape, k.shape
    into = weights["score_weight"]
    y = np.empty((B, S, D), dtype=q.dtype)
    of_query = np.empty((B, S, len(into)), dtype=q.dtype)
    of_key = np.empty((B, T, len(into)), dtype=q.dtype)
    probabilities = np.empty((B, S, T), dtype=q.dtype)
    for b in range(B):
        for source, name, made in (
            (q[b], "query_weight", of_query[b]),
            (k[b], "key_weight", of_key[b]),
        ):
            for i, vector in enumerate(source):
                for unit, row in enumerate(weights[name]):
                    made[i, unit] = dot(row, vector)
        for i in range(S):
            scores = [
                dot(into, [tanh(s + t) for s, t in zip(of_query[b, i], of_key[b, j], strict=True)])
                for j in range(T)
            ]
            probabilities[b, i] = softmax_row(scores)
            for d in range(D):
                y[b, i, d] = dot(probabilities[b, i], k[b, :, d])
    return y, {
        "query_projection": of_query,
        "key_projection": of_key,
        "probabilities": probabilities,
    }


def additive_attention_grad(
    part: str, dy: Array, q: Array, k: Array, *, output: Array, weights: Weights, kept: Weights,
    units: int,
) -> Gradients:  # fmt: skip
    (B, S, _), T = q.shape, k.shape[1]
    dq, dk = np.full_like(q, 0.0), np.full_like(k, 0.0)
    made = {name: np.full_like(weight, 0.0) for name, weight in weights.items()}
    into = weights["score_weight"]
    for b in range(B):
        # Gradients of the sums under each tanh, by query, key and unit.
        inside = np.empty((S, T, units), dtype=q.dtype)
        for i in range(S):
            p = kept["probabilities"][b, i]
            dp = [dot(dy[b, i], k[b, j]) for j in range(T)]
            along = sum_in_order([p[j] * dp[j] for j in range(T)])
            for j in range(T):
                accumulate(dk[b, j], p[j], dy[b, i])
                dscore = (dp[j] - along) * p[j]
                of_query, of_key = kept["query_projection"][b, i], kept["key_projection"][b, j]
                bent = [tanh(s + t) for s, t in zip(of_query, of_key, strict=True)]
                accumulate(made["score_weight"], dscore, bent)
                for unit, value in enumerate(bent):
                    inside[i, j, unit] = dscore * into[unit] * (1.0 - value * value)
        for name, source, target, sums in (
            ("query_weight", q[b], dq[b], inside),
            ("key_weight", k[b], dk[b], inside.swapaxes(0, 1)),
        ):
            for i, rows in enumerate(sums):
                for unit in range(units):
                    value = sum_in_order(list(rows[:, unit]))
                    accumulate(made[name][unit], value, source[i])
                    accumulate(target[i], value, weights[name][unit])
    return {"input 0": dq, "input 1": dk, **made}
