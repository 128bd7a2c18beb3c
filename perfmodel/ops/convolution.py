"""Convolution, as deep learning uses the word: cross-correlation with a bank of filters."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from perfmodel.core import (
    FILTER_LAYOUTS,
    IMAGE_AXES,
    LAYOUTS,
    PAD_MODES,
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
    axes_text,
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
    split_layout,
    window_outputs,
)
from perfmodel.core.dims import product


def _sizes(rank: int, filters: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    names = ("n", "c", *IMAGE_AXES[-rank:], *filters, *TAP_AXES[-rank:])
    window = {"stride": 1, "pad": 0, "dilation": 1}
    layouts = {"pad_mode": "explicit", "layout": "nchw", "filter_layout": "kcrs"}
    return {**dict.fromkeys(names, REQUIRED), **filters, **window, **more, "bias": False, **layouts}


@dataclass(frozen=True, kw_only=True)
class Filters(Operator):
    """Base of operators that slide filters over an image of ``rank`` axes.

    Each is ``groups`` implicit matrix products: rows are output positions,
    columns filters, depth the taps. The gradient to the input is the product of
    dy with the filters, summed into the padded image, whose border is dropped;
    the one to the weight that of dy with the padded image. So each takes exactly
    the forward's MACs, taps on padding among them.
    """

    category = "dense"
    host_work = 2.1
    rank: ClassVar[int]

    kernel: Any = pair(doc="size of a filter along each axis")
    stride: Any = pair(1, doc="step between filter positions")
    padding: Any = pads(0, doc="zeros added at each border")
    pad_mode: str = choice(
        "explicit", PAD_MODES, doc="padding as given, of input / stride positions, or none"
    )
    dilation: Any = pair(1, doc="distance between filter taps")
    bias: bool = flag(False, doc="add a learned bias")
    layout: str = choice("nchw", LAYOUTS, doc="activations with channels first or last")
    filter_layout: str = choice("kcrs", FILTER_LAYOUTS, doc="filters with taps last or first")

    @abstractmethod
    def grouping(self, channels: Dim) -> tuple[Dim, Dim]:
        """Return the number of filters and of groups over ``channels``."""

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (x,) = inputs
        self.need_rank(x, self.rank + 2, axes_text("x", self.rank, self.layout))
        n, c, image = split_layout(x.shape, self.layout)
        filters, groups = self.grouping(c)
        self.need_same(c % groups, 0, "channels modulo groups")
        self.need_same(filters % groups, 0, "filters modulo groups")
        positions = window_outputs(
            self.name, image, self.kernel, self.stride, self.padding, self.dilation,
            pad_mode=self.pad_mode,
        )  # fmt: skip
        taps = per_axis(self.kernel, self.rank)
        shape = filter_shape(filters, c // groups, taps, self.filter_layout)
        weights = [Tensor(shape, precision.weight, "weight", "weight")]
        if self.bias:
            weights.append(Tensor((filters,), precision.weight, "weight", "bias"))
        y = x.like(*in_layout(n, filters, positions, self.layout))
        return Inferred((y,), tuple(weights))

    def _sizes(self, t: Bound) -> tuple[Dim, Dim, Dim, Dim]:
        """Return output positions of the batch, filters and taps of a group, and groups."""
        _, c, _ = split_layout(t.x.shape, self.layout)
        n, k, positions = split_layout(t.y.shape, self.layout)
        _, groups = self.grouping(c)
        taps = c // groups * product(per_axis(self.kernel, self.rank))
        return n * product(positions), k // groups, taps, groups

    def work(self, t: Bound) -> Work:
        positions, filters, taps, groups = self._sizes(t)
        builder = WorkBuilder().read(t.x, *t.weights).write(t.y)
        if self.bias:
            builder.count("vector", t.x.dtype, t.y.elements)
        gemm = Gemm(t.x, t.weight("weight"), t.y, positions, filters, taps, groups)
        return gemms_work(builder, [gemm])

    def gradients(self, t: Bound) -> list[Gradient]:
        x, weight, dy = t.x, t.weight("weight"), gradient_of(t.y)
        dx, dw = gradient_of(x), gradient_of(weight)
        positions, filters, taps, groups = self._sizes(t)
        to_x = Gemm(dy, weight, dx, positions, taps, filters, groups)
        to_w = Gemm(dy, x, dw, filters, taps, positions, groups)
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
            builder.count("vector", dy.dtype, (positions - 1) * bias.elements)
            made.append(Gradient("bias", (bias,), (), builder.build()))
        return made

    @classmethod
    @abstractmethod
    def filters_from_sizes(cls, sizes: Mapping[str, Any]) -> dict[str, Any]:
        """Return the attributes that say how many filters there are."""

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        image = [sizes[axis] for axis in IMAGE_AXES[-cls.rank :]]
        shape = in_layout(sizes["n"], sizes["c"], image, sizes["layout"])
        same_name = ("stride", "dilation", "bias", "pad_mode", "layout", "filter_layout")
        op = cls(
            kernel=tuple(sizes[axis] for axis in TAP_AXES[-cls.rank :]),
            padding=sizes["pad"],
            **{name: sizes[name] for name in same_name},
            **cls.filters_from_sizes(sizes),
        )
        return op, [Tensor(shape, precision.activation, name="x")]


@dataclass(frozen=True, kw_only=True)
class Convolution(Filters):
    """Base of convolutions with any number of filters and groups."""

    out_channels: Dim = size(doc="number of filters, K")
    groups: Dim = size(1, doc="groups of channels convolved apart; C for depthwise")

    def grouping(self, channels: Dim) -> tuple[Dim, Dim]:
        return self.out_channels, self.groups

    @classmethod
    def filters_from_sizes(cls, sizes: Mapping[str, Any]) -> dict[str, Any]:
        return {"out_channels": sizes["k"], "groups": sizes["groups"]}


@dataclass(frozen=True, kw_only=True)
class Conv1d(Convolution):
    """One-dimensional convolution.

    ``x[N,C,W] -> y[N,K,Q]``, ``weight[K,C/groups,S]``, ``bias[K]``, with
    ``Q = (W + pad_left + pad_right - dilation (S - 1) - 1) // stride + 1``.

    ``y[n,k,q] = bias[k] + sum_{c,s} x[n,c,q v + s d] weight[k,c,s]``:
    ``N K Q (C/groups) S`` MACs, taps on padding counted.
    Source: Dumoulin and Visin, "A guide to convolution arithmetic for deep
    learning", arXiv:1603.07285.
    """

    name = "conv1d"
    rank = 1
    sizes = _sizes(1, {"k": REQUIRED}, {"groups": 1})
    example = "conv1d:n=16,c=256,w=4096,k=256,s=3,pad=1"
    small = (
        {"n": 1, "c": 2, "w": 6, "k": 3, "s": 3, "pad": 1},
        {"n": 2, "c": 4, "w": 11, "k": 6, "s": 2, "stride": 3, "groups": 2, "layout": "nhwc"},
        {"n": 1, "c": 3, "w": 8, "k": 3, "s": 3, "dilation": 2, "groups": 3, "bias": True},
        {"n": 2, "c": 1, "w": 7, "k": 2, "s": 4, "stride": 2, "pad_mode": "same",
         "filter_layout": "rsck"},
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Conv2d(Convolution):
    """Two-dimensional convolution.

    ``x[N,C,H,W] -> y[N,K,P,Q]``, ``weight[K,C/groups,R,S]``, ``bias[K]``, with
    ``P = (H + pad_top + pad_bottom - dilation (R - 1) - 1) // stride + 1``.

    ``y[n,k,p,q] = bias[k] + sum_{c,r,s} x[n,c,p u + r d, q u + s d] weight[k,c,r,s]``:
    ``N K P Q (C/groups) R S`` MACs; taps that fall on padding are counted, as
    published totals do.
    Source: Dumoulin and Visin, "A guide to convolution arithmetic for deep
    learning", arXiv:1603.07285.
    """

    name = "conv2d"
    rank = 2
    sizes = _sizes(2, {"k": REQUIRED}, {"groups": 1})
    example = "conv2d:n=8,c=256,h=56,w=56,k=256,r=3,s=3,pad=1"
    small = (
        {"n": 1, "c": 2, "h": 5, "w": 6, "k": 3, "r": 3, "s": 3, "pad": 1},
        {"n": 2, "c": 4, "h": 9, "w": 7, "k": 6, "r": 3, "s": 2, "stride": 3, "groups": 2},
        {"n": 1, "c": 3, "h": 9, "w": 8, "k": 3, "r": 2, "s": 3, "dilation": 2, "groups": 3,
         "pad": 2, "bias": True},
        {"n": 1, "c": 3, "h": 4, "w": 4, "k": 2, "r": 1, "s": 1},
        {"n": 2, "c": 3, "h": 5, "w": 4, "k": 2, "r": 3, "s": 2, "stride": 2, "pad_mode": "same",
         "layout": "nhwc", "filter_layout": "rsck", "bias": True},
        {"n": 1, "c": 2, "h": 5, "w": 4, "k": 4, "r": 3, "s": 3, "pad_mode": "valid", "groups": 2,
         "filter_layout": "rsck"},
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Conv3d(Convolution):
    """Three-dimensional convolution, of volumes or of frames.

    ``x[N,C,D,H,W] -> y[N,K,O,P,Q]``, ``weight[K,C/groups,T,R,S]``, ``bias[K]``;
    each axis as in ``conv2d``: ``N K O P Q (C/groups) T R S`` MACs.
    Source: Tran et al., "Learning spatiotemporal features with 3D convolutional
    networks", arXiv:1412.0767.
    """

    name = "conv3d"
    rank = 3
    sizes = _sizes(3, {"k": REQUIRED}, {"groups": 1})
    example = "conv3d:n=4,c=64,d=16,h=56,w=56,k=64,t=3,r=3,s=3,pad=1"
    small = (
        {"n": 1, "c": 2, "d": 3, "h": 2, "w": 4, "k": 2, "t": 2, "r": 2, "s": 3, "pad": 1},
        {"n": 2, "c": 2, "d": 4, "h": 5, "w": 4, "k": 4, "t": 1, "r": 2, "s": 2, "stride": 3,
         "groups": 2, "layout": "nhwc"},
        {"n": 1, "c": 1, "d": 5, "h": 3, "w": 3, "k": 1, "t": 3, "r": 2, "s": 1, "dilation": 2,
         "bias": True, "filter_layout": "rsck"},
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class DepthwiseConv2d(Filters):
    """Depthwise convolution: each channel with its own ``multiplier`` filters.

    ``x[N,C,H,W] -> y[N,C M,P,Q]``, ``weight[C M,1,R,S]``, ``bias[C M]``: a
    convolution of C groups, ``N C M P Q R S`` MACs.
    Source: Howard et al., "MobileNets", arXiv:1704.04861, equation 3.
    """

    name = "depthwise_conv2d"
    rank = 2
    sizes = _sizes(2, {}, {"multiplier": 1})
    example = "depthwise_conv2d:n=32,c=256,h=56,w=56,r=3,s=3,pad=1"
    small = (
        {"n": 1, "c": 2, "h": 5, "w": 6, "r": 3, "s": 3, "pad": 1},
        {"n": 2, "c": 3, "h": 9, "w": 7, "r": 3, "s": 2, "stride": 3, "multiplier": 2,
         "bias": True},
        {"n": 1, "c": 3, "h": 7, "w": 5, "r": 2, "s": 3, "dilation": 2, "layout": "nhwc"},
    )  # fmt: skip

    multiplier: Dim = size(1, doc="filters a channel, M")

    def grouping(self, channels: Dim) -> tuple[Dim, Dim]:
        return channels * self.multiplier, channels

    @classmethod
    def filters_from_sizes(cls, sizes: Mapping[str, Any]) -> dict[str, Any]:
        return {"multiplier": sizes["multiplier"]}
