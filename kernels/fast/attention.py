"""Attention: with all scores in memory, and by blocks of keys with an online softmax."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from perfmodel.kernels.cuda import on_gpu
from perfmodel.kernels.fast.reduction import softmax_rows
from perfmodel.kernels.registry import kernel

#: added to a score that a query must not see; finite, so that no row makes a NaN
HIDDEN = -1e30
#: query rows of a block, of all heads that share a key head, and scores of a block
ROWS, SCORES = 256, 1 << 16
LEAST_KEYS = 256


def visible(i: int, queries: int, keys: int, causal: bool, window: int) -> tuple[int, int]:
    """Return the keys that query i sees, first and end; the queries stand at the keys' end."""
    if causal:
        end = max(keys - queries + i + 1, 0)
        return (max(end - window, 0) if window else 0), end
    width = min(window, keys) if window else keys
    first = min(max(keys - queries + i - width // 2, 0), keys - width)
    return first, first + width


class Heads:
    """Sizes of an attention, and its arrays by key head: the KV cache is a segment of keys."""

    def __init__(self, xp: Any, op: Any, ws: Any, a: Any) -> None:
        q, k, v = a.inputs[:3]
        self.xp, self.ws, self.kv_heads = xp, ws, op.kv_heads
        self.shared = op.q_heads // op.kv_heads
        self.queries, self.depth = q.shape[1], q.shape[2] // op.q_heads
        self.value = v.shape[2] // op.kv_heads
        self.keys = op.context + k.shape[1]
        self.bias = a.inputs[3] if len(a.inputs) > 3 else None
        self.context, self.q, self.caches = op.context, q, a.caches
        # [B, kv_heads, T, D], strided views.
        self.k, self.v = (_by_head(xp, t, op.kv_heads) for t in (k, v))
        self.y = _by_head(xp, ws.output(a), op.q_heads)
        if op.cached:
            for name, new in (("k", self.k), ("v", self.v)):
                xp.copyto(ws.buffer(("appended", name), new.shape, new.dtype), new)

    def scaled(self, b: int) -> Any:
        """Return a sample's queries divided by the root of their size, [kv_heads, shared, S, D]."""
        xp, q = self.xp, self.q[b]
        heads = _by_head(xp, q.reshape(1, *q.shape), self.kv_heads * self.shared)[0]
        made = self.ws.buffer("queries", heads.shape, q.dtype)
        xp.multiply(heads, 1.0 / math.sqrt(self.depth), out=made)
        return made.reshape(self.kv_heads, self.shared, self.queries, self.depth)

    def out(self, b: int) -> Any:
        """Return a sample's outputs, [kv_heads, shared, S, E]."""
        return self.y[b].reshape(self.kv_heads, self.shared, self.queries, self.value)

    def segments(self, b: int, first: int, end: int) -> Iterator[tuple[int, int, Any, Any]]:
        """Yield first key, end, keys and values [kv_heads, T, D] of what lies in one array."""
        parts = [(self.context, self.k[b], self.v[b])]
        if self.context:
            cached = (self.caches[name][b] for name in ("k_cache", "v_cache"))
            parts.insert(0, (0, *cached))
        for start, keys, values in parts:
            stop = self.keys if start == self.context else self.context
            low, high = max(first, start), min(end, stop)
            if low < high:
                at = slice(low - start, high - start)
                yield low, high, keys[:, at], values[:, at]

    def of_bias(self, b: int) -> Any:
        """Return what is added to a sample's scores, [kv_heads, shared, S, T] by broadcasting."""
        found = self.bias[b % self.bias.shape[0]]
        if found.shape[0] == 1:
            return found.reshape(1, *found.shape)
        return found.reshape(self.kv_heads, self.shared, *found.shape[1:])


def _by_head(xp: Any, t: Any, heads: int) -> Any:
    """Return a view of t[B, S, heads D] as [B, heads, S, D]."""
    return xp.swapaxes(t.reshape(*t.shape[:2], heads, t.shape[2] // heads), 1, 2)


def _mask(xp: Any, op: Any, queries: range, keys: range, total: tuple[int, int], dtype: Any) -> Any:
    """Return what hides keys from queries, [queries, keys]; None where nothing is hidden."""
    import numpy as np

    made = np.full((len(queries), len(keys)), HIDDEN)
    for row, i in enumerate(queries):
        first, end = visible(i, *total, op.causal, op.window)
        made[row, max(first - keys.start, 0) : max(end - keys.start, 0)] = 0.0
    return xp.asarray(made.astype(str(dtype))) if made.any() else None


def _blind(op: Any, t: Any) -> str | None:
    if op.algorithm != "unfused" and op.causal and t.x.shape[1] > op.context + t.inputs[1].shape[1]:
        return "a query sees no key at all"
    return None


def _asked_unfused(op: Any, t: Any) -> str | None:
    return "it is to be unfused" if op.algorithm == "unfused" else None


@kernel("attention", algorithm="flash", refuses=_asked_unfused)
def flash(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """Blocks of queries against blocks of keys, sums rescaled as larger scores appear.

    A block of scores stays in cache; hidden blocks are not computed. Heads that share
    keys are one block. Source: Dao, arXiv:2307.08691, algorithm 1.
    """
    if on_gpu(xp) and not _blind(op, a.tensors):
        return unfused(xp, op, ws, a)  # a launch a block would cost more than it saves
    h = Heads(xp, op, ws, a)
    plan = ws.once("plan", lambda: _plan(xp, op, h))
    for b in range(h.q.shape[0]):
        q, y = h.scaled(b), h.out(b)
        bias = None if h.bias is None else h.of_bias(b)
        for head in range(h.kv_heads):
            for rows, blocks in plan:
                added = None
                if bias is not None:
                    added = bias[min(head, bias.shape[0] - 1)][:, rows]
                _flash_block(h, b, head, q[head][:, rows], y[head][:, rows], blocks, added)
    return ws.output(a)


def _plan(xp: Any, op: Any, h: Heads) -> list[tuple[slice, list[tuple[int, int, Any]]]]:
    """Return blocks of queries, each with its blocks of keys: first, end, what hides some."""
    high = max(1, ROWS // h.shared)
    masks: dict[Any, Any] = {}
    plan = []
    for start in range(0, h.queries, high):
        rows = range(start, min(start + high, h.queries))
        spans = [visible(i, h.queries, h.keys, op.causal, op.window) for i in rows]
        first, end = min(s[0] for s in spans), max(s[1] for s in spans)
        wide = max(LEAST_KEYS, SCORES // (len(rows) * h.shared))
        blocks = []
        for at in range(first, end, wide):
            for low, stop in _split(at, min(at + wide, end), h.context):
                keys = range(low, stop)
                key = tuple((s[0] - low, s[1] - low) for s in spans)
                key = (*((max(p, 0), min(q, len(keys))) for p, q in key), len(keys))
                if key not in masks:
                    masks[key] = _mask(xp, op, rows, keys, (h.queries, h.keys), h.q.dtype)
                blocks.append((low, stop, masks[key]))
        plan.append((slice(rows.start, rows.stop), blocks))
    return plan


def _split(first: int, end: int, border: int) -> list[tuple[int, int]]:
    if first < border < end:
        return [(first, border), (border, end)]
    return [(first, end)]


def _flash_block(
    h: Heads, b: int, head: int, q: Any, y: Any, blocks: list[tuple[int, int, Any]], bias: Any
) -> None:
    """Set y[shared, rows, E] to the attention of q[shared, rows, D] to one key head."""
    xp, ws, dtype = h.xp, h.ws, q.dtype
    rows = q.shape[:2]
    if not blocks:
        xp.copyto(y, 0.0)
        return
    largest, new, rescale, total, part = (
        ws.buffer((name, rows), (*rows, 1), dtype) for name in ("m", "n", "r", "l", "p")
    )
    sums, more = (ws.buffer((name, rows), (*rows, h.value), dtype) for name in ("sums", "more"))
    for number, (low, stop, mask) in enumerate(blocks):
        ((_, _, keys, values),) = h.segments(b, low, stop)
        s = ws.buffer(("scores", rows), (*rows, stop - low), dtype)
        xp.matmul(q, keys[head].T, out=s) if h.depth > 1 else xp.multiply(q, keys[head].T, out=s)
        if bias is not None:
            xp.add(s, bias[:, :, low:stop], out=s)
        if mask is not None:
            xp.add(s, mask, out=s)
        xp.max(s, axis=2, keepdims=True, out=new)
        if number:
            xp.maximum(new, largest, out=new)
            xp.subtract(largest, new, out=rescale)
            xp.exp(rescale, out=rescale)
        xp.subtract(s, new, out=s)
        xp.exp(s, out=s)
        xp.sum(s, axis=2, keepdims=True, out=part if number else total)
        to = more if number else sums
        if stop - low > 1:
            xp.matmul(s, values[head], out=to)
        else:
            xp.multiply(s, values[head], out=to)
        if number:
            xp.multiply(total, rescale, out=total)
            xp.add(total, part, out=total)
            xp.multiply(sums, rescale, out=sums)
            xp.add(sums, more, out=sums)
        largest, new = new, largest
    # A row that saw nothing has only hidden scores, the largest of them near HIDDEN.
    xp.reciprocal(total, out=total)
    if any(mask is not None for _, _, mask in blocks):
        seen = xp.greater(largest, HIDDEN / 2, out=ws.buffer(("seen", rows), (*rows, 1), "bool"))
        xp.copyto(part, seen)
        xp.multiply(total, part, out=total)
    xp.multiply(sums, total, out=y)


@kernel("attention", algorithm="unfused", refuses=_blind)
def unfused(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """All scores of a sample, what hides some added, their softmax, times the values."""
    h = Heads(xp, op, ws, a)
    shape = (h.kv_heads, h.shared, h.queries, h.keys)
    scores = ws.buffer("scores", shape, h.q.dtype)
    mask = None
    if op.causal or op.window:
        mask = ws.once(
            "mask",
            lambda: _mask(xp, op, range(h.queries), range(h.keys), shape[2:], h.q.dtype),
        )
    for b in range(h.q.shape[0]):
        q, y = h.scaled(b), h.out(b)
        parts = list(h.segments(b, 0, h.keys))
        for low, stop, keys, _ in parts:
            turned = xp.swapaxes(keys, 1, 2)[:, None]
            _times(xp, q, turned, scores[..., low:stop])
        if h.bias is not None:
            xp.add(scores, h.of_bias(b), out=scores)
        if mask is not None:
            xp.add(scores, mask, out=scores)
        flat = scores.reshape(-1, h.keys)
        softmax_rows(xp, ws, flat, flat)
        for number, (low, stop, _, values) in enumerate(parts):
            to = y if number == 0 else ws.buffer("more", y.shape, y.dtype)
            _times(xp, scores[..., low:stop], values[:, None], to)
            if number:
                xp.add(y, to, out=y)
    return ws.output(a)


def _times(xp: Any, a: Any, b: Any, out: Any) -> None:
    """Set out to a b; rows of heads that share b are one product where they are contiguous."""
    if a.shape[-1] == 1:
        xp.multiply(a, b, out=out)
        return
    if a.shape[-2] == 1 and a.shape[1] > 1:
        # One query: the heads that share keys are the rows of one product.
        a, b, out = (a[:, :, 0], b[:, 0], out[:, :, 0])
    xp.matmul(a, b, out=out)
