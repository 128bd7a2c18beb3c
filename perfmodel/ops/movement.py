"""Operators that copy values to other places: they read what they take, write what they make."""

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
    size,
    size_list,
)
from perfmodel.core.axes import axis_of, with_extent
from perfmodel.core.dims import same, total
from perfmodel.core.elementwise import passed_on
from perfmodel.core.moving import Movement
from perfmodel.errors import InputError


def _is_first(axis: Dim) -> bool:
    """Tell whether a cut along ``axis`` leaves runs of memory: all axes after it are whole."""
    return same(axis, 0)


@dataclass(frozen=True)
class Transpose(Movement):
    """Axes in another order, by default reversed: ``x[d0, d1] -> y[d_axes0, d_axes1]``.

    A ``strided`` one is a view: readers step through x in another order, nothing moves.
    """

    name = "transpose"
    sizes = {"rows": REQUIRED, "cols": REQUIRED, "strided": False}
    example = "transpose:rows=4096,cols=4096"
    small = (
        {"rows": 2, "cols": 3},
        {"rows": 1, "cols": 7},
        {"rows": 5, "cols": 5},
        {"rows": 3, "cols": 2, "strided": True},
    )

    axes: Any = size_list((), doc="the old axis that stands at each new place")
    strided: bool = flag(False, doc="a view by steps in memory; nothing moves")

    def order(self, rank: int) -> tuple[int, ...]:
        """Return the permutation for a tensor with ``rank`` axes."""
        axes = tuple(axis_of(self.name, a, rank) for a in self.axes) or tuple(range(rank))[::-1]
        if sorted(axes) != list(range(rank)):
            raise InputError(f"transpose: axes {list(axes)} do not name {rank} axes once each")
        return axes

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (x,) = inputs
        return Inferred((x.like(*(x.shape[a] for a in self.order(len(x.shape)))),))

    def is_a_view(self) -> bool:
        return self.strided

    def work(self, t: Bound) -> Work:
        return WorkBuilder().build(launches=0) if self.strided else super().work(t)

    def gradients(self, t: Bound) -> list[Gradient]:
        return [passed_on("input", t.x)] if self.strided else super().gradients(t)

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        shape = (sizes["rows"], sizes["cols"])
        return cls(strided=sizes["strided"]), [Tensor(shape, precision.activation, name="x")]


@dataclass(frozen=True)
class Concat(Movement):
    """Tensors joined along an axis: ``x1[.., A, ..], x2[.., B, ..] -> y[.., A+B, ..]``."""

    name = "concat"
    arity = (1, 1024)
    sizes = {"rows": REQUIRED, "cols": REQUIRED, "inputs": 2}
    example = "concat:rows=4096,cols=4096"
    small = ({"rows": 2, "cols": 3}, {"rows": 1, "cols": 7, "inputs": 3}, {"rows": 5, "cols": 1})
    fixed = frozenset({"inputs"})

    axis: Dim = size(-1, doc="the axis along which they are joined", least=-16)

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        first, rank = inputs[0], len(inputs[0].shape)
        axis = axis_of(self.name, self.axis, rank)
        for tensor in inputs[1:]:
            self.need_rank(tensor, rank, f"tensors with {rank} axes")
            for i, (found, expected) in enumerate(zip(tensor.shape, first.shape, strict=True)):
                if i != axis:
                    self.need_same(found, expected, f"axis {i}")
        length = total(t.shape[axis] for t in inputs)
        return Inferred((first.like(*with_extent(first.shape, axis, length)),))

    def work(self, t: Bound) -> Work:
        return WorkBuilder().read(*t.inputs).write(t.y).build()

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        shape = (sizes["rows"], sizes["cols"])
        count = int(sizes["inputs"])
        return cls(), [Tensor(shape, precision.activation, name=f"x{i}") for i in range(count)]


