"""Normalization over the last axis: layer norm, RMS norm."""

from __future__ import annotations

from abc import abstractmethod
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
    flag,
    gradient_of,
    missed_share,
)
from perfmodel.errors import InputError


@dataclass(frozen=True)
class RowNorm(Operator):
    """Base of norms over the last axis: ``x[..., C] -> y[..., C]``."""

    category = "normalization"
    sizes = {"rows": REQUIRED, "cols": REQUIRED}
    input_sizes = ("rows", "cols")
    small = ({"rows": 1, "cols": 4}, {"rows": 3, "cols": 7}, {"rows": 5, "cols": 1})

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (x,) = inputs
        if not x.shape:
            raise InputError(f"{self.name} expects x[..., C], found a scalar")
        weights = [
            Tensor((x.shape[-1],), precision.weight, "weight", n) for n in self.weight_names()
        ]
        kept = [x.like(*x.shape[:-1]).named(n) for n in self.kept_names()]
        return Inferred((x.like(*x.shape),), tuple(weights), kept=tuple(kept))

    @abstractmethod
    def weight_names(self) -> tuple[str, ...]:
        """Return the names of the learned vectors."""

    @abstractmethod
    def kept_names(self) -> tuple[str, ...]:
        """Return the statistics of a row that training keeps."""

    @abstractmethod
    def row_ops(self, cols: Dim) -> tuple[Dim, Dim]:
        """Return vector and special operations for a row of ``cols``."""

    @abstractmethod
    def gradient_row_ops(self, cols: Dim) -> Dim:
        """Return vector operations of a row's backward pass, sums over rows apart."""

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

        return builder.build(extra_traffic=extra, rows=rows)

    def gradients(self, t: Bound) -> list[Gradient]:
        x, cols, dy = t.x, t.x.shape[-1], gradient_of(t.y)
        rows = x.elements // cols
        saved, makes = (x, t.weight("gamma"), *t.kept), (x, *t.weights)
        builder = WorkBuilder().read(dy, *saved).write(*(gradient_of(m) for m in makes))
        summed = (rows - 1) * cols * len(t.weights)
        builder.count("vector", dy.dtype, rows * self.gradient_row_ops(cols) + summed)
        both = x.bytes + dy.bytes

        # The row's two sums first, its gradient second.
        def extra(capacity: Dim) -> Dim:
            return both * missed_share(both / rows, capacity)

        return [Gradient("input", makes, saved, builder.build(extra_traffic=extra, rows=rows))]


@dataclass(frozen=True)
class LayerNorm(RowNorm):
    """Layer normalization over the last axis: ``x[..., C] -> y[..., C]``, ``gamma, beta[C]``.

    ``y = gamma (x - mean) / sqrt(variance + epsilon) + beta``. A row takes
    C-1 additions and one multiplication for the mean; C subtractions; C
    multiplications, C-1 additions and one multiplication for the variance; one
    addition, a square root and a division for its reciprocal root; C
    multiplications by it, C by gamma, C additions of beta (none without bias).

    Training keeps x and a row's mean and reciprocal root f. Backward, with
    ``h = dy (x - mean) f``, ``g = dy gamma``: ``dx = (g - mean(g) - (x - mean) f
    mean(h gamma)) f``, 11 C a row, and C additions a row into each of gamma's
    and beta's gradients, sums of h and of dy.
    Source: Ba, Kiros and Hinton, arXiv:1607.06450.
    """

    name = "layer_norm"
    example = "layer_norm:rows=16384,cols=4096"

    bias: bool = flag(True, doc="add the learned shift beta")

    def weight_names(self) -> tuple[str, ...]:
        return ("gamma", "beta") if self.bias else ("gamma",)

    def kept_names(self) -> tuple[str, ...]:
        return ("row_mean", "row_factor")

    def row_ops(self, cols: Dim) -> tuple[Dim, Dim]:
        return (7 if self.bias else 6) * cols + 1, 2

    def gradient_row_ops(self, cols: Dim) -> Dim:
        return 11 * cols


@dataclass(frozen=True)
class RmsNorm(RowNorm):
    """Root-mean-square normalization over the last axis: ``x[..., C] -> y[..., C]``, ``gamma[C]``.

    ``y = gamma x / sqrt(mean(x^2) + epsilon)``. A row takes C multiplications,
    C-1 additions and one multiplication for the mean square; one addition, a
    square root and a division; C multiplications by the result and C by gamma.

    Training keeps x and a row's reciprocal root f. Backward, with ``h = dy x f``:
    ``dx = (dy gamma - x f mean(h gamma)) f``, 8 C a row, and C additions a row
    into gamma's gradient, the sum of h.
    Source: Zhang and Sennrich, arXiv:1910.07467.
    """

    name = "rms_norm"
    example = "rms_norm:rows=16384,cols=4096"

    def weight_names(self) -> tuple[str, ...]:
        return ("gamma",)

    def kept_names(self) -> tuple[str, ...]:
        return ("row_factor",)

    def row_ops(self, cols: Dim) -> tuple[Dim, Dim]:
        return 4 * cols + 1, 2

    def gradient_row_ops(self, cols: Dim) -> Dim:
        return 8 * cols
