"""References of optimizers without a second moment."""

from __future__ import annotations

from typing import Any

SHAPE = (3, 5)

CASES: dict[str, Any] = {
    "sgd": [({}, [SHAPE] * 2, {}, lambda p, g, w: p - 0.1 * g)],
    "momentum": [
        ({}, [SHAPE] * 3, {}, lambda p, g, v, w: (p - 0.1 * (0.9 * v + g), 0.9 * v + g)),
    ],
}

#: their second moments are positive
APART = {"adagrad", "adam", "adamw", "lamb", "adafactor"}
