"""What scaled dot-product attention costs by either algorithm, forwards and back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from perfmodel.core.blocking import missed, missed_share
from perfmodel.core.dims import Dim, ceil_div, largest, maximum, minimum, same, total, where
from perfmodel.core.gradient import gradient_of
from perfmodel.core.operator import Bound
from perfmodel.core.tensor import Tensor
from perfmodel.core.visibility import Visible
from perfmodel.core.work import AttentionSizes, Work, WorkBuilder

#: bytes of an entry of a page table
PAGE_ENTRY_BYTES = 4


@dataclass(frozen=True, eq=False)
class Heads:
    """The sizes of one attention ``q, k, v[, bias] -> y`` that both algorithms count with.

    ``q_heads``, ``kv_heads`` are those of one sample, ``page`` the tokens a page of the
    KV cache, 0 where it has none.
    """

    t: Bound
    q_heads: Dim
    kv_heads: Dim
    context: Dim
    causal: bool
    window: Dim
    page: Dim

    @property
    def dtype(self) -> str:
        """Format of the operations."""
        return self.t.x.dtype

    @property
    def batch(self) -> Dim:
        """Samples."""
        return self.t.x.shape[0]

    @property
    def heads(self) -> Dim:
        """Query heads of all samples."""
        return self.batch * self.q_heads

    @property
    def q_len(self) -> Dim:
        """Queries of a head."""
        return self.t.x.shape[1]

    @property
    def kv_len(self) -> Dim:
        """Keys of a head, cached ones too."""
        return self.t.inputs[1].shape[1] + self.context

    @property
    def head_dim(self) -> Dim:
        """Width of a query and a key, D."""
        return self.t.x.shape[-1] // self.q_heads

    @property
    def value_dim(self) -> Dim:
        """Width of a value, E."""
        return self.t.inputs[2].shape[-1] // self.kv_heads

    @property
    def seen(self) -> Visible:
        """Which keys the queries of a head see."""
        return Visible(self.q_len, self.kv_len, self.causal, self.window)

    @property
    def bias(self) -> tuple[Tensor, ...]:
        """The bias added to scores, where there is one."""
        return self.t.inputs[3:]

    def summed(self, pairs: Dim) -> Dim:
        """Return additions that make the bias's gradient, of ``pairs`` scores a head."""
        return total(
            self.heads * pairs
            - (b.shape[0] * b.shape[1] * pairs if same(b.shape[2], self.q_len) else b.elements)
            for b in self.bias
        )

    def bias_again(self, capacity: Dim) -> Dim:
        """Return bytes of the bias read again where heads or samples share it."""
        scores = self.heads * self.q_len * self.kv_len
        return total((scores / b.elements - 1) * missed(b.bytes, capacity) for b in self.bias)

    def io(self, keys: Dim) -> WorkBuilder:
        """Return a builder with q, ``keys`` of the keys and values, and y moved once."""
        q, k, v = self.t.inputs[:3]
        builder = WorkBuilder().read(q, *self.bias).write(self.t.y)
        fresh = k.shape[1]
        for tensor in (k, v):
            builder.access(tensor.name, "read", tensor.bytes * minimum(keys, fresh) / fresh)
        for cache, new in zip(self.t.caches, self.t.appended, strict=True):
            builder.access(cache.name, "read", new.bytes * maximum(keys - fresh, 0) / fresh)
            builder.access(cache.name, "write", new.bytes)
        if largest(self.page) > 0:
            pages = where(self.page > 0, ceil_div(keys, maximum(self.page, 1)), 0)
            builder.access("page_table", "read", self.batch * pages * PAGE_ENTRY_BYTES)
        return builder

    def backward_io(self) -> WorkBuilder:
        """Return a builder with q, k, v, all inputs' gradients and that of y moved once."""
        builder = WorkBuilder().read(gradient_of(self.t.y), *self.t.inputs[:3], *self.t.kept)
        return builder.write(*(gradient_of(tensor) for tensor in self.t.inputs))

    def key_bytes(self, keys: Dim) -> Dim:
        """Return the bytes of ``keys`` of the keys and values, of all heads."""
        return total(t.bytes / t.shape[1] * keys for t in self.t.inputs[1:3])


