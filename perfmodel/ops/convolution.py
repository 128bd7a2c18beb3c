"""Convolution, as deep learning uses the word: cross-correlation with a bank of filters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from perfmodel.core import (
    REQUIRED,
    Bound,
    Inferred,
    Operator,
    Precision,
    Tensor,
    Work,
    WorkBuilder,
    both,
    flag,
    gemm_extra_traffic,
    pads,
    pair,
    size,
    window_output,
)
from perfmodel.core.dims import Dim


@dataclass(frozen=True)
class Conv2d(Operator):
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
    category = "dense"
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
        "groups": 1,
        "bias": False,
    }
    example = "conv2d:n=8,c=256,h=56,w=56,k=256,r=3,s=3,pad=1"
    small = (
        {"n": 1, "c": 2, "h": 5, "w": 6, "k": 3, "r": 3, "s": 3, "pad": 1},
        {"n": 2, "c": 4, "h": 9, "w": 7, "k": 6, "r": 3, "s": 2, "stride": 3, "groups": 2},
        {"n": 1, "c": 3, "h": 9, "w": 8, "k": 3, "r": 2, "s": 3, "dilation": 2, "groups": 3,
         "pad": 2, "bias": True},
        {"n": 1, "c": 3, "h": 4, "w": 4, "k": 2, "r": 1, "s": 1},
    )  # fmt: skip

    out_channels: Dim = size(doc="number of filters, K")
    kernel: Any = pair(doc="filter height and width, R and S")
    stride: Any = pair(1, doc="step between filter positions")
    padding: Any = pads(0, doc="zeros added at each border")
    dilation: Any = pair(1, doc="distance between filter taps")
    groups: Dim = size(1, doc="groups of channels convolved apart; C for depthwise")
    bias: bool = flag(False, doc="add a learned bias")

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (x,) = inputs
        self.need_rank(x, 4, "x[N,C,H,W]")
        n, c, h, w = x.shape
        r, s = both(self.kernel)
        self.need_same(c % self.groups, 0, "channels modulo groups")
        self.need_same(self.out_channels % self.groups, 0, "out_channels modulo groups")
        p, q = window_output(
            self.name, (h, w), self.kernel, self.stride, self.padding, self.dilation
        )
        shape = (self.out_channels, c // self.groups, r, s)
        weights = [Tensor(shape, precision.weight, "weight", "weight")]
        if self.bias:
            weights.append(Tensor((self.out_channels,), precision.weight, "weight", "bias"))
        return Inferred((x.like(n, self.out_channels, p, q),), tuple(weights))

    def work(self, t: Bound) -> Work:
        x, y, weight = t.x, t.y, t.weight("weight")
        n, k, p, q = y.shape
        _, c, r, s = weight.shape
        macs = n * k * p * q * c * r * s
        builder = WorkBuilder().read(x, *t.weights).write(y).count("matrix", x.dtype, 2 * macs)
        if self.bias:
            builder.count("vector", x.dtype, n * k * p * q)
        groups = self.groups

        # Implicit GEMM: rows are output pixels, columns filters, depth the taps.
        def extra(capacity: Dim) -> Dim:
            return groups * gemm_extra_traffic(
                n * p * q,
                k / groups,
                c * r * s,
                x.bytes / groups,
                weight.bytes / groups,
                y.bytes / groups,
                capacity,
            )

        return builder.build(macs=macs, extra_traffic=extra)

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        x = Tensor(tuple(sizes[d] for d in "nchw"), precision.activation, name="x")
        op = cls(
            out_channels=sizes["k"],
            kernel=(sizes["r"], sizes["s"]),
            stride=sizes["stride"],
            padding=sizes["pad"],
            dilation=sizes["dilation"],
            groups=sizes["groups"],
            bias=sizes["bias"],
        )
        return op, [x]
