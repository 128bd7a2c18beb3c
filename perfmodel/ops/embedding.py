"""Embedding: rows of a table gathered by index."""

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
)


@dataclass(frozen=True)
class Embedding(Operator):
    """Embedding lookup: ``indices[...] -> y[..., D]``, ``table[V, D]``.

    Computes nothing; reads the rows gathered and the indices (never the whole
    table) and writes the output.
    Source: Mikolov et al., "Efficient estimation of word representations in
    vector space", arXiv:1301.3781.
    """

    name = "embedding"
    category = "embedding"
    sizes = {"lookups": REQUIRED, "width": REQUIRED, "rows": REQUIRED}
    example = "embedding:lookups=4096,width=1024,rows=50000"
    small = (
        {"lookups": 3, "width": 4, "rows": 5},
        {"lookups": 1, "width": 7, "rows": 3},
        {"lookups": 2, "width": 1, "rows": 9},
    )

    rows: Dim = size(doc="rows of the table, V")
    width: Dim = size(doc="length of a row, D")

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (indices,) = inputs
        table = Tensor((self.rows, self.width), precision.weight, "weight", "table")
        return Inferred((Tensor((*indices.shape, self.width), precision.activation),), (table,))

    def work(self, t: Bound) -> Work:
        gathered = Tensor((t.x.elements, self.width), t.weight("table").dtype)
        builder = WorkBuilder().read(t.x).access("table", "read", gathered.bytes).write(t.y)
        return builder.build()

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        indices = Tensor((sizes["lookups"],), precision.of("index"), "index", "indices")
        return cls(rows=sizes["rows"], width=sizes["width"]), [indices]
