"""Pooling to a given number of outputs: global, adaptive, spatial pyramid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from perfmodel.core import (
    LAYOUTS,
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
    both,
    choice,
    gradient_of,
    in_layout,
    missed,
    pair,
    size_list,
    split_layout,
)
from perfmodel.core.dims import product, total

_NCHW = {"n": REQUIRED, "c": REQUIRED, "h": REQUIRED, "w": REQUIRED}


def _axes(layout: str) -> str:
    return "x[N,H,W,C]" if layout == "nhwc" else "x[N,C,H,W]"


@dataclass(frozen=True)
class GlobalPool2d(Operator):
    """Base of pooling over the whole image: ``x[N,C,H,W] -> y[N,C,1,1]``."""

    category = "reduction"
    input_sizes = ("n", "c", "h", "w")
    sizes = {**_NCHW, "layout": "nchw"}
    small = (
        {"n": 1, "c": 2, "h": 3, "w": 3},
        {"n": 2, "c": 3, "h": 1, "w": 5, "layout": "nhwc"},
        {"n": 1, "c": 1, "h": 1, "w": 1},
    )
    largest: ClassVar[bool]

    layout: str = choice("nchw", LAYOUTS, doc="activations with channels first or last")

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (x,) = inputs
        self.need_rank(x, 4, _axes(self.layout))
        n, c, _ = split_layout(x.shape, self.layout)
        return Inferred((x.like(*in_layout(n, c, (1, 1), self.layout)),))

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
class GlobalAvgPool2d(GlobalPool2d):
    """Global average pooling: ``x[N,C,H,W] -> y[N,C,1,1]``, the mean of each channel.

    ``H W - 1`` additions and one multiplication a channel; backward one
    multiplication a channel, whose product is written to all its values.
    Source: Lin, Chen and Yan, "Network in network", arXiv:1312.4400.
    """

    name = "global_avg_pool2d"
    example = "global_avg_pool2d:n=32,c=2048,h=7,w=7"
    largest = False


@dataclass(frozen=True)
class GlobalMaxPool2d(GlobalPool2d):
    """Global max pooling: ``x[N,C,H,W] -> y[N,C,1,1]``, the largest of each channel.

    ``H W - 1`` comparisons a channel; backward compares again, and moves dy to the largest.
    Source: Oquab et al., "Is object localization for free?", CVPR 2015.
    """

    name = "global_max_pool2d"
    example = "global_max_pool2d:n=32,c=2048,h=7,w=7"
    small = (
        {"n": 1, "c": 2, "h": 3, "w": 3},
        {"n": 2, "c": 3, "h": 1, "w": 5, "layout": "nhwc"},
        {"n": 1, "c": 1, "h": 1, "w": 2},
    )
    largest = True


@dataclass(frozen=True)
class AdaptivePool2d(Operator):
    """Base of pooling to P x Q outputs: ``x[N,C,H,W] -> y[N,C,P,Q]``.

    Window i reaches from ``floor(i H / P)`` to ``ceil((i + 1) H / P)``; all
    windows along an axis hold ``H + P - gcd(H, P)`` values together.
    """

    category = "reduction"
    input_sizes = ("n", "c", "h", "w")
    sizes = {**_NCHW, "p": REQUIRED, "q": "p", "layout": "nchw"}
    small = (
        {"n": 1, "c": 2, "h": 4, "w": 6, "p": 2},
        {"n": 2, "c": 1, "h": 7, "w": 5, "p": 3, "q": 2},
        {"n": 1, "c": 3, "h": 3, "w": 5, "p": 4, "q": 3},
        {"n": 2, "c": 3, "h": 5, "w": 2, "p": 2, "q": 2, "layout": "nhwc"},
    )

    bins: Any = pair(doc="number of outputs along each axis, P and Q")
    layout: str = choice("nchw", LAYOUTS, doc="activations with channels first or last")

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (x,) = inputs
        self.need_rank(x, 4, _axes(self.layout))
        n, c, _ = split_layout(x.shape, self.layout)
        return Inferred((x.like(*in_layout(n, c, both(self.bins), self.layout)),))

    def _taps(self, t: Bound) -> Dim:
        """Return the values that all windows hold, a value of several counted in each."""
        n, c, (h, w) = split_layout(t.x.shape, self.layout)
        p, q = both(self.bins)
        return n * c * adaptive_taps(h, p) * adaptive_taps(w, q)

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        image = [sizes[name] for name in cls.input_sizes]
        return cls.with_input(image, sizes, precision, bins=(sizes["p"], sizes["q"]))


@dataclass(frozen=True)
class AdaptiveAvgPool2d(AdaptivePool2d):
    """Adaptive average pooling: ``x[N,C,H,W] -> y[N,C,P,Q]``, the mean of each window.

    A window of V values takes V - 1 additions and one multiplication; backward
    one multiplication and V additions.
    Source: the operator of that name in the PyTorch documentation.
    """

    name = "adaptive_avg_pool2d"
    example = "adaptive_avg_pool2d:n=32,c=512,h=56,w=56,p=7"

    def work(self, t: Bound) -> Work:
        builder = WorkBuilder().read(t.x).write(t.y)
        return builder.count("vector", t.x.dtype, self._taps(t)).build()

    def gradients(self, t: Bound) -> list[Gradient]:
        dy = gradient_of(t.y)
        builder = WorkBuilder().read(dy).write(gradient_of(t.x))
        builder.count("vector", dy.dtype, t.y.elements + self._taps(t))
        return [Gradient("input", (t.x,), (), builder.build())]


@dataclass(frozen=True)
class AdaptiveMaxPool2d(AdaptivePool2d):
    """Adaptive max pooling: ``x[N,C,H,W] -> y[N,C,P,Q]``, the largest of each window.

    A window of V values takes V - 1 comparisons; backward compares again, and
    adds once.
    Source: the operator of that name in the PyTorch documentation.
    """

    name = "adaptive_max_pool2d"
    example = "adaptive_max_pool2d:n=32,c=512,h=56,w=56,p=7"

    def work(self, t: Bound) -> Work:
        builder = WorkBuilder().read(t.x).write(t.y)
        return builder.count("vector", t.x.dtype, self._taps(t) - t.y.elements).build()

    def gradients(self, t: Bound) -> list[Gradient]:
        dy = gradient_of(t.y)
        builder = WorkBuilder().read(dy, t.x).write(gradient_of(t.x))
        builder.count("vector", dy.dtype, self._taps(t))
        return [Gradient("input", (t.x,), (t.x,), builder.build())]


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
    sizes = {**_NCHW, "layout": "nchw"}
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
        self.need_rank(x, 4, _axes(self.layout))
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
