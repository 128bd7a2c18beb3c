"""Additive attention: scores by a small network of query and key."""

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
from perfmodel.core.gemms import Gemm, gemms_work


@dataclass(frozen=True)
class AdditiveAttention(Operator):
    """Additive (Bahdanau) attention: ``q[B,S,Dq], k[B,T,Dk] -> y[B,S,Dk]``.

    ``query_weight[A,Dq]``, ``key_weight[A,Dk]``, ``score_weight[A]``:

        score_ij = score_weight . tanh(query_weight q_i + key_weight k_j),
        y_i = sum_j softmax_j(score_ij) k_j.

    ``S Dq A + T Dk A`` MACs for the projections, made once for all pairs, and
    ``A + Dk`` a pair; a pair takes A additions and tanh, a row its softmax. All
    pairs' tanh stay on chip; scores and probabilities go through memory.
    Backward from the kept projections and probabilities, tanh computed again:
    4 operations of A and two sums for the projections' gradients.
    Source: Bahdanau, Cho and Bengio, arXiv:1409.0473, section 3 and appendix A.1.2.
    """

    name = "additive_attention"
    category = "attention"
    arity = 2
    sizes = {
        "batch": 1,
        "q_len": REQUIRED,
        "kv_len": "q_len",
        "query_dim": REQUIRED,
        "key_dim": "query_dim",
        "units": "query_dim",
    }
    example = "additive_attention:batch=32,q_len=50,query_dim=1000,key_dim=2000"
    small = (
        {"q_len": 2, "query_dim": 3},
        {"batch": 2, "q_len": 3, "kv_len": 4, "query_dim": 2, "key_dim": 3, "units": 5},
        {"q_len": 1, "kv_len": 5, "query_dim": 1, "key_dim": 2, "units": 1},
    )

    units: Dim = size(doc="hidden units of the score's network, A")

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        q, k = inputs
        self.need_rank(q, 3, "q[B,S,Dq]")
        self.need_rank(k, 3, "k[B,T,Dk]")
        self.need_same(k.shape[0], q.shape[0], "batch of k against q")
        batch, q_len, kv_len = q.shape[0], q.shape[1], k.shape[1]
        weights = tuple(
            Tensor(shape, precision.weight, "weight", name)
            for name, shape in (
                ("query_weight", (self.units, q.shape[2])),
                ("key_weight", (self.units, k.shape[2])),
                ("score_weight", (self.units,)),
            )
        )
        kept = (
            q.like(batch, q_len, self.units).named("query_projection"),
            q.like(batch, kv_len, self.units).named("key_projection"),
            q.like(batch, q_len, kv_len).named("probabilities"),
        )
        return Inferred((q.like(batch, q_len, k.shape[2]),), weights, kept=kept)

    def _gemms(self, t: Bound) -> list[Gemm]:
        (q, k), units = t.inputs, self.units
        batch, q_len, query_dim = q.shape
        _, kv_len, key_dim = k.shape
        of_query, of_key, pairs = t.kept
        return [
            Gemm(q, t.weight("query_weight"), of_query, batch * q_len, units, query_dim),
            Gemm(k, t.weight("key_weight"), of_key, batch * kv_len, units, key_dim),
            Gemm(pairs, k, t.y, q_len, key_dim, kv_len, batch),
        ]

    def work(self, t: Bound) -> Work:
        q, dtype = t.x, t.x.dtype
        pairs, rows, units = t.kept[2], q.shape[0] * q.shape[1], self.units
        macs = pairs.elements * units
        builder = WorkBuilder().read(*t.inputs, *t.weights, *t.kept).write(t.y, *t.kept)
        builder.access("scores", "write", pairs.bytes).access("scores", "read", pairs.bytes)
        builder.count("vector", dtype, pairs.elements * (units + 4) - 2 * rows)
        builder.count("special", dtype, pairs.elements * (units + 1) + rows)
        builder.count("matrix", dtype, 2 * macs)
        return _with(gemms_work(builder, self._gemms(t), launches=5), macs, 2 * pairs.bytes)

    def gradients(self, t: Bound) -> list[Gradient]:
        (q, k), dtype, units = t.inputs, t.x.dtype, self.units
        of_query, of_key, pairs = t.kept
        batch, q_len, query_dim = q.shape
        _, kv_len, key_dim = k.shape
        rows = batch * q_len
        made = (q, k, *t.weights)
        builder = WorkBuilder().read(gradient_of(t.y), *made, *t.kept)
        builder.write(*(gradient_of(tensor) for tensor in made))
        for tensor in t.kept:
            name = gradient_of(tensor).name
            builder.access(name, "write", tensor.bytes).access(name, "read", 2 * tensor.bytes)
        # Softmax 4 a pair less 1 a row; A of tanh's sum, and 4 for its gradient; then sums
        # over the keys for each query, and over the queries for each key.
        sums = batch * units * (q_len * (kv_len - 1) + kv_len * (q_len - 1))
        builder.count("vector", dtype, pairs.elements * (4 + 5 * units) - rows + sums)
        builder.count("special", dtype, pairs.elements * units)
        macs = pairs.elements * units
        builder.count("matrix", dtype, 2 * macs)
        w, u = t.weight("query_weight"), t.weight("key_weight")
        gemms = [
            Gemm(t.y, k, pairs, q_len, kv_len, key_dim, batch),
            Gemm(pairs, t.y, k, kv_len, key_dim, q_len, batch),
            Gemm(of_query, w, q, rows, query_dim, units),
            Gemm(of_query, q, w, units, query_dim, rows),
            Gemm(of_key, u, k, batch * kv_len, key_dim, units),
            Gemm(of_key, k, u, units, key_dim, batch * kv_len),
        ]
        work = _with(gemms_work(builder, gemms, launches=8), macs, 2 * pairs.bytes)
        return [Gradient("inputs", made, (*made, *t.kept), work)]

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        q, k = (
            Tensor((sizes["batch"], sizes[length], sizes[width]), precision.activation, name=name)
            for name, length, width in (("q", "q_len", "query_dim"), ("k", "kv_len", "key_dim"))
        )
        return cls(units=sizes["units"]), [q, k]


def _with(work: Work, macs: Dim, workspace: Dim) -> Work:
    """Return ``work`` with MACs that are counted already, and a workspace."""
    return Work(
        work.ops, work.accesses, work.macs + macs, work.launches, work.extra_traffic, workspace
    )
