"""Channels and places of an image exchanged: pixel shuffle and its inverse, channel shuffle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from perfmodel.core import (
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
    gradient_of,
    size,
)


@dataclass(frozen=True)
class Shuffle(Operator):
    """Base of rearrangements of an image: every value is read and written once."""

    category = "movement"
    input_sizes = ("n", "c", "h", "w")

    def work(self, t: Bound) -> Work:
        return WorkBuilder().read(t.x).write(t.y).build()

    def gradients(self, t: Bound) -> list[Gradient]:
        work = WorkBuilder().read(gradient_of(t.y)).write(gradient_of(t.x)).build()
        return [Gradient("input", (t.x,), (), work)]


@dataclass(frozen=True)
class PixelShuffle(Shuffle):
    """Depth to space: ``x[N,C f f,H,W] -> y[N,C,f H,f W]``.

    ``y[n,c,f h + i,f w + j] = x[n,c f f + i f + j,h,w]``.
    Source: Shi et al., arXiv:1609.05158, equation 4.
    """

    name = "pixel_shuffle"
    sizes = {"n": 1, "c": REQUIRED, "h": REQUIRED, "w": REQUIRED, "factor": 2}
    example = "pixel_shuffle:n=32,c=256,h=56,w=56"
    small = (
        {"c": 4, "h": 2, "w": 3},
        {"n": 2, "c": 18, "h": 1, "w": 5, "factor": 3},
        {"c": 3, "h": 3, "w": 2, "factor": 1},
    )
    fixed = frozenset({"factor"})

    factor: Dim = size(2, doc="rows and columns that a place becomes, f")

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (x,) = inputs
        self.need_rank(x, 4, "x[N,C f f,H,W]")
        (n, c, h, w), f = x.shape, self.factor
        self.need_same(c % (f * f), 0, "channels modulo the factor's square")
        return Inferred((x.like(n, c // (f * f), h * f, w * f),))


@dataclass(frozen=True)
class PixelUnshuffle(Shuffle):
    """Space to depth, the inverse of pixel shuffle: ``x[N,C,f H,f W] -> y[N,C f f,H,W]``.

    ``y[n,c f f + i f + j,h,w] = x[n,c,f h + i,f w + j]``.
    Source: Shi et al., arXiv:1609.05158, equation 4, read from right to left.
    """

    name = "pixel_unshuffle"
    sizes = {"n": 1, "c": REQUIRED, "h": REQUIRED, "w": REQUIRED, "factor": 2}
    example = "pixel_unshuffle:n=32,c=64,h=112,w=112"
    small = (
        {"c": 1, "h": 4, "w": 6},
        {"n": 2, "c": 2, "h": 3, "w": 9, "factor": 3},
        {"c": 3, "h": 3, "w": 2, "factor": 1},
    )
    fixed = frozenset({"factor"})

    factor: Dim = size(2, doc="rows and columns that become one place, f")

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (x,) = inputs
        self.need_rank(x, 4, "x[N,C,f H,f W]")
        (n, c, h, w), f = x.shape, self.factor
        self.need_same(h % f, 0, "height modulo the factor")
        self.need_same(w % f, 0, "width modulo the factor")
        return Inferred((x.like(n, c * (f * f), h // f, w // f),))


@dataclass(frozen=True)
class ChannelShuffle(Shuffle):
    """Channels dealt out over groups: ``x[N,C,H,W] -> y[N,C,H,W]``.

    With G groups of D channels ``y[n,d G + g,h,w] = x[n,g D + d,h,w]``.
    Source: Zhang et al., "ShuffleNet", arXiv:1707.01083, section 3.1.
    """

    name = "channel_shuffle"
    sizes = {"n": 1, "c": REQUIRED, "h": REQUIRED, "w": REQUIRED, "groups": REQUIRED}
    example = "channel_shuffle:n=32,c=240,h=28,w=28,groups=3"
    small = (
        {"c": 4, "h": 2, "w": 3, "groups": 2},
        {"n": 2, "c": 15, "h": 1, "w": 2, "groups": 3},
        {"c": 5, "h": 3, "w": 2, "groups": 1},
    )

    groups: Dim = size(doc="groups of channels, G")

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (x,) = inputs
        self.need_rank(x, 4, "x[N,C,H,W]")
        self.need_same(x.shape[1] % self.groups, 0, "channels modulo groups")
        return Inferred((x.like(*x.shape),))
