"""Attention as one operator, rotary embeddings, and mixtures of experts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from perfmodel.core import Dim
from perfmodel.core.dims import same
from perfmodel.errors import InputError
from perfmodel.readers.onnx.call import Call
from perfmodel.readers.onnx.handlers import MICROSOFT, Made, handles
from perfmodel.readers.onnx.ops.activations import added
from perfmodel.readers.onnx.ops.products import multiply
from perfmodel.readers.tracing.values import Value


def rows_of(call: Call, x: Value) -> Value:
    """Return heads ``x[B,H,S,D]`` as rows ``x[B,S,H D]``; a tensor of three axes as it is."""
    if x.rank != 4:
        return x
    turned = x
    if not same(x.shape[1], 1) and not same(x.shape[2], 1):
        (turned,) = call.emit("transpose", x, axes=(0, 2, 1, 3), suffix=".rows")
    return call.view(turned, (x.shape[0], x.shape[2], x.shape[1] * x.shape[3]))


def attend(call: Call, rows: Sequence[Value], q_heads: Dim, kv_heads: Dim, **more: Any) -> Value:
    """Put attention over rows of q, k and v into the graph."""
    return call.emit("attention", *rows, q_heads=q_heads, kv_heads=kv_heads, **more)[0]


@handles("Attention")
def attention(call: Call) -> Made:
    """``softmax(q k' / sqrt(D) + mask) v`` with heads or rows, grouped queries, a past."""
    q, k, v = call.input(0), call.input(1), call.input(2)
    q_heads = call.attr("q_num_heads") or q.shape[1]
    kv_heads = call.attr("kv_num_heads") or k.shape[1]
    past_k, past_v = call.optional(4), call.optional(5)
    rows = [rows_of(call, x) for x in (q, k, v)]
    causal = bool(call.attr("is_causal", 0))
    batch, length = q.shape[0], rows[0].shape[1]
    value_dim = rows[2].shape[2] // kv_heads
    total = rows[1].shape[1]
    if past_k is not None and past_v is not None:
        total = total + past_k.shape[2]
        olds = (rows_of(call, past_k), rows_of(call, past_v))
        joined = [
            call.emit("concat", old, new, axis=1, suffix=f".past{i}")[0]
            for i, (old, new) in enumerate(zip(olds, rows[1:], strict=True))
        ]
        rows = [rows[0], *joined]
    y = attend(call, rows, q_heads, kv_heads, causal=causal)
    heads = (batch, q_heads, length, value_dim)
    made = [call.view(y, heads if q.rank == 4 else (batch, length, q_heads * value_dim))]
    key_dim = rows[1].shape[2] // kv_heads
    made.append(Value("", k.dtype, (batch, kv_heads, total, key_dim), tensor=rows[1].tensor))
    made.append(Value("", v.dtype, (batch, kv_heads, total, value_dim), tensor=rows[2].tensor))
    made.append(Value("", q.dtype, (batch, q_heads, length, total), tensor=y.tensor))
    return made


@handles("Attention", domain=MICROSOFT)
def attention_fused(call: Call) -> Made:
    """The projection to q, k and v by one stored matrix, then attention."""
    x, weight, bias = call.input(0), call.input(1), call.optional(2)
    heads = call.attr("num_heads")
    sizes = call.attr("qkv_hidden_sizes") or [weight.shape[1] // 3] * 3
    projected = multiply(call, x, weight, bias=bias)
    parts = call.emit("split", projected, axis=2, lengths=tuple(sizes), suffix=".heads")
    past = call.optional(4)
    causal = bool(call.attr("unidirectional", 0))
    y = attend(call, parts, heads, heads, causal=causal)
    length = x.shape[1] + (past.shape[3] if past is not None else 0)
    present = (2, x.shape[0], heads, length, sizes[1] // heads)
    return [y, Value("", x.dtype, present, tensor=y.tensor)]


@handles("MultiHeadAttention", "DecoderMaskedMultiHeadAttention", domain=MICROSOFT)
def multi_head(call: Call) -> Made:
    """Attention of rows of q, k and v, which may come packed in one tensor."""
    q, k, v = call.input(0), call.optional(1), call.optional(2)
    heads = call.attr("num_heads")
    if q.rank == 5:
        q = call.view(q, (q.shape[0], q.shape[1], q.shape[2] * q.shape[3] * q.shape[4]))
        width = q.shape[2] // 3
        q, k, v = call.emit("split", q, axis=2, lengths=(width,) * 3, suffix=".packed")
    if k is None:
        raise InputError(f"{call.op} has no key")
    if k.rank == 5:
        packed = call.view(k, (k.shape[0], k.shape[1], k.shape[2] * k.shape[3] * k.shape[4]))
        width = packed.shape[2] // 2
        k, v = call.emit("split", packed, axis=2, lengths=(width,) * 2, suffix=".packed")
    bias = call.optional(3)
    if bias is not None:
        q = added(call, q, [Value("", bias.dtype, (q.shape[2],), stored=bias.stored)])
    rows = [rows_of(call, x) for x in (q, k, v if v is not None else k)]
    causal = bool(call.attr("unidirectional", 0))
    y = attend(call, rows, heads, heads, causal=causal)
    made = [y]
    for part in rows[1:]:
        shape = (part.shape[0], heads, part.shape[1], part.shape[2] // heads)
        made.append(Value("", part.dtype, shape, tensor=part.tensor))
    return made


@handles("GroupQueryAttention", domain=MICROSOFT)
def group_query(call: Call) -> Made:
    """Causal attention with shared keys and a KV cache; q, k and v may come packed."""
    q, k, v = call.input(0), call.optional(1), call.optional(2)
    heads, kv_heads = call.attr("num_heads"), call.attr("kv_num_heads")
    if k is None or v is None:
        head = q.shape[2] // (heads + 2 * kv_heads)
        lengths = (heads * head, kv_heads * head, kv_heads * head)
        q, k, v = call.emit("split", q, axis=2, lengths=lengths, suffix=".packed")
    head = q.shape[2] // heads
    if call.attr("do_rotary", 0):
        (q,) = call.emit("rope", q, head_dim=head, suffix=".q_rope")
        (k,) = call.emit("rope", k, head_dim=head, suffix=".k_rope")
    past, window = call.optional(3), call.attr("local_window_size", -1)
    context: Dim = past.shape[2] if past is not None else 0
    y = attend(
        call, [q, k, v], heads, kv_heads, causal=True, cached=True, context=context,
        window=window if window > 0 else 0,
    )  # fmt: skip
    shape = (q.shape[0], kv_heads, context + k.shape[1], head)
    return [y, *(Value("", x.dtype, shape, tensor=x.tensor) for x in (k, v))]


@handles("RotaryEmbedding")
@handles("RotaryEmbedding", domain=MICROSOFT)
def rotary(call: Call) -> Made:
    """Pairs of a head's values turned by an angle that grows with the position."""
    x = call.input(0)
    heads = call.attr("num_heads", 0)
    if x.rank == 4:
        flat = call.view(x, (x.shape[0], x.shape[1] * x.shape[2], x.shape[3]))
        return call.view(call.emit("rope", flat, head_dim=x.shape[3])[0], x.shape)
    head = x.shape[2] // heads if heads else x.shape[2]
    return call.emit("rope", x, head_dim=head)


@handles("LinearAttention", treatment="bounded")
def linear_attention(call: Call) -> Made:
    """Attention by a state that is carried on: bytes only."""
    q, k, v = call.input(0), call.input(1), call.input(2)
    heads = call.attr("kv_num_heads", 1)
    key, value = k.shape[-1] // heads, v.shape[-1] // heads
    width = call.attr("q_num_heads", heads) * value
    state = (q.shape[0], heads, key, value)
    return call.opaque((*q.shape[:-1], width), state, formats=[q.dtype] * 2)
