"""Scaled dot-product attention, and rotary position embedding."""

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
    Inferred,
    Operator,
    Precision,
    Tensor,
    Work,
    WorkBuilder,
    choice,
    flag,
    missed_share,
    size,
)
from perfmodel.core.dims import ceil_div, maximum, minimum, smallest, total
from perfmodel.errors import InputError

#: keys that the flash algorithm handles between two rescalings of its sums
FLASH_KEY_BLOCK = 128


_SIZES = ("batch", "q_heads", "kv_heads", "q_len", "kv_len", "head_dim")


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

    Source: Vaswani et al., arXiv:1706.03762; Dao et al., arXiv:2205.14135;
    Dao, arXiv:2307.08691, algorithm 1.
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
        )
    )

    q_heads: Dim = size(doc="query heads")
    kv_heads: Dim = size(doc="key and value heads; fewer than q_heads share them")
    causal: bool = flag(False, doc="a query sees no key after its own")
    window: Dim = size(0, doc="keys a query sees at most; 0 for all", least=0)
    context: Dim = size(0, doc="tokens already in the KV cache", least=0)
    cached: bool = flag(False, doc="new keys and values are written to the KV cache")
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
                for length in (self.context, k.shape[1])
            )
        elif smallest(self.context) != 0 or not np.all(np.equal(self.context, 0)):
            raise InputError("attention: context needs cached: true")
        return Inferred((q.like(batch, q_len, self.q_heads * value_dim),), (), caches, appended)

    def work(self, t: Bound) -> Work:
        return self.algorithms(t)[0].work

    def algorithms(self, t: Bound) -> list[Algorithm]:
        known: dict[str, Callable[[_Heads], Work]] = {"flash": _flash, "unfused": _unfused}
        names = list(known) if self.algorithm == "auto" else [self.algorithm]
        heads = _Heads(self, t)
        return [Algorithm(n, known[n](heads)) for n in names]

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
        self.heads = q.shape[0] * op.q_heads
        self.kv_heads = q.shape[0] * op.kv_heads
        self.head_dim, self.value_dim = q.shape[-1] // op.q_heads, v.shape[-1] // op.kv_heads
        self.pairs = self._over_queries(lambda x: x * (x + 1) // 2, lambda seen: seen)
        self.rows = self._over_queries(lambda x: x, lambda seen: minimum(seen, 1))
        # The keys that some query of a head sees: a causal window leaves the oldest out.
        behind = _window(op, self.kv_len) - 1 if op.causal else self.kv_len
        self.keys_seen = minimum(self.kv_len, self.q_len + behind)

    def _over_queries(self, up_to: Callable[[Dim], Dim], each: Callable[[Dim], Dim]) -> Dim:
        """Sum over a head's queries of ``each(keys seen)``; ``up_to(x)`` sums each(1..x)."""
        kv = self.kv_len
        window = _window(self.op, kv)
        if not self.op.causal:
            return self.q_len * each(minimum(window, kv))

        def first(x: Dim) -> Dim:
            x = maximum(x, 0)
            inside = minimum(x, window)
            return up_to(inside) + (x - inside) * each(window)

        return first(kv) - first(kv - self.q_len)

    def blocks(self) -> Dim:
        """Return the key blocks of all queries of a head."""
        size = FLASH_KEY_BLOCK

        def up_to(x: Dim) -> Dim:
            full = x // size
            return size * full * (full + 1) // 2 + (x - full * size) * (full + 1)

        return self._over_queries(up_to, lambda seen: ceil_div(seen, size))

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
        return builder

    def key_bytes(self, keys: Dim) -> Dim:
        """Return the bytes of ``keys`` of the keys and values, of all heads."""
        return total(t.bytes / t.shape[1] * keys for t in self.t.inputs[1:])


def _window(op: Attention, kv_len: Dim) -> Dim:
    """Return the keys a query may see; a window of 0 means all."""
    return op.window + kv_len * (op.window == 0)


def _flash(h: _Heads) -> Work:
    macs = h.heads * h.pairs * (h.head_dim + h.value_dim)
    rescaled = h.blocks() - h.rows  # every block of a row but its first
    builder = h.io(h.keys_seen).count("matrix", h.dtype, 2 * macs)
    # A pair: scale, compare, subtract, add. A rescaling: subtract, and the
    # products with the running sum and output. A row: its output times 1/sum.
    builder.count(
        "vector",
        h.dtype,
        h.heads * (4 * h.pairs - 2 * h.rows + rescaled * (2 + h.value_dim) + h.rows * h.value_dim),
    )
    builder.count("special", h.dtype, h.heads * (h.pairs + rescaled + h.rows))

    def extra(capacity: Dim) -> Dim:
        group_rows = h.q_len * (h.op.q_heads / h.op.kv_heads)
        itemsize = h.t.x.bytes / h.t.x.elements
        row_bytes = h.head_dim * itemsize + h.value_dim * 4  # a query and its fp32 output
        query_blocks = maximum(1, group_rows * row_bytes / maximum(capacity, row_bytes))
        keys = h.key_bytes(h.keys_seen)
        again = (query_blocks - 1) * missed_share(keys / h.kv_heads, capacity)
        return keys * again * (h.pairs / (h.q_len * h.keys_seen))

    return builder.build(macs=macs, extra_traffic=extra)


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


@dataclass(frozen=True)
class Rope(Operator):
    """Rotary position embedding: ``x[B,S,H D] -> y[B,S,H D]``, ``table[S,D]`` of cos and sin.

    Each pair of values turns by an angle of its position: four multiplications
    and two additions a pair, so three operations an element.
    Source: Su et al., "RoFormer", arXiv:2104.09864, equation 34.
    """

    name = "rope"
    category = "elementwise"
    sizes = {"batch": 1, "sequence": REQUIRED, "heads": REQUIRED, "head_dim": REQUIRED}
    example = "rope:sequence=2048,heads=32,head_dim=128"
    small = (
        {"sequence": 2, "heads": 1, "head_dim": 2},
        {"batch": 2, "sequence": 3, "heads": 2, "head_dim": 4},
        {"sequence": 1, "heads": 3, "head_dim": 6},
    )

    head_dim: Dim = size(doc="width of a head, D; even", least=2)

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (x,) = inputs
        self.need_rank(x, 3, "x[B,S,H D]")
        self.need_same(self.head_dim % 2, 0, "head_dim modulo 2")
        self.need_same(x.shape[-1] % self.head_dim, 0, "columns of x modulo head_dim")
        table = Tensor((x.shape[1], self.head_dim), precision.activation, "state", "table")
        return Inferred((x.like(*x.shape),), (table,))

    def work(self, t: Bound) -> Work:
        builder = WorkBuilder().read(t.x, *t.weights).write(t.y)
        return builder.count("vector", t.x.dtype, 3 * t.x.elements).build()

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        shape = (sizes["batch"], sizes["sequence"], sizes["heads"] * sizes["head_dim"])
        return cls(head_dim=sizes["head_dim"]), [Tensor(shape, precision.activation, name="x")]
