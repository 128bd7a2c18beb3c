"""Layers with sparse weights, as the dense ones they stand for: in tests/test_sparse.py."""

from __future__ import annotations

from typing import Any

CASES: dict[str, Any] = {}
APART = {"sparse_affine", "sparse_conv2d"}
