"""Naive attention by two algorithms."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ._attending import HIDDEN, flash, of_head, scaled_score, visible_keys
from ._numbers import Array, Number, Weights, mac, softmax_row

Head = Callable[[Array, Array, Array, Array | None, list[range], bool], list[list[Number]]]


def attention(
    q: Array,
    k: Array,
    v: Array,
    bias: Array | None = None,
    *,
    weights: Weights,
    q_heads: int,
    kv_heads: int,
    causal: bool,
    window: int,
    context: int,
    cached: bool,
    algorithm: str,
    page: int = 0,
    k_cache: Array | None = None,
    v_cache: Array | None = None,
) -> Array:
    B, S, _ = q.shape
    D, E = q.shape[-1] // q_heads, v.shape[-1] // kv_heads
    length = context + k.shape[1]
    visible = [visible_keys(i, S, length, causal, window) for i in range(S)]
    head: Head = {"flash": _by_flash, "unfused": _unfused}[algorithm]
    y = np.empty((B, S, q_heads * E), dtype=q.dtype)
    for b in range(B):
        for h in range(q_heads):
            shared = h // (q_heads // kv_heads)
            keys = k[b, :, shared * D : (shared + 1) * D]
            values = v[b, :, shared * E : (shared + 1) * E]
            if k_cache is not None and v_cache is not None:
                # Room beyond the context is the unused end of the last page.
                keys = np.concatenate([k_cache[b, shared, :context], keys])
                values = np.concatenate([v_cache[b, shared, :context], values])
            queries = q[b, :, h * D : (h + 1) * D]
            added = None if bias is None else of_head(bias, b, h)
            made = head(queries, keys, values, added, visible, causal or window > 0)
            for i, row in enumerate(made):
                for e in range(E):
                    y[b, i, h * E + e] = row[e]
    return y


def _by_flash(
    q: Array, k: Array, v: Array, bias: Array | None, visible: list[range], masked: bool
) -> list[list[Number]]:
    return flash(q, k, v, visible, 1.0 / math.sqrt(q.shape[1]), bias)


def _unfused(
    q: Array, k: Array, v: Array, bias: Array | None, visible: list[range], masked: bool
) -> list[list[Number]]:
    length, E = v.shape
    rows: list[list[Number]] = []
    for i, seen in enumerate(visible):
        scores = [scaled_score(q[i], k[j], 1.0 / math.sqrt(len(q[i]))) for j in range(length)]
        if bias is not None:
            scores = [score + bias[i, j] for j, score in enumerate(scores)]
        if masked:
            scores = [s + (0.0 if j in seen else HIDDEN) for j, s in enumerate(scores)]
        out: list[Number] = [0.0] * E
        for j, probability in enumerate(softmax_row(scores)):
            for e in range(E):
                out[e] = mac(out[e], probability, v[j, e])
        rows.append(out)
    return rows
