"""The selective scan as a sum over all earlier steps, without a recurrence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def scan(x: Array, delta: Array, b: Array, c: Array, w: Mapping[str, Array]) -> Array:
    elapsed = np.cumsum(delta, axis=1)
    between = elapsed[:, :, None] - elapsed[:, None]  # B, T, U, D
    kernel = np.exp(between[..., None] * w["decay"]) * np.tri(x.shape[1])[None, :, :, None, None]
    return np.einsum("btn,btudn,bun,bud->btd", c, kernel, b, delta * x) + w["skip"] * x


def duality(x: Array, delta: Array, b: Array, c: Array, w: Mapping[str, Array]) -> Array:
    """Two groups, four heads: the whole masked matrix of a head at once."""
    (B, T, _), H, G = x.shape, 4, 2
    values = x.reshape(B, T, H, -1)
    into, out = (t.reshape(B, T, G, -1).repeat(H // G, axis=2) for t in (b, c))
    elapsed = np.cumsum(delta * w["decay"], axis=1)
    fade = np.exp(elapsed[:, :, None] - elapsed[:, None]) * np.tri(T)[None, :, :, None]
    scores = np.einsum("bthn,buhn->btuh", out, into) * fade
    y = np.einsum("btuh,buhp->bthp", scores, values * delta[..., None])
    return (y + w["skip"][:, None] * values).reshape(x.shape)


CASES = {
    "ssm_scan": [
        ({"state": 3}, [(2, 4, 5), (2, 4, 5), (2, 4, 3), (2, 4, 3)],
         {"decay": (5, 3), "skip": (5,)}, scan),
    ],
    "ssd_scan": [
        ({"heads": 4, "groups": 2, "chunk": chunk, "algorithm": algorithm},
         [(2, 7, 12), (2, 7, 4), (2, 7, 6), (2, 7, 6)], {"decay": (4,), "skip": (4,)}, duality)
        for chunk, algorithm in ((1, "chunked"), (3, "chunked"), (9, "chunked"), (2, "recurrent"))
    ],
}  # fmt: skip
APART: set[str] = set()
