"""Selection and order along an axis: the place of the largest, the k largest, sorting."""

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
    flag,
    gradient_of,
    missed_share,
    size,
)
from perfmodel.core.axes import axis_of, with_extent
from perfmodel.core.dims import maximum
from perfmodel.core.powers import ceil_log2, linear_log2
from perfmodel.core.selection import tree_selection


@dataclass(frozen=True)
class Selection(Operator):
    """Base of operators that compare the values along one axis."""

    category = "reduction"
    sizes = {"rows": REQUIRED, "cols": REQUIRED}
    input_sizes = ("rows", "cols")

    axis: Dim = size(-1, doc="the axis along which values are compared", least=-16)

    def extent(self, x: Tensor) -> Dim:
        """Return the number of values that are compared with each other."""
        return x.shape[axis_of(self.name, self.axis, len(x.shape))]

    def resized(self, x: Tensor, extent: Dim) -> tuple[Dim, ...]:
        """Return the shape of ``x`` with another extent along the axis."""
        return with_extent(x.shape, axis_of(self.name, self.axis, len(x.shape)), extent)


def _from_indices(t: Bound) -> list[Gradient]:
    """Return the kernel that puts what came back to the values where they were, among zeros."""
    values, indices = t.outputs
    work = WorkBuilder().read(gradient_of(values), indices).write(gradient_of(t.x)).build()
    return [Gradient("input", (t.x,), (indices,), work)]


@dataclass(frozen=True)
class ArgMax(Selection):
    """Place of the largest value along an axis: ``x[..., C] -> y[...]``; C - 1 comparisons.

    The first of several that are equal; no gradient.
    """

    name = "argmax"
    example = "argmax:rows=4096,cols=32000"
    small = ({"rows": 2, "cols": 4}, {"rows": 3, "cols": 7}, {"rows": 1, "cols": 2})

    keep: bool = flag(False, doc="the axis stays, with one place")

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (x,) = inputs
        axis = axis_of(self.name, self.axis, len(x.shape))
        kept = (*x.shape[:axis], *((1,) if self.keep else ()), *x.shape[axis + 1 :])
        return Inferred((Tensor(kept, precision.of("index"), "index"),))

    def work(self, t: Bound) -> Work:
        builder = WorkBuilder().read(t.x).write(t.y)
        return builder.count("vector", t.x.dtype, t.x.elements - t.y.elements).build()


@dataclass(frozen=True, kw_only=True)
class TopK(Selection):
    """The k largest values and their places: ``x[..., C] -> values[..., k], indices[..., k]``.

    In falling order, by a tournament: C - 1 comparisons name the largest; each
    of the k - 1 others takes ceil(log2 C) comparisons, along the path that the
    one before it had won. The cost does not depend on the values. The gradient
    puts what came back to the k places among zeros.
    Source: Knuth, *The Art of Computer Programming*, vol. 3, section 5.2.3.
    """

    name = "topk"
    sizes = {"rows": REQUIRED, "cols": REQUIRED, "k": REQUIRED}
    example = "topk:rows=4096,cols=32000,k=50"
    small = (
        {"rows": 2, "cols": 4, "k": 2},
        {"rows": 3, "cols": 7, "k": 3},
        {"rows": 1, "cols": 5, "k": 5},
        {"rows": 2, "cols": 9, "k": 1},
    )

    k: Dim = size(doc="values selected")

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (x,) = inputs
        self.need_positive(self.extent(x) - self.k + 1, "values along the axis less k, plus 1")
        shape = self.resized(x, self.k)
        return Inferred((x.like(*shape), Tensor(shape, precision.of("index"), "index")))

    def work(self, t: Bound) -> Work:
        x, extent = t.x, self.extent(t.x)
        rows = x.elements // extent
        replayed = rows * (self.k - 1) * ceil_log2(extent)
        builder = WorkBuilder().read(x).write(*t.outputs)
        builder.count("vector", x.dtype, rows * tree_selection(extent, self.k))

        # A path through the tournament meets values from all over the row.
        def extra(capacity: Dim) -> Dim:
            return replayed * (x.bytes / x.elements) * missed_share(x.bytes / rows, capacity)

        return builder.build(extra_traffic=extra)

    def gradients(self, t: Bound) -> list[Gradient]:
        return _from_indices(t)


@dataclass(frozen=True)
class Sort(Selection):
    """Sorted values and where they were: ``x[..., C] -> values[..., C], indices[..., C]``.

    Merge sort from the bottom up with sentinels at the ends of runs: each of
    ceil(log2 C) passes compares once for every value, whatever the values are.
    Runs that fit the inner level are sorted on the way in and out; every
    doubling beyond it is a pass that reads and writes all values and indices
    again. The gradient puts what came back to where each value was.
    Source: Cormen et al., *Introduction to Algorithms*, section 2.3.1.
    """

    name = "sort"
    example = "sort:rows=4096,cols=32000"
    small = ({"rows": 2, "cols": 4}, {"rows": 3, "cols": 7}, {"rows": 5, "cols": 1})

    descending: bool = flag(False, doc="the largest first")

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (x,) = inputs
        shape = self.resized(x, self.extent(x))
        return Inferred((x.like(*shape), Tensor(shape, precision.of("index"), "index")))

    def work(self, t: Bound) -> Work:
        values, indices = t.outputs
        extent = self.extent(t.x)
        sorted_bytes = values.bytes + indices.bytes
        row = sorted_bytes / (t.x.elements // extent)
        builder = WorkBuilder().read(t.x).write(values, indices)
        builder.count("vector", t.x.dtype, t.x.elements * ceil_log2(extent))

        def extra(capacity: Dim) -> Dim:
            held = maximum(capacity, row / extent)
            return 2 * sorted_bytes * linear_log2(maximum(row / held, 1))

        return builder.build(extra_traffic=extra)

    def gradients(self, t: Bound) -> list[Gradient]:
        return _from_indices(t)
