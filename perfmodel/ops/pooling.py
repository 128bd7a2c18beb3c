"""Pooling: each sliding window of an image reduced to one value a channel."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from perfmodel.core import (
    IMAGE_AXES,
    LAYOUTS,
    REQUIRED,
    TAP_AXES,
    Bound,
    Dim,
    Gradient,
    Inferred,
    Operator,
    Precision,
    Tensor,
    Work,
    WorkBuilder,
    axes_text,
    choice,
    flag,
    gradient_of,
    in_layout,
    pads,
    pair,
    per_axis,
    split_layout,
    window_outputs,
)
from perfmodel.core.dims import product


def _sizes(rank: int) -> dict[str, Any]:
    names = ("n", "c", *IMAGE_AXES[-rank:], *TAP_AXES[-rank:])
    stride = {"stride": TAP_AXES[-rank], "pad": 0, "dilation": 1, "ceil_mode": False}
    return {**dict.fromkeys(names, REQUIRED), **stride, "layout": "nchw"}


@dataclass(frozen=True)
class Pool(Operator):
    """Base of pooling over sliding windows of an image of ``rank`` axes.

    Windows overlap where the stride is less than the window. With ``ceil_mode``
    a last window may hang over the end; taps outside the image are counted.
    """

    category = "reduction"
    rank: ClassVar[int]

    kernel: Any = pair(doc="size of a window along each axis")
    stride: Any = pair(1, doc="step between windows")
    padding: Any = pads(0, doc="border added on each side")
    dilation: Any = pair(1, doc="distance between the values of a window")
    ceil_mode: bool = flag(False, doc="a last window may hang over the end of the image")
    layout: str = choice("nchw", LAYOUTS, doc="activations with channels first or last")

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (x,) = inputs
        self.need_rank(x, self.rank + 2, axes_text("x", self.rank, self.layout))
        n, c, image = split_layout(x.shape, self.layout)
        positions = window_outputs(
            self.name, image, self.kernel, self.stride, self.padding, self.dilation,
            ceil_mode=self.ceil_mode,
        )  # fmt: skip
        return Inferred((x.like(*in_layout(n, c, positions, self.layout)),))

    @abstractmethod
    def window_ops(self, taps: Dim) -> Dim:
        """Return vector operations for a window of ``taps`` values."""

    @abstractmethod
    def gradient_ops(self, taps: Dim) -> Dim:
        """Return vector operations to pass a window's gradient back."""

    def _taps(self) -> Dim:
        return product(per_axis(self.kernel, self.rank))

    def work(self, t: Bound) -> Work:
        builder = WorkBuilder().read(t.x).write(*t.outputs)
        builder.count("vector", t.x.dtype, t.y.elements * self.window_ops(self._taps()))
        return builder.build()

    def gradients(self, t: Bound) -> list[Gradient]:
        dy, saved = gradient_of(t.y), self.saved(t)
        builder = WorkBuilder().read(dy, *saved).write(gradient_of(t.x))
        builder.count("vector", dy.dtype, t.y.elements * self.gradient_ops(self._taps()))
        return [Gradient("input", (t.x,), saved, builder.build())]

    def saved(self, t: Bound) -> tuple[Tensor, ...]:
        """Return the forward tensors that the backward pass reads."""
        return ()

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        shape = [sizes[axis] for axis in ("n", "c", *IMAGE_AXES[-cls.rank :])]
        kernel = tuple(sizes[axis] for axis in TAP_AXES[-cls.rank :])
        return cls.with_input(shape, sizes, precision, kernel=kernel, padding=sizes["pad"])


_SMALL_1D = (
    {"n": 1, "c": 2, "w": 6, "s": 2},
    {"n": 2, "c": 1, "w": 9, "s": 2, "stride": 3, "layout": "nhwc"},
    {"n": 1, "c": 3, "w": 6, "s": 3, "stride": 2, "pad": 1, "ceil_mode": True},
    {"n": 1, "c": 2, "w": 8, "s": 3, "stride": 2, "dilation": 2, "ceil_mode": True},
)
_SMALL_2D = (
    {"n": 1, "c": 2, "h": 4, "w": 6, "r": 2, "s": 2},
    {"n": 2, "c": 1, "h": 7, "w": 9, "r": 3, "s": 2, "stride": 3},
    {"n": 1, "c": 3, "h": 5, "w": 5, "r": 3, "s": 3, "stride": 2, "pad": 1},
    {"n": 2, "c": 3, "h": 6, "w": 5, "r": 3, "s": 2, "stride": 2, "ceil_mode": True,
     "layout": "nhwc"},
    {"n": 1, "c": 2, "h": 7, "w": 5, "r": 2, "s": 3, "stride": 3, "dilation": 2, "pad": 1},
)  # fmt: skip
_SMALL_3D = (
    {"n": 1, "c": 2, "d": 2, "h": 4, "w": 2, "t": 2, "r": 2, "s": 2},
    {"n": 2, "c": 1, "d": 3, "h": 4, "w": 5, "t": 1, "r": 3, "s": 2, "stride": 3},
    {"n": 1, "c": 2, "d": 4, "h": 3, "w": 3, "t": 3, "r": 2, "s": 2, "stride": 2, "pad": 1,
     "ceil_mode": True, "layout": "nhwc"},
)  # fmt: skip


