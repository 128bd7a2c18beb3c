"""Operators that move values and compute nothing.

A view (reshape, flatten) costs nothing; the others read what they take and
write what they make.
"""

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
    size,
    size_list,
)
from perfmodel.core.dims import product, same, total
from perfmodel.errors import InputError


@dataclass(frozen=True)
class Movement(Operator):
    """Base of operators that only move: reads its output's bytes, writes them."""

    category = "movement"

    def work(self, t: Bound) -> Work:
        return WorkBuilder().access(t.x.name, "read", t.y.bytes).write(t.y).build()

    def axis_of(self, axis: Dim, rank: int) -> int:
        """Return ``axis`` counted from 0; InputError where there is none such."""
        if not isinstance(axis, int) or not -rank <= axis < rank:
            raise InputError(f"{self.name}: axis {axis} of a tensor with {rank} axes")
        return axis % rank


@dataclass(frozen=True)
class Reshape(Operator):
    """Another view of the same values: ``x[...] -> y[shape]``; one size may be -1."""

    name = "reshape"
    category = "movement"
    is_view = True
    sizes = {"rows": REQUIRED, "cols": REQUIRED}
    example = "reshape:rows=4096,cols=4096"
    small = ({"rows": 2, "cols": 3}, {"rows": 1, "cols": 7}, {"rows": 5, "cols": 1})

    shape: Any = size_list(doc="the new shape; -1 for what is left over")

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (x,) = inputs
        free = [i for i, d in enumerate(self.shape) if same(d, -1)]
        if len(free) > 1:
            raise InputError("reshape: only one size may be -1")
        shape = list(self.shape)
        if free:
            shape[free[0]] = 1
            self.need_same(x.elements % product(shape), 0, "elements modulo the other sizes")
            shape[free[0]] = x.elements // product(shape)
        self.need_same(product(shape), x.elements, "elements after reshape")
        return Inferred((x.like(*shape),))

    def work(self, t: Bound) -> Work:
        return WorkBuilder().build(launches=0)

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        rows, cols = sizes["rows"], sizes["cols"]
        return cls(shape=(cols, rows)), [Tensor((rows, cols), precision.activation, name="x")]


@dataclass(frozen=True)
class Flatten(Operator):
    """All axes after the first made one: ``x[N,...] -> y[N,M]``. Moves nothing."""

    name = "flatten"
    category = "movement"
    is_view = True
    sizes = {"n": REQUIRED, "c": REQUIRED, "h": REQUIRED, "w": REQUIRED}
    example = "flatten:n=32,c=512,h=7,w=7"
    small = (
        {"n": 1, "c": 2, "h": 3, "w": 1},
        {"n": 2, "c": 1, "h": 1, "w": 1},
        {"n": 3, "c": 5, "h": 2, "w": 3},
    )

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (x,) = inputs
        return Inferred((x.like(x.shape[0], product(x.shape[1:])),))

    def work(self, t: Bound) -> Work:
        return WorkBuilder().build(launches=0)

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        return cls(), [Tensor(tuple(sizes[d] for d in "nchw"), precision.activation, name="x")]


@dataclass(frozen=True)
class Transpose(Movement):
    """Axes in another order, by default reversed: ``x[d0, d1] -> y[d_axes0, d_axes1]``."""

    name = "transpose"
    sizes = {"rows": REQUIRED, "cols": REQUIRED}
    example = "transpose:rows=4096,cols=4096"
    small = ({"rows": 2, "cols": 3}, {"rows": 1, "cols": 7}, {"rows": 5, "cols": 5})

    axes: Any = size_list((), doc="the old axis that stands at each new place")

    def order(self, rank: int) -> tuple[int, ...]:
        """Return the permutation for a tensor with ``rank`` axes."""
        axes = tuple(self.axis_of(a, rank) for a in self.axes) or tuple(range(rank))[::-1]
        if sorted(axes) != list(range(rank)):
            raise InputError(f"transpose: axes {list(axes)} do not name {rank} axes once each")
        return axes

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (x,) = inputs
        return Inferred((x.like(*(x.shape[a] for a in self.order(len(x.shape)))),))

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        shape = (sizes["rows"], sizes["cols"])
        return cls(), [Tensor(shape, precision.activation, name="x")]


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
        axis = self.axis_of(self.axis, rank)
        for tensor in inputs[1:]:
            self.need_rank(tensor, rank, f"tensors with {rank} axes")
            for i, (found, expected) in enumerate(zip(tensor.shape, first.shape, strict=True)):
                if i != axis:
                    self.need_same(found, expected, f"axis {i}")
        shape = list(first.shape)
        shape[axis] = total(t.shape[axis] for t in inputs)
        return Inferred((first.like(*shape),))

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
class Slice(Movement):
    """A run of places along an axis: ``x[.., A, ..] -> y[.., length, ..]``."""

    name = "slice"
    sizes = {"rows": REQUIRED, "cols": REQUIRED, "length": REQUIRED}
    example = "slice:rows=4096,cols=4096,length=1024"
    small = (
        {"rows": 2, "cols": 3, "length": 2},
        {"rows": 1, "cols": 7, "length": 7},
        {"rows": 5, "cols": 4, "length": 1},
    )

    length: Dim = size(doc="places taken")
    axis: Dim = size(-1, doc="the axis that is cut", least=-16)
    start: Dim = size(0, doc="first place taken", least=0)

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (x,) = inputs
        axis = self.axis_of(self.axis, len(x.shape))
        self.need_positive(x.shape[axis] - self.start - self.length + 1, "what is left to cut")
        shape = list(x.shape)
        shape[axis] = self.length
        return Inferred((x.like(*shape),))

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        x = Tensor((sizes["rows"], sizes["cols"]), precision.activation, name="x")
        return cls(length=sizes["length"]), [x]
