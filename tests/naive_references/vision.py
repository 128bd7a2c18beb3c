"""Object detection is compared in test_movement_kernels: boxes are no random numbers."""

from __future__ import annotations

from typing import Any

CASES: dict[str, Any] = {}
APART: set[str] = {"nms", "roi_align"}
