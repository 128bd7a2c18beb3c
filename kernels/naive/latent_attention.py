"""Naive multi-head latent attention, expanded and absorbed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ._attending import accumulate, flash, flash_backward, visible_keys
from ._numbers import Array, Gradients, Number, Weights, mac


def latent_attention(
    q: Array, c: Array, k_rope: Array, *, weights: Weights, latent_cache: Array | None = None,
    rope_cache: Array | None = None, **a: Any,
) -> Array:  # fmt: skip
    (B, S, _), H = q.shape, a["heads"]
    Dn, Dr, Dv = a["nope_dim"], a["rope_dim"], a["value_dim"]
    scale = 1.0 / math.sqrt(Dn + Dr)
    y = np.empty((B, S, H * Dv), dtype=q.dtype)
    for b in range(B):
        latent, turned = c[b], k_rope[b]
        if latent_cache is not None and rope_cache is not None:
            latent = np.concatenate([latent_cache[b], latent])
            turned = np.concatenate([rope_cache[b], turned])
        visible = [visible_keys(i, S, len(latent), a["causal"], 0) for i in range(S)]
        for h in range(H):
            queries = q[b, :, h * (Dn + Dr) : (h + 1) * (Dn + Dr)]
            up, value_up = weights["key_up"][h], weights["value_up"][h]
            if a["algorithm"] == "absorbed":
                into = _rows_times(queries[:, :Dn], up.T)
                queries = np.concatenate([into, queries[:, Dn:]], axis=1)
                rows = flash(
                    queries, np.concatenate([latent, turned], axis=1), latent, visible, scale
                )
                rows = list(_rows_times(rows, value_up))
            else:
                keys = np.concatenate([_rows_times(latent, up), turned], axis=1)
                rows = flash(queries, keys, _rows_times(latent, value_up), visible, scale)
            for i, row in enumerate(rows):
                for e in range(Dv):
                    y[b, i, h * Dv + e] = row[e]
    return y


def latent_attention_kept(
    q: Array, c: Array, k_rope: Array, *, weights: Weights, **a: Any
) -> Gradients:
    (B, S, _), L, Dn = q.shape, c.shape[1], a["nope_dim"]
    keys = np.einsum("blr,hdr->bhld", c, weights["key_up"])
    queries = q.reshape(B, S, a["heads"], -1)
    scores = np.einsum("bihd,bhjd->bhij", queries[..., :Dn], keys)
    scores = scores + np.einsum("bihd,bjd->bhij", queries[..., Dn:], k_rope)
    visible = np.zeros((S, L), dtype=bool)
    for i in range(S):
        visible[i, list(visible_keys(i, S, L, a["causal"], 0))] = True
    powers = np.exp(scores / math.sqrt(Dn + a["rope_dim"])) * visible
    return {
        "expanded_keys": keys,
        "expanded_values": np.einsum("blr,hdr->bhld", c, weights["value_up"]),
        "log_sum_exp": np.log(np.where(visible.any(axis=-1), powers.sum(axis=-1), 1.0)),
    }


def latent_attention_grad(
    part: str, dy: Array, q: Array, c: Array, k_rope: Array, *, output: Array, weights: Weights,
    kept: Weights, **a: Any,
) -> Gradients:  # fmt: skip
    (B, S, _), L, H = q.shape, c.shape[1], a["heads"]
    Dn, Dv = a["nope_dim"], a["value_dim"]
    D = Dn + a["rope_dim"]
    made = [np.full_like(tensor, 0.0) for tensor in (q, c, k_rope)]
    ups = {name: np.full_like(weights[name], 0.0) for name in ("key_up", "value_up")}
    visible = [visible_keys(i, S, L, a["causal"], 0) for i in range(S)]
    for b in range(B):
        for h in range(H):
            keys = np.concatenate([kept["expanded_keys"][b, h], k_rope[b]], axis=1)
            mine, rows = slice(h * D, (h + 1) * D), slice(h * Dv, (h + 1) * Dv)
            values = kept["expanded_values"][b, h]
            dk, dv = np.full_like(keys, 0.0), np.full_like(values, 0.0)
            dk[:, Dn:] = made[2][b]  # one key with position for all heads: their sum
            flash_backward(
                visible,
                (output[b, :, rows], kept["log_sum_exp"][b, h]),
                (q[b, :, mine], keys, values, dy[b, :, rows]),
                (made[0][b, :, mine], dk, dv),
                1.0 / math.sqrt(D),
            )
            made[2][b] = dk[:, Dn:]
            for j in range(L):
                for name, gradient in (("key_up", dk[j, :Dn]), ("value_up", dv[j])):
                    for d, value in enumerate(gradient):
                        accumulate(made[1][b, j], value, weights[name][h, d])
                        accumulate(ups[name][h, d], value, c[b, j])
    return {**{f"input {i}": gradient for i, gradient in enumerate(made)}, **ups}


def _rows_times(rows: Any, matrix: Array) -> Array:
    """Return ``rows matrix^T``."""
    out = np.empty((len(rows), len(matrix)), dtype=matrix.dtype)
    for i, row in enumerate(rows):
        for d, column in enumerate(matrix):
            acc: Number = 0.0
            for value, factor in zip(row, column, strict=True):
                acc = mac(acc, factor, value)
            out[i, d] = acc
    return out
