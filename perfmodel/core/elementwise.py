"""Elementwise: the base of operators that treat every element alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import ClassVar, Literal

from perfmodel.core.dims import Dim, largest, maximum, same, show_shape
from perfmodel.core.formats import Precision
from perfmodel.core.gradient import Gradient, gradient_of
from perfmodel.core.operator import REQUIRED, Bound, Inferred, Operator
from perfmodel.core.tensor import Tensor
from perfmodel.core.work import Work, WorkBuilder
from perfmodel.errors import InputError


@dataclass(frozen=True)
class Elementwise(Operator):
    """Base of operators that treat every element alike: ``x[...] -> y[...]``.

    Class attributes
    ----------------
    vector_ops, special_ops : operations an element on each engine.
    backward_vector_ops, backward_special_ops : the same of the backward kernel.
    saves : the tensor of the forward pass that the backward kernel reads.
    """

    category = "elementwise"
    sizes = {"elements": REQUIRED}
    input_sizes = ("elements",)
    small = ({"elements": 1}, {"elements": 6}, {"elements": 13})

    vector_ops: ClassVar[int] = 0
    special_ops: ClassVar[int] = 0
    backward_vector_ops: ClassVar[int] = 0
    backward_special_ops: ClassVar[int] = 0
    saves: ClassVar[Literal["input", "output", "nothing"]] = "input"

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        return Inferred((inputs[0].like(*inputs[0].shape),))

    def work(self, t: Bound) -> Work:
        builder = WorkBuilder().read(*t.inputs).write(t.y)
        count_each(builder, t.x.dtype, t.y.elements, self.vector_ops, self.special_ops)
        return builder.build()

    def gradients(self, t: Bound) -> list[Gradient]:
        dy, dx, saved = gradient_of(t.y), gradient_of(t.x), _saved(self.saves, t)
        builder = WorkBuilder().read(dy, *saved).write(dx)
        ops = self.backward_vector_ops, self.backward_special_ops
        count_each(builder, t.x.dtype, t.y.elements, *ops)
        return [Gradient("input", (t.x,), saved, builder.build())]


def broadcast_shape(name: str, shapes: Sequence[Sequence[Dim]]) -> tuple[Dim, ...]:
    """Return the shape that tensors broadcast to, as NumPy does it; ``name`` is for the error."""
    out: list[Dim] = []
    for dims in zip_longest(*(reversed(s) for s in shapes), fillvalue=1):
        wide = [d for d in dims if not same(d, 1)]
        widest = maximum(wide[0], *wide[1:]) if wide else 1
        for dim in wide:
            if not same(dim, widest):
                listed = " and ".join(show_shape(s) for s in shapes)
                raise InputError(f"{name}: shapes {listed} do not broadcast")
        out.append(widest)
    return tuple(reversed(out))


def count_each(
    builder: WorkBuilder, dtype: str, elements: Dim, vector_ops: Dim, special_ops: Dim
) -> WorkBuilder:
    """Count operations that every one of ``elements`` takes; an engine without any stays out."""
    if largest(vector_ops) > 0:
        builder.count("vector", dtype, vector_ops * elements)
    if largest(special_ops) > 0:
        builder.count("special", dtype, special_ops * elements)
    return builder


def passed_on(name: str, tensor: Tensor) -> Gradient:
    """Return the gradient kernel that is none: ``tensor``'s gradient is the output's, unmoved."""
    return Gradient(name, (tensor,), (), WorkBuilder().build(launches=0))


def _saved(which: str, t: Bound) -> tuple[Tensor, ...]:
    return {"input": (t.x,), "output": (t.y,), "nothing": ()}[which]
