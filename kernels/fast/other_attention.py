"""Additive attention, and latent attention in both of its forms, scores in memory."""

from __future__ import annotations

import math
from typing import Any

from perfmodel.kernels.fast._blocks import ranges, rows_of
from perfmodel.kernels.fast._products import product
from perfmodel.kernels.fast.attention import _mask
from perfmodel.kernels.fast.reduction import softmax_rows
from perfmodel.kernels.registry import kernel


@kernel("additive_attention")
def additive_attention(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """Both projections, tanh of their sums query by query in cache, softmax, weighted keys."""
    q, k = a.inputs
    out, w = ws.output(a), a.weights
    B, S, _ = q.shape
    T, units = k.shape[1], w["score_weight"].shape[0]
    projected = []
    for name, source in (("query_weight", q), ("key_weight", k)):
        made = ws.buffer(name, (*source.shape[:2], units), out.dtype)
        product(xp, rows_of(source), w[name].T, rows_of(made))
        projected.append(made)
    scores = ws.buffer("scores", (B, S, T), out.dtype)
    blocks = list(ranges(xp, T, units * out.itemsize))
    sums = ws.buffer("sums", (blocks[0].stop, units), out.dtype)
    column = w["score_weight"].reshape(-1, 1)
    for b in range(B):
        for i in range(S):
            for block in blocks:
                t = sums[: block.stop - block.start]
                xp.add(projected[1][b, block], projected[0][b, i], out=t)
                xp.tanh(t, out=t)
                product(xp, t, column, scores[b, i, block].reshape(-1, 1))
    softmax_rows(xp, ws, rows_of(scores), rows_of(scores))
    product(xp, scores, k, out)
    return out


def _kind(name: str) -> Any:
    def refuses(op: Any, t: Any) -> str | None:
        if op.causal and t.x.shape[1] > op.context + t.inputs[1].shape[1]:
            return "a query sees no key at all"
        return None if op.algorithm in (name, "auto") else f"it is to be {op.algorithm}"

    return refuses


class _Latent:
    """Arrays of a latent attention: latents and turned keys with those cached before them."""

    def __init__(self, xp: Any, op: Any, ws: Any, a: Any) -> None:
        q, c, k_rope = a.inputs
        if op.cached and op.context:
            c, k_rope = (
                xp.concatenate(
                    [a.caches[name], new],
                    axis=1,
                    out=ws.buffer(name, (new.shape[0], op.context + new.shape[1], new.shape[2]),
                                  new.dtype),
                )
                for name, new in (("latent_cache", c), ("rope_cache", k_rope))
            )  # fmt: skip
        self.xp, self.ws, self.c, self.k_rope = xp, ws, c, k_rope
        self.B, self.S, _ = q.shape
        self.H, self.T, self.scale = (
            op.heads,
            c.shape[1],
            1.0 / math.sqrt(op.nope_dim + op.rope_dim),
        )
        by_head = q.reshape(self.B, self.S, self.H, op.nope_dim + op.rope_dim)
        by_head = xp.swapaxes(by_head, 1, 2)
        self.q_nope, self.q_rope = by_head[..., : op.nope_dim], by_head[..., op.nope_dim :]
        self.y = xp.swapaxes(ws.output(a).reshape(self.B, self.S, self.H, op.value_dim), 1, 2)
        self.scores = ws.buffer("scores", (self.H, self.S, self.T), q.dtype)
        self.more = ws.buffer("more", (self.H, self.S, self.T), q.dtype)
        self.mask = None
        if op.causal:
            size = (self.S, self.T)
            windowless = _Causal()
            self.mask = ws.once(
                "mask", lambda: _mask(xp, windowless, range(size[0]), range(size[1]), size, q.dtype)
            )

    def softmax(self, b: int, keys: Any, queries: Any) -> Any:
        """Return the probabilities of a sample from its queries and keys, turned parts added."""
        xp = self.xp
        product(xp, queries, keys, self.scores)
        product(xp, self.q_rope[b], self.k_rope[b].T, self.more)
        xp.add(self.scores, self.more, out=self.scores)
        xp.multiply(self.scores, self.scale, out=self.scores)
        if self.mask is not None:
            xp.add(self.scores, self.mask, out=self.scores)
        flat = self.scores.reshape(-1, self.T)
        softmax_rows(xp, self.ws, flat, flat)
        return self.scores


class _Causal:
    causal, window = True, 0


@kernel("latent_attention", algorithm="expanded", refuses=_kind("expanded"))
def expanded(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """Keys and values of every head made from the latents, then attention as usual."""
    s = _Latent(xp, op, ws, a)
    keys = ws.buffer("keys", (s.H, s.T, op.nope_dim), s.c.dtype)
    values = ws.buffer("values", (s.H, s.T, op.value_dim), s.c.dtype)
    for b in range(s.B):
        for name, to in (("key_up", keys), ("value_up", values)):
            product(xp, s.c[b], xp.swapaxes(a.weights[name], 1, 2), to)
        p = s.softmax(b, xp.swapaxes(keys, 1, 2), s.q_nope[b])
        product(xp, p, values, s.y[b])
    return ws.output(a)


@kernel("latent_attention", algorithm="absorbed", refuses=_kind("absorbed"))
def absorbed(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """Queries carried into the latent space, attention to the latents, outputs carried back."""
    s = _Latent(xp, op, ws, a)
    rank = s.c.shape[2]
    into, of = (ws.buffer(name, (s.H, s.S, rank), s.c.dtype) for name in ("into", "of"))
    for b in range(s.B):
        product(xp, s.q_nope[b], a.weights["key_up"], into)
        p = s.softmax(b, s.c[b].T, into)
        product(xp, p, s.c[b], of)
        product(xp, of, xp.swapaxes(a.weights["value_up"], 1, 2), s.y[b])
    return ws.output(a)
