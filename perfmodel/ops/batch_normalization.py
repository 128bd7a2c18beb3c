"""Normalization over the batch: batch norm, batch renormalization."""

from __future__ import annotations

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
from perfmodel.core.dims import smallest, total
from perfmodel.core.elementwise import passed_on
from perfmodel.errors import InputError


@dataclass(frozen=True)
class ChannelNorm(Operator):
    """Base of norms whose statistics are a channel's: ``x[N,C,...] -> y[N,C,...]``."""

    category = "normalization"
    input_sizes = ("n", "c", "h", "w")

    layout: str = choice("nchw", LAYOUTS, doc="activations with channels first or last")

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (x,) = inputs
        if len(x.shape) < 2:
            raise InputError(f"{self.name} expects x[N, C, ...], found {x}")
        c, values = self.channels(x)
        if self.of_the_batch() and smallest(values) < 2:
            raise InputError(f"{self.name}: statistics of one value a channel, found {x}")
        weights = [Tensor((c,), precision.weight, "weight", n) for n in ("gamma", "beta")]
        state = [Tensor((c,), precision.weight, "state", n) for n in self.state_names()]
        kept = [x.like(c).named(n) for n in self.kept_names()] if self.of_the_batch() else []
        return Inferred((x.like(*x.shape),), (*weights, *state), kept=tuple(kept))

    def channels(self, x: Tensor) -> tuple[Dim, Dim]:
        """Return the channels of ``x`` and the values that each has."""
        _, c, _ = split_layout(x.shape, self.layout)
        return c, x.elements // c

    def of_the_batch(self) -> bool:
        """Tell whether the statistics are those of the batch at hand."""
        return True

    def state_names(self) -> tuple[str, ...]:
        """Return the names of the stored statistics."""
        return ("mean", "variance")

    def kept_names(self) -> tuple[str, ...]:
        """Return what training keeps a channel."""
        return ("batch_mean", "batch_factor")

    def normalize(self, t: Bound, vector: Dim, special: Dim) -> Work:
        """Return the Work of channels with batch statistics, ``vector`` and ``special`` each."""
        x = t.x
        channels, _ = self.channels(x)
        builder = WorkBuilder().read(x, *t.weights).write(t.y)
        for state in (w for w in t.weights if w.role == "state"):
            builder.access(f"updated_{state.name}", "write", state.bytes)
        builder.count("vector", x.dtype, channels * vector)
        builder.count("special", x.dtype, channels * special)
        return self.two_passes(builder, (x,), channels)

    def two_passes(self, builder: WorkBuilder, tensors: Sequence[Tensor], channels: Dim) -> Work:
        """Return the Work of reading ``tensors`` twice where a channel does not stay inside."""
        again = total(t.bytes for t in tensors)

        def extra(capacity: Dim) -> Dim:
            return again * missed_share(again / channels, capacity)

        return builder.build(extra_traffic=extra)

    def gradient(
        self, t: Bound, saved: tuple[Tensor, ...], vector: Dim, special: Dim
    ) -> list[Gradient]:
        """Return one kernel for x, gamma and beta with so many operations a channel."""
        makes = (t.x, t.weight("gamma"), t.weight("beta"))
        dy = gradient_of(t.y)
        channels, _ = self.channels(t.x)
        builder = WorkBuilder().read(dy, *saved).write(*(gradient_of(m) for m in makes))
        builder.count("vector", dy.dtype, channels * vector)
        builder.count("special", dy.dtype, channels * special)
        work = self.two_passes(builder, (t.x, dy), channels)
        return [Gradient("input", makes, saved, work)]


