"""Layouts: where channels stand among the axes of activations and of filters."""

from __future__ import annotations

from collections.abc import Sequence

from perfmodel.core.dims import Dim

#: activations with channels first or last, whatever the rank of the image
LAYOUTS = ("nchw", "nhwc")
#: filters: output channels, input channels, taps; or taps, input, output channels
FILTER_LAYOUTS = ("kcrs", "rsck")
#: inline sizes of an image's axes, of a window's and of positions; the last `rank` of each
IMAGE_AXES, TAP_AXES, OUTPUT_AXES = ("d", "h", "w"), ("t", "r", "s"), ("o", "p", "q")


def axes_text(name: str, rank: int, layout: str, axes: Sequence[str] = IMAGE_AXES) -> str:
    """Write a tensor of images with ``rank`` axes for a message: ``x[N,C,H,W]``."""
    letters = [axis.upper() for axis in axes[-rank:]]
    placed = [*letters, "C"] if layout == "nhwc" else ["C", *letters]
    return f"{name}[{','.join(['N', *placed])}]"


def split_layout(shape: Sequence[Dim], layout: str) -> tuple[Dim, Dim, tuple[Dim, ...]]:
    """Return batch, channels and image of an activation's shape."""
    if layout == "nhwc":
        return shape[0], shape[-1], tuple(shape[1:-1])
    return shape[0], shape[1], tuple(shape[2:])


def in_layout(batch: Dim, channels: Dim, image: Sequence[Dim], layout: str) -> tuple[Dim, ...]:
    """Return the shape of an activation."""
    if layout == "nhwc":
        return (batch, *image, channels)
    return (batch, channels, *image)


def filter_shape(filters: Dim, channels: Dim, taps: Sequence[Dim], layout: str) -> tuple[Dim, ...]:
    """Return the shape of a bank of filters."""
    if layout == "rsck":
        return (*taps, channels, filters)
    return (filters, channels, *taps)
