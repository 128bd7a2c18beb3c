"""Mixture of experts: every expert on every token, weighted by zero where not chosen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def moe(x: Array, w: Mapping[str, Array], k: int) -> Array:
    logits = w["logits"] if "logits" in w else x @ w["router"].T
    p = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    p = np.where(p >= np.sort(p, axis=-1)[..., -k, None], p, 0)
    hidden = np.einsum("...d,eid->...ei", x, w["up_weight"])
    if "gate_weight" in w:
        gate = np.einsum("...d,eid->...ei", x, w["gate_weight"])
        hidden = hidden * gate / (1 + np.exp(-gate))
    else:
        hidden = np.maximum(hidden, 0)
    return np.einsum("...ei,edi,...e->...d", hidden, w["down_weight"], p)


SHAPES = {"router": (4, 5), "up_weight": (4, 2, 5), "down_weight": (4, 5, 2)}
COMMON = {"intermediate": 2, "experts": 4, "top_k": 2}

CASES = {
    "moe": [
        ({**COMMON, "activation": "swiglu", "imbalance": "1"}, [(2, 3, 5)],
         {**SHAPES, "gate_weight": (4, 2, 5)}, lambda x, w: moe(x, w, 2)),
        ({**COMMON, "activation": "relu", "imbalance": "1.5"}, [(2, 3, 5)], SHAPES,
         lambda x, w: moe(x, w, 2)),
        ({**COMMON, "activation": "relu", "imbalance": "1", "routed": True}, [(6, 5), (6, 4)],
         {k: v for k, v in SHAPES.items() if k != "router"},
         lambda x, s, w: moe(x, {**w, "logits": s}, 2)),
    ],
}  # fmt: skip
APART: set[str] = set()
