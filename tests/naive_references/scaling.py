"""References of scales by channel."""

from __future__ import annotations

from typing import Any

CASES: dict[str, Any] = {
    "scale": [
        ({"axis": -1}, [(2, 3, 5)], {"factor": (5,)}, lambda x, w: x * w["factor"]),
        ({"axis": 1}, [(2, 3, 5)], {"factor": (3,)}, lambda x, w: x * w["factor"][:, None]),
    ],
}

APART: set[str] = set()
