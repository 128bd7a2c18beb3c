"""Movement: the base of operators that move values, and their way back."""

from __future__ import annotations

from dataclasses import dataclass

from perfmodel.core.dims import Dim
from perfmodel.core.gradient import Gradient, gradient_of
from perfmodel.core.operator import REQUIRED, Bound, Operator
from perfmodel.core.work import Work, WorkBuilder


@dataclass(frozen=True)
class Movement(Operator):
    """Base of operators that only move: reads its output's bytes, writes them."""

    category = "movement"
    sizes = {"rows": REQUIRED, "cols": REQUIRED}

    def work(self, t: Bound) -> Work:
        return WorkBuilder().access(t.x.name, "read", t.y.bytes).write(t.y).build()

    def gradients(self, t: Bound) -> list[Gradient]:
        return [to_inputs(t)]


def to_inputs(t: Bound, additions: Dim | None = None) -> Gradient:
    """Return the kernel that reads the outputs' gradients and writes the inputs'."""
    builder = WorkBuilder().read(*map(gradient_of, t.outputs)).write(*map(gradient_of, t.inputs))
    if additions is not None:
        builder.count("vector", t.x.dtype, additions)
    return Gradient("input" if len(t.inputs) == 1 else "inputs", t.inputs, (), builder.build())
