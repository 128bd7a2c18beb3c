"""Sizes along the two axes of an image, and its padding, made real."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._numbers import Array, constant


def per_axis(value: Any) -> tuple[int, int]:
    """Return (vertical, horizontal) of a size that may be given once for both."""
    return (value[0], value[1]) if isinstance(value, tuple | list) else (value, value)


def pad(x: Array, padding: Any, fill: float) -> Array:
    """Return x[N,C,H,W] inside a border of ``fill``.

    ``padding`` is one width, (vertical, horizontal), or (top, left, bottom, right).
    """
    if isinstance(padding, tuple | list) and len(padding) == 4:
        top, left, bottom, right = padding
    else:
        top, left = bottom, right = per_axis(padding)
    N, C, H, W = x.shape
    shape = (N, C, top + H + bottom, left + W + right)
    out = np.full(shape, constant(x.flat[0], fill), dtype=x.dtype)
    out[:, :, top : top + H, left : left + W] = x
    return out
