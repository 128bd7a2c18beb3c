"""An affine layer with a sparse weight, as the dense one it stands for."""

from __future__ import annotations

from typing import Any

CASES: dict[str, Any] = {}
APART = {"sparse_affine"}
