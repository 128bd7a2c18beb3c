"""Naive attention, by two algorithms, and rotary position embedding."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ._numbers import Array, Number, Weights, exp, mac, softmax_row

#: keys that the flash algorithm handles between two rescalings
KEY_BLOCK = 128
#: added to a score that a query must not see; finite, so that no mask makes a NaN
HIDDEN = -1e30

Head = Callable[[Array, Array, Array, list[range], bool], list[list[Number]]]


def attention(
    q: Array,
    k: Array,
    v: Array,
    *,
    weights: Weights,
    q_heads: int,
    kv_heads: int,
    causal: bool,
    window: int,
    context: int,
    cached: bool,
    algorithm: str,
    k_cache: Array | None = None,
    v_cache: Array | None = None,
) -> Array:
    B, S, _ = q.shape
    D, E = q.shape[-1] // q_heads, v.shape[-1] // kv_heads
    length = context + k.shape[1]
    visible = [_visible(i, S, length, causal, window) for i in range(S)]
    head: Head = {"flash": _flash, "unfused": _unfused}[algorithm]
    y = np.empty((B, S, q_heads * E), dtype=q.dtype)
    for b in range(B):
        for h in range(q_heads):
            shared = h // (q_heads // kv_heads)
            keys = k[b, :, shared * D : (shared + 1) * D]
            values = v[b, :, shared * E : (shared + 1) * E]
            if k_cache is not None and v_cache is not None:
                keys = np.concatenate([k_cache[b, shared], keys])
                values = np.concatenate([v_cache[b, shared], values])
            queries = q[b, :, h * D : (h + 1) * D]
            for i, row in enumerate(head(queries, keys, values, visible, causal or window > 0)):
                for e in range(E):
                    y[b, i, h * E + e] = row[e]
    return y


def _visible(i: int, S: int, length: int, causal: bool, window: int) -> range:
    """Return the keys that query ``i`` of ``S`` sees; the queries stand at the end of the keys."""
    place = length - S + i
    if causal:
        end = max(place + 1, 0)
        return range(max(end - window, 0) if window else 0, end)
    width = min(window, length) if window else length
    first = min(max(place - width // 2, 0), length - width)
    return range(first, first + width)


def _score(query: Array, key: Array) -> Number:
    acc = 0.0
    for d in range(len(query)):
        acc = mac(acc, query[d], key[d])
    return acc * (1.0 / math.sqrt(len(query)))


def _flash(q: Array, k: Array, v: Array, visible: list[range], masked: bool) -> list[list[Number]]:
    E = v.shape[1]
    rows: list[list[Number]] = []
    for i, seen in enumerate(visible):
        largest: Number = None
        total: Number = None
        out: list[Number] = [0.0] * E
        for at in range(0, len(seen), KEY_BLOCK):
            block = seen[at : at + KEY_BLOCK]
            scores = [_score(q[i], k[j]) for j in block]
            before = largest
            for score in scores:
                largest = score if largest is None else max(largest, score)
            if before is not None:
                rescale = exp(before - largest)
                total = total * rescale
                out = [value * rescale for value in out]
            for j, score in zip(block, scores, strict=True):
                power = exp(score - largest)
                total = power if total is None else total + power
                for e in range(E):
                    out[e] = mac(out[e], power, v[j, e])
        if total is not None:
            reciprocal = 1.0 / total
            out = [value * reciprocal for value in out]
        rows.append(out)
    return rows


def _unfused(
    q: Array, k: Array, v: Array, visible: list[range], masked: bool
) -> list[list[Number]]:
    length, E = v.shape
    rows: list[list[Number]] = []
    for i, seen in enumerate(visible):
        scores = [_score(q[i], k[j]) for j in range(length)]
        if masked:
            scores = [s + (0.0 if j in seen else HIDDEN) for j, s in enumerate(scores)]
        out: list[Number] = [0.0] * E
        for j, probability in enumerate(softmax_row(scores)):
            for e in range(E):
                out[e] = mac(out[e], probability, v[j, e])
        rows.append(out)
    return rows


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
