"""Pooling: a window (or the whole image) reduced to one value a channel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from perfmodel.core import (
    REQUIRED,
    Bound,
    Dim,
    Inferred,
    Operator,
    Precision,
    Tensor,
    Work,
    WorkBuilder,
    both,
    pads,
    pair,
    window_output,
)


@dataclass(frozen=True)
class Pool2d(Operator):
    """Base of pooling over sliding windows: ``x[N,C,H,W] -> y[N,C,P,Q]``."""

    category = "reduction"
    sizes = {
        "n": REQUIRED,
        "c": REQUIRED,
        "h": REQUIRED,
        "w": REQUIRED,
        "r": REQUIRED,
        "s": REQUIRED,
        "stride": "r",
        "pad": 0,
    }
    small = (
        {"n": 1, "c": 2, "h": 4, "w": 6, "r": 2, "s": 2},
        {"n": 2, "c": 1, "h": 7, "w": 9, "r": 3, "s": 2, "stride": 3},
        {"n": 1, "c": 3, "h": 5, "w": 5, "r": 3, "s": 3, "stride": 2, "pad": 1},
    )

    kernel: Any = pair(doc="window height and width, R and S")
    stride: Any = pair(1, doc="step between windows")
    padding: Any = pads(0, doc="border added on each side")

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (x,) = inputs
        self.need_rank(x, 4, "x[N,C,H,W]")
        n, c, h, w = x.shape
        p, q = window_output(self.name, (h, w), self.kernel, self.stride, self.padding)
        return Inferred((x.like(n, c, p, q),))

    def window_ops(self, taps: Dim) -> Dim:
        """Return vector operations for a window of ``taps`` values."""
        raise NotImplementedError

    def work(self, t: Bound) -> Work:
        r, s = both(self.kernel)
        builder = WorkBuilder().read(t.x).write(t.y)
        builder.count("vector", t.x.dtype, t.y.elements * self.window_ops(r * s))
        return builder.build()

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        x = Tensor(tuple(sizes[d] for d in "nchw"), precision.activation, name="x")
        op = cls(kernel=(sizes["r"], sizes["s"]), stride=sizes["stride"], padding=sizes["pad"])
        return op, [x]


@dataclass(frozen=True)
class MaxPool2d(Pool2d):
    """Max pooling: ``x[N,C,H,W] -> y[N,C,P,Q]``, the largest of each R x S window.

    ``R S - 1`` comparisons an output (taps on padding are counted).
    Source: Goodfellow, Bengio and Courville, *Deep Learning*, section 9.3.
    """

    name = "max_pool2d"
    example = "max_pool2d:n=32,c=64,h=112,w=112,r=3,s=3,stride=2,pad=1"

    def window_ops(self, taps: Dim) -> Dim:
        return taps - 1


@dataclass(frozen=True)
class AvgPool2d(Pool2d):
    """Average pooling: ``x[N,C,H,W] -> y[N,C,P,Q]``, the mean of each R x S window.

    ``R S - 1`` additions and one multiplication an output (padding counts as zeros).
    Source: LeCun et al., "Gradient-based learning applied to document
    recognition", Proc. IEEE 86 (1998).
    """

    name = "avg_pool2d"
    example = "avg_pool2d:n=32,c=64,h=56,w=56,r=2,s=2,stride=2"

    def window_ops(self, taps: Dim) -> Dim:
        return taps


@dataclass(frozen=True)
class GlobalAvgPool2d(Operator):
    """Global average pooling: ``x[N,C,H,W] -> y[N,C,1,1]``, the mean of each channel.

    ``H W - 1`` additions and one multiplication a channel.
    Source: Lin, Chen and Yan, "Network in network", arXiv:1312.4400.
    """

    name = "global_avg_pool2d"
    category = "reduction"
    sizes = {"n": REQUIRED, "c": REQUIRED, "h": REQUIRED, "w": REQUIRED}
    example = "global_avg_pool2d:n=32,c=2048,h=7,w=7"
    small = (
        {"n": 1, "c": 2, "h": 3, "w": 3},
        {"n": 2, "c": 3, "h": 1, "w": 5},
        {"n": 1, "c": 1, "h": 1, "w": 1},
    )

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (x,) = inputs
        self.need_rank(x, 4, "x[N,C,H,W]")
        return Inferred((x.like(x.shape[0], x.shape[1], 1, 1),))

    def work(self, t: Bound) -> Work:
        return WorkBuilder().read(t.x).write(t.y).count("vector", t.x.dtype, t.x.elements).build()

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        return cls(), [Tensor(tuple(sizes[d] for d in "nchw"), precision.activation, name="x")]
