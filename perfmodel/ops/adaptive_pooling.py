"""Pooling to a given number of outputs: adaptive, spatial pyramid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from perfmodel.core import (
    IMAGE_AXES,
    LAYOUTS,
    OUTPUT_AXES,
    REQUIRED,
    Bound,
    Dim,
    Gradient,
    Inferred,
    Operator,
    Precision,
    Tensor,
    Work,
    WorkBuilder,
    adaptive_taps,
    axes_text,
    choice,
    gradient_of,
    in_layout,
    missed,
    pair,
    per_axis,
    size_list,
    split_layout,
)
from perfmodel.core.dims import product, total


def _sizes(rank: int) -> dict[str, Any]:
    """Return inline sizes: an image, and outputs along each axis, as many as along the first."""
    first, *more = OUTPUT_AXES[-rank:]
    image = dict.fromkeys(("n", "c", *IMAGE_AXES[-rank:], first), REQUIRED)
    return {**image, **dict.fromkeys(more, first), "layout": "nchw"}


_SMALL_1D = (
    {"n": 1, "c": 2, "w": 6, "q": 2},
    {"n": 2, "c": 1, "w": 7, "q": 3, "layout": "nhwc"},
    {"n": 1, "c": 3, "w": 3, "q": 4},
)
_SMALL_2D = (
    {"n": 1, "c": 2, "h": 4, "w": 6, "p": 2},
    {"n": 2, "c": 1, "h": 7, "w": 5, "p": 3, "q": 2},
    {"n": 1, "c": 3, "h": 3, "w": 5, "p": 4, "q": 3},
    {"n": 2, "c": 3, "h": 5, "w": 2, "p": 2, "q": 2, "layout": "nhwc"},
)
_SMALL_3D = (
    {"n": 1, "c": 2, "d": 2, "h": 4, "w": 2, "o": 2},
    {"n": 2, "c": 1, "d": 3, "h": 2, "w": 5, "o": 2, "p": 1, "q": 3},
    {"n": 1, "c": 2, "d": 1, "h": 3, "w": 2, "o": 2, "p": 2, "q": 1, "layout": "nhwc"},
)


@dataclass(frozen=True)
class AdaptivePool(Operator):
    """Base of pooling to given numbers of outputs: ``x[N,C,...] -> y[N,C,...]``.

    Along an axis of H values and P outputs window i reaches from ``floor(i H / P)``
    to ``ceil((i + 1) H / P)``; all windows hold ``H + P - gcd(H, P)`` values together.
    """

    category = "reduction"
    rank: ClassVar[int]

    bins: Any = pair(doc="number of outputs along each axis")
    layout: str = choice("nchw", LAYOUTS, doc="activations with channels first or last")

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (x,) = inputs
        self.need_rank(x, self.rank + 2, axes_text("x", self.rank, self.layout))
        n, c, _ = split_layout(x.shape, self.layout)
        made = per_axis(self.bins, self.rank)
        return Inferred((x.like(*in_layout(n, c, made, self.layout)),))

    def _taps(self, t: Bound) -> Dim:
        """Return the values that all windows hold, a value of several counted in each."""
        n, c, image = split_layout(t.x.shape, self.layout)
        bins = per_axis(self.bins, self.rank)
        return n * c * product(adaptive_taps(h, p) for h, p in zip(image, bins, strict=True))

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        shape = [sizes[axis] for axis in ("n", "c", *IMAGE_AXES[-cls.rank :])]
        bins = tuple(sizes[axis] for axis in OUTPUT_AXES[-cls.rank :])
        return cls.with_input(shape, sizes, precision, bins=bins)


@dataclass(frozen=True)
class AdaptiveAvgPool(AdaptivePool):
    """Base of adaptive average pooling.

    A window of V values takes V - 1 additions and one multiplication; backward
    one multiplication and V additions.
    """

    def work(self, t: Bound) -> Work:
        builder = WorkBuilder().read(t.x).write(t.y)
        return builder.count("vector", t.x.dtype, self._taps(t)).build()

    def gradients(self, t: Bound) -> list[Gradient]:
        dy = gradient_of(t.y)
        builder = WorkBuilder().read(dy).write(gradient_of(t.x))
        builder.count("vector", dy.dtype, t.y.elements + self._taps(t))
        return [Gradient("input", (t.x,), (), builder.build())]


@dataclass(frozen=True)
class AdaptiveMaxPool(AdaptivePool):
    """Base of adaptive max pooling.

    A window of V values takes V - 1 comparisons; backward compares again, and
    adds once.
    """

    def work(self, t: Bound) -> Work:
        builder = WorkBuilder().read(t.x).write(t.y)
        return builder.count("vector", t.x.dtype, self._taps(t) - t.y.elements).build()

    def gradients(self, t: Bound) -> list[Gradient]:
        dy = gradient_of(t.y)
        builder = WorkBuilder().read(dy, t.x).write(gradient_of(t.x))
        builder.count("vector", dy.dtype, self._taps(t))
        return [Gradient("input", (t.x,), (t.x,), builder.build())]


@dataclass(frozen=True)
class AdaptiveAvgPool1d(AdaptiveAvgPool):
    """Adaptive average pooling: ``x[N,C,W] -> y[N,C,Q]``, the mean of each window.

    A window of V values takes V operations; backward V + 1.
    Source: the operator of that name in the PyTorch documentation.
    """

    name = "adaptive_avg_pool1d"
    rank = 1
    sizes = _sizes(1)
    example = "adaptive_avg_pool1d:n=32,c=512,w=100,q=10"
    small = _SMALL_1D


@dataclass(frozen=True)
class AdaptiveAvgPool2d(AdaptiveAvgPool):
    """Adaptive average pooling: ``x[N,C,H,W] -> y[N,C,P,Q]``, the mean of each window.

    A window of V values takes V operations; backward V + 1.
    Source: the operator of that name in the PyTorch documentation.
    """

    name = "adaptive_avg_pool2d"
    rank = 2
    sizes = _sizes(2)
    example = "adaptive_avg_pool2d:n=32,c=512,h=56,w=56,p=7"
    small = _SMALL_2D


@dataclass(frozen=True)
class AdaptiveAvgPool3d(AdaptiveAvgPool):
    """Adaptive average pooling: ``x[N,C,D,H,W] -> y[N,C,O,P,Q]``, the mean of each window.

    A window of V values takes V operations; backward V + 1.
    Source: the operator of that name in the PyTorch documentation.
    """

    name = "adaptive_avg_pool3d"
    rank = 3
    sizes = _sizes(3)
    example = "adaptive_avg_pool3d:n=8,c=512,d=16,h=28,w=28,o=4"
    small = _SMALL_3D


@dataclass(frozen=True)
class AdaptiveMaxPool1d(AdaptiveMaxPool):
    """Adaptive max pooling: ``x[N,C,W] -> y[N,C,Q]``, the largest of each window.

    A window of V values takes V - 1 comparisons; backward V operations.
    Source: the operator of that name in the PyTorch documentation.
    """

    name = "adaptive_max_pool1d"
    rank = 1
    sizes = _sizes(1)
    example = "adaptive_max_pool1d:n=32,c=512,w=100,q=10"
    small = _SMALL_1D


@dataclass(frozen=True)
class AdaptiveMaxPool2d(AdaptiveMaxPool):
    """Adaptive max pooling: ``x[N,C,H,W] -> y[N,C,P,Q]``, the largest of each window.

    A window of V values takes V - 1 comparisons; backward V operations.
    Source: the operator of that name in the PyTorch documentation.
    """

    name = "adaptive_max_pool2d"
    rank = 2
    sizes = _sizes(2)
    example = "adaptive_max_pool2d:n=32,c=512,h=56,w=56,p=7"
    small = _SMALL_2D


@dataclass(frozen=True)
class AdaptiveMaxPool3d(AdaptiveMaxPool):
    """Adaptive max pooling: ``x[N,C,D,H,W] -> y[N,C,O,P,Q]``, the largest of each window.

    A window of V values takes V - 1 comparisons; backward V operations.
    Source: the operator of that name in the PyTorch documentation.
    """

    name = "adaptive_max_pool3d"
    rank = 3
    sizes = _sizes(3)
    example = "adaptive_max_pool3d:n=8,c=512,d=16,h=28,w=28,o=4"
    small = _SMALL_3D


@dataclass(frozen=True)
class SpatialPyramidPool2d(Operator):
    """Spatial pyramid pooling: ``x[N,C,H,W] -> y[N,C B]``, B bins whatever H and W.

    A level L is an adaptive max pooling to L x L bins; levels 4, 2 and 1 make 21
    bins. One launch a level, which writes into its place of y; each level after
    the first reads x again as far as x does not stay in the inner memory level.
    Backward compares again and adds once a bin, level after level.
    Source: He et al., "Spatial pyramid pooling in deep convolutional networks",
    arXiv:1406.4729, section 2.2 and appendix A.
    """

    name = "spatial_pyramid_pool2d"
    category = "reduction"
    input_sizes = ("n", "c", "h", "w")
    sizes = {**dict.fromkeys("nchw", REQUIRED), "layout": "nchw"}
    example = "spatial_pyramid_pool2d:n=32,c=256,h=13,w=13"
    small = (
        {"n": 1, "c": 2, "h": 4, "w": 6},
        {"n": 2, "c": 1, "h": 7, "w": 5},
        {"n": 1, "c": 3, "h": 3, "w": 9},
        {"n": 2, "c": 3, "h": 2, "w": 5, "layout": "nhwc"},
    )

    levels: Any = size_list((4, 2, 1), doc="bins along each axis, a pooling each", least=1)
    layout: str = choice("nchw", LAYOUTS, doc="activations with channels first or last")

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (x,) = inputs
        self.need_rank(x, 4, axes_text("x", 2, self.layout))
        n, c, _ = split_layout(x.shape, self.layout)
        return Inferred((x.like(n, c * total(bins * bins for bins in self.levels)),))

    def _taps(self, t: Bound) -> Dim:
        n, c, image = split_layout(t.x.shape, self.layout)
        return total(
            n * c * product(adaptive_taps(extent, bins) for extent in image) for bins in self.levels
        )

    def _launched(self, t: Bound, builder: WorkBuilder) -> Work:
        def extra(capacity: Dim) -> Dim:
            return (len(self.levels) - 1) * missed(t.x.bytes, capacity)

        return builder.build(launches=len(self.levels), extra_traffic=extra)

    def work(self, t: Bound) -> Work:
        builder = WorkBuilder().read(t.x).write(t.y)
        builder.count("vector", t.x.dtype, self._taps(t) - t.y.elements)
        return self._launched(t, builder)

    def gradients(self, t: Bound) -> list[Gradient]:
        dy = gradient_of(t.y)
        builder = WorkBuilder().read(dy, t.x).write(gradient_of(t.x))
        builder.count("vector", dy.dtype, self._taps(t))
        return [Gradient("input", (t.x,), (t.x,), self._launched(t, builder))]
