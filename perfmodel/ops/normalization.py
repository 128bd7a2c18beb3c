"""Normalization: batch norm with stored statistics, layer norm, RMS norm."""

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
    flag,
    missed_share,
)
from perfmodel.errors import InputError


@dataclass(frozen=True)
class BatchNorm(Operator):
    """Batch normalization at inference, with stored statistics: ``x[N,C,...] -> y[N,C,...]``.

    ``y = gamma (x - mean) / sqrt(variance + epsilon) + beta``, computed as
    ``x scale + shift``: two operations an element; scale and shift take three
    vector and two special operations a channel (add epsilon, square root,
    divide, multiply, subtract). gamma and beta are parameters, mean and
    variance stored state.
    Source: Ioffe and Szegedy, arXiv:1502.03167, algorithm 2.
    """

    name = "batch_norm"
    category = "normalization"
    sizes = {"n": REQUIRED, "c": REQUIRED, "h": 1, "w": 1}
    example = "batch_norm:n=32,c=256,h=56,w=56"
    small = (
        {"n": 1, "c": 2, "h": 3, "w": 3},
        {"n": 2, "c": 3, "h": 1, "w": 5},
        {"n": 3, "c": 1},
    )

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (x,) = inputs
        if len(x.shape) < 2:
            raise InputError(f"batch_norm expects x[N, C, ...], found {x}")
        c = x.shape[1]
        weights = [Tensor((c,), precision.weight, "weight", n) for n in ("gamma", "beta")]
        state = [Tensor((c,), precision.weight, "state", n) for n in ("mean", "variance")]
        return Inferred((x.like(*x.shape),), (*weights, *state))

    def work(self, t: Bound) -> Work:
        x, channels = t.x, t.x.shape[1]
        builder = WorkBuilder().read(x, *t.weights).write(t.y)
        builder.count("vector", x.dtype, 2 * x.elements + 3 * channels)
        builder.count("special", x.dtype, 2 * channels)
        return builder.build()

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        return cls(), [Tensor(tuple(sizes[d] for d in "nchw"), precision.activation, name="x")]


@dataclass(frozen=True)
class RowNorm(Operator):
    """Base of norms over the last axis: ``x[..., C] -> y[..., C]``."""

    category = "normalization"
    sizes = {"rows": REQUIRED, "cols": REQUIRED}
    small = ({"rows": 1, "cols": 4}, {"rows": 3, "cols": 7}, {"rows": 5, "cols": 1})

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (x,) = inputs
        if not x.shape:
            raise InputError(f"{self.name} expects x[..., C], found a scalar")
        weights = [
            Tensor((x.shape[-1],), precision.weight, "weight", n) for n in self.weight_names()
        ]
        return Inferred((x.like(*x.shape),), tuple(weights))

    def weight_names(self) -> tuple[str, ...]:
        """Return the names of the learned vectors."""
        raise NotImplementedError

    def row_ops(self, cols: Dim) -> tuple[Dim, Dim]:
        """Return vector and special operations for a row of ``cols``."""
        raise NotImplementedError

    def work(self, t: Bound) -> Work:
        x, cols = t.x, t.x.shape[-1]
        rows = x.elements // cols
        vector, special = self.row_ops(cols)
        builder = WorkBuilder().read(x, *t.weights).write(t.y)
        builder.count("vector", x.dtype, rows * vector)
        builder.count("special", x.dtype, rows * special)

        # Statistics first, output second: a row that does not fit is read twice.
        def extra(capacity: Dim) -> Dim:
            return x.bytes * missed_share(x.bytes / rows, capacity)

        return builder.build(extra_traffic=extra)

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        return cls(), [Tensor((sizes["rows"], sizes["cols"]), precision.activation, name="x")]


@dataclass(frozen=True)
class LayerNorm(RowNorm):
    """Layer normalization over the last axis: ``x[..., C] -> y[..., C]``, ``gamma, beta[C]``.

    ``y = gamma (x - mean) / sqrt(variance + epsilon) + beta``. A row takes
    C-1 additions and one multiplication for the mean; C subtractions; C
    multiplications, C-1 additions and one multiplication for the variance; one
    addition, a square root and a division for its reciprocal root; C
    multiplications by it, C by gamma, C additions of beta (none without bias).
    Source: Ba, Kiros and Hinton, arXiv:1607.06450.
    """

    name = "layer_norm"
    example = "layer_norm:rows=16384,cols=4096"

    bias: bool = flag(True, doc="add the learned shift beta")

    def weight_names(self) -> tuple[str, ...]:
        return ("gamma", "beta") if self.bias else ("gamma",)

    def row_ops(self, cols: Dim) -> tuple[Dim, Dim]:
        return (7 if self.bias else 6) * cols + 1, 2


@dataclass(frozen=True)
class RmsNorm(RowNorm):
    """Root-mean-square normalization over the last axis: ``x[..., C] -> y[..., C]``, ``gamma[C]``.

    ``y = gamma x / sqrt(mean(x^2) + epsilon)``. A row takes C multiplications,
    C-1 additions and one multiplication for the mean square; one addition, a
    square root and a division; C multiplications by the result and C by gamma.
    Source: Zhang and Sennrich, arXiv:1910.07467.
    """

    name = "rms_norm"
    example = "rms_norm:rows=16384,cols=4096"

    def weight_names(self) -> tuple[str, ...]:
        return ("gamma",)

    def row_ops(self, cols: Dim) -> tuple[Dim, Dim]:
        return 4 * cols + 1, 2
