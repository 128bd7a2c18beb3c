"""Attention of the default domain, rotary embeddings, and what attentions have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from perfmodel.core import Dim
from perfmodel.core.dims import same
from perfmodel.core.symbols import is_symbolic
from perfmodel.readers.onnx.call import Call
from perfmodel.readers.onnx.handlers import MICROSOFT, Made, handles
from perfmodel.readers.tracing.values import Value


def rows_of(call: Call, x: Value, suffix: str = ".rows") -> Value:
    """Return heads ``x[B,H,S,D]`` as rows ``x[B,S,H D]``; a tensor of three axes as it is."""
    if x.rank != 4:
        return x
    turned = x
    if not same(x.shape[1], 1) and not same(x.shape[2], 1):
        (turned,) = call.emit("transpose", x, axes=(0, 2, 1, 3), suffix=suffix)
    return call.view(turned, (x.shape[0], x.shape[2], x.shape[1] * x.shape[3]))


def attend(
    call: Call,
    rows: Sequence[Value],
    q_heads: Dim,
    kv_heads: Dim,
    *,
    past: Dim | None = None,
    bias: Value | None = None,
    **more: Any,
) -> Value:
    """Put attention over rows of q, k and v into the graph.

    ``past`` tokens stand in a KV cache, to which k and v are added; None where there
    is none. A mask or bias that has the scores' shape, or broadcasts over heads and
    samples, is read; others are part of the kernel.
    """
    if past is not None:
        more |= {"cached": True, "context": past}
    q, k = rows[0], rows[1]
    scores = (q.shape[0], q_heads, q.shape[1], k.shape[1] + (past if past is not None else 0))
    fitted = _bias(call, bias, scores)
    operands = [*rows, fitted] if fitted is not None else rows
    return call.emit("attention", *operands, q_heads=q_heads, kv_heads=kv_heads, **more)[0]


def _bias(call: Call, bias: Value | None, scores: tuple[Dim, ...]) -> Value | None:
    """Return a bias as ``bias[b,h,S,S']``, None where it is not of that form."""
    if bias is None or not 2 <= bias.rank <= 4:
        return None
    shape = (*(1 for _ in range(4 - bias.rank)), *bias.shape)
    fits = (
        all(map(same, shape[2:], scores[2:]))
        and (same(shape[1], 1) or same(shape[1], scores[1]))
        and (
            same(shape[0], 1)
            or same(shape[0], scores[0])
            or (not is_symbolic(scores[0]) and same(scores[0] % shape[0], 0))
        )
    )
    return call.view(bias, shape) if fits else None


def present(call: Call, i: int, fresh: Value, shape: Sequence[Dim]) -> Value:
    """Return output ``i``, a KV cache with what was added to it.

    The attention has written ``fresh`` into it; an operator that reads the whole of it
    is taken to read a tensor of its own.
    """
    if all(reader == "" for reader in call.readers(i)):
        return Value("", fresh.dtype, tuple(shape), tensor=call.net.tensor(fresh))
    return call.opaque(shape, formats=[fresh.dtype], read=[fresh])[0]


@handles("Attention")
def attention(call: Call) -> Made:
    """``softmax(q k' / sqrt(D) + mask) v`` with heads or rows, grouped queries, a past."""
    q, k, v = call.input(0), call.input(1), call.input(2)
    q_heads = call.attr("q_num_heads") or q.shape[1]
    kv_heads = call.attr("kv_num_heads") or k.shape[1]
    past_k = call.optional(4)
    rows = [rows_of(call, x, f".rows{i}") for i, x in enumerate((q, k, v))]
    batch, length = q.shape[0], rows[0].shape[1]
    key_dim, value_dim = rows[1].shape[2] // kv_heads, rows[2].shape[2] // kv_heads
    past = past_k.shape[2] if past_k is not None else None
    total = rows[1].shape[1] + (past if past is not None else 0)
    causal = bool(call.attr("is_causal", 0))
    y = attend(call, rows, q_heads, kv_heads, past=past, bias=call.optional(3), causal=causal)
    heads = (batch, q_heads, length, value_dim)
    return [
        call.view(y, heads if q.rank == 4 else (batch, length, q_heads * value_dim)),
        present(call, 1, rows[1], (batch, kv_heads, total, key_dim)),
        present(call, 2, rows[2], (batch, kv_heads, total, value_dim)),
        present(call, 3, y, (batch, q_heads, length, total)),
    ]


@handles("RotaryEmbedding")
@handles("RotaryEmbedding", "MRotaryEmbedding", domain=MICROSOFT)
def rotary(call: Call) -> Made:
    """Pairs of a head's values turned by an angle that grows with the position."""
    x = call.input(0)
    heads = call.attr("num_heads", 0)
    turned = call.attr("rotary_embedding_dim", 0)
    if x.rank == 4:
        flat = call.view(x, (x.shape[0], x.shape[1] * x.shape[2], x.shape[3]))
        (y,) = call.emit("rope", flat, head_dim=x.shape[3], rotary_dim=turned)
        return call.view(y, x.shape)
    head = x.shape[2] // heads if heads else x.shape[2]
    if not heads and not turned:
        # The width of a head is twice that of a row of the table of cosines.
        table = next((v for v in call.inputs[1:] if v is not None and v.is_float), None)
        head = 2 * table.shape[-1] if table is not None else head
    return call.emit("rope", x, head_dim=head, rotary_dim=turned)


@handles("LinearAttention", treatment="bounded")
@handles("LinearAttention", domain=MICROSOFT, treatment="bounded")
def linear_attention(call: Call) -> Made:
    """Attention by a state that is carried on: bytes only."""
    q, k, v = call.input(0), call.input(1), call.input(2)
    heads = call.attr("kv_num_heads", 1)
    key, value = k.shape[-1] // heads, v.shape[-1] // heads
    width = call.attr("q_num_heads", heads) * value
    state = (q.shape[0], heads, key, value)
    return call.opaque((*q.shape[:-1], width), state, formats=[q.dtype] * 2)
