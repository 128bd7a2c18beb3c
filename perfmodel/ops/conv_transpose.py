"""Transposed convolution: the gradient of a convolution to its input, run forward."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from perfmodel.core import (
    FILTER_LAYOUTS,
    IMAGE_AXES,
    LAYOUTS,
    REQUIRED,
    TAP_AXES,
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
    choice,
    filter_shape,
    flag,
    gemms_work,
    gradient_of,
    in_layout,
    pads,
    pair,
    per_axis,
    size,
    split_borders,
    split_layout,
)
from perfmodel.core.dims import product


def _sizes(rank: int) -> dict[str, Any]:
    names = ("n", "c", *IMAGE_AXES[-rank:], "k", *TAP_AXES[-rank:])
    window = {"stride": 1, "pad": 0, "dilation": 1, "groups": 1, "output_pad": 0}
    layouts = {"layout": "nchw", "filter_layout": "kcrs"}
    return {**dict.fromkeys(names, REQUIRED), **window, "bias": False, **layouts}


@dataclass(frozen=True, kw_only=True)
class ConvTranspose(Operator):
    """Base of transposed convolutions over images of ``rank`` axes.

    Each input value times each tap is added into the padded output, whose
    border is then dropped. Backward, the gradient to the input is a convolution
    of the padded dy; so each gradient takes exactly the forward's MACs.
    """

    category = "dense"
    host_work = 2.1
    rank: ClassVar[int]

    out_channels: Dim = size(doc="output channels, K")
    kernel: Any = pair(doc="size of a filter along each axis")
    stride: Any = pair(1, doc="step between filter positions on the output")
    padding: Any = pads(0, doc="border dropped from the output")
    output_padding: Any = pads(0, doc="added to the output's size, at its end")
    dilation: Any = pair(1, doc="distance between filter taps")
    groups: Dim = size(1, doc="groups of channels convolved apart")
    bias: bool = flag(False, doc="add a learned bias")
    layout: str = choice("nchw", LAYOUTS, doc="activations with channels first or last")
    filter_layout: str = choice(
        "kcrs", FILTER_LAYOUTS, doc="taps last or first; C stands for K, as in the convolution"
    )

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (x,) = inputs
        self.need_rank(x, self.rank + 2, f"a batch of images with {self.rank} axes")
        n, c, image = split_layout(x.shape, self.layout)
        self.need_same(c % self.groups, 0, "channels modulo groups")
        self.need_same(self.out_channels % self.groups, 0, "out_channels modulo groups")
        taps = per_axis(self.kernel, self.rank)
        before, after = split_borders(self.padding, self.rank)
        more, steps, gaps = (
            per_axis(v, self.rank) for v in (self.output_padding, self.stride, self.dilation)
        )
        made = [
            (image[i] - 1) * steps[i] + gaps[i] * (taps[i] - 1) + 1 - before[i] - after[i] + more[i]
            for i in range(self.rank)
        ]
        for extent in made:
            self.need_positive(extent, "output size")
        shape = filter_shape(c, self.out_channels // self.groups, taps, self.filter_layout)
        weights = [Tensor(shape, precision.weight, "weight", "weight")]
        if self.bias:
            weights.append(Tensor((self.out_channels,), precision.weight, "weight", "bias"))
        y = x.like(*in_layout(n, self.out_channels, made, self.layout))
        return Inferred((y,), tuple(weights))

    def _sizes(self, t: Bound) -> tuple[Dim, Dim, Dim]:
        """Return input positions of the batch, channels of a group, and its outputs times taps."""
        n, c, image = split_layout(t.x.shape, self.layout)
        taps = self.out_channels // self.groups * product(per_axis(self.kernel, self.rank))
        return n * product(image), c // self.groups, taps

    def work(self, t: Bound) -> Work:
        positions, channels, taps = self._sizes(t)
        builder = WorkBuilder().read(t.x, *t.weights).write(t.y)
        if self.bias:
            builder.count("vector", t.x.dtype, t.y.elements)
        gemm = Gemm(t.x, t.weight("weight"), t.y, positions, taps, channels, self.groups)
        return gemms_work(builder, [gemm])

    def gradients(self, t: Bound) -> list[Gradient]:
        x, weight, dy = t.x, t.weight("weight"), gradient_of(t.y)
        dx, dw = gradient_of(x), gradient_of(weight)
        positions, channels, taps = self._sizes(t)
        to_x = Gemm(dy, weight, dx, positions, channels, taps, self.groups)
        to_w = Gemm(x, dy, dw, channels, taps, positions, self.groups)
        made = [
            Gradient(
                "input", (x,), (weight,),
                gemms_work(WorkBuilder().read(dy, weight).write(dx), [to_x]),
            ),
            Gradient(
                "weight", (weight,), (x,), gemms_work(WorkBuilder().read(dy, x).write(dw), [to_w])
            ),
        ]  # fmt: skip
        if self.bias:
            bias = t.weight("bias")
            builder = WorkBuilder().read(dy).write(gradient_of(bias))
            builder.count("vector", dy.dtype, dy.elements - bias.elements)
            made.append(Gradient("bias", (bias,), (), builder.build()))
        return made

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        return cls.with_input(
            [sizes[axis] for axis in ("n", "c", *IMAGE_AXES[-cls.rank :])],
            sizes,
            precision,
            out_channels=sizes["k"],
            kernel=tuple(sizes[axis] for axis in TAP_AXES[-cls.rank :]),
            padding=sizes["pad"],
            output_padding=sizes["output_pad"],
        )


@dataclass(frozen=True, kw_only=True)
class ConvTranspose1d(ConvTranspose):
    """One-dimensional transposed convolution.

    ``x[N,C,W] -> y[N,K,Q]``, ``weight[C,K/groups,S]``, ``bias[K]``, with
    ``Q = (W - 1) stride + dilation (S - 1) + 1 - pad_left - pad_right + output_padding``:
    ``N C W (K/groups) S`` MACs.
    Source: Dumoulin and Visin, arXiv:1603.07285, section 4.
    """

    name = "conv_transpose1d"
    rank = 1
    sizes = _sizes(1)
    example = "conv_transpose1d:n=16,c=512,w=1024,k=256,s=16,stride=8"
    small = (
        {"n": 1, "c": 2, "w": 3, "k": 3, "s": 3, "pad": 1},
        {"n": 2, "c": 4, "w": 3, "k": 2, "s": 2, "stride": 3, "groups": 2, "layout": "nhwc"},
        {"n": 1, "c": 2, "w": 4, "k": 1, "s": 3, "stride": 2, "dilation": 2, "output_pad": 1,
         "bias": True, "filter_layout": "rsck"},
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ConvTranspose2d(ConvTranspose):
    """Two-dimensional transposed convolution (up-convolution, "deconvolution").

    ``x[N,C,H,W] -> y[N,K,P,Q]``, ``weight[C,K/groups,R,S]``, ``bias[K]``, with
    ``P = (H - 1) stride + dilation (R - 1) + 1 - pad_top - pad_bottom + output_padding``.

    ``y[n,k,h u + r d, w u + s d] += x[n,c,h,w] weight[c,k,r,s]`` from ``bias[k]``:
    ``N C H W (K/groups) R S`` MACs, those of the convolution that it is the
    gradient of; what falls on the dropped border is counted.
    Source: Dumoulin and Visin, arXiv:1603.07285, section 4.
    """

    name = "conv_transpose2d"
    rank = 2
    sizes = _sizes(2)
    example = "conv_transpose2d:n=8,c=512,h=28,w=28,k=256,r=2,s=2,stride=2"
    small = (
        {"n": 1, "c": 2, "h": 3, "w": 2, "k": 3, "r": 3, "s": 3, "pad": 1},
        {"n": 2, "c": 4, "h": 3, "w": 2, "k": 2, "r": 3, "s": 2, "stride": 3, "groups": 2,
         "bias": True},
        {"n": 1, "c": 2, "h": 2, "w": 4, "k": 1, "r": 2, "s": 3, "stride": 2, "dilation": 2,
         "output_pad": 1, "layout": "nhwc", "filter_layout": "rsck"},
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ConvTranspose3d(ConvTranspose):
    """Three-dimensional transposed convolution.

    ``x[N,C,D,H,W] -> y[N,K,O,P,Q]``, ``weight[C,K/groups,T,R,S]``, ``bias[K]``;
    each axis as in ``conv_transpose2d``: ``N C D H W (K/groups) T R S`` MACs.
    Source: Çiçek et al., "3D U-Net", arXiv:1606.06650.
    """

    name = "conv_transpose3d"
    rank = 3
    sizes = _sizes(3)
    example = "conv_transpose3d:n=2,c=256,d=8,h=28,w=28,k=128,t=2,r=2,s=2,stride=2"
    small = (
        {"n": 1, "c": 1, "d": 2, "h": 2, "w": 3, "k": 2, "t": 2, "r": 2, "s": 3, "pad": 1},
        {"n": 2, "c": 2, "d": 2, "h": 1, "w": 2, "k": 2, "t": 1, "r": 2, "s": 2, "stride": 3,
         "groups": 2, "bias": True},
        {"n": 1, "c": 2, "d": 1, "h": 2, "w": 2, "k": 1, "t": 3, "r": 1, "s": 2, "dilation": 2,
         "layout": "nhwc"},
    )  # fmt: skip
