"""Embedding: rows of a table gathered by index, and their sums over bags.

The gradient adds to rows looked up only. With ``sparse`` it holds only them and
their numbers, and the optimizer steps only them where it can (PyTorch's
``sparse=True``, TensorFlow's ``IndexedSlices``); otherwise it has the table's
size, is cleared for each step, and the optimizer steps every row.
"""

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
    choice,
    flag,
    gemm_extra_traffic,
    gradient_of,
    size,
    text,
)
from perfmodel.core.dims import maximum, minimum
from perfmodel.core.popularity import Zipf
from perfmodel.errors import InputError, shorten


@dataclass(frozen=True)
class Embedding(Operator):
    """Embedding lookup: ``indices[...] -> y[..., D]``, ``table[V, D]``.

    Computes nothing; reads the rows gathered and the indices (never the whole
    table) and writes the output. Backward, each lookup adds its row of dy to a
    row of the table's gradient, D additions, and only rows looked up are read
    and written; a sparse gradient's row numbers are written too.
    Source: Mikolov et al., "Efficient estimation of word representations in
    vector space", arXiv:1301.3781.
    """

    name = "embedding"
    category = "embedding"
    sizes = {"lookups": REQUIRED, "width": REQUIRED, "rows": REQUIRED, "sparse": False}
    example = "embedding:lookups=4096,width=1024,rows=50000"
    small = (
        {"lookups": 3, "width": 4, "rows": 5},
        {"lookups": 1, "width": 7, "rows": 3},
        {"lookups": 2, "width": 1, "rows": 9, "sparse": True},
    )

    rows: Dim = size(doc="rows of the table, V")
    width: Dim = size(doc="length of a row, D")
    sparse: bool = flag(False, doc="the gradient holds only rows looked up, and only they step")

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (indices,) = inputs
        table = Tensor((self.rows, self.width), precision.weight, "weight", "table")
        return Inferred((Tensor((*indices.shape, self.width), precision.activation),), (table,))

    def work(self, t: Bound) -> Work:
        gathered = Tensor((t.x.elements, self.width), t.weight("table").dtype)
        builder = WorkBuilder().read(t.x).access("table", "read", gathered.bytes).write(t.y)
        return builder.build()

    def gradients(self, t: Bound) -> list[Gradient]:
        table, dy = t.weight("table"), gradient_of(t.y)
        builder = WorkBuilder().read(dy, t.x).count("vector", dy.dtype, dy.elements)
        return [_to_rows(builder, t, table, minimum(t.x.elements, self.rows), self.sparse)]

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        indices = Tensor((sizes["lookups"],), precision.of("index"), "index", "indices")
        return cls(**{name: sizes[name] for name in ("rows", "width", "sparse")}), [indices]


