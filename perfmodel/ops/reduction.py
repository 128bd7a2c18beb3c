"""Softmax, log-softmax and k-winners-take-all: elementwise work and reductions over rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from perfmodel.core import (
    REQUIRED,
    Algorithm,
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
    gradient_of,
    missed_share,
    size,
)
from perfmodel.core.dims import smallest
from perfmodel.core.selection import tree_selection
from perfmodel.errors import InputError

SOFTMAX_SIZES = {"rows": REQUIRED, "cols": REQUIRED, "algorithm": "two_pass"}
SOFTMAX_SMALL = (
    {"rows": 1, "cols": 4},
    {"rows": 3, "cols": 7},
    {"rows": 5, "cols": 1},
    {"rows": 3, "cols": 7, "algorithm": "online"},
    {"rows": 5, "cols": 1, "algorithm": "online"},
)


@dataclass(frozen=True)
class RowReduction(Operator):
    """Base of operators that treat every row alike: ``x[..., C] -> y[..., C]``."""

    category = "reduction"
    sizes = {"rows": REQUIRED, "cols": REQUIRED}
    input_sizes = ("rows", "cols")
    small: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"rows": 1, "cols": 4},
        {"rows": 3, "cols": 7},
        {"rows": 5, "cols": 1},
    )

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (x,) = inputs
        if not x.shape:
            raise InputError(f"{self.name} expects x[..., C], found a scalar")
        return Inferred((x.like(*x.shape),))


@dataclass(frozen=True)
class Softmax(RowReduction):
    """Softmax over the last axis, with the maximum subtracted: ``x[..., C] -> y[..., C]``.

    ``y_i = exp(x_i - max x) / sum_j exp(x_j - max x)``. Two algorithms:

    - ``two_pass`` (maximum, then sum): a row of C takes C-1 comparisons, C
      subtractions, C-1 additions and C multiplications by the reciprocal sum, C
      exponentials and one division. A row that does not fit the inner level is
      read three times (maximum, sum, output).
    - ``online``: maximum and sum in one pass. Each value but the first compares,
      rescales the sum (subtract, exp, multiply) and joins it (subtract, exp, add);
      the output takes C subtractions, multiplications and exponentials more. A
      row that does not fit is read twice.

    Backward from the output: ``dx = y (dy - sum_j dy_j y_j)``, 4C-1 operations a row.
    Source: Blanchard, Higham and Higham, "Accurately computing the log-sum-exp
    and softmax functions", IMA J. Numer. Anal. 41 (2021); Milakov and Gimelshein,
    "Online normalizer calculation for softmax", arXiv:1805.02867.
    """

    name = "softmax"
    sizes = SOFTMAX_SIZES
    example = "softmax:rows=16384,cols=4096"
    small = SOFTMAX_SMALL

    algorithm: str = choice("two_pass", ("two_pass", "online"), doc="how it is computed")

    def work(self, t: Bound) -> Work:
        x, cols = t.x, t.x.shape[-1]
        rows = x.elements // cols
        online = self.algorithm == "online"
        builder = WorkBuilder().read(x).write(t.y)
        builder.count("vector", x.dtype, rows * (7 * cols - 5 if online else 4 * cols - 2))
        builder.count("special", x.dtype, rows * (3 * cols - 1 if online else cols + 1))
        return _reread(builder, x.bytes, rows, 1 if online else 2)

    def algorithms(self, t: Bound) -> list[Algorithm]:
        return [Algorithm(self.algorithm, self.work(t))]

    def gradients(self, t: Bound) -> list[Gradient]:
        dy, cols = gradient_of(t.y), t.x.shape[-1]
        rows = t.x.elements // cols
        builder = WorkBuilder().read(dy, t.y).write(gradient_of(t.x))
        builder.count("vector", t.x.dtype, rows * (4 * cols - 1))
        work = _reread(builder, dy.bytes + t.y.bytes, rows, 1)
        return [Gradient("input", (t.x,), (t.y,), work)]


@dataclass(frozen=True)
class LogSoftmax(RowReduction):
    """Logarithm of the softmax over the last axis: ``x[..., C] -> y[..., C]``.

    ``y_i = x_i - max x - log(sum_j exp(x_j - max x))``. Two algorithms:

    - ``two_pass``: a row of C takes C-1 comparisons, 2C subtractions, C-1
      additions, C exponentials and one logarithm. A row that does not fit the
      inner level is read three times.
    - ``online``: maximum and sum in one pass as of `softmax`, five operations and
      two exponentials for each value but the first; then one logarithm, one
      addition and C subtractions. A row that does not fit is read twice.

    Backward from the output: ``dx = dy - exp(y) sum_j dy_j``, 3C-1 operations and C
    exponentials a row.
    Source: Blanchard, Higham and Higham, "Accurately computing the log-sum-exp
    and softmax functions", IMA J. Numer. Anal. 41 (2021); Milakov and Gimelshein,
    arXiv:1805.02867.
    """

    name = "log_softmax"
    sizes = SOFTMAX_SIZES
    example = "log_softmax:rows=16384,cols=4096"
    small = SOFTMAX_SMALL

    algorithm: str = choice("two_pass", ("two_pass", "online"), doc="how it is computed")

    def work(self, t: Bound) -> Work:
        x, cols = t.x, t.x.shape[-1]
        rows = x.elements // cols
        online = self.algorithm == "online"
        builder = WorkBuilder().read(x).write(t.y)
        builder.count("vector", x.dtype, rows * (6 * cols - 4 if online else 4 * cols - 2))
        builder.count("special", x.dtype, rows * (2 * cols - 1 if online else cols + 1))
        return _reread(builder, x.bytes, rows, 1 if online else 2)

    def algorithms(self, t: Bound) -> list[Algorithm]:
        return [Algorithm(self.algorithm, self.work(t))]

    def gradients(self, t: Bound) -> list[Gradient]:
        dy, cols = gradient_of(t.y), t.x.shape[-1]
        rows = t.x.elements // cols
        builder = WorkBuilder().read(dy, t.y).write(gradient_of(t.x))
        builder.count("vector", t.x.dtype, rows * (3 * cols - 1))
        builder.count("special", t.x.dtype, rows * cols)
        # The sum needs dy alone, the output then dy and y.
        return [Gradient("input", (t.x,), (t.y,), _reread(builder, dy.bytes, rows, 1))]


@dataclass(frozen=True)
class KWinnersTakeAll(RowReduction):
    """The k largest values of each row, all others 0: ``x[..., C] -> y[..., C]``.

    ``y_i = x_i`` where x_i is among the k largest of its row, else 0: it leaves k of
    C values, a density of k/C. Tree selection: a knockout tournament of C-1
    comparisons finds the first winner; each of the other k-1 replays the
    ``ceil(log2 C)`` matches on the path of the winner before it. A row that does
    not fit the inner level is read twice, to select and to copy.

    Backward selects dy where y is not 0, two comparisons an element.
    Source: Ahmad and Scheinkman, "How can we be so dense?", arXiv:1903.11257;
    Knuth, *The Art of Computer Programming*, vol. 3, section 5.2.3.
    """

    name = "k_winners_take_all"
    sizes = {"rows": REQUIRED, "cols": REQUIRED, "k": REQUIRED}
    example = "k_winners_take_all:rows=4096,cols=1024,k=51"
    small = (
        {"rows": 1, "cols": 4, "k": 1},
        {"rows": 3, "cols": 7, "k": 3},
        {"rows": 5, "cols": 1, "k": 1},
        {"rows": 2, "cols": 9, "k": 9},
    )

    k: Dim = size(doc="values that each row keeps")

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        made = super().infer(inputs, precision)
        if smallest(inputs[0].shape[-1] - self.k) < 0:
            raise InputError(f"{self.name}: k={self.k} winners in rows of {inputs[0]}")
        return made

    def work(self, t: Bound) -> Work:
        x, cols = t.x, t.x.shape[-1]
        rows = x.elements // cols
        builder = WorkBuilder().read(x).write(t.y)
        builder.count("vector", x.dtype, rows * tree_selection(cols, self.k))
        return _reread(builder, x.bytes, rows, 1)

    def gradients(self, t: Bound) -> list[Gradient]:
        builder = WorkBuilder().read(gradient_of(t.y), t.y).write(gradient_of(t.x))
        builder.count("vector", t.x.dtype, 2 * t.x.elements)
        return [Gradient("input", (t.x,), (t.y,), builder.build())]


def _reread(builder: WorkBuilder, bytes: Dim, rows: Dim, times: int) -> Work:
    """Return the Work that reads ``bytes`` so many times again, as far as a row does not stay."""

    def extra(capacity: Dim) -> Dim:
        return times * bytes * missed_share(bytes / rows, capacity)

    return builder.build(extra_traffic=extra, rows=rows)
