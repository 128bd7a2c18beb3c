"""An operator of which only the bytes are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from perfmodel.core import (
    REQUIRED,
    Bound,
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
from perfmodel.core.formats import get_format
from perfmodel.core.operator import Coverage
from perfmodel.errors import InputError


@dataclass(frozen=True)
class Opaque(Operator):
    """Whatever an importer has no formula for: ``x[...], ... -> y[...], ...``, bytes only.

    Each input is read once and each output written once, a lower bound of its
    cost; operations are not counted, and reports say so.
    """

    name = "opaque"
    category = "movement"
    arity = (0, 1024)
    sizes = {"elements": REQUIRED, "made": "elements"}
    example = "opaque:elements=16777216"
    small = (
        {"elements": 1},
        {"elements": 6, "made": 3},
        {"elements": 5, "made": 13},
    )

    ranks: Any = size_list(doc="the number of axes of each output", least=0, empty=True)
    places: Any = size_list(doc="sizes of all outputs' axes, in order", least=0, empty=True)
    stands_for: str = text("opaque", doc="the operator's name where it came from")
    known: bool = flag(True, doc="whether the importer knows what it does")
    output_formats: str = text("", doc="each output's format; that of activations if empty")

    @property
    def coverage(self) -> Coverage:
        """How well the cost is known: bytes at most."""
        return "bounded" if self.known else "unknown"

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        formats = self.output_formats.split() or [precision.activation] * len(self.ranks)
        if len(formats) != len(self.ranks) or sum(self.ranks) != len(self.places):
            raise InputError(
                f"opaque: {len(self.ranks)} ranks of {sum(self.ranks)} axes in all,"
                f" {len(self.places)} sizes and {len(formats)} formats do not fit together"
            )
        outputs, first = [], 0
        for rank, name in zip(self.ranks, formats, strict=True):
            form = get_format(name)
            shape = tuple(self.places[first : first + rank])
            outputs.append(Tensor(shape, form.name, "index" if form.integer else "activation"))
            first += rank
        return Inferred(tuple(outputs))

    def work(self, t: Bound) -> Work:
        return WorkBuilder().read(*t.inputs).write(*t.outputs).build()

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        x = Tensor((sizes["elements"],), precision.activation, name="x")
        return cls(ranks=(1,), places=(sizes["made"],)), [x]
