"""Softmax: elementwise work and two reductions along the last axis."""

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
    missed_share,
)
from perfmodel.errors import InputError


@dataclass(frozen=True)
class Softmax(Operator):
    """Softmax over the last axis, with the maximum subtracted: ``x[..., C] -> y[..., C]``.

    ``y_i = exp(x_i - max x) / sum_j exp(x_j - max x)``. A row of C takes C-1
    comparisons, C subtractions, C-1 additions and C multiplications by the
    reciprocal sum, C exponentials and one division. A row that does not fit
    the inner level is read three times (maximum, sum, output).
    Source: Blanchard, Higham and Higham, "Accurately computing the log-sum-exp
    and softmax functions", IMA J. Numer. Anal. 41 (2021).
    """

    name = "softmax"
    category = "reduction"
    sizes = {"rows": REQUIRED, "cols": REQUIRED}
    example = "softmax:rows=16384,cols=4096"
    small = ({"rows": 1, "cols": 4}, {"rows": 3, "cols": 7}, {"rows": 5, "cols": 1})

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (x,) = inputs
        if not x.shape:
            raise InputError("softmax expects x[..., C], found a scalar")
        return Inferred((x.like(*x.shape),))

    def work(self, t: Bound) -> Work:
        x, cols = t.x, t.x.shape[-1]
        rows = x.elements // cols
        builder = WorkBuilder().read(x).write(t.y)
        builder.count("vector", x.dtype, rows * (4 * cols - 2))
        builder.count("special", x.dtype, rows * (cols + 1))

        def extra(capacity: Dim) -> Dim:
            return 2 * x.bytes * missed_share(x.bytes / rows, capacity)

        return builder.build(extra_traffic=extra)

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        return cls(), [Tensor((sizes["rows"], sizes["cols"]), precision.activation, name="x")]
