"""References of losses."""

from __future__ import annotations

from typing import Any

import numpy as np

PAIR = [(2, 3, 5), (2, 3, 5)]


def binary_cross_entropy(x: Any, target: Any) -> Any:
    share = np.reciprocal(1 + np.exp(-x))
    return -target * np.log(share) - (1 - target) * np.log(1 - share)


CASES: dict[str, Any] = {
    "binary_cross_entropy": [
        ({"reduction": "mean"}, PAIR, {}, lambda x, t, w: binary_cross_entropy(x, t).mean()),
        ({"reduction": "none"}, PAIR, {}, lambda x, t, w: binary_cross_entropy(x, t)),
    ],
    "mse": [
        ({"reduction": "mean"}, PAIR, {}, lambda x, t, w: np.mean((x - t) ** 2)),
        ({"reduction": "none"}, PAIR, {}, lambda x, t, w: (x - t) ** 2),
    ],
}

#: its target is an index
APART = {"cross_entropy"}