def flash(h: Heads) -> Work:
    """Return the cost of blocks of keys with an online softmax; scores stay inside."""
    pairs, keys_seen = h.seen.pairs, h.seen.keys_seen
    macs = h.heads * pairs * (h.head_dim + h.value_dim)
    vector, special = h.seen.online_softmax_ops(h.value_dim)
    builder = h.io(keys_seen).count("matrix", h.dtype, 2 * macs)
    builder.count("vector", h.dtype, h.heads * (vector + pairs * len(h.bias)))
    builder.count("special", h.dtype, h.heads * special)

    def extra(capacity: Dim) -> Dim:
        group_rows = h.q_len * (h.q_heads / h.kv_heads)
        itemsize = h.t.x.bytes / h.t.x.elements
        row_bytes = h.head_dim * itemsize + h.value_dim * 4  # a query and its fp32 output
        query_blocks = maximum(1, group_rows * row_bytes / maximum(capacity, row_bytes))
        keys = h.key_bytes(keys_seen)
        again = (query_blocks - 1) * missed_share(keys / h.kv_heads, capacity)
        return keys * again * (pairs / (h.q_len * keys_seen)) + h.bias_again(capacity)

    sizes = AttentionSizes(
        groups=h.batch * h.kv_heads,
        rows=h.q_len * (h.q_heads / h.kv_heads),
        keys=keys_seen,
        pairs=pairs * (h.q_heads / h.kv_heads),
        width=h.head_dim + h.value_dim,
        key_bytes=h.key_bytes(1) / (h.batch * h.kv_heads),
        causal=h.causal,
    )
    return builder.build(macs=macs, extra_traffic=extra, attention=sizes)


def flash_backward(h: Heads) -> Work:
    """Return the cost of the backward pass that computes scores again."""
    pairs, rows, D, E = h.seen.pairs, h.seen.rows, h.head_dim, h.value_dim
    macs = h.heads * pairs * (3 * D + 2 * E)
    builder = h.backward_io().read(h.t.y, *h.bias).count("matrix", h.dtype, 2 * macs)
    # A pair: its probability takes a subtraction and an exp; the score's gradient a
    # subtraction and a product. A row: sum of dy y; q scaled, and its gradient.
    vector = (3 + len(h.bias)) * pairs + rows * (2 * D + 2 * E - 1)
    builder.count("vector", h.dtype, h.heads * vector + h.summed(pairs))
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
        return queries * again * (pairs / (h.q_len * h.kv_len)) + h.bias_again(capacity)

    return builder.build(macs=macs, launches=2, extra_traffic=extra)


def unfused(h: Heads) -> Work:
    """Return the cost of three kernels with scores and probabilities in memory between."""
    rows, pairs = h.heads * h.q_len, h.heads * h.q_len * h.kv_len
    macs = pairs * (h.head_dim + h.value_dim)
    masked = h.causal or not np.all(np.equal(h.window, 0))
    builder = h.io(h.kv_len).count("matrix", h.dtype, 2 * macs)
    # Scale, bias, mask, then softmax over the whole row.
    each = (6 if masked else 5) + len(h.bias)
    builder.count("vector", h.dtype, pairs * each - 2 * rows)
    builder.count("special", h.dtype, pairs + rows)
    scores = h.t.x.like(pairs).bytes
    for name in ("scores", "probabilities"):
        builder.access(name, "write", scores).access(name, "read", scores)
    return builder.build(macs=macs, launches=3, workspace=2 * scores, extra_traffic=h.bias_again)


def unfused_backward(h: Heads) -> Work:
    """Return the cost of the backward pass from kept probabilities."""
    rows, pairs = h.heads * h.q_len, h.heads * h.q_len * h.kv_len
    macs = 2 * pairs * (h.head_dim + h.value_dim)
    builder = h.backward_io().count("matrix", h.dtype, 2 * macs)
    # The softmax's: products with dp and their sum, then p (dp - sum), and the scale.
    builder.count("vector", h.dtype, 5 * pairs - rows + h.summed(h.q_len * h.kv_len))
    scores = h.t.x.like(pairs).bytes
    builder.access("probabilities.grad", "write", scores)
    builder.access("probabilities.grad", "read", scores)
    # A sixth kernel adds up the bias's gradient.
    reads = 2 + len(h.bias)
    builder.access("scores.grad", "write", scores).access("scores.grad", "read", reads * scores)

    # Probabilities and dy serve two of the five kernels.
    def extra(capacity: Dim) -> Dim:
        return missed(scores, capacity) + missed(h.t.y.bytes, capacity)

    return builder.build(
        macs=macs, launches=5 + len(h.bias), extra_traffic=extra, workspace=2 * scores
    )
