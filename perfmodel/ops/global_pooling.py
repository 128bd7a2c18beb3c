"""Pooling of a whole image to one value a channel, whatever the image's rank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from perfmodel.core import (
    IMAGE_AXES,
    LAYOUTS,
    REQUIRED,
    Bound,
    Gradient,
    Inferred,
    Operator,
    Precision,
    Tensor,
    Work,
    WorkBuilder,
    axes_text,
    choice,
    gradient_of,
    in_layout,
    split_layout,
)


def _sizes(rank: int) -> dict[str, Any]:
    return {**dict.fromkeys(("n", "c", *IMAGE_AXES[-rank:]), REQUIRED), "layout": "nchw"}


_SMALL_1D = (
    {"n": 1, "c": 2, "w": 4},
    {"n": 2, "c": 3, "w": 5, "layout": "nhwc"},
    {"n": 1, "c": 1, "w": 2},
)
_SMALL_2D = (
    {"n": 1, "c": 2, "h": 3, "w": 3},
    {"n": 2, "c": 3, "h": 1, "w": 5, "layout": "nhwc"},
    {"n": 1, "c": 1, "h": 1, "w": 2},
)
_SMALL_3D = (
    {"n": 1, "c": 2, "d": 2, "h": 3, "w": 2},
    {"n": 2, "c": 3, "d": 3, "h": 1, "w": 2, "layout": "nhwc"},
    {"n": 1, "c": 1, "d": 1, "h": 1, "w": 2},
)


@dataclass(frozen=True)
class GlobalPool(Operator):
    """Base of pooling over a whole image of ``rank`` axes: ``x[N,C,...] -> y[N,C,1,...]``."""

    category = "reduction"
    rank: ClassVar[int]
    largest: ClassVar[bool]

    layout: str = choice("nchw", LAYOUTS, doc="activations with channels first or last")

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (x,) = inputs
        self.need_rank(x, self.rank + 2, axes_text("x", self.rank, self.layout))
        n, c, _ = split_layout(x.shape, self.layout)
        return Inferred((x.like(*in_layout(n, c, (1,) * self.rank, self.layout)),))

    def work(self, t: Bound) -> Work:
        operations = t.x.elements - t.y.elements if self.largest else t.x.elements
        builder = WorkBuilder().read(t.x).write(t.y).count("vector", t.x.dtype, operations)
        return builder.build()

    def gradients(self, t: Bound) -> list[Gradient]:
        saved = (t.x,) if self.largest else ()
        dy = gradient_of(t.y)
        builder = WorkBuilder().read(dy, *saved).write(gradient_of(t.x))
        operations = t.x.elements - t.y.elements if self.largest else t.y.elements
        builder.count("vector", dy.dtype, operations)
        return [Gradient("input", (t.x,), saved, builder.build())]


@dataclass(frozen=True)
class GlobalAvgPool1d(GlobalPool):
    """Global average pooling: ``x[N,C,W] -> y[N,C,1]``, the mean of each channel.

    ``W - 1`` additions and one multiplication a channel; backward one
    multiplication a channel, whose product is written to all its values.
    Source: Lin, Chen and Yan, "Network in network", arXiv:1312.4400.
    """

    name = "global_avg_pool1d"
    rank = 1
    largest = False
    sizes = _sizes(1)
    input_sizes = tuple("ncw")
    example = "global_avg_pool1d:n=32,c=512,w=100"
    small = _SMALL_1D


@dataclass(frozen=True)
class GlobalAvgPool2d(GlobalPool):
    """Global average pooling: ``x[N,C,H,W] -> y[N,C,1,1]``, the mean of each channel.

    ``H W - 1`` additions and one multiplication a channel; backward one
    multiplication a channel, whose product is written to all its values.
    Source: Lin, Chen and Yan, "Network in network", arXiv:1312.4400.
    """

    name = "global_avg_pool2d"
    rank = 2
    largest = False
    sizes = _sizes(2)
    input_sizes = tuple("nchw")
    example = "global_avg_pool2d:n=32,c=2048,h=7,w=7"
    small = _SMALL_2D


@dataclass(frozen=True)
class GlobalAvgPool3d(GlobalPool):
    """Global average pooling: ``x[N,C,D,H,W] -> y[N,C,1,1,1]``, the mean of each channel.

    ``D H W - 1`` additions and one multiplication a channel; backward one
    multiplication a channel, whose product is written to all its values.
    Source: Lin, Chen and Yan, "Network in network", arXiv:1312.4400.
    """

    name = "global_avg_pool3d"
    rank = 3
    largest = False
    sizes = _sizes(3)
    input_sizes = tuple("ncdhw")
    example = "global_avg_pool3d:n=8,c=512,d=4,h=7,w=7"
    small = _SMALL_3D


@dataclass(frozen=True)
class GlobalMaxPool1d(GlobalPool):
    """Global max pooling: ``x[N,C,W] -> y[N,C,1]``, the largest of each channel.

    ``W - 1`` comparisons a channel; backward compares again, and moves dy to the largest.
    Source: Oquab et al., "Is object localization for free?", CVPR 2015.
    """

    name = "global_max_pool1d"
    rank = 1
    largest = True
    sizes = _sizes(1)
    input_sizes = tuple("ncw")
    example = "global_max_pool1d:n=32,c=512,w=100"
    small = _SMALL_1D


@dataclass(frozen=True)
class GlobalMaxPool2d(GlobalPool):
    """Global max pooling: ``x[N,C,H,W] -> y[N,C,1,1]``, the largest of each channel.

    ``H W - 1`` comparisons a channel; backward compares again, and moves dy to the largest.
    Source: Oquab et al., "Is object localization for free?", CVPR 2015.
    """

    name = "global_max_pool2d"
    rank = 2
    largest = True
    sizes = _sizes(2)
    input_sizes = tuple("nchw")
    example = "global_max_pool2d:n=32,c=2048,h=7,w=7"
    small = _SMALL_2D


@dataclass(frozen=True)
class GlobalMaxPool3d(GlobalPool):
    """Global max pooling: ``x[N,C,D,H,W] -> y[N,C,1,1,1]``, the largest of each channel.

    ``D H W - 1`` comparisons a channel; backward compares again, and moves dy to the largest.
    Source: Oquab et al., "Is object localization for free?", CVPR 2015.
    """

    name = "global_max_pool3d"
    rank = 3
    largest = True
    sizes = _sizes(3)
    input_sizes = tuple("ncdhw")
    example = "global_max_pool3d:n=8,c=512,d=4,h=7,w=7"
    small = _SMALL_3D
