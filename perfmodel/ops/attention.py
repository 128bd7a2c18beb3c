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
    choice,
    flag,
    size,
)
from perfmodel.core.attending import Heads, flash, flash_backward, unfused, unfused_backward
from perfmodel.core.dims import ceil_div, largest, maximum, same, smallest
from perfmodel.core.visibility import refuse_cached
from perfmodel.errors import InputError


@dataclass(frozen=True)
class Attention(Operator):
    """Scaled dot-product attention over heads, with grouped queries and a KV cache.

    ``q[B,S,Hq D], k[B,S',Hkv D], v[B,S',Hkv E] -> y[B,S,Hq E]``; the keys are
    the ``context`` tokens already cached and then those of ``k``. A fourth input
    ``bias[b,h,S,S']`` is added to the scaled scores (positions, masks): h is Hq or 1,
    sample i takes number ``i mod b``, where b divides B, and ``bias[b,h,1,S']`` is that of
    all queries.

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

    With a bias a pair takes one addition more. The bias is read once more for every
    further head or sample that shares it, as far as it does not stay.

    A paged KV cache (``page`` tokens a page) reads a page table too; the unused
    end of its last page takes memory and moves nothing.

    Backward, ``flash`` keeps the log of each row's sum of exponentials (its
    logarithm and addition a row are not counted) and computes the scores again:
    ``Hq P (3 D + 2 E)`` MACs, 2.5 times the forward pass where D = E; a pair
    takes three vector operations and an exp, a row ``2 D + 2 E - 1``.
    ``unfused`` keeps the probabilities: four GEMMs, twice the forward pass. A bias's
    gradient adds up those of the scores that share it. Training
    runs whole sequences, without a KV cache: InputError for a gradient through one.

    Source: Vaswani et al., arXiv:1706.03762; Dao et al., arXiv:2205.14135;
    Dao, arXiv:2307.08691, algorithms 1 and 2; Kwon et al., arXiv:2309.06180 (pages).
    """

    name = "attention"
    category = "attention"
    host_work = 1.5
    arity = (3, 4)
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
        "bias": False,
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
            ((2, 2, 1, 3, 4, 2), {"bias": True}),
            ((2, 2, 2, 3, 3, 1), {"causal": True, "bias": True}),
            ((3, 1, 1, 2, 5, 2), {"bias": True, "algorithm": "unfused"}),
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
        q, k, v = inputs[:3]
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
        for bias in inputs[3:]:
            self._check_bias(bias, (batch, self.q_heads, q_len, self.context + k.shape[1]))
        y, per_row = q.like(batch, q_len, self.q_heads * value_dim), (batch, self.q_heads, q_len)
        if self.algorithm == "unfused":
            kept = q.like(*per_row, self.context + k.shape[1]).named("probabilities")
        else:
            kept = Tensor(per_row, "fp32", name="log_sum_exp")
        return Inferred((y,), (), caches, appended, (kept,))

    def _check_bias(self, bias: Tensor, scores: tuple[Dim, ...]) -> None:
        self.need_rank(bias, 4, "bias[b,h,S,S']")
        b, h, *rest = bias.shape
        if not same(scores[0], b):
            self.need_same(scores[0] % b, 0, "batch modulo that of the bias")
        if not same(h, 1):
            self.need_same(h, scores[1], "heads of the bias")
        for found, expected, what in zip(rest, scores[2:], ("queries", "keys"), strict=True):
            if what == "queries" and same(found, 1):
                continue
            self.need_same(found, expected, f"{what} of the bias")

    def _held(self, fresh: Dim) -> Dim:
        """Return the tokens that the KV cache has room for, whole pages where it has pages."""
        tokens, page = self.context + fresh, maximum(self.page, 1)
        return ceil_div(tokens, page) * page

    def work(self, t: Bound) -> Work:
        return self.algorithms(t)[0].work

    def algorithms(self, t: Bound) -> list[Algorithm]:
        known: dict[str, Callable[[Heads], Work]] = {"flash": flash, "unfused": unfused}
        names = list(known) if self.algorithm == "auto" else [self.algorithm]
        heads = self._heads(t)
        return [Algorithm(n, known[n](heads)) for n in names]

    def gradients(self, t: Bound) -> list[Gradient]:
        refuse_cached(self.name, self.cached)
        heads = self._heads(t)
        if self.algorithm == "unfused":
            saved, work = (*t.inputs[:3], *t.kept), unfused_backward(heads)
        else:
            saved, work = (*t.inputs, t.y, *t.kept), flash_backward(heads)
        return [Gradient("inputs", t.inputs, saved, work)]

    def _heads(self, t: Bound) -> Heads:
        return Heads(
            t, self.q_heads, self.kv_heads, self.context, self.causal, self.window, self.page
        )

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
        if not sizes["bias"]:
            return op, [q, k, v]
        shape = (1, sizes["q_heads"], sizes["q_len"], sizes["kv_len"])
        return op, [q, k, v, Tensor(shape, precision.activation, name="bias")]
