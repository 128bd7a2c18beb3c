"""References of cyclic shifts."""

from __future__ import annotations

from typing import Any

import numpy as np

CASES: dict[str, Any] = {
    "roll": [
        ({"shifts": (2,), "axes": (1,)}, [(2, 3, 5)], {}, lambda x, w: np.roll(x, 2, 1)),
        ({"shifts": (-3, 7), "axes": (0, -1)}, [(4, 3, 5)], {},
         lambda x, w: np.roll(x, (-3, 7), (0, 2))),
    ],
}  # fmt: skip

APART: set[str] = set()
