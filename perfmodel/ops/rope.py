"""Rotary position embedding."""

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
    size,
)
from perfmodel.core.dims import where


@dataclass(frozen=True)
class Rope(Operator):
    """Rotary position embedding: ``x[B,S,H D] -> y[B,S,H D]``, ``table[S,D]`` of cos and sin.

    Each pair of values turns by an angle of its position: four multiplications
    and two additions a pair, so three operations an element. With ``rotary_dim``
    R only the first R columns of each head turn (``table[S,R]``), and the others
    are copied. The gradient turns back by the same angle.
    Source: Su et al., "RoFormer", arXiv:2104.09864, equation 34; a part of each
    head: Black et al., "GPT-NeoX-20B", arXiv:2204.06745, section 2.1.1.
    """

    name = "rope"
    category = "elementwise"
    sizes = {
        "batch": 1,
        "sequence": REQUIRED,
        "heads": REQUIRED,
        "head_dim": REQUIRED,
        "rotary_dim": 0,
    }
    example = "rope:sequence=2048,heads=32,head_dim=128"
    small = (
        {"sequence": 2, "heads": 1, "head_dim": 2},
        {"batch": 2, "sequence": 3, "heads": 2, "head_dim": 4},
        {"sequence": 1, "heads": 3, "head_dim": 6},
        {"batch": 2, "sequence": 3, "heads": 2, "head_dim": 5, "rotary_dim": 2},
        {"sequence": 2, "heads": 1, "head_dim": 4, "rotary_dim": 4},
    )

    head_dim: Dim = size(doc="width of a head, D; even where all of it turns", least=2)
    rotary_dim: Dim = size(0, doc="columns of a head that turn, R; even; 0 for all", least=0)

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (x,) = inputs
        self.need_rank(x, 3, "x[B,S,H D]")
        turned = self._turned()
        self.need_same(turned % 2, 0, "columns that turn modulo 2")
        self.need_positive(self.head_dim - turned + 1, "head_dim - rotary_dim + 1")
        self.need_same(x.shape[-1] % self.head_dim, 0, "columns of x modulo head_dim")
        table = Tensor((x.shape[1], turned), precision.activation, "state", "table")
        return Inferred((x.like(*x.shape),), (table,))

    def _turned(self) -> Dim:
        return where(self.rotary_dim > 0, self.rotary_dim, self.head_dim)

    def _ops(self, x: Tensor) -> Dim:
        return 3 * (x.elements // self.head_dim) * self._turned()

    def work(self, t: Bound) -> Work:
        builder = WorkBuilder().read(t.x, *t.weights).write(t.y)
        return builder.count("vector", t.x.dtype, self._ops(t.x)).build()

    def gradients(self, t: Bound) -> list[Gradient]:
        builder = WorkBuilder().read(gradient_of(t.y), *t.weights).write(gradient_of(t.x))
        work = builder.count("vector", t.x.dtype, self._ops(t.x)).build()
        return [Gradient("input", (t.x,), t.weights, work)]

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        shape = (sizes["batch"], sizes["sequence"], sizes["heads"] * sizes["head_dim"])
        op = cls(head_dim=sizes["head_dim"], rotary_dim=sizes["rotary_dim"])
        return op, [Tensor(shape, precision.activation, name="x")]
