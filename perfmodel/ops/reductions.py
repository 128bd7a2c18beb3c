"""Reductions along axes (sum, mean, largest, smallest, norm), and the running sum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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
    size,
    size_list,
)
from perfmodel.core.axes import axes_of, axis_of


@dataclass(frozen=True)
class Reduction(Operator):
    """Base of operators that make one value of many: ``x[..., C] -> y[...]``."""

    category = "reduction"
    sizes = {"rows": REQUIRED, "cols": REQUIRED}
    small = ({"rows": 2, "cols": 4}, {"rows": 3, "cols": 7}, {"rows": 5, "cols": 1})

    axes: Any = size_list((-1,), doc="the axes that are reduced", least=-16)
    keep: bool = flag(False, doc="a reduced axis stays, with one place")

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (x,) = inputs
        axes = axes_of(self.name, self.axes, len(x.shape))
        kept = (1 if i in axes else d for i, d in enumerate(x.shape) if self.keep or i not in axes)
        return Inferred((x.like(*kept),))

    def row_ops(self, values: Dim) -> tuple[Dim, Dim]:
        """Return vector and special operations for one output of ``values`` inputs."""
        return values - 1, 0

    def work(self, t: Bound) -> Work:
        rows = t.y.elements
        vector, special = self.row_ops(t.x.elements // rows)
        builder = WorkBuilder().read(t.x).write(t.y).count("vector", t.x.dtype, rows * vector)
        return builder.count("special", t.x.dtype, rows * special).build()

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        return cls(), [Tensor((sizes["rows"], sizes["cols"]), precision.activation, name="x")]


class ReduceSum(Reduction):
    """Sum along axes: ``x[..., C] -> y[...]``, ``y = sum_i x_i``; C - 1 additions an output.

    The gradient is the output's, copied to every input.
    """

    name = "reduce_sum"
    example = "reduce_sum:rows=16384,cols=4096"

    def gradients(self, t: Bound) -> list[Gradient]:
        return [Gradient("input", (t.x,), (), _back(t).build())]


class ReduceMean(Reduction):
    """Mean along axes: ``x[..., C] -> y[...]``, ``y = 1/C sum_i x_i``.

    C - 1 additions and a multiplication an output; the gradient takes a
    multiplication an output and copies the product to every input.
    """

    name = "reduce_mean"
    example = "reduce_mean:rows=16384,cols=4096"

    def row_ops(self, values: Dim) -> tuple[Dim, Dim]:
        return values, 0

    def gradients(self, t: Bound) -> list[Gradient]:
        builder = _back(t).count("vector", t.x.dtype, t.y.elements)
        return [Gradient("input", (t.x,), (), builder.build())]


class Extreme(Reduction):
    """Base of the largest and the smallest value; the gradient goes to the inputs that are it."""

    def gradients(self, t: Bound) -> list[Gradient]:
        builder = _back(t).read(t.x, t.y).count("vector", t.x.dtype, t.x.elements)
        return [Gradient("input", (t.x,), (t.x, t.y), builder.build())]


class ReduceMax(Extreme):
    """Largest value along axes: ``x[..., C] -> y[...]``, ``y = max_i x_i``.

    C - 1 comparisons an output. The gradient compares every input with the
    output, and passes what came back to each that is not less.
    """

    name = "reduce_max"
    example = "reduce_max:rows=16384,cols=4096"


class ReduceMin(Extreme):
    """Smallest value along axes: ``x[..., C] -> y[...]``, ``y = min_i x_i``.

    C - 1 comparisons an output. The gradient compares every input with the
    output, and passes what came back to each that is not greater.
    """

    name = "reduce_min"
    example = "reduce_min:rows=16384,cols=4096"


class Norm(Reduction):
    """Euclidean norm along axes: ``x[..., C] -> y[...]``, ``y = sqrt(sum_i x_i^2)``.

    C multiplications, C - 1 additions and a square root an output. The gradient
    ``dx_i = x_i (dy / y)`` takes a division an output and C multiplications.
    Source: Golub and Van Loan, *Matrix Computations*, 4th ed., section 2.2.
    """

    name = "norm"
    example = "norm:rows=16384,cols=4096"

    def row_ops(self, values: Dim) -> tuple[Dim, Dim]:
        return 2 * values - 1, 1

    def gradients(self, t: Bound) -> list[Gradient]:
        builder = _back(t).read(t.x, t.y).count("vector", t.x.dtype, t.x.elements)
        builder.count("special", t.x.dtype, t.y.elements)
        return [Gradient("input", (t.x,), (t.x, t.y), builder.build())]


@dataclass(frozen=True)
class CumSum(Operator):
    """Running sum along an axis: ``x[..., C] -> y[..., C]``, ``y_i = y_{i-1} + x_i``.

    C - 1 additions a row, as one thread or a chain of blocks makes them; the
    gradient is the running sum from the other end.
    Source: Merrill and Garland, "Single-pass parallel prefix scan with
    decoupled look-back", NVR-2016-002.
    """

    name = "cumsum"
    category = "reduction"
    sizes = {"rows": REQUIRED, "cols": REQUIRED}
    example = "cumsum:rows=16384,cols=4096"
    small = ({"rows": 2, "cols": 4}, {"rows": 3, "cols": 7}, {"rows": 5, "cols": 1})

    axis: Dim = size(-1, doc="the axis along which values are added", least=-16)

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        axis_of(self.name, self.axis, len(inputs[0].shape))
        return Inferred((inputs[0].like(*inputs[0].shape),))

    def _additions(self, x: Tensor) -> Dim:
        extent = x.shape[axis_of(self.name, self.axis, len(x.shape))]
        return x.elements // extent * (extent - 1)

    def work(self, t: Bound) -> Work:
        builder = WorkBuilder().read(t.x).write(t.y)
        return builder.count("vector", t.x.dtype, self._additions(t.x)).build()

    def gradients(self, t: Bound) -> list[Gradient]:
        builder = _back(t).count("vector", t.x.dtype, self._additions(t.x))
        return [Gradient("input", (t.x,), (), builder.build())]

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        return cls(), [Tensor((sizes["rows"], sizes["cols"]), precision.activation, name="x")]


def _back(t: Bound) -> WorkBuilder:
    """Return a builder with the output's gradient read and the input's written."""
    return WorkBuilder().read(gradient_of(t.y)).write(gradient_of(t.x))