@dataclass(frozen=True)
class MaxPool(Pool):
    """Base of max pooling: ``taps - 1`` comparisons a window.

    Backward compares again, so that x is kept and no indices are: ``taps - 1``
    comparisons a window, and one addition into the largest's gradient.
    """

    indices: bool = flag(False, doc="a second output: places of the maxima in the whole input")

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        made = super().infer(inputs, precision)
        if not self.indices:
            return made
        (y,) = made.outputs
        return Inferred((y, Tensor(y.shape, precision.of("index"), "index")))

    def window_ops(self, taps: Dim) -> Dim:
        return taps - 1

    def gradient_ops(self, taps: Dim) -> Dim:
        return taps

    def saved(self, t: Bound) -> tuple[Tensor, ...]:
        return (t.x,)


@dataclass(frozen=True)
class AvgPool(Pool):
    """Base of average pooling: ``taps - 1`` additions and one multiplication a window.

    Padding, and what hangs over the end, counts as zeros. Backward multiplies
    once a window and adds to each of its taps, on the padded image.
    """

    def window_ops(self, taps: Dim) -> Dim:
        return taps

    def gradient_ops(self, taps: Dim) -> Dim:
        return taps + 1


@dataclass(frozen=True)
class MaxPool1d(MaxPool):
    """Max pooling: ``x[N,C,W] -> y[N,C,Q]``, the largest of each window of S.

    ``S - 1`` comparisons an output; backward compares again, and adds once.
    Source: Goodfellow, Bengio and Courville, *Deep Learning*, section 9.3.
    """

    name = "max_pool1d"
    rank = 1
    sizes = _sizes(1)
    example = "max_pool1d:n=32,c=64,w=4096,s=3,stride=2,pad=1"
    small = _SMALL_1D


@dataclass(frozen=True)
class MaxPool2d(MaxPool):
    """Max pooling: ``x[N,C,H,W] -> y[N,C,P,Q]``, the largest of each R x S window.

    ``R S - 1`` comparisons an output (taps on padding are counted); backward
    compares again, and adds once.
    Source: Goodfellow, Bengio and Courville, *Deep Learning*, section 9.3.
    """

    name = "max_pool2d"
    rank = 2
    sizes = _sizes(2)
    example = "max_pool2d:n=32,c=64,h=112,w=112,r=3,s=3,stride=2,pad=1"
    small = _SMALL_2D


@dataclass(frozen=True)
class MaxPool3d(MaxPool):
    """Max pooling: ``x[N,C,D,H,W] -> y[N,C,O,P,Q]``, the largest of each T x R x S window.

    ``T R S - 1`` comparisons an output; backward compares again, and adds once.
    Source: Tran et al., arXiv:1412.0767.
    """

    name = "max_pool3d"
    rank = 3
    sizes = _sizes(3)
    example = "max_pool3d:n=4,c=64,d=16,h=56,w=56,t=2,r=2,s=2,stride=2"
    small = _SMALL_3D


@dataclass(frozen=True)
class AvgPool1d(AvgPool):
    """Average pooling: ``x[N,C,W] -> y[N,C,Q]``, the mean of each window of S.

    ``S - 1`` additions and one multiplication an output; backward S + 1.
    Source: LeCun et al., Proc. IEEE 86 (1998).
    """

    name = "avg_pool1d"
    rank = 1
    sizes = _sizes(1)
    example = "avg_pool1d:n=32,c=64,w=4096,s=2,stride=2"
    small = _SMALL_1D


@dataclass(frozen=True)
class AvgPool2d(AvgPool):
    """Average pooling: ``x[N,C,H,W] -> y[N,C,P,Q]``, the mean of each R x S window.

    ``R S - 1`` additions and one multiplication an output (padding counts as
    zeros); backward R S + 1.
    Source: LeCun et al., "Gradient-based learning applied to document
    recognition", Proc. IEEE 86 (1998).
    """

    name = "avg_pool2d"
    rank = 2
    sizes = _sizes(2)
    example = "avg_pool2d:n=32,c=64,h=56,w=56,r=2,s=2,stride=2"
    small = _SMALL_2D


@dataclass(frozen=True)
class AvgPool3d(AvgPool):
    """Average pooling: ``x[N,C,D,H,W] -> y[N,C,O,P,Q]``, the mean of each T x R x S window.

    ``T R S - 1`` additions and one multiplication an output; backward T R S + 1.
    Source: Carreira and Zisserman, "Quo vadis, action recognition?", arXiv:1705.07750.
    """

    name = "avg_pool3d"
    rank = 3
    sizes = _sizes(3)
    example = "avg_pool3d:n=4,c=64,d=16,h=56,w=56,t=2,r=2,s=2,stride=2"
    small = _SMALL_3D
