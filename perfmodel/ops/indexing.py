"""Gather and scatter: places along an axis chosen by a tensor of indices."""

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
    choice,
    gradient_of,
    missed_share,
    size,
)
from perfmodel.core.axes import axis_of
from perfmodel.core.dims import maximum
from perfmodel.core.elementwise import passed_on
from perfmodel.errors import InputError


@dataclass(frozen=True)
class Gather(Operator):
    """Places of an axis chosen by index: ``x[.., A, ..], indices[L..] -> y[.., L.., ..]``.

    ``y[.., l, ..] = x[.., indices[l], ..]``. Reads what it gathers, never the
    whole of x. The gradient adds each value that comes back into an array of
    zeros, one addition a value; what of that array the inner level does not
    hold is read and written again at each addition.
    Source: ONNX operator Gather; NumPy's ``take``.
    """

    name = "gather"
    category = "movement"
    arity = 2
    sizes = {"rows": REQUIRED, "cols": REQUIRED, "lookups": REQUIRED}
    example = "gather:rows=50000,cols=1024,lookups=4096"
    small = (
        {"rows": 5, "cols": 4, "lookups": 3},
        {"rows": 3, "cols": 7, "lookups": 1},
        {"rows": 7, "cols": 1, "lookups": 7},
    )

    axis: Dim = size(0, doc="the axis along which places are chosen", least=-16)

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        x, indices = inputs
        axis = axis_of(self.name, self.axis, len(x.shape))
        return Inferred((x.like(*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]),))

    def work(self, t: Bound) -> Work:
        x, indices = t.inputs
        builder = WorkBuilder().read(indices).access(x.name, "read", t.y.bytes)
        return builder.write(t.y).build()

    def gradients(self, t: Bound) -> list[Gradient]:
        x, indices = t.inputs
        dy, dx = gradient_of(t.y), gradient_of(x)
        builder = WorkBuilder().read(dy, indices).write(dx)
        builder.count("vector", dy.dtype, t.y.elements)

        def extra(capacity: Dim) -> Dim:
            return 2 * dy.bytes * missed_share(dx.bytes, capacity)

        return [Gradient("input", (x,), (indices,), builder.build(extra_traffic=extra))]

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        x = Tensor((sizes["rows"], sizes["cols"]), precision.activation, name="x")
        return cls(), [x, Tensor((sizes["lookups"],), precision.of("index"), "index", "indices")]


@dataclass(frozen=True)
class Scatter(Operator):
    """Rows replaced, or added to: ``x[R,...], indices[L], updates[L,...] -> y[R,...]``.

    ``y = x`` but ``y[indices[l]] = updates[l]``, or with mode 'add'
    ``y[indices[l]] = x[indices[l]] + updates[l]``, one addition a value; counted
    for indices that differ. Rows that are replaced are not read. The gradient of
    the updates gathers; that of x has zeros for rows that were replaced, and is
    the output's own where they were added to.
    Source: ONNX operator ScatterND.
    """

    name = "scatter"
    category = "movement"
    arity = 3
    sizes = {"rows": REQUIRED, "cols": REQUIRED, "lookups": REQUIRED, "mode": "replace"}
    example = "scatter:rows=50000,cols=1024,lookups=4096"
    small = (
        {"rows": 5, "cols": 4, "lookups": 3},
        {"rows": 3, "cols": 7, "lookups": 1, "mode": "add"},
        {"rows": 7, "cols": 1, "lookups": 7},
        {"rows": 6, "cols": 3, "lookups": 5, "mode": "add"},
    )

    mode: str = choice("replace", ("replace", "add"), doc="what an update does to its row")

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        x, indices, updates = inputs
        if not x.shape:
            raise InputError("scatter expects x[R,...], found a scalar")
        expected = (*indices.shape, *x.shape[1:])
        self.need_rank(updates, len(expected), f"updates with {len(expected)} axes")
        for i, (found, wanted) in enumerate(zip(updates.shape, expected, strict=True)):
            self.need_same(found, wanted, f"axis {i} of the updates")
        return Inferred((x.like(*x.shape),))

    def work(self, t: Bound) -> Work:
        x, indices, updates = t.inputs
        builder = WorkBuilder().read(indices, updates).write(t.y)
        if self.mode == "add":
            return builder.read(x).count("vector", x.dtype, updates.elements).build()
        return builder.access(x.name, "read", _others(x, updates)).build()

    def gradients(self, t: Bound) -> list[Gradient]:
        x, indices, updates = t.inputs
        dy, dx, du = gradient_of(t.y), gradient_of(x), gradient_of(updates)
        to_updates = WorkBuilder().read(indices).write(du)
        to_updates.access(dy.name, "read", x.like(*updates.shape).bytes)
        made = [Gradient("updates", (updates,), (indices,), to_updates.build())]
        if self.mode == "add":
            return [passed_on("input", x), *made]
        to_x = WorkBuilder().read(indices).access(dy.name, "read", _others(x, updates)).write(dx)
        return [Gradient("input", (x,), (indices,), to_x.build()), *made]

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        rows, cols, lookups = sizes["rows"], sizes["cols"], sizes["lookups"]
        return cls(mode=sizes["mode"]), [
            Tensor((rows, cols), precision.activation, name="x"),
            Tensor((lookups,), precision.of("index"), "index", "indices"),
            Tensor((lookups, cols), precision.activation, name="updates"),
        ]


def _others(x: Tensor, updates: Tensor) -> Dim:
    """Return the bytes of the rows of ``x`` that stay as they are."""
    return maximum(x.bytes - x.like(*updates.shape).bytes, 0)
