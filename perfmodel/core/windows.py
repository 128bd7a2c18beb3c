"""Sliding windows over an image of any rank: sizes an axis, borders, positions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from perfmodel.core.dims import Dim, ceil_div, is_scalar, largest, show, smallest, where
from perfmodel.errors import InputError

#: how a border is chosen: as given, so that positions are input / stride, or none
PAD_MODES = ("explicit", "same", "valid")


def per_axis(value: Any, rank: int) -> tuple[Dim, ...]:
    """Return a size that may be given once for all axes as one an axis."""
    if isinstance(value, tuple | list):
        if len(value) != rank:
            raise InputError(f"found {len(value)} sizes for {rank} axes of the image")
        return tuple(value)
    return (value,) * rank


def both(value: Dim | Sequence[Dim]) -> tuple[Dim, Dim]:
    """Return a pair attribute as (height, width)."""
    height, width = per_axis(value, 2)
    return height, width


def split_borders(value: Any, rank: int) -> tuple[tuple[Dim, ...], tuple[Dim, ...]]:
    """Return a padding attribute as borders before the image and after it, one an axis.

    It is one border, one an axis, or all borders before and then all after.
    """
    if isinstance(value, tuple | list) and len(value) == 2 * rank:
        return tuple(value[:rank]), tuple(value[rank:])
    alike = per_axis(value, rank)
    return alike, alike


def borders(value: Any) -> tuple[Dim, Dim, Dim, Dim]:
    """Return a padding attribute of an image as (top, left, bottom, right)."""
    (top, left), (bottom, right) = split_borders(value, 2)
    return top, left, bottom, right


def window_outputs(
    name: str,
    image: Sequence[Dim],
    kernel: Any,
    stride: Any,
    padding: Any,
    dilation: Any = 1,
    *,
    pad_mode: str = "explicit",
    ceil_mode: bool = False,
) -> tuple[Dim, ...]:
    """Return the positions of a sliding window along each axis of ``image``.

    ``P = (H + before + after - dilation (R - 1) - 1) // stride + 1``; with
    ``ceil_mode`` the quotient is rounded up, as long as the last window starts
    on the image or on the border before it. Under 'same' P is H / stride rounded up.
    Raises InputError where the window is larger than the padded image.
    """
    rank = len(image)
    before, after = split_borders(padding, rank)
    if pad_mode != "explicit" and any(largest(p) > 0 for p in (*before, *after)):
        raise InputError(f"{name}: padding is given, so pad_mode cannot be '{pad_mode}'")
    steps = per_axis(stride, rank)
    if pad_mode == "same":
        return tuple(ceil_div(extent, step) for extent, step in zip(image, steps, strict=True))
    out = []
    for size, first, last, taps, step, gap in zip(
        image, before, after, per_axis(kernel, rank), steps, per_axis(dilation, rank), strict=True
    ):
        extent, window = size + first + last, gap * (taps - 1) + 1
        if smallest(extent - window) < 0:
            raise InputError(
                f"{name}: a window of {show(window)} does not fit into"
                f" {show(extent)} (image plus padding)"
            )
        if not ceil_mode:
            out.append((extent - window) // step + 1)
            continue
        more = ceil_div(extent - window, step)
        out.append(more + where(more * step >= size + first, 0, 1))
    return tuple(out)


def window_output(
    name: str, image: tuple[Dim, Dim], kernel: Any, stride: Any, padding: Any, dilation: Any = 1
) -> tuple[Dim, Dim]:
    """Return (P, Q), the positions of a sliding window over ``image`` (H, W)."""
    p, q = window_outputs(name, image, kernel, stride, padding, dilation)
    return p, q


def adaptive_taps(image: Dim, outputs: Dim) -> Dim:
    """Return the values that ``outputs`` adaptive windows along an axis hold together.

    Window i reaches from ``floor(i H / P)`` to ``ceil((i + 1) H / P)``: neighbours
    share a value wherever their border is no whole number, so ``H + P - gcd(H, P)``.
    """
    return image + outputs - _gcd(image, outputs)


def _gcd(a: Dim, b: Dim) -> Dim:
    if is_scalar(a, b):
        return math.gcd(int(a), int(b))
    whole = np.gcd(np.asarray(a, dtype=np.int64), np.asarray(b, dtype=np.int64))
    return whole.astype(np.float64)
