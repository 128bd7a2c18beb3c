"""Multi-head latent attention: keys and values compressed to one latent vector a token."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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
    missed_share,
    size,
)
from perfmodel.core.dims import largest, maximum
from perfmodel.core.visibility import Visible, refuse_cached
from perfmodel.errors import InputError


@dataclass(frozen=True)
class LatentAttention(Operator):
    """Multi-head latent attention (MLA) of DeepSeek-V2 and V3.

    ``q[B,S,H (Dn+Dr)], c[B,S',R], k_rope[B,S',Dr] -> y[B,S,H Dv]``,
    ``key_up[H,Dn,R]``, ``value_up[H,Dv,R]``; the KV cache holds c and k_rope,
    ``R + Dr`` values a token for all heads.

    A head's key is ``[key_up c, k_rope]``, its value ``value_up c``; then
    attention with scale ``1/sqrt(Dn+Dr)``. The projections to q and c, and the
    one after y, are layers of their own. P visible (query, key) pairs, L keys:

    - ``expanded`` (prefill): keys and values of all heads are made and pass
      through memory: ``H L R (Dn+Dv)`` MACs, then ``H P (Dn+Dr+Dv)``.
    - ``absorbed`` (decode): key_up is applied to q and value_up to the output,
      and all heads attend to c itself: ``H S R (Dn+Dv)`` MACs, ``H P (2R+Dr)``.

    Backward, the expanded form: flash attention's gradient, and that of the two
    expansions; InputError where keys come from a KV cache, as in `attention`.
    Source: DeepSeek-AI, arXiv:2405.04434, section 2.1 and appendix C.
    """

    name = "latent_attention"
    category = "attention"
    arity = 3
    sizes = {
        "batch": REQUIRED,
        "heads": REQUIRED,
        "q_len": REQUIRED,
        "kv_len": "q_len",
        "rank": 512,
        "nope_dim": 128,
        "rope_dim": 64,
        "value_dim": "nope_dim",
        "causal": True,
        "algorithm": "auto",
    }
    example = "latent_attention:batch=1,heads=128,q_len=1024"
    small = (
        {"batch": 2, "heads": 2, "q_len": 3, "rank": 4, "nope_dim": 3, "rope_dim": 2},
        {"batch": 1, "heads": 3, "q_len": 1, "kv_len": 5, "rank": 3, "nope_dim": 2,
         "rope_dim": 1, "value_dim": 5},
        {"batch": 1, "heads": 1, "q_len": 2, "kv_len": 131, "rank": 2, "nope_dim": 1,
         "rope_dim": 3},
        {"batch": 1, "heads": 2, "q_len": 4, "kv_len": 3, "rank": 2, "nope_dim": 2,
         "rope_dim": 2, "causal": False},
    )  # fmt: skip

    heads: Dim = size(doc="query heads, H")
    nope_dim: Dim = size(128, doc="width of a head's key without position, Dn")
    rope_dim: Dim = size(64, doc="width of the key with rotary position, shared by heads, Dr")
    value_dim: Dim = size(128, doc="width of a head's value, Dv")
    causal: bool = flag(True, doc="a query sees no key after its own")
    context: Dim = size(0, doc="tokens already in the KV cache", least=0, in_training=0)
    cached: bool = flag(
        False, doc="new latent vectors are written to the KV cache", in_training=False
    )
    algorithm: str = choice(
        "auto", ("expanded", "absorbed", "auto"), doc="how it is computed; auto takes the faster"
    )

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        q, c, k_rope = inputs
        for tensor, layout in ((q, "q[B,S,H (Dn+Dr)]"), (c, "c[B,S',R]"), (k_rope, "k[B,S',Dr]")):
            self.need_rank(tensor, 3, layout)
        self.need_same(q.shape[-1], self.heads * (self.nope_dim + self.rope_dim), "columns of q")
        self.need_same(k_rope.shape[-1], self.rope_dim, "columns of k_rope")
        for tensor in (c, k_rope):
            self.need_same(tensor.shape[0], q.shape[0], "batch of c and k_rope against q")
        self.need_same(k_rope.shape[1], c.shape[1], "length of k_rope against c")
        batch, q_len, rank = q.shape[0], q.shape[1], c.shape[-1]
        caches: tuple[Tensor, ...] = ()
        appended: tuple[Tensor, ...] = ()
        if self.cached:
            caches, appended = (
                tuple(
                    Tensor((batch, length, width), precision.kv, "kv", name)
                    for name, width in (("latent_cache", rank), ("rope_cache", self.rope_dim))
                )
                for length in (self.context, c.shape[1])
            )
        elif largest(self.context) > 0:
            raise InputError("latent_attention: context needs cached: true")
        weights = tuple(
            Tensor((self.heads, width, rank), precision.weight, "weight", name)
            for name, width in (("key_up", self.nope_dim), ("value_up", self.value_dim))
        )
        kv_len = c.shape[1] + self.context
        kept = (
            q.like(batch, self.heads, kv_len, self.nope_dim).named("expanded_keys"),
            q.like(batch, self.heads, kv_len, self.value_dim).named("expanded_values"),
            Tensor((batch, self.heads, q_len), "fp32", name="log_sum_exp"),
        )
        y = q.like(batch, q_len, self.heads * self.value_dim)
        return Inferred((y,), weights, caches, appended, kept)

    def work(self, t: Bound) -> Work:
        return self.algorithms(t)[0].work

    def algorithms(self, t: Bound) -> list[Algorithm]:
        form = _Form(self, t)
        known: dict[str, Callable[[], Work]] = {
            "expanded": form.expanded,
            "absorbed": form.absorbed,
        }
        names = list(known) if self.algorithm == "auto" else [self.algorithm]
        return [Algorithm(n, known[n]()) for n in names]

    def gradients(self, t: Bound) -> list[Gradient]:
        refuse_cached(self.name, self.cached)
        made = (*t.inputs, *t.weights)
        saved = (*made, t.y, *t.kept)
        return [Gradient("inputs", made, saved, _Form(self, t).backward())]

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        batch, width = sizes["batch"], sizes["nope_dim"] + sizes["rope_dim"]
        q = Tensor((batch, sizes["q_len"], sizes["heads"] * width), precision.activation, name="q")
        c, k_rope = (
            Tensor((batch, sizes["kv_len"], sizes[key]), precision.kv, name=name)
            for name, key in (("c", "rank"), ("k_rope", "rope_dim"))
        )
        names = ("heads", "nope_dim", "rope_dim", "value_dim", "causal", "algorithm")
        return cls(**{name: sizes[name] for name in names}), [q, c, k_rope]


class _Form:
    """The sizes of one latent attention that both forms count with."""

    def __init__(self, op: LatentAttention, t: Bound) -> None:
        q, c, _ = t.inputs
        self.op, self.t, self.dtype = op, t, q.dtype
        self.batch, self.q_len, self.rank = q.shape[0], q.shape[1], c.shape[-1]
        self.kv_len = c.shape[1] + op.context
        self.heads = self.batch * op.heads
        self.key_dim = op.nope_dim + op.rope_dim
        self.seen = Visible(self.q_len, self.kv_len, op.causal)
        #: MACs of key_up and value_up for one token
        self.up = self.heads * self.rank * (op.nope_dim + op.value_dim)

    def _work(
        self, macs: Dim, width: Dim, temporaries: Mapping[str, Dim], launches: int,
        groups: Dim, key_width: Dim,
    ) -> Work:  # fmt: skip
        """Return flash attention of ``groups`` sets of keys of ``key_width`` values a token."""
        vector, special = self.seen.online_softmax_ops(width)
        builder = self._io().count("matrix", self.dtype, 2 * macs)
        builder.count("vector", self.dtype, self.heads * vector)
        builder.count("special", self.dtype, self.heads * special)
        for name, elements in temporaries.items():
            moved = self.t.x.like(elements).bytes
            builder.access(name, "write", moved).access(name, "read", moved)
        itemsize = self.t.x.bytes / self.t.x.elements
        pairs = self.seen.pairs

        def extra(capacity: Dim) -> Dim:
            row = key_width * itemsize + width * 4  # a query and its fp32 output
            blocks = maximum(1, self.heads / groups * self.q_len * row / maximum(capacity, row))
            keys = self.kv_len * key_width * itemsize
            again = (blocks - 1) * missed_share(keys, capacity)
            return groups * keys * again * (pairs / (self.q_len * self.kv_len))

        return builder.build(macs=macs, launches=launches, extra_traffic=extra)

    def _io(self) -> WorkBuilder:
        builder = WorkBuilder().read(*self.t.inputs, *self.t.weights).write(self.t.y)
        for cache, new in zip(self.t.caches, self.t.appended, strict=True):
            builder.read(cache).access(cache.name, "write", new.bytes)
        return builder

    def expanded(self) -> Work:
        op, tokens = self.op, self.heads * self.kv_len
        macs = self.kv_len * self.up + self.heads * self.seen.pairs * (self.key_dim + op.value_dim)
        made = {
            "expanded_keys": tokens * op.nope_dim,
            "expanded_values": tokens * op.value_dim,
        }
        width = self.key_dim + op.value_dim
        return self._work(macs, op.value_dim, made, 2, self.heads, width)

    def absorbed(self) -> Work:
        op, rows = self.op, self.heads * self.q_len
        macs = self.q_len * self.up + self.heads * self.seen.pairs * (2 * self.rank + op.rope_dim)
        made = {"absorbed_queries": rows * self.rank, "latent_output": rows * self.rank}
        return self._work(macs, self.rank, made, 3, self.batch, self.rank + op.rope_dim)

    def backward(self) -> Work:
        op, t = self.op, self.t
        D, E, pairs, rows = self.key_dim, op.value_dim, self.seen.pairs, self.seen.rows
        macs = self.heads * pairs * (3 * D + 2 * E) + 2 * self.kv_len * self.up
        made = (*t.inputs, *t.weights)
        builder = WorkBuilder().read(gradient_of(t.y), *made, t.y, *t.kept)
        builder.write(*(gradient_of(tensor) for tensor in made))
        builder.count("matrix", self.dtype, 2 * macs)
        builder.count("vector", self.dtype, self.heads * (3 * pairs + rows * (2 * D + 2 * E - 1)))
        builder.count("special", self.dtype, self.heads * pairs)
        statistics = self.heads * self.q_len * 4
        builder.access("row_sums", "write", statistics).access("row_sums", "read", statistics)
        for name, width in (("expanded_keys", op.nope_dim), ("expanded_values", E)):
            moved = t.x.like(self.heads * self.kv_len * width).bytes
            # Read by the kernels for c and for the weight.
            builder.access(f"{name}.grad", "write", moved)
            builder.access(f"{name}.grad", "read", 2 * moved)
        itemsize = t.x.bytes / t.x.elements

        def extra(capacity: Dim) -> Dim:
            row = (D + E) * (itemsize + 4)
            blocks = maximum(1, self.kv_len * row / maximum(capacity, row))
            queries = self.q_len * ((D + 2 * E) * itemsize + 2 * D * 4)
            again = (blocks - 1) * missed_share(queries, capacity)
            return self.heads * queries * again * (pairs / (self.q_len * self.kv_len))

        return builder.build(macs=macs, launches=6, extra_traffic=extra)
