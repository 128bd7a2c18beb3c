"""Embeddings take indices, so they are compared apart, in test_embedding.py."""

from typing import Any

CASES: dict[str, Any] = {}
APART = {"embedding_bag", "one_hot_affine"}
