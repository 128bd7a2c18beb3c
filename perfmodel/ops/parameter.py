"""A stored tensor that stands in the graph by itself: a bias to add, a table to gather from."""

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
    flag,
    size_list,
    text,
)
from perfmodel.core.elementwise import passed_on
from perfmodel.core.formats import Role, get_format


@dataclass(frozen=True)
class Parameter(Operator):
    """A tensor stored with the network: ``-> y[shape]``. Whoever reads it pays for the reading.

    With ``constant: true`` it is stored and is no parameter.
    """

    name = "parameter"
    category = "movement"
    arity = 0
    is_view = True
    sizes = {"rows": REQUIRED, "cols": REQUIRED}
    example = "parameter:rows=4096,cols=4096"
    small = ({"rows": 2, "cols": 3}, {"rows": 1, "cols": 7}, {"rows": 5, "cols": 1})

    shape: Any = size_list(doc="the tensor's shape; [] for one value", least=0, empty=True)
    constant: bool = flag(False, doc="a constant, which is stored and is no parameter")
    format: str = text("", doc="its number format; the network's weights' by default")

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        dtype = get_format(self.format).name if self.format else precision.weight
        role: Role = "state" if self.constant else "weight"
        stored = Tensor(tuple(self.shape), dtype, role, "weight")
        return Inferred((Tensor(stored.shape, dtype, "weight"),), (stored,))

    def work(self, t: Bound) -> Work:
        return WorkBuilder().build(launches=0)

    def gradients(self, t: Bound) -> list[Gradient]:
        return [passed_on("weight", t.weights[0])]

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        return cls(shape=(sizes["rows"], sizes["cols"])), []
