"""Partial convolution: a convolution over the part of an image that a mask leaves."""

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
    flag,
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
class PartialConv2d(Operator):
    """Partial convolution: holes of the image count as absent, not as zeros.

    ``x[N,C,H,W], mask[N,1,H,W] -> y[N,K,P,Q], new_mask[N,1,P,Q]``, ``weight[K,C,R,S]``,
    ``bias[K]``; the mask holds one byte a pixel, and is 0 on padding.

    ``y = conv(x mask) R S / sum(mask) + bias`` where a window's mask sum is over
    0, else 0; there ``new_mask`` is 1. ``N K P Q C R S`` MACs as of a
    convolution. A window takes R S - 1 additions for its mask sum, the addition
    of a tiny number, a division, a comparison for the new mask and its product
    with the ratio; an input the product with its mask; an output the product
    with the ratio, and with a bias one addition and the product with the new mask.

    Two launches: the mask's (which writes the ratios) and the convolution's.
    Training keeps the ratios, so backward multiplies dy by the ratio, does what a
    convolution does on the padded image, and multiplies dx by the mask; the
    weight's gradient masks x again, the bias's dy by the new mask.
    Source: Liu et al., "Image inpainting for irregular holes using partial
    convolutions", arXiv:1804.07723, equations 1 and 2.
    """

    name = "partial_conv2d"
    category = "dense"
    arity = 2
    sizes = {
        "n": REQUIRED,
        "c": REQUIRED,
        "h": REQUIRED,
        "w": REQUIRED,
        "k": REQUIRED,
        "r": REQUIRED,
        "s": REQUIRED,
        "stride": 1,
        "pad": 0,
        "dilation": 1,
        "bias": False,
        "layout": "nchw",
        "filter_layout": "kcrs",
    }
    example = "partial_conv2d:n=8,c=128,h=64,w=64,k=128,r=3,s=3,pad=1"
    small = (
        {"n": 1, "c": 2, "h": 4, "w": 3, "k": 3, "r": 3, "s": 3, "pad": 1},
        {"n": 2, "c": 3, "h": 9, "w": 5, "k": 2, "r": 3, "s": 2, "stride": 3, "bias": True},
        {"n": 1, "c": 1, "h": 5, "w": 4, "k": 2, "r": 2, "s": 1, "dilation": 2, "bias": True},
        {"n": 2, "c": 3, "h": 3, "w": 4, "k": 2, "r": 2, "s": 3, "bias": True, "layout": "nhwc",
         "filter_layout": "rsck"},
    )  # fmt: skip

    out_channels: Dim = size(doc="number of filters, K")
    kernel: Any = pair(doc="filter height and width, R and S")
    stride: Any = pair(1, doc="step between filter positions")
    padding: Any = pads(0, doc="border added on each side; a hole")
    dilation: Any = pair(1, doc="distance between filter taps")
    bias: bool = flag(False, doc="add a learned bias")
    layout: str = choice("nchw", LAYOUTS, doc="activations with channels first or last")
    filter_layout: str = choice("kcrs", FILTER_LAYOUTS, doc="filters with taps last or first")

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        x, mask = inputs
        last = self.layout == "nhwc"
        self.need_rank(x, 4, "x[N,H,W,C]" if last else "x[N,C,H,W]")
        self.need_rank(mask, 4, "mask[N,H,W,1]" if last else "mask[N,1,H,W]")
        n, c, image = split_layout(x.shape, self.layout)
        for found, expected in zip(mask.shape, in_layout(n, 1, image, self.layout), strict=True):
            self.need_same(found, expected, "mask against x")
        made = window_outputs(
            self.name, image, self.kernel, self.stride, self.padding, self.dilation
        )
        shape = filter_shape(self.out_channels, c, both(self.kernel), self.filter_layout)
        weights = [Tensor(shape, precision.weight, "weight", "weight")]
        if self.bias:
            weights.append(Tensor((self.out_channels,), precision.weight, "weight", "bias"))
        y, one = (in_layout(n, k, made, self.layout) for k in (self.out_channels, 1))
        outputs = (x.like(*y), Tensor(one, mask.dtype, "index"))
        return Inferred(outputs, tuple(weights), kept=(x.like(*one).named("ratio"),))

    def _sizes(self, t: Bound) -> tuple[Dim, Dim, Dim]:
        n, k, (p, q) = split_layout(t.y.shape, self.layout)
        _, c, _ = split_layout(t.x.shape, self.layout)
        r, s = both(self.kernel)
        return n * p * q, k, c * r * s

    def work(self, t: Bound) -> Work:
        x, y, (ratio,), dtype = t.x, t.y, t.kept, t.x.dtype
        positions, filters, taps = self._sizes(t)
        r, s = both(self.kernel)
        builder = WorkBuilder().read(*t.inputs, *t.weights).write(*t.outputs)
        builder.write(ratio).read(ratio)
        builder.count("vector", dtype, x.elements + positions * (r * s + 2))
        builder.count("special", dtype, positions)
        builder.count("vector", dtype, y.elements * (3 if self.bias else 1))
        gemm = Gemm(x, t.weight("weight"), y, positions, filters, taps)
        return gemms_work(builder, [gemm], launches=2)

    def gradients(self, t: Bound) -> list[Gradient]:
        (x, mask), (ratio,), weight = t.inputs, t.kept, t.weight("weight")
        dy, dx, dw = gradient_of(t.y), gradient_of(x), gradient_of(weight)
        positions, filters, taps = self._sizes(t)
        scaling = dy.elements + x.elements
        to_x = WorkBuilder().read(dy, weight, mask, ratio).write(dx)
        to_w = WorkBuilder().read(dy, x, mask, ratio).write(dw)
        for builder in (to_x, to_w):
            builder.count("vector", dy.dtype, scaling)
        made = [
            Gradient(
                "input", (x,), (weight, mask, ratio),
                gemms_work(to_x, [Gemm(dy, weight, dx, positions, taps, filters)]),
            ),
            Gradient(
                "weight", (weight,), (x, mask, ratio),
                gemms_work(to_w, [Gemm(dy, x, dw, filters, taps, positions)]),
            ),
        ]  # fmt: skip
        if self.bias:
            bias, new_mask = t.weight("bias"), t.outputs[1]
            to_bias = WorkBuilder().read(dy, new_mask).write(gradient_of(bias))
            to_bias.count("vector", dy.dtype, 2 * dy.elements - filters)
            made.append(Gradient("bias", (bias,), (new_mask,), to_bias.build()))
        return made

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        op, inputs = cls.with_input(
            [sizes[axis] for axis in "nchw"],
            sizes,
            precision,
            out_channels=sizes["k"],
            kernel=(sizes["r"], sizes["s"]),
            padding=sizes["pad"],
        )
        mask = in_layout(sizes["n"], 1, (sizes["h"], sizes["w"]), sizes["layout"])
        return op, [*inputs, Tensor(mask, "int8", "index", "mask")]