@dataclass(frozen=True)
class BatchNorm(ChannelNorm):
    """Batch normalization: ``x[N,C,...] -> y[N,C,...]``; gamma, beta, mean, variance ``[C]``.

    ``y = gamma (x - mean) / sqrt(variance + epsilon) + beta``, computed as
    ``x scale + shift``: two operations an element. gamma and beta are
    parameters, mean and variance stored state.

    - Inference, with stored statistics: scale and shift take three vector and
      two special operations a channel (add epsilon, square root, divide,
      multiply, subtract).
    - Training, with the statistics of the batch, M values a channel: one pass
      sums x and x^2 (3 M - 2), both sums times 1/M and the subtraction of the
      squared mean (4) make the variance; then 4 more for scale and shift, a
      square root and a division; 6 to move the stored statistics, which are
      written. A channel that does not stay in the inner level is read twice.
      Backward keeps x and two statistics a channel.
    - Folded: scale and shift went into the weights and the bias of the layer
      before; nothing is left to move, to compute or to store.

    Backward, one kernel. Training: sums of dy and of dy (x - mean), 4 M - 2 a
    channel; 9 for a, b, c and gamma's gradient; ``dx = dy a + x b + c``, 4 M.
    Inference: dx = dy scale, and the sums for gamma and beta: 5 M + 1.
    Source: Ioffe and Szegedy, arXiv:1502.03167, algorithms 1 and 2.
    """

    name = "batch_norm"
    sizes = {
        "n": REQUIRED,
        "c": REQUIRED,
        "h": 1,
        "w": 1,
        "training": False,
        "layout": "nchw",
        "folded": False,
    }
    example = "batch_norm:n=32,c=256,h=56,w=56"
    small = (
        {"n": 1, "c": 2, "h": 3, "w": 3},
        {"n": 2, "c": 3, "h": 1, "w": 5, "layout": "nhwc"},
        {"n": 3, "c": 1},
        {"n": 2, "c": 3, "h": 3, "w": 1, "training": True},
        {"n": 5, "c": 2, "training": True, "layout": "nhwc"},
        {"n": 1, "c": 1, "h": 2, "w": 3, "training": True, "layout": "nhwc"},
        {"n": 2, "c": 3, "h": 2, "w": 2, "folded": True},
    )

    folded: bool = flag(
        False, doc="done by the weights of the layer before; inference only", in_training=False
    )
    training: bool = flag(
        False, doc="statistics of the batch, not the stored ones", in_training=True
    )

    def of_the_batch(self) -> bool:
        return self.training

    def is_a_view(self) -> bool:
        return self.folded

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        made = super().infer(inputs, precision)
        return Inferred(made.outputs) if self.folded else made

    def work(self, t: Bound) -> Work:
        if self.folded:
            return WorkBuilder().build(launches=0)
        x = t.x
        channels, values = self.channels(x)
        if self.training:
            return self.normalize(t, 5 * values + 12, 2)
        builder = WorkBuilder().read(x, *t.weights).write(t.y)
        builder.count("vector", x.dtype, 2 * x.elements + 3 * channels)
        builder.count("special", x.dtype, 2 * channels)
        return builder.build()

    def gradients(self, t: Bound) -> list[Gradient]:
        if self.folded:
            return [passed_on("input", t.x)]
        gamma = t.weight("gamma")
        _, values = self.channels(t.x)
        if self.training:
            return self.gradient(t, (t.x, gamma, *t.kept), 8 * values + 7, 0)
        stored = (t.weight("mean"), t.weight("variance"))
        return self.gradient(t, (t.x, gamma, *stored), 5 * values + 1, 2)


@dataclass(frozen=True)
class BatchRenorm(ChannelNorm):
    """Batch renormalization, in training: ``x[N,C,...] -> y[N,C,...]``.

    ``y = gamma ((x - mean_B) / sigma_B r + d) + beta`` with
    ``r = clip(sigma_B / sigma, 1 / r_max, r_max)`` and
    ``d = clip((mean_B - mean) / sigma, -d_max, d_max)``; sigma is the stored
    deviation, mean the stored mean (state), both moved towards the batch's.

    A channel of M values: 3 M + 2 for mean and variance as in batch norm, 1 for
    epsilon, 3 for r, 4 for d (two comparisons each), 6 for scale and shift, 6
    for the stored statistics, 2 M for y; a square root and two divisions.
    Backward holds r and d constant, keeps them with x, mean and 1 / sigma, and
    takes 8 M + 11 a channel. At inference it is batch norm.
    Source: Ioffe, arXiv:1702.03275, algorithm 1.
    """

    name = "batch_renorm"
    sizes = {"n": REQUIRED, "c": REQUIRED, "h": 1, "w": 1, "layout": "nchw"}
    example = "batch_renorm:n=32,c=256,h=56,w=56"
    small = (
        {"n": 1, "c": 2, "h": 3, "w": 3},
        {"n": 2, "c": 3, "h": 1, "w": 5, "layout": "nhwc"},
        {"n": 3, "c": 1},
    )

    r_max: Dim = size(1, doc="bound of r; 1 at the start of training, 3 later")
    d_max: Dim = size(0, doc="bound of d; 0 at the start of training, 5 later", least=0)

    def state_names(self) -> tuple[str, ...]:
        return ("mean", "deviation")

    def kept_names(self) -> tuple[str, ...]:
        return ("batch_mean", "batch_factor", "r", "d")

    def work(self, t: Bound) -> Work:
        _, values = self.channels(t.x)
        return self.normalize(t, 5 * values + 22, 3)

    def gradients(self, t: Bound) -> list[Gradient]:
        _, values = self.channels(t.x)
        return self.gradient(t, (t.x, t.weight("gamma"), *t.kept), 8 * values + 11, 0)
