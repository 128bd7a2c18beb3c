"""Attention of the default domain, and rotary embeddings."""

from __future__ import annotations

from collections.abc import Sequence

from perfmodel.core import Dim
from perfmodel.readers.onnx.call import Call
from perfmodel.readers.onnx.handlers import MICROSOFT, Made, handles
from perfmodel.readers.tracing.attention import attend, rows_of
from perfmodel.readers.tracing.values import Value


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