@dataclass(frozen=True)
class EmbeddingBag(Operator):
    """Embedding bag: rows gathered by index and summed over bags, ``table[V, D]``.

    ``indices[B, L] -> y[B, D]``, or ``indices[N], offsets[B] -> y[B, D]`` with
    bags of any length but 0, in the order of their offsets.

    N lookups take ``(N - B) D`` additions, and a mean ``B D`` multiplications.
    Without ``zipf`` every lookup reads its row. With it, rows repeat: the row of
    rank r is looked up in proportion to ``r**-zipf``, compulsory bytes are those
    of the distinct rows expected, and a level whose inner neighbour holds the K
    most popular rows passes each of those once and every lookup of another row.
    The gradient is that of `embedding`.
    Source: Naumov et al., "Deep learning recommendation model", arXiv:1906.00091;
    skew: Gupta et al., arXiv:1906.03109, section 3; `perfmodel.core.popularity`.
    """

    name = "embedding_bag"
    category = "embedding"
    arity = (1, 2)
    sizes = {
        "lookups": REQUIRED,
        "width": REQUIRED,
        "rows": REQUIRED,
        "bags": REQUIRED,
        "mode": "sum",
        "zipf": "",
        "sparse": False,
    }
    example = "embedding_bag:lookups=65536,width=64,rows=1000000,bags=2048"
    small = (
        {"lookups": 5, "width": 3, "rows": 7, "bags": 2},
        {"lookups": 6, "width": 1, "rows": 6, "bags": 6},
        {"lookups": 4, "width": 5, "rows": 9, "bags": 1, "mode": "mean"},
        {"lookups": 7, "width": 2, "rows": 8, "bags": 3, "mode": "mean"},
        {"lookups": 5, "width": 2, "rows": 6, "bags": 2, "sparse": True},
    )

    rows: Dim = size(doc="rows of the table, V")
    width: Dim = size(doc="length of a row, D")
    mode: str = choice("sum", ("sum", "mean"), doc="what is made of a bag's rows")
    zipf: str = text("", doc="exponent of the lookups' skew, such as 1.05; none: no row repeats")
    sparse: bool = flag(False, doc="the gradient holds only rows looked up, and only they step")

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        indices = inputs[0]
        self.need_rank(indices, 3 - len(inputs), "indices[B, L], or indices[N] and offsets[B]")
        if len(inputs) == 2:
            self.need_rank(inputs[1], 1, "offsets[B]")
        self._popularity()
        bags = inputs[-1].shape[0]
        table = Tensor((self.rows, self.width), precision.weight, "weight", "table")
        return Inferred((Tensor((bags, self.width), precision.activation),), (table,))

    def _popularity(self) -> Zipf | None:
        if not self.zipf:
            return None
        try:
            exponent = float(self.zipf)
        except ValueError:
            exponent = -1.0
        if not 0 <= exponent < 100:
            found = shorten(self.zipf)
            raise InputError(f"embedding_bag: zipf: found {found}, expected a number such as 1.05")
        return Zipf(exponent, self.rows)

    def work(self, t: Bound) -> Work:
        lookups, y, popularity = t.x.elements, t.y, self._popularity()
        row = Tensor((1, self.width), t.weight("table").dtype).bytes
        builder = WorkBuilder().read(*t.inputs).write(y)
        summed = lookups * self.width - y.elements
        builder.count("vector", y.dtype, summed + y.elements * (self.mode == "mean"))
        if popularity is None:
            return builder.access("table", "read", lookups * row).build()
        distinct = popularity.distinct(lookups, self.rows)

        def extra(capacity: Dim) -> Dim:
            return maximum(0, popularity.misses(lookups, capacity / row) - distinct) * row

        return builder.access("table", "read", distinct * row).build(extra_traffic=extra)

    def gradients(self, t: Bound) -> list[Gradient]:
        table, dy, lookups = t.weight("table"), gradient_of(t.y), t.x.elements
        popularity = self._popularity()
        builder = WorkBuilder().read(dy, *t.inputs)
        scaled = dy.elements * (self.mode == "mean")
        builder.count("vector", dy.dtype, lookups * self.width + scaled)
        found = minimum(lookups, self.rows)
        if popularity is not None:
            found = popularity.distinct(lookups, self.rows)
        return [_to_rows(builder, t, table, found, self.sparse)]

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        indices, offsets = (
            Tensor((sizes[key],), precision.of("index"), "index", name)
            for key, name in (("lookups", "indices"), ("bags", "offsets"))
        )
        names = ("rows", "width", "mode", "zipf", "sparse")
        return cls(**{name: sizes[name] for name in names}), [indices, offsets]


def _to_rows(builder: WorkBuilder, t: Bound, table: Tensor, rows: Dim, sparse: bool) -> Gradient:
    """Return the kernel that reads and writes ``rows`` rows of a table's gradient."""
    moved = Tensor((rows, table.shape[1]), table.dtype).bytes
    name = gradient_of(table).name
    builder.access(name, "read", moved).access(name, "write", moved)
    if not sparse:
        return Gradient("table", (table,), t.inputs, builder.build(), sparse=True)
    builder.access("row numbers", "write", Tensor((rows,), t.x.dtype).bytes)
    return Gradient("table", (table,), t.inputs, builder.build(), sparse=True, rows=rows)


@dataclass(frozen=True)
class OneHotAffine(Operator):
    """Embedding lookup as a matrix product: ``indices[...] -> y[..., D]``, ``table[V, D]``.

    Each index becomes a one-hot row of V values, written and read, and the rows
    are multiplied by the whole table: ``V D`` MACs a lookup, where `embedding`
    spends none. The gradient is the dense product of one-hot rows and dy.
    Source: Goodfellow, Bengio and Courville, *Deep Learning*, section 12.4.2.
    """

    name = "one_hot_affine"
    category = "dense"
    sizes = {"lookups": REQUIRED, "width": REQUIRED, "rows": REQUIRED}
    example = "one_hot_affine:lookups=4096,width=1024,rows=50000"
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
        table = t.weight("table")
        builder = WorkBuilder().read(t.x, table).write(t.y)
        return self._product(builder, t, t.x.elements, self.rows, table, t.y)

    def gradients(self, t: Bound) -> list[Gradient]:
        table, dy = t.weight("table"), gradient_of(t.y)
        builder = WorkBuilder().read(t.x, dy).write(gradient_of(table))
        work = self._product(builder, t, self.rows, t.x.elements, dy, table)
        return [Gradient("table", (table,), (t.x,), work)]

    def _product(
        self, builder: WorkBuilder, t: Bound, m: Dim, k: Dim, other: Tensor, made: Tensor
    ) -> Work:
        macs = m * k * self.width
        one_hot = t.y.like(m, k).bytes
        builder.count("matrix", t.y.dtype, 2 * macs)
        builder.access("one_hot", "write", one_hot).access("one_hot", "read", one_hot)

        def extra(capacity: Dim) -> Dim:
            return gemm_extra_traffic(m, self.width, k, one_hot, other.bytes, made.bytes, capacity)

        return builder.build(macs=macs, launches=2, extra_traffic=extra, workspace=one_hot)

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        indices = Tensor((sizes["lookups"],), precision.of("index"), "index", "indices")
        return cls(rows=sizes["rows"], width=sizes["width"]), [indices]
