"""Operators that make a tensor larger: a border around it, copies beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from perfmodel.core import (
    REQUIRED,
    Bound,
    Gradient,
    Inferred,
    Operator,
    Precision,
    Tensor,
    Work,
    WorkBuilder,
    choice,
    gradient_of,
    size_list,
)
from perfmodel.core.dims import smallest, total
from perfmodel.core.moving import Movement, to_inputs
from perfmodel.errors import InputError


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
            return [to_inputs(t, t.y.elements - t.x.elements)]
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
        return [to_inputs(t, t.y.elements - t.x.elements)]

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        x = Tensor((sizes["rows"], sizes["cols"]), precision.activation, name="x")
        return cls(repeats=(1, sizes["times"])), [x]