@dataclass(frozen=True)
class Split(Movement):
    """A tensor cut along an axis: ``x[.., A+B, ..] -> y1[.., A, ..], y2[.., B, ..]``.

    Into ``parts`` of equal length, or into parts of the ``lengths`` given. Along the
    first axis (``axis: 0``) the parts are views of x and nothing moves forwards.
    """

    name = "split"
    sizes = {"rows": REQUIRED, "cols": REQUIRED, "parts": 2, "leading": False}
    example = "split:rows=4096,cols=4096"
    small = (
        {"rows": 2, "cols": 4},
        {"rows": 1, "cols": 9, "parts": 3},
        {"rows": 5, "cols": 7, "parts": 1},
        {"rows": 6, "cols": 2, "parts": 3, "leading": True},
    )
    fixed = frozenset({"parts"})

    parts: Dim = size(2, doc="number of parts of equal length")
    lengths: Any = size_list((), doc="the length of each part, where they are not equal", least=1)
    axis: Dim = size(-1, doc="the axis that is cut", least=-16)

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (x,) = inputs
        axis = axis_of(self.name, self.axis, len(x.shape))
        lengths = self.lengths
        if not lengths:
            if not isinstance(self.parts, int):
                raise InputError("split: parts is one whole number, it cannot be swept")
            self.need_same(x.shape[axis] % self.parts, 0, f"places along axis {axis} modulo parts")
            lengths = (x.shape[axis] // self.parts,) * self.parts
        self.need_same(total(lengths), x.shape[axis], "places of all parts")
        return Inferred(tuple(x.like(*with_extent(x.shape, axis, n)) for n in lengths))

    def is_a_view(self) -> bool:
        return _is_first(self.axis)

    def work(self, t: Bound) -> Work:
        if self.is_a_view():
            return WorkBuilder().build(launches=0)
        return WorkBuilder().read(t.x).write(*t.outputs).build()

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        x = Tensor((sizes["rows"], sizes["cols"]), precision.activation, name="x")
        return cls(parts=int(sizes["parts"]), axis=0 if sizes["leading"] else -1), [x]


@dataclass(frozen=True)
class Slice(Movement):
    """A run of places along an axis: ``x[.., A, ..] -> y[.., length, ..]``.

    Along the first axis (``axis: 0``), or ``strided``, it is a view of x and nothing moves
    forwards; else the places taken are copied. The gradient puts what came back among zeros.
    """

    name = "slice"
    sizes = {
        "rows": REQUIRED,
        "cols": REQUIRED,
        "length": REQUIRED,
        "leading": False,
        "strided": False,
    }
    example = "slice:rows=4096,cols=4096,length=1024"
    small = (
        {"rows": 2, "cols": 3, "length": 2},
        {"rows": 1, "cols": 7, "length": 7},
        {"rows": 5, "cols": 4, "length": 1},
        {"rows": 5, "cols": 3, "length": 2, "leading": True},
        {"rows": 4, "cols": 3, "length": 2, "strided": True},
    )

    length: Dim = size(doc="places taken")
    axis: Dim = size(-1, doc="the axis that is cut", least=-16)
    start: Dim = size(0, doc="first place taken", least=0)
    strided: bool = flag(False, doc="a view by steps in memory; nothing moves")

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (x,) = inputs
        axis = axis_of(self.name, self.axis, len(x.shape))
        self.need_positive(x.shape[axis] - self.start - self.length + 1, "what is left to cut")
        return Inferred((x.like(*with_extent(x.shape, axis, self.length)),))

    def is_a_view(self) -> bool:
        return self.strided or _is_first(self.axis)

    def work(self, t: Bound) -> Work:
        return WorkBuilder().build(launches=0) if self.is_a_view() else super().work(t)

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        x = Tensor((sizes["rows"], sizes["cols"]), precision.activation, name="x")
        axis = 0 if sizes["leading"] else -1
        return cls(length=sizes["length"], axis=axis, strided=sizes["strided"]), [x]
