"""Normalization of each sample over groups of channels, or over neighbouring channels."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

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
    choice,
    flag,
    gradient_of,
    missed_share,
    size,
    split_layout,
)
from perfmodel.errors import InputError

_NCHW = {"n": REQUIRED, "c": REQUIRED, "h": 1, "w": 1, "layout": "nchw"}


@dataclass(frozen=True)
class SampleNorm(Operator):
    """Base of norms over the image and some channels of one sample: ``x[N,C,...] -> y[N,C,...]``.

    E values have a mean and a variance in common: E for the mean, E subtractions,
    2 E for the variance, one addition, a square root and a division. Then each
    value takes two operations and each channel one, its factor (without gamma and
    beta each value takes one).

    Training keeps x, the means and the reciprocal roots. Backward, with S values
    a channel: 3 a value for (x - mean) f and its product with dy; two sums a
    channel, which are gamma's and beta's gradients after N - 1 additions each;
    from them two sums of E values; then ``dx = dy gamma f - m1 f - (x - mean) f m2 f``.
    """

    category = "normalization"
    input_sizes = ("n", "c", "h", "w")

    affine: bool = flag(True, doc="learned gamma and beta, one a channel")
    layout: str = choice("nchw", LAYOUTS, doc="activations with channels first or last")

    @abstractmethod
    def groups_of(self, channels: Dim) -> Dim:
        """Return the number of groups of ``channels``."""

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (x,) = inputs
        if len(x.shape) < 2:
            raise InputError(f"{self.name} expects x[N, C, ...], found {x}")
        n, c, _ = split_layout(x.shape, self.layout)
        groups = self.groups_of(c)
        self.need_same(c % groups, 0, "channels modulo groups")
        weights = [Tensor((c,), precision.weight, "weight", name) for name in ("gamma", "beta")]
        kept = tuple(x.like(n, groups).named(name) for name in ("group_mean", "group_factor"))
        return Inferred((x.like(*x.shape),), tuple(weights) if self.affine else (), kept=kept)

    def work(self, t: Bound) -> Work:
        x = t.x
        n, c, _ = split_layout(x.shape, self.layout)
        sets = n * self.groups_of(c)
        builder = WorkBuilder().read(x, *t.weights).write(t.y)
        values = 6 * x.elements + n * c if self.affine else 5 * x.elements
        builder.count("vector", x.dtype, values + sets)
        builder.count("special", x.dtype, 2 * sets)

        def extra(capacity: Dim) -> Dim:
            return x.bytes * missed_share(x.bytes / sets, capacity)

        return builder.build(extra_traffic=extra)

    def gradients(self, t: Bound) -> list[Gradient]:
        x, dy = t.x, gradient_of(t.y)
        n, c, _ = split_layout(x.shape, self.layout)
        sets = n * self.groups_of(c)
        gamma = t.weights[:1]
        saved, makes = (x, *gamma, *t.kept), (x, *t.weights)
        builder = WorkBuilder().read(dy, *saved).write(*(gradient_of(m) for m in makes))
        more = 5 * n * c + 2 * sets - 2 * c if self.affine else 0
        builder.count("vector", dy.dtype, 9 * x.elements + more)
        both = x.bytes + dy.bytes

        def extra(capacity: Dim) -> Dim:
            return both * missed_share(both / sets, capacity)

        return [Gradient("input", makes, saved, builder.build(extra_traffic=extra))]


@dataclass(frozen=True, kw_only=True)
class GroupNorm(SampleNorm):
    """Group normalization: ``x[N,C,...] -> y[N,C,...]``; gamma, beta ``[C]``.

    ``y = gamma (x - mean) / sqrt(variance + epsilon) + beta`` with the statistics
    of a sample's C / groups channels: 6 an element, one a channel and one a group;
    two special operations a group. Backward 9 an element.
    Source: Wu and He, arXiv:1803.08494.
    """

    name = "group_norm"
    sizes = {**_NCHW, "groups": 32, "affine": True}
    example = "group_norm:n=32,c=256,h=56,w=56,groups=32"
    small = (
        {"n": 1, "c": 4, "h": 3, "w": 3, "groups": 2},
        {"n": 2, "c": 3, "h": 1, "w": 5, "groups": 1},
        {"n": 3, "c": 6, "h": 2, "w": 1, "groups": 3, "layout": "nhwc"},
        {"n": 2, "c": 4, "h": 3, "w": 1, "groups": 2, "affine": False},
    )

    groups: Dim = size(doc="groups of channels with statistics of their own")

    def groups_of(self, channels: Dim) -> Dim:
        return self.groups


@dataclass(frozen=True)
class InstanceNorm(SampleNorm):
    """Instance normalization: ``x[N,C,...] -> y[N,C,...]``; gamma, beta ``[C]``.

    ``y = gamma (x - mean) / sqrt(variance + epsilon) + beta`` with the statistics
    of each channel of each sample: group normalization of C groups.
    Source: Ulyanov, Vedaldi and Lempitsky, arXiv:1607.08022.
    """

    name = "instance_norm"
    sizes = {**_NCHW, "affine": True}
    example = "instance_norm:n=32,c=256,h=56,w=56"
    small = (
        {"n": 1, "c": 2, "h": 3, "w": 3},
        {"n": 2, "c": 3, "h": 1, "w": 5},
        {"n": 2, "c": 1, "h": 2, "w": 3, "affine": False},
        {"n": 1, "c": 3, "h": 2, "w": 3, "layout": "nhwc"},
    )

    def groups_of(self, channels: Dim) -> Dim:
        return channels


@dataclass(frozen=True)
class LocalResponseNorm(Operator):
    """Local response normalization across channels: ``x[N,C,...] -> y[N,C,...]``.

    ``y_c = x_c s_c^-beta`` with ``s_c = k + alpha / size sum_j x_j^2`` over the
    ``size`` channels around c. A value takes a multiplication for its square,
    size - 1 additions (channels beyond the first and the last count as zeros), a
    multiplication, an addition, a power and a multiplication.

    Backward keeps x and makes s again: with ``u = dy s^-beta``,
    ``dx_c = u_c - x_c 2 alpha beta / size sum_j u_j x_j / s_j``:
    2 size + 6 vector operations, a power and a division a value.
    Source: Krizhevsky, Sutskever and Hinton, "ImageNet classification with deep
    convolutional neural networks", 2012, section 3.3.
    """

    name = "local_response_norm"
    category = "normalization"
    input_sizes = ("n", "c", "h", "w")
    sizes = {**_NCHW, "size": 5}
    example = "local_response_norm:n=32,c=96,h=55,w=55"
    small = (
        {"n": 1, "c": 4, "h": 2, "w": 3, "size": 3},
        {"n": 2, "c": 7, "h": 1, "w": 1},
        {"n": 1, "c": 2, "h": 3, "w": 1},
        {"n": 1, "c": 5, "size": 2},
        {"n": 2, "c": 4, "h": 3, "w": 1, "size": 3, "layout": "nhwc"},
    )

    size: Dim = size(5, doc="channels in a neighbourhood")
    layout: str = choice("nchw", LAYOUTS, doc="activations with channels first or last")

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (x,) = inputs
        if len(x.shape) < 2:
            raise InputError(f"local_response_norm expects x[N, C, ...], found {x}")
        return Inferred((x.like(*x.shape),))

    def work(self, t: Bound) -> Work:
        x = t.x
        builder = WorkBuilder().read(x).write(t.y)
        builder.count("vector", x.dtype, x.elements * (self.size + 3))
        return builder.count("special", x.dtype, x.elements).build()

    def gradients(self, t: Bound) -> list[Gradient]:
        x, dy = t.x, gradient_of(t.y)
        builder = WorkBuilder().read(dy, x).write(gradient_of(x))
        builder.count("vector", dy.dtype, x.elements * (2 * self.size + 6))
        builder.count("special", dy.dtype, 2 * x.elements)
        return [Gradient("input", (x,), (x,), builder.build())]
