"""Latent attention written as attention over expanded keys and values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def latent(q: Array, c: Array, rope: Array, w: Mapping[str, Array], causal: bool) -> Array:
    heads, nope, _ = w["key_up"].shape
    B, S, _ = q.shape
    L = c.shape[1]
    keys = np.einsum("blr,hdr->blhd", c, w["key_up"])
    shared = np.broadcast_to(rope[:, :, None], (B, L, heads, rope.shape[-1]))
    keys = np.concatenate([keys, shared], axis=-1)
    scores = np.einsum("bihd,bjhd->bhij", q.reshape(B, S, heads, -1), keys)
    scores /= np.sqrt(nope + rope.shape[-1])
    if causal:
        scores = np.where(np.tri(S, L, L - S, dtype=bool), scores, -np.inf)
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    p = powers / powers.sum(axis=-1, keepdims=True)
    values = np.einsum("blr,hdr->blhd", c, w["value_up"])
    return np.einsum("bhij,bjhe->bihe", p, values).reshape(B, S, -1)


ATTRIBUTES = {"heads": 2, "nope_dim": 3, "rope_dim": 2, "value_dim": 4, "context": 0,
              "cached": False}  # fmt: skip

CASES = {
    "latent_attention": [
        ({**ATTRIBUTES, "causal": causal, "algorithm": algorithm},
         [(2, 3, 10), (2, 5, 6), (2, 5, 2)], {"key_up": (2, 3, 6), "value_up": (2, 4, 6)},
         lambda q, c, k, w, causal=causal: latent(q, c, k, w, causal))
        for causal in (True, False) for algorithm in ("expanded", "absorbed")
    ],
}  # fmt: skip
APART: set[str] = set()
