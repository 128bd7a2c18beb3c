"""References of dropout: in inference nothing happens; training is tested apart."""

from __future__ import annotations

from typing import Any

CASES: dict[str, Any] = {
    "dropout": [({"rate": "0.5", "training": False}, [(2, 3, 5)], {}, lambda x, w: x)],
}

APART: set[str] = set()
