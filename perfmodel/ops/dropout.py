"""Dropout: free in inference; in training random numbers, a mask and its traffic."""

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
    gradient_of,
    text,
)
from perfmodel.core.dims import ceil_div
from perfmodel.core.elementwise import passed_on
from perfmodel.errors import InputError

#: Philox4x32-10: ten rounds of two products of words (low and high) and four exclusive ors
NUMBERS_A_BLOCK, OPERATIONS_A_BLOCK = 4, 10 * (2 * 2 + 4)


@dataclass(frozen=True)
class Dropout(Operator):
    """Dropout: ``x[...] -> y[...]``; in training ``x[...] -> y[...], mask[...]``.

    ``y = x mask / (1 - rate)`` with a mask of independent zeros (share ``rate``) and ones.
    In inference y is x: nothing is computed or moved.

    In training the kernel makes its own random numbers, four 32-bit words a block of
    the counter-based generator Philox4x32-10: ten rounds of four half-products and four
    exclusive ors, its keys the host's. An element then takes one comparison (of
    integers) and one multiplication; the mask is written with a byte an element.
    Backward, ``dx = dy mask / (1 - rate)``, reads it: two multiplications.
    Source: Srivastava et al., JMLR 15 (2014); Salmon et al., "Parallel random numbers:
    as easy as 1, 2, 3", SC 2011.
    """

    name = "dropout"
    category = "elementwise"
    sizes = {"elements": REQUIRED, "training": False}
    example = "dropout:elements=16777216,training=true"
    small = (
        {"elements": 1, "training": True},
        {"elements": 6, "training": True},
        {"elements": 13, "training": True},
        {"elements": 7},
    )

    rate: str = text("0.5", doc="share of the values that are dropped, 0 to under 1")
    training: bool = flag(False, doc="draw a mask and keep it", in_training=True)

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (x,) = inputs
        try:
            valid = 0 <= float(self.rate) < 1
        except ValueError:
            valid = False
        if not valid:
            raise InputError(f"dropout: rate is {self.rate}, expected 0 to under 1")
        y = x.like(*x.shape)
        return Inferred((y, Tensor(x.shape, "bool")) if self.training else (y,))

    def is_a_view(self) -> bool:
        return not self.training

    def work(self, t: Bound) -> Work:
        if not self.training:
            return WorkBuilder().build(launches=0)
        elements = t.x.elements
        builder = WorkBuilder().read(t.x).write(*t.outputs)
        blocks = ceil_div(elements, NUMBERS_A_BLOCK)
        builder.count("vector", "int32", blocks * OPERATIONS_A_BLOCK + elements)
        return builder.count("vector", t.x.dtype, elements).build()

    def gradients(self, t: Bound) -> list[Gradient]:
        if not self.training:
            return [passed_on("input", t.x)]
        mask = t.outputs[1]
        builder = WorkBuilder().read(gradient_of(t.y), mask).write(gradient_of(t.x))
        builder.count("vector", t.x.dtype, 2 * t.x.elements)
        return [Gradient("input", (t.x,), (mask,), builder.build())]

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        x = Tensor((sizes["elements"],), precision.activation, name="x")
        return cls(training=sizes["training"]), [x]
