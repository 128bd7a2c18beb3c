"""Scaled dot-product attention."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from perfmodel.core import (
    REQUIRED,
    Algorithm,
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
    gradient_of,
    missed,
    missed_share,
    size,
)
from perfmodel.core.dims import ceil_div, largest, maximum, minimum, smallest, total, where
from perfmodel.core.visibility import Visible, refuse_cached
from perfmodel.errors import InputError

#: bytes of an entry of a page table
PAGE_ENTRY_BYTES = 4


@dataclass(frozen=True)
class Attention(Operator):
    """Scaled dot-product attention over heads, with grouped queries and a KV cache.

    ``q[B,S,Hq D], k[B,S',Hkv D], v[B,S',Hkv E] -> y[B,S,Hq E]``; the keys are
    the ``context`` tokens already cached and then those of ``k``.

    ``y = softmax(q k^T / sqrt(D)) v`` for each head. A causal query sees the keys
    up to its own (queries stand at the end of the keys); with a window it sees
    the last ``window`` of them. With P visible (query, key) pairs:
    ``Hq P (D + E)`` MACs.

    Two algorithms:

    - ``flash``: blocks of keys with an online softmax; only q, k, v and y move.
      Keys and values are read once more for every block of queries that the
      inner level holds, as far as one head's do not stay there.
    - ``unfused``: three kernels; scores and probabilities go through memory,
      and a causal mask is added to the full rectangle of scores.

    A paged KV cache (``page`` tokens a page) reads a page table too; the unused
    end of its last page takes memory and moves nothing.

    Backward, ``flash`` keeps the log of each row's sum of exponentials (its
    logarithm and addition a row are not counted) and computes the scores again:
    ``Hq P (3 D + 2 E)`` MACs, 2.5 times the forward pass where D = E; a pair
    takes three vector operations and an exp, a row ``2 D + 2 E - 1``.
    ``unfused`` keeps the probabilities: four GEMMs, twice the forward pass. Training
    runs whole sequences, without a KV cache: InputError for a gradient through one.

    Source: Vaswani et al., arXiv:1706.03762; Dao et al., arXiv:2205.14135;
    Dao, arXiv:2307.08691, algorithms 1 and 2; Kwon et al., arXiv:2309.06180 (pages).
    """

    name = "attention"
    category = "attention"
    arity = 3
    sizes = {
        "batch": REQUIRED,
        "q_heads": REQUIRED,
        "kv_heads": "q_heads",
        "q_len": REQUIRED,
        "kv_len": "q_len",
        "head_dim": REQUIRED,
        "causal": False,
        "window": 0,
        "algorithm": "flash",
    }
    example = (
        "attention:batch=1,q_heads=32,kv_heads=8,q_len=2048,kv_len=2048,head_dim=128,causal=true"
    )
    small = tuple(
        dict(
            zip(
                ("batch", "q_heads", "kv_heads", "q_len", "kv_len", "head_dim"), sizes, strict=True
            ),
            **more,
        )
        for sizes, more in (
            ((1, 2, 2, 3, 3, 2), {}),
            ((2, 4, 2, 5, 5, 3), {"causal": True}),
            ((1, 3, 1, 1, 7, 5), {"causal": True}),
            ((1, 1, 1, 4, 9, 1), {"causal": True, "window": 3}),
            ((1, 2, 1, 3, 300, 1), {"causal": True}),
            ((1, 1, 1, 4, 6, 2), {"window": 3}),
            ((2, 2, 1, 3, 5, 2), {"causal": True, "algorithm": "unfused"}),
            ((1, 2, 2, 4, 4, 3), {"algorithm": "unfused"}),
            ((1, 2, 1, 2, 60, 2), {"causal": True, "window": 8}),
            ((1, 2, 1, 5, 2, 2), {"causal": True}),
        )
    )

    q_heads: Dim = size(doc="query heads")
    kv_heads: Dim = size(doc="key and value heads; fewer than q_heads share them")
    causal: bool = flag(False, doc="a query sees no key after its own")
    window: Dim = size(0, doc="keys a query sees at most; 0 for all", least=0)
    context: Dim = size(0, doc="tokens already in the KV cache", least=0, in_training=0)
    cached: bool = flag(
        False, doc="new keys and values are written to the KV cache", in_training=False
    )
    page: Dim = size(
        0, doc="tokens a page of the KV cache; 0 for one without pages", least=0, in_training=0
    )
    algorithm: str = choice(
        "flash", ("flash", "unfused", "auto"), doc="how it is computed; auto takes the faster"
    )

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        q, k, v = inputs
        for tensor, layout in ((q, "q[B,S,Hq D]"), (k, "k[B,S',Hkv D]"), (v, "v[B,S',Hkv E]")):
            self.need_rank(tensor, 3, layout)
        self.need_same(self.q_heads % self.kv_heads, 0, "q_heads modulo kv_heads")
        self.need_same(q.shape[-1] % self.q_heads, 0, "columns of q modulo q_heads")
        self.need_same(v.shape[-1] % self.kv_heads, 0, "columns of v modulo kv_heads")
        head_dim = q.shape[-1] // self.q_heads
        self.need_same(k.shape[-1], self.kv_heads * head_dim, "columns of k")
        for tensor in (k, v):
            self.need_same(tensor.shape[0], q.shape[0], "batch of k and v against q")
        self.need_same(v.shape[1], k.shape[1], "length of v against k")
        value_dim = v.shape[-1] // self.kv_heads
        batch, q_len = q.shape[0], q.shape[1]
        caches: tuple[Tensor, ...] = ()
        appended: tuple[Tensor, ...] = ()
        if self.cached:
            rows = (batch, self.kv_heads)
            caches, appended = (
                tuple(
                    Tensor((*rows, length, width), precision.kv, "kv", name)
                    for name, width in (("k_cache", head_dim), ("v_cache", value_dim))
                )
                for length in (self._held(k.shape[1]) - k.shape[1], k.shape[1])
            )
        elif smallest(self.context) != 0 or not np.all(np.equal(self.context, 0)):
            raise InputError("attention: context needs cached: true")
        elif largest(self.page) > 0:
            raise InputError("attention: page needs cached: true")
        y, per_row = q.like(batch, q_len, self.q_heads * value_dim), (batch, self.q_heads, q_len)
        if self.algorithm == "unfused":
            kept = q.like(*per_row, self.context + k.shape[1]).named("probabilities")
        else:
            kept = Tensor(per_row, "fp32", name="log_sum_exp")
        return Inferred((y,), (), caches, appended, (kept,))

    def _held(self, fresh: Dim) -> Dim:
        """Return the tokens that the KV cache has room for, whole pages where it has pages."""
        tokens, page = self.context + fresh, maximum(self.page, 1)
        return ceil_div(tokens, page) * page

    def work(self, t: Bound) -> Work:
        return self.algorithms(t)[0].work

    def algorithms(self, t: Bound) -> list[Algorithm]:
        known: dict[str, Callable[[_Heads], Work]] = {"flash": _flash, "unfused": _unfused}
        names = list(known) if self.algorithm == "auto" else [self.algorithm]
        heads = _Heads(self, t)
        return [Algorithm(n, known[n](heads)) for n in names]

    def gradients(self, t: Bound) -> list[Gradient]:
        refuse_cached(self.name, self.cached)
        q, k, v = t.inputs
        heads = _Heads(self, t)
        if self.algorithm == "unfused":
            saved, work = (q, k, v, *t.kept), _unfused_backward(heads)
        else:
            saved, work = (q, k, v, t.y, *t.kept), _flash_backward(heads)
        return [Gradient("inputs", (q, k, v), saved, work)]

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        batch, dim = sizes["batch"], sizes["head_dim"]
        q = Tensor((batch, sizes["q_len"], sizes["q_heads"] * dim), precision.activation, name="q")
        kv_shape = (batch, sizes["kv_len"], sizes["kv_heads"] * dim)
        k, v = (Tensor(kv_shape, precision.kv, name=n) for n in "kv")
        op = cls(
            q_heads=sizes["q_heads"],
            kv_heads=sizes["kv_heads"],
            causal=sizes["causal"],
            window=sizes["window"],
            algorithm=sizes["algorithm"],
        )
        return op, [q, k, v]


class _Heads:
    """The sizes of one attention that both algorithms count with."""

    def __init__(self, op: Attention, t: Bound) -> None:
        q, k, v = t.inputs
        self.op, self.t = op, t
        self.dtype = q.dtype
        self.q_len, self.kv_len = q.shape[1], k.shape[1] + op.context
        self.batch = q.shape[0]
        self.heads = q.shape[0] * op.q_heads
        self.kv_heads = q.shape[0] * op.kv_heads
        self.head_dim, self.value_dim = q.shape[-1] // op.q_heads, v.shape[-1] // op.kv_heads
        self.seen = Visible(self.q_len, self.kv_len, op.causal, op.window)

    def io(self, keys: Dim) -> WorkBuilder:
        """Return a builder with q, ``keys`` of the keys and values, and y moved once."""
        q, k, v = self.t.inputs
        builder = WorkBuilder().read(q).write(self.t.y)
        fresh = k.shape[1]
        for tensor in (k, v):
            builder.access(tensor.name, "read", tensor.bytes * minimum(keys, fresh) / fresh)
        for cache, new in zip(self.t.caches, self.t.appended, strict=True):
            builder.access(cache.name, "read", new.bytes * maximum(keys - fresh, 0) / fresh)
            builder.access(cache.name, "write", new.bytes)
        if largest(self.op.page) > 0:
            pages = where(self.op.page > 0, ceil_div(keys, maximum(self.op.page, 1)), 0)
            builder.access("page_table", "read", self.batch * pages * PAGE_ENTRY_BYTES)
        return builder

    def backward_io(self) -> WorkBuilder:
        """Return a builder with the inputs, their gradients and that of y moved once."""
        builder = WorkBuilder().read(gradient_of(self.t.y), *self.t.inputs, *self.t.kept)
        return builder.write(*(gradient_of(tensor) for tensor in self.t.inputs))

    def key_bytes(self, keys: Dim) -> Dim:
        """Return the bytes of ``keys`` of the keys and values, of all heads."""
        return total(t.bytes / t.shape[1] * keys for t in self.t.inputs[1:])


def _flash(h: _Heads) -> Work:
    pairs, keys_seen = h.seen.pairs, h.seen.keys_seen
    macs = h.heads * pairs * (h.head_dim + h.value_dim)
    vector, special = h.seen.online_softmax_ops(h.value_dim)
    builder = h.io(keys_seen).count("matrix", h.dtype, 2 * macs)
    builder.count("vector", h.dtype, h.heads * vector)
    builder.count("special", h.dtype, h.heads * special)

    def extra(capacity: Dim) -> Dim:
        group_rows = h.q_len * (h.op.q_heads / h.op.kv_heads)
        itemsize = h.t.x.bytes / h.t.x.elements
        row_bytes = h.head_dim * itemsize + h.value_dim * 4  # a query and its fp32 output
        query_blocks = maximum(1, group_rows * row_bytes / maximum(capacity, row_bytes))
        keys = h.key_bytes(keys_seen)
        again = (query_blocks - 1) * missed_share(keys / h.kv_heads, capacity)
        return keys * again * (pairs / (h.q_len * keys_seen))

    return builder.build(macs=macs, extra_traffic=extra)


def _flash_backward(h: _Heads) -> Work:
    pairs, rows, D, E = h.seen.pairs, h.seen.rows, h.head_dim, h.value_dim
    macs = h.heads * pairs * (3 * D + 2 * E)
    builder = h.backward_io().read(h.t.y).count("matrix", h.dtype, 2 * macs)
    # A pair: its probability takes a subtraction and an exp; the score's gradient a
    # subtraction and a product. A row: sum of dy y; q scaled, and its gradient.
    builder.count("vector", h.dtype, h.heads * (3 * pairs + rows * (2 * D + 2 * E - 1)))
    builder.count("special", h.dtype, h.heads * pairs)
    statistics = h.heads * h.q_len * 4
    builder.access("row_sums", "write", statistics).access("row_sums", "read", statistics)

    # Blocks of keys stay, with fp32 sums of their gradients; for each, the queries stream by.
    def extra(capacity: Dim) -> Dim:
        row_bytes = h.key_bytes(1) / h.kv_heads + (D + E) * 4
        key_blocks = maximum(1, h.kv_len * row_bytes / maximum(capacity, row_bytes))
        q, y = h.t.x.bytes, h.t.y.bytes
        queries = q + 2 * y + 2 * h.heads * h.q_len * D * 4  # dq is read and written
        again = (key_blocks - 1) * missed_share(queries / h.kv_heads, capacity)
        return queries * again * (pairs / (h.q_len * h.kv_len))

    return builder.build(macs=macs, launches=2, extra_traffic=extra)


def _unfused(h: _Heads) -> Work:
    rows, pairs = h.heads * h.q_len, h.heads * h.q_len * h.kv_len
    macs = pairs * (h.head_dim + h.value_dim)
    masked = h.op.causal or not np.all(np.equal(h.op.window, 0))
    builder = h.io(h.kv_len).count("matrix", h.dtype, 2 * macs)
    # Scale, mask, then softmax over the whole row.
    builder.count("vector", h.dtype, pairs * (6 if masked else 5) - 2 * rows)
    builder.count("special", h.dtype, pairs + rows)
    scores = h.t.x.like(pairs).bytes
    for name in ("scores", "probabilities"):
        builder.access(name, "write", scores).access(name, "read", scores)
    return builder.build(macs=macs, launches=3, workspace=2 * scores)


def _unfused_backward(h: _Heads) -> Work:
    rows, pairs = h.heads * h.q_len, h.heads * h.q_len * h.kv_len
    macs = 2 * pairs * (h.head_dim + h.value_dim)
    builder = h.backward_io().count("matrix", h.dtype, 2 * macs)
    # The softmax's: products with dp and their sum, then p (dp - sum), and the scale.
    builder.count("vector", h.dtype, 5 * pairs - rows)
    scores = h.t.x.like(pairs).bytes
    builder.access("probabilities.grad", "write", scores)
    builder.access("probabilities.grad", "read", scores)
    builder.access("scores.grad", "write", scores).access("scores.grad", "read", 2 * scores)

    # Probabilities and dy serve two of the five kernels.
    def extra(capacity: Dim) -> Dim:
        return missed(scores, capacity) + missed(h.t.y.bytes, capacity)

    return builder.build(macs=macs, launches=5, extra_traffic=extra, workspace=2 * scores)
