"""Elementwise functions that have no operator of their own."""

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
    text,
)
from perfmodel.core.elementwise import broadcast_shape, count_each
from perfmodel.core.formats import get_format


@dataclass(frozen=True)
class Pointwise(Operator):
    """Any function of each element: ``y = f(a, b, ...)``, operands broadcast as in NumPy.

    ``a[...], b[...], ... -> y[...]``. Its cost is stated: ``vector`` operations (add,
    multiply, compare) and ``special`` ones (exp, log, sine, divide) an element of y.
    A comparison is one vector operation with ``to: bool``, a sine one special one, a
    clamp two vector ones, a selection by a mask one.
    """

    name = "pointwise"
    category = "elementwise"
    arity = (1, 8)
    sizes = {"elements": REQUIRED, "inputs": 1, "vector": 1, "special": 0}
    example = "pointwise:elements=16777216,vector=2"
    small = (
        {"elements": 1},
        {"elements": 6, "inputs": 2, "vector": 3},
        {"elements": 13, "inputs": 3, "vector": 2, "special": 2},
    )
    fixed = frozenset({"inputs"})

    function: str = text("function", doc="its name, for reports")
    vector: Dim = size(1, doc="vector operations an element", least=0)
    special: Dim = size(0, doc="special operations an element", least=0)
    to: str = text("", doc="number format of the output; the first operand's if empty")

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        shape = broadcast_shape(self.name, [t.shape for t in inputs])
        dtype = get_format(self.to).name if self.to else inputs[0].dtype
        integer = get_format(dtype).integer
        return Inferred((Tensor(shape, dtype, "index" if integer else "activation"),))

    def work(self, t: Bound) -> Work:
        builder = WorkBuilder().read(*t.inputs).write(t.y)
        return count_each(builder, t.x.dtype, t.y.elements, self.vector, self.special).build()

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        shape = (sizes["elements"],)
        inputs = [
            Tensor(shape, precision.activation, name=f"x{i}") for i in range(int(sizes["inputs"]))
        ]
        return cls(vector=sizes["vector"], special=sizes["special"]), inputs
