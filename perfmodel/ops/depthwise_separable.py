"""Depthwise-separable convolution: each channel filtered alone, then channels mixed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from perfmodel.core import (
    FILTER_LAYOUTS,
    LAYOUTS,
    REQUIRED,
    Bound,
    Dim,
    Gemm,
    Gradient,
    Inferred,
    Operator,
    Precision,
    Tensor,
    Work,
    WorkBuilder,
    both,
    choice,
    filter_shape,
    gemms_work,
    gradient_of,
    in_layout,
    pads,
    pair,
    size,
    split_layout,
    window_outputs,
)


@dataclass(frozen=True)
class DepthwiseSeparableConv2d(Operator):
    """Depthwise-separable convolution: a depthwise filter, then a 1x1 convolution.

    ``x[N,C,H,W] -> y[N,K,P,Q]``, ``depthwise[C,1,R,S]``, ``pointwise[K,C,1,1]``:
    ``N C P Q R S + N K C P Q`` MACs. Two launches; the depthwise output
    ``[N,C,P,Q]`` is written and read between them, and training keeps it.

    Backward, two forwards: 'pointwise' is dy times the depthwise output;
    'depthwise' takes dy back through the 1x1 filters once, then to the input
    and to the depthwise filters, on the padded image.
    Source: Howard et al., "MobileNets", arXiv:1704.04861, equation 5.
    """

    name = "depthwise_separable_conv2d"
    category = "dense"
    sizes = {
        "n": REQUIRED,
        "c": REQUIRED,
        "h": REQUIRED,
        "w": REQUIRED,
        "k": REQUIRED,
        "r": 3,
        "s": 3,
        "stride": 1,
        "pad": 0,
        "dilation": 1,
        "layout": "nchw",
        "filter_layout": "kcrs",
    }
    example = "depthwise_separable_conv2d:n=32,c=256,h=56,w=56,k=512,pad=1"
    small = (
        {"n": 1, "c": 2, "h": 5, "w": 6, "k": 3, "pad": 1},
        {"n": 2, "c": 3, "h": 9, "w": 7, "k": 2, "r": 3, "s": 2, "stride": 3},
        {"n": 1, "c": 3, "h": 7, "w": 5, "k": 1, "r": 2, "s": 3, "dilation": 2},
        {"n": 2, "c": 3, "h": 4, "w": 3, "k": 2, "r": 2, "layout": "nhwc",
         "filter_layout": "rsck"},
    )  # fmt: skip

    out_channels: Dim = size(doc="number of 1x1 filters, K")
    kernel: Any = pair(3, doc="size of a depthwise filter, R and S")
    stride: Any = pair(1, doc="step between positions of a depthwise filter")
    padding: Any = pads(0, doc="zeros added at each border")
    dilation: Any = pair(1, doc="distance between taps of a depthwise filter")
    layout: str = choice("nchw", LAYOUTS, doc="activations with channels first or last")
    filter_layout: str = choice("kcrs", FILTER_LAYOUTS, doc="filters with taps last or first")

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (x,) = inputs
        self.need_rank(x, 4, "x[N,H,W,C]" if self.layout == "nhwc" else "x[N,C,H,W]")
        n, c, image = split_layout(x.shape, self.layout)
        positions = window_outputs(
            self.name, image, self.kernel, self.stride, self.padding, self.dilation
        )
        weights = tuple(
            Tensor(shape, precision.weight, "weight", name)
            for name, shape in (
                ("depthwise", filter_shape(c, 1, both(self.kernel), self.filter_layout)),
                ("pointwise", filter_shape(self.out_channels, c, (1, 1), self.filter_layout)),
            )
        )
        between, y = (
            x.like(*in_layout(n, channels, positions, self.layout))
            for channels in (c, self.out_channels)
        )
        return Inferred((y,), weights, kept=(between.named("depthwise_output"),))

    def _sizes(self, t: Bound) -> tuple[Dim, Dim, Dim, Dim]:
        n, k, (p, q) = split_layout(t.y.shape, self.layout)
        _, c, _ = split_layout(t.x.shape, self.layout)
        r, s = both(self.kernel)
        return n * p * q, c, k, r * s

    def work(self, t: Bound) -> Work:
        positions, c, k, taps = self._sizes(t)
        depthwise, pointwise = t.weights
        (between,) = t.kept
        builder = WorkBuilder().read(t.x, *t.weights).write(t.y)
        builder.write(between).read(between)
        return gemms_work(
            builder,
            [
                Gemm(t.x, depthwise, between, positions, 1, taps, c),
                Gemm(between, pointwise, t.y, positions, k, c),
            ],
            launches=2,
        )

    def gradients(self, t: Bound) -> list[Gradient]:
        positions, c, k, taps = self._sizes(t)
        depthwise, pointwise = t.weights
        (between,) = t.kept
        dy, dx, dbetween = gradient_of(t.y), gradient_of(t.x), gradient_of(between)
        to_depthwise, to_pointwise = gradient_of(depthwise), gradient_of(pointwise)
        builder = WorkBuilder().read(dy, pointwise).write(dbetween)
        builder.read(dbetween, depthwise).write(dx)
        builder.read(dbetween, t.x).write(to_depthwise)
        chain = gemms_work(
            builder,
            [
                Gemm(dy, pointwise, dbetween, positions, c, k),
                Gemm(dbetween, depthwise, dx, positions, taps, 1, c),
                Gemm(dbetween, t.x, to_depthwise, 1, taps, positions, c),
            ],
            launches=3,
        )
        last = gemms_work(
            WorkBuilder().read(dy, between).write(to_pointwise),
            [Gemm(dy, between, to_pointwise, k, c, positions)],
        )
        return [
            Gradient("depthwise", (t.x, depthwise), (t.x, depthwise, pointwise), chain),
            Gradient("pointwise", (pointwise,), (between,), last),
        ]

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        return cls.with_input(
            [sizes[axis] for axis in "nchw"],
            sizes,
            precision,
            out_channels=sizes["k"],
            kernel=(sizes["r"], sizes["s"]),
            padding=sizes["pad"],
        )
