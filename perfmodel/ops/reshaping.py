"""Views: the same values in the same memory, under another shape. They cost nothing."""

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
    gradient_of,
    size_list,
)
from perfmodel.core.axes import axes_of
from perfmodel.core.dims import product, same
from perfmodel.core.elementwise import passed_on
from perfmodel.errors import InputError


@dataclass(frozen=True)
class View(Operator):
    """Base of operators whose output, and whose input's gradient, is memory already there."""

    category = "movement"
    is_view = True
    sizes = {"rows": REQUIRED, "cols": REQUIRED}
    small = ({"rows": 2, "cols": 3}, {"rows": 1, "cols": 7}, {"rows": 5, "cols": 1})

    def work(self, t: Bound) -> Work:
        return WorkBuilder().build(launches=0)

    def gradients(self, t: Bound) -> list[Gradient]:
        return [passed_on("input", t.x)]


@dataclass(frozen=True)
class Reshape(View):
    """Another view of the same values: ``x[...] -> y[shape]``; one size may be -1."""

    name = "reshape"
    example = "reshape:rows=4096,cols=4096"

    shape: Any = size_list(doc="the new shape; -1 for what is left over", empty=True)

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

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        rows, cols = sizes["rows"], sizes["cols"]
        return cls(shape=(cols, rows)), [Tensor((rows, cols), precision.activation, name="x")]


@dataclass(frozen=True)
class Flatten(View):
    """All axes after the first made one: ``x[N,...] -> y[N,M]``. Moves nothing."""

    name = "flatten"
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

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        return cls(), [Tensor(tuple(sizes[d] for d in "nchw"), precision.activation, name="x")]


@dataclass(frozen=True)
class Squeeze(View):
    """Axes with one place taken away: ``x[.., 1, ..] -> y[.., ..]``. Moves nothing."""

    name = "squeeze"
    example = "squeeze:rows=4096,cols=4096"

    axes: Any = size_list(doc="the axes taken away", least=-16)

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (x,) = inputs
        axes = axes_of(self.name, self.axes, len(x.shape))
        for axis in axes:
            self.need_same(x.shape[axis], 1, f"places along axis {axis}")
        return Inferred((x.like(*(d for i, d in enumerate(x.shape) if i not in axes)),))

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        shape = (sizes["rows"], 1, sizes["cols"])
        return cls(axes=(1,)), [Tensor(shape, precision.activation, name="x")]


@dataclass(frozen=True)
class Unsqueeze(View):
    """Axes with one place added: ``x[.., ..] -> y[.., 1, ..]``. Moves nothing."""

    name = "unsqueeze"
    example = "unsqueeze:rows=4096,cols=4096"

    axes: Any = size_list(doc="where the new axes stand among those of the output", least=-16)

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (x,) = inputs
        rank = len(x.shape) + len(self.axes)
        added = axes_of(self.name, self.axes, rank)
        old = iter(x.shape)
        return Inferred((x.like(*(1 if i in added else next(old) for i in range(rank))),))

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        shape = (sizes["rows"], sizes["cols"])
        return cls(axes=(1,)), [Tensor(shape, precision.activation, name="x")]


@dataclass(frozen=True)
class Expand(View):
    """Broadcasting: ``x[.., 1, ..] -> y[shape]``, places repeated by a step of zero in memory.

    A view forwards. Its gradient adds up what came back to each value: with M
    values in x and N in y, N - M additions.
    Source: Harris et al., "Array programming with NumPy", Nature 585 (2020).
    """

    name = "expand"
    example = "expand:rows=4096,cols=4096"

    shape: Any = size_list(doc="the new shape; -1 keeps the size that is there")

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (x,) = inputs
        new = len(self.shape) - len(x.shape)
        if new < 0:
            raise InputError(f"expand: {len(x.shape)} axes do not fit into {len(self.shape)}")
        shape: list[Dim] = []
        for before, after in zip((1,) * new + x.shape, self.shape, strict=True):
            if same(after, -1):
                shape.append(before)
                continue
            self.need_positive(after, "a size")
            if not same(before, 1):
                self.need_same(after, before, "a size that is not 1")
            shape.append(after)
        return Inferred((x.like(*shape),))

    def gradients(self, t: Bound) -> list[Gradient]:
        dy, dx = gradient_of(t.y), gradient_of(t.x)
        builder = WorkBuilder().read(dy).write(dx)
        builder.count("vector", dy.dtype, t.y.elements - t.x.elements)
        return [Gradient("input", (t.x,), (), builder.build())]

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        rows, cols = sizes["rows"], sizes["cols"]
        return cls(shape=(rows, cols)), [Tensor((rows, 1), precision.activation, name="x")]
