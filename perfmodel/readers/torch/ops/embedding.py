"""Embedding tables."""

from __future__ import annotations

from perfmodel.core.dims import same
from perfmodel.readers.torch.call import Call
from perfmodel.readers.torch.handlers import Made, handles
from perfmodel.readers.tracing.values import Value


@handles("embedding")
def embedding(call: Call) -> Made:
    """Rows of a table by index."""
    table, places = call.x("weight"), call.x("indices")
    sparse = bool(call.arg("sparse", False))
    return call.emit(
        "embedding", places, stored={"table": table}, rows=table.shape[0], width=table.shape[1],
        sparse=sparse,
    )  # fmt: skip


@handles("_embedding_bag", "_embedding_bag_forward_only", "embedding_bag")
def embedding_bag(call: Call) -> Made:
    """Rows summed over bags; the largest takes as many operations as the sum."""
    table, places, offsets = call.x("weight"), call.x("indices"), call.x("offsets")
    if call.maybe("per_sample_weights") is not None:
        call.net.note("embedding bags: products with the samples' weights are not counted")
    bags = call.shape[0]
    if not same(offsets.shape[0], bags):
        offsets = call.cut(offsets, 0, 0, bags)
    mode = "mean" if call.arg("mode", 0) == 1 else "sum"
    made = call.emit(
        "embedding_bag", places, offsets, stored={"table": table}, rows=table.shape[0],
        width=table.shape[1], mode=mode, sparse=bool(call.arg("sparse", False)),
    )  # fmt: skip
    return [*made, *(Value("", d, s, stored=call.name) for s, d in call.made[1:])]
