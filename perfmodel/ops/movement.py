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
    choice,
    gradient_of,
    size,
    size_list,
)
from perfmodel.core.axes import axis_of, with_extent
from perfmodel.core.dims import same, smallest, total
from perfmodel.errors import InputError


@dataclass(frozen=True)
class Movement(Operator):
    """Base of operators that only move: reads its output's bytes, writes them."""

    category = "movement"
    sizes = {"rows": REQUIRED, "cols": REQUIRED}

    def work(self, t: Bound) -> Work:
        return WorkBuilder().access(t.x.name, "read", t.y.bytes).write(t.y).build()

    def gradients(self, t: Bound) -> list[Gradient]:
        return [_to_inputs(t)]


def _is_first(axis: Dim) -> bool:
    """Tell whether a cut along ``axis`` leaves runs of memory: all axes after it are whole."""
    return same(axis, 0)


def _to_inputs(t: Bound, additions: Dim | None = None) -> Gradient:
    """Return the kernel that reads the outputs' gradients and writes the inputs'."""
    builder = WorkBuilder().read(*map(gradient_of, t.outputs)).write(*map(gradient_of, t.inputs))
    if additions is not None:
        builder.count("vector", t.x.dtype, additions)
    return Gradient("input" if len(t.inputs) == 1 else "inputs", t.inputs, (), builder.build())


@dataclass(frozen=True)
class Transpose(Movement):
    """Axes in another order, by default reversed: ``x[d0, d1] -> y[d_axes0, d_axes1]``."""

    name = "transpose"
    example = "transpose:rows=4096,cols=4096"
    small = ({"rows": 2, "cols": 3}, {"rows": 1, "cols": 7}, {"rows": 5, "cols": 5})

    axes: Any = size_list((), doc="the old axis that stands at each new place")

    def order(self, rank: int) -> tuple[int, ...]:
        """Return the permutation for a tensor with ``rank`` axes."""
        axes = tuple(axis_of(self.name, a, rank) for a in self.axes) or tuple(range(rank))[::-1]
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

    Along the first axis (``axis: 0``) it is a view of x and nothing moves forwards; along
    another the places taken are copied. The gradient puts what came back among zeros.
    """

    name = "slice"
    sizes = {"rows": REQUIRED, "cols": REQUIRED, "length": REQUIRED, "leading": False}
    example = "slice:rows=4096,cols=4096,length=1024"
    small = (
        {"rows": 2, "cols": 3, "length": 2},
        {"rows": 1, "cols": 7, "length": 7},
        {"rows": 5, "cols": 4, "length": 1},
        {"rows": 5, "cols": 3, "length": 2, "leading": True},
    )

    length: Dim = size(doc="places taken")
    axis: Dim = size(-1, doc="the axis that is cut", least=-16)
    start: Dim = size(0, doc="first place taken", least=0)

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (x,) = inputs
        axis = axis_of(self.name, self.axis, len(x.shape))
        self.need_positive(x.shape[axis] - self.start - self.length + 1, "what is left to cut")
        return Inferred((x.like(*with_extent(x.shape, axis, self.length)),))

    def is_a_view(self) -> bool:
        return _is_first(self.axis)

    def work(self, t: Bound) -> Work:
        return WorkBuilder().build(launches=0) if self.is_a_view() else super().work(t)

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        x = Tensor((sizes["rows"], sizes["cols"]), precision.activation, name="x")
        return cls(length=sizes["length"], axis=0 if sizes["leading"] else -1), [x]


@dataclass(frozen=True)
class Pad(Movement):
    """A border around a tensor: ``x[A, B] -> y[before0 + A + after0, before1 + B + after1]``.

    The border is a constant, the values next to it mirrored (``reflect``: the edge
    itself not repeated), the value at the ``edge``, or what stands at the other end
    (``wrap``). The gradient of a constant border cuts it off; that of the others
    adds it to where it came from, one addition a border value.
    """

    name = "pad"
    sizes = {"n": 1, "c": REQUIRED, "h": REQUIRED, "w": REQUIRED, "pad": 1, "mode": "constant"}
    example = "pad:n=32,c=64,h=56,w=56,pad=1"
    small = (
        {"c": 2, "h": 3, "w": 4},
        {"n": 2, "c": 1, "h": 3, "w": 5, "pad": 2, "mode": "reflect"},
        {"c": 3, "h": 7, "w": 2, "mode": "reflect"},
        {"c": 1, "h": 1, "w": 1, "pad": 3},
        {"c": 2, "h": 1, "w": 3, "pad": 2, "mode": "edge"},
        {"c": 1, "h": 2, "w": 3, "pad": 5, "mode": "wrap"},
    )

    before: Any = size_list(doc="border before each axis", least=0)
    after: Any = size_list((), doc="border after each axis; as before it where not given", least=0)
    mode: str = choice(
        "constant", ("constant", "reflect", "edge", "wrap"), doc="what the border holds"
    )

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (x,) = inputs
        after = self.after or self.before
        for border in (self.before, after):
            if len(border) != len(x.shape):
                raise InputError(f"pad: {len(border)} borders for {len(x.shape)} axes")
        for first, extent, last in zip(self.before, x.shape, after, strict=True):
            if self.mode == "reflect" and min(smallest(extent - b) for b in (first, last)) < 1:
                raise InputError("pad: a mirrored border must be narrower than the tensor")
        shape = (total(d) for d in zip(self.before, x.shape, after, strict=True))
        return Inferred((x.like(*shape),))

    def work(self, t: Bound) -> Work:
        return WorkBuilder().read(t.x).write(t.y).build()

    def gradients(self, t: Bound) -> list[Gradient]:
        if self.mode != "constant":
            return [_to_inputs(t, t.y.elements - t.x.elements)]
        dy, dx = gradient_of(t.y), gradient_of(t.x)
        work = WorkBuilder().access(dy.name, "read", dx.bytes).write(dx).build()
        return [Gradient("input", (t.x,), (), work)]

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        x = Tensor(tuple(sizes[d] for d in "nchw"), precision.activation, name="x")
        return cls(before=(0, 0, sizes["pad"], sizes["pad"]), mode=sizes["mode"]), [x]


@dataclass(frozen=True)
class Tile(Movement):
    """A tensor repeated along its axes: ``x[A, B] -> y[repeats0 A, repeats1 B]``.

    With M values in x and N in y the gradient takes N - M additions.
    """

    name = "tile"
    sizes = {"rows": REQUIRED, "cols": REQUIRED, "times": 2}
    example = "tile:rows=4096,cols=1024,times=4"
    small = (
        {"rows": 2, "cols": 3},
        {"rows": 1, "cols": 7, "times": 3},
        {"rows": 5, "cols": 2, "times": 1},
    )

    repeats: Any = size_list(doc="how often along each axis", least=1)

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (x,) = inputs
        if len(self.repeats) != len(x.shape):
            raise InputError(f"tile: {len(self.repeats)} repeats for {len(x.shape)} axes")
        return Inferred((x.like(*(d * r for d, r in zip(x.shape, self.repeats, strict=True))),))

    def work(self, t: Bound) -> Work:
        return WorkBuilder().read(t.x).write(t.y).build()

    def gradients(self, t: Bound) -> list[Gradient]:
        return [_to_inputs(t, t.y.elements - t.x.elements)]

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        x = Tensor((sizes["rows"], sizes["cols"]), precision.activation, name="x")
        return cls(repeats=(1, sizes["times"])), [x]
