"""Roll: places moved along their axes, what leaves at one end entering at the other."""

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
    gradient_of,
    size_list,
)
from perfmodel.core.axes import axes_of
from perfmodel.errors import InputError

#: shifts go either way
LEAST_SHIFT = -(2**31)


@dataclass(frozen=True)
class Roll(Operator):
    """Cyclic shift: ``x[A, B] -> y[A, B]``, ``y[(i + s) mod A, ..] = x[i, ..]`` for shift s.

    Several axes are shifted in one pass; every value is read and written once,
    forwards and back.
    Source: Liu et al., arXiv:2103.14030, section 3.2 (shifted windows); NumPy's ``roll``.
    """

    name = "roll"
    category = "movement"
    sizes = {"rows": REQUIRED, "cols": REQUIRED, "shift": 1}
    example = "roll:rows=4096,cols=4096,shift=3"
    small = (
        {"rows": 2, "cols": 3},
        {"rows": 1, "cols": 7, "shift": 9},
        {"rows": 5, "cols": 4, "shift": 2},
    )

    shifts: Any = size_list(
        doc="places that values move on along each of the axes", least=LEAST_SHIFT
    )
    axes: Any = size_list(doc="the axes shifted", least=-16)

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (x,) = inputs
        axes = axes_of(self.name, self.axes, len(x.shape))
        if len(self.shifts) != len(axes):
            raise InputError(f"roll: {len(self.shifts)} shifts for {len(axes)} axes")
        return Inferred((x.like(*x.shape),))

    def work(self, t: Bound) -> Work:
        return WorkBuilder().read(t.x).write(t.y).build()

    def gradients(self, t: Bound) -> list[Gradient]:
        work = WorkBuilder().read(gradient_of(t.y)).write(gradient_of(t.x)).build()
        return [Gradient("input", (t.x,), (), work)]

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        x = Tensor((sizes["rows"], sizes["cols"]), precision.activation, name="x")
        return cls(shifts=(sizes["shift"], -sizes["shift"]), axes=(0, 1)), [x]
