"""SLIDE's neurons depend on its buckets, so it is compared apart, in test_slide.py."""

from typing import Any

CASES: dict[str, Any] = {}
APART = {"slide_affine"}
