"""Attention of the domain com.microsoft: projections inside, packed rows, caches, pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from perfmodel.core import Dim
from perfmodel.core.dims import maximum, same
from perfmodel.errors import InputError
from perfmodel.readers.onnx.call import Call
from perfmodel.readers.onnx.handlers import MICROSOFT, Made, handles
from perfmodel.readers.onnx.ops.attention import present
from perfmodel.readers.tracing.attention import attend, rows_of
from perfmodel.readers.tracing.products import multiply
from perfmodel.readers.tracing.values import Value


@handles("Attention", domain=MICROSOFT)
def attention_fused(call: Call) -> Made:
    """The projection to q, k and v by one stored matrix, then attention."""
    return _projected(call, call.optional(2), call.optional(4), call.optional(5))


@handles("DecoderMaskedSelfAttention", domain=MICROSOFT)
def decoder_masked_self(call: Call) -> Made:
    """The same for one token after those in the cache."""
    return _projected(call, call.optional(2), call.optional(4), call.optional(5))


@handles("QAttention", domain=MICROSOFT)
def quantized_attention(call: Call) -> Made:
    """The same with codes of 8 bits as input and weight."""
    return _projected(call, call.optional(2), call.optional(8), None, to=call.input(3).dtype)


def _projected(
    call: Call, bias: Value | None, past: Value | None, mask: Value | None, to: str | None = None
) -> list[Value]:
    x, weight = call.input(0), call.input(1)
    heads = call.attr("num_heads")
    sizes = call.attr("qkv_hidden_sizes") or [weight.shape[1] // 3] * 3
    projected = multiply(call, x, weight, bias=bias, suffix=".qkv")
    if to is not None:
        projected = call.cast(projected, to)
    parts = list(call.emit("split", projected, axis=2, lengths=tuple(sizes), suffix=".heads"))
    if call.attr("do_rotary", 0):
        parts[:2] = _turned(call, parts[:2], sizes[0] // heads)
    length = past.shape[3] if past is not None else None
    causal = bool(call.attr("unidirectional", 0))
    y = attend(call, parts, heads, heads, past=length, bias=mask, causal=causal)
    shape = (2, x.shape[0], heads, x.shape[1] + (length or 0), sizes[1] // heads)
    return [y, present(call, 1, projected, shape)]


def _turned(call: Call, rows: Sequence[Value], head: Dim, turned: Any = 0) -> list[Value]:
    return [
        call.emit("rope", x, head_dim=head, rotary_dim=turned, suffix=f".{n}_rope")[0]
        for x, n in zip(rows, "qk", strict=True)
    ]


@handles("MultiHeadAttention", domain=MICROSOFT)
def multi_head(call: Call) -> Made:
    """Attention of rows of q, k and v, which may come packed in one tensor."""
    return _multi_head(call, bias=3, mask=5, past=6)


@handles("DecoderMaskedMultiHeadAttention", domain=MICROSOFT)
def decoder_masked(call: Call) -> Made:
    """The same for one token after those in the cache."""
    return _multi_head(call, bias=10, mask=4, past=5)


def _multi_head(call: Call, bias: int, mask: int, past: int) -> list[Value]:
    q, k, v = _unpacked(call)
    heads = call.attr("num_heads")
    if k is None or v is None:
        raise InputError(f"{call.op} has no key")
    added_to = call.optional(bias)
    if added_to is not None:
        q, k, v = _with_bias(call, [q, k, v], added_to)
    old = call.optional(past)
    rows = [rows_of(call, x, f".rows{i}") for i, x in enumerate((q, k, v))]
    cached = old.shape[2] if old is not None and k.rank == 3 else None
    causal = bool(call.attr("unidirectional", 0))
    y = attend(call, rows, heads, heads, past=cached, bias=call.optional(mask), causal=causal)
    made = [y]
    for i, part in enumerate(rows[1:], 1):
        length = part.shape[1] + (cached or 0)
        shape = (part.shape[0], heads, length, part.shape[2] // heads)
        made.append(present(call, i, part, shape))
    scores = (q.shape[0], heads, rows[0].shape[1], rows[1].shape[1] + (cached or 0))
    return [*made, present(call, 3, y, scores)]


def _unpacked(call: Call) -> tuple[Value, Value | None, Value | None]:
    """Return q, k and v; packed ones ``[B,S,H,3,D]`` and ``[B,S,H,2,D]`` taken apart."""
    q, k, v = call.input(0), call.optional(1), call.optional(2)
    if q.rank == 5 or (q.rank == 4 and k is None):
        parts = _parts(call, q, 3, ".packed")
        return parts[0], parts[1], parts[2]
    if k is not None and k.rank == 5:
        k, v = _parts(call, k, 2, ".packed")
    return q, k, v


def _parts(call: Call, x: Value, count: int, suffix: str) -> list[Value]:
    *lead, heads, _, head = x.shape
    flat = call.view(x, (*lead, heads * count * head))
    lengths = (heads * head,) * count
    return list(call.emit("split", flat, axis=len(lead), lengths=lengths, suffix=suffix))


def _with_bias(call: Call, parts: Sequence[Value], bias: Value) -> list[Value]:
    """Add to q, k and v their parts of one bias; heads ``[B,H,S,D]`` have theirs already."""
    widths = [p.shape[-1] if p.rank == 3 or p.rank == 2 else p.shape[1] * p.shape[3]
              for p in parts]  # fmt: skip
    pieces = call.emit("split", bias, axis=0, lengths=tuple(widths), suffix=".biases")
    return [
        call.emit("add", p, b, suffix=f".bias{i}")[0] if p.rank < 4 else p
        for i, (p, b) in enumerate(zip(parts, pieces, strict=True))
    ]


@handles("GroupQueryAttention", domain=MICROSOFT)
def group_query(call: Call) -> Made:
    """Causal attention with shared keys and a KV cache; q, k and v may come packed.

    The tokens in the cache are the total length without the new ones, where that
    is known, else as many as the cache has room for.
    """
    past, total = call.optional(3), call.optional(6)
    return _grouped(call, past, total, bias=call.optional(10))


@handles("SparseAttention", domain=MICROSOFT)
def sparse_attention(call: Call) -> Made:
    """The same over chosen blocks of keys: all blocks are taken."""
    call.net.note("SparseAttention reads the blocks that its indices name: all are taken")
    return _grouped(call, call.optional(3), call.optional(7))


def _grouped(
    call: Call, past: Value | None, total: Value | None, bias: Value | None = None
) -> list[Value]:
    heads, kv_heads = call.attr("num_heads"), call.attr("kv_num_heads")
    q, k, v = _grouped_rows(call, heads, kv_heads)
    head = k.shape[2] // kv_heads
    if call.attr("do_rotary", 0):
        q, k = _turned(call, (q, k), head, _rotary_columns(call, head))
    room: Dim = past.shape[2] if past is not None else 0
    context, length = room, room + k.shape[1]
    if total is not None and total.data is not None and total.data.size == 1:
        known = total.data.item()
        context = maximum(0, known - k.shape[1])
        length = maximum(room, known)
    window = call.attr("local_window_size", -1)
    y = attend(
        call, [q, k, v], heads, kv_heads, past=context, bias=bias,
        causal=bool(call.attr("causal", 1)), window=window if window > 0 else 0,
    )  # fmt: skip
    shape = (q.shape[0], kv_heads, length, head)
    scores = (q.shape[0], heads, q.shape[1], context + k.shape[1])
    return [y, present(call, 1, k, shape), present(call, 2, v, shape), present(call, 3, y, scores)]


def _grouped_rows(call: Call, heads: Dim, kv_heads: Dim) -> tuple[Value, Value, Value]:
    q, k, v = call.input(0), call.optional(1), call.optional(2)
    if k is not None and v is not None:
        return q, rows_of(call, k, ".k_rows"), rows_of(call, v, ".v_rows")
    head = q.shape[-1] // (heads + 2 * kv_heads)
    lengths = (heads * head, kv_heads * head, kv_heads * head)
    q, k, v = call.emit("split", q, axis=q.rank - 1, lengths=lengths, suffix=".packed")
    return q, k, v


def _rotary_columns(call: Call, head: Dim) -> Dim:
    """Return the columns of a head that turn, 0 for all: twice those of the table of cosines."""
    table = call.optional(9 if call.op == "SparseAttention" else 7)
    turned = 2 * table.shape[-1] if table is not None and table.rank == 2 else head
    return 0 if same(turned, head) else turned


@handles("PagedAttention", domain=MICROSOFT)
def paged_attention(call: Call) -> Made:
    """Attention of packed tokens over pages of a KV cache: as many as its table names."""
    heads, kv_heads = call.attr("num_heads"), call.attr("kv_num_heads")
    q, k, v = _grouped_rows(call, heads, kv_heads)
    keys, values, table = call.input(3), call.optional(4), call.input(7)
    sequences = table.shape[0]
    call.net.note("PagedAttention: each sequence is taken to fill the pages of its table")
    width, head = q.shape[-1], k.shape[-1] // kv_heads
    fits = same(q.shape[0] % sequences, 0)
    batch = sequences if fits else 1
    rows = [call.view(x, (batch, x.shape[0] // batch, x.shape[-1])) for x in (q, k, v)]
    if call.attr("do_rotary", 0):
        rows[:2] = _turned(call, rows[:2], head)
    context = maximum(0, table.shape[1] * keys.shape[1] - rows[1].shape[1])
    y = attend(
        call, rows, heads, kv_heads, past=context, causal=bool(call.attr("is_causal", 1)),
        page=keys.shape[1],
    )  # fmt: skip
    made = [call.view(y, (q.shape[0], width))]
    for i, cache in enumerate((keys, values), 1):
        if cache is not None:
            made.append(present(call, i, rows[i], cache.shape))
    return made


@handles("PackedAttention", domain=MICROSOFT)
def packed_attention(call: Call) -> Made:
    """Tokens of several sequences without padding: projection, then attention."""
    x, weight = call.input(0), call.input(1)
    sizes = call.attr("qkv_hidden_sizes") or [weight.shape[1] // 3] * 3
    projected = multiply(call, x, weight, bias=call.optional(2), suffix=".qkv")
    parts = call.emit("split", projected, axis=1, lengths=tuple(sizes), suffix=".heads")
    return _packed(call, parts, call.input(3))


@handles("PackedMultiHeadAttention", domain=MICROSOFT)
def packed_multi_head(call: Call) -> Made:
    """The same with q, k and v given."""
    q, k, v = call.input(0), call.optional(1), call.optional(2)
    if k is None or v is None:
        q, k, v = _parts(call, q, 3, ".packed")
    parts = [q, k, v]
    bias = call.optional(3)
    return _packed(call, _with_bias(call, parts, bias) if bias is not None else parts,
                   call.input(4))  # fmt: skip


def _packed(call: Call, parts: Sequence[Value], offsets: Value) -> Value:
    """Attend within sequences as long as a row of ``offsets[B,S]``; else all are one."""
    tokens, length = parts[0].shape[0], offsets.shape[-1]
    whole = same(tokens % length, 0)
    if not whole:
        call.net.note(f"{call.op}: the tokens are taken as one sequence")
    batch = tokens // length if whole else 1
    rows = [call.view(x, (batch, tokens // batch, x.shape[1])) for x in parts]
    heads = call.attr("num_heads")
    y = attend(call, rows, heads, heads)
    return call.view(y, (tokens, parts[2].shape[1]))


@handles("DecoderAttention", domain=MICROSOFT)
def decoder_attention(call: Call) -> Made:
    """Projections of ``query[S,B,D]`` and ``key[T,B,D]``, then attention, with a cache."""
    query, key, heads = call.input(0), call.input(1), call.attr("num_heads")
    q = multiply(call, query, call.input(2), suffix=".q")
    kv = multiply(call, key, call.input(3), suffix=".kv")
    width = q.shape[-1]
    k, v = call.emit("split", kv, axis=2, lengths=(width, width), suffix=".heads")
    q, k, v = _with_bias(call, [q, k, v], call.input(4))
    # Sequences come first; counts do not depend on the order of the axes.
    rows = [call.view(x, (x.shape[1], x.shape[0], width)) for x in (q, k, v)]
    y = call.view(attend(call, rows, heads, heads), query.shape)
    cache = (key.shape[1], heads, key.shape[0], width // heads)
    return [y, present(call, 1, rows[1], cache), present(call, 2, rows[2], cache)]


@handles("LongformerAttention", domain=MICROSOFT)
def longformer(call: Call) -> Made:
    """Projection, then attention to ``window`` tokens on either side of each.

    Tokens that see all others, which the input names, are not counted, nor is their
    projection; a note says so.
    """
    return _longformer(call, call.input(1), call.optional(2))


@handles("QOrderedLongformerAttention", domain=MICROSOFT)
def ordered_longformer(call: Call) -> Made:
    """The same on codes: ``x, x_scale, weight, weight_scale, bias``."""
    return _longformer(call, call.input(2), call.optional(4))


def _longformer(call: Call, weight: Value, bias: Value | None) -> Value:
    width, heads = weight.shape[1] // 3, call.attr("num_heads")
    projected = multiply(call, call.input(0), weight, bias=bias, suffix=".qkv")
    call.net.note(f"{call.op}: no token is taken to see all others")
    parts = call.emit("split", projected, axis=2, lengths=(width,) * 3, suffix=".heads")
    return attend(call, parts, heads, heads, window=2 * int(call.attr("window")) + 1)


@handles("QOrderedAttention", domain=MICROSOFT)
def ordered_attention(call: Call) -> Made:
    """Three products of codes, then attention."""
    x, heads = call.input(0), call.attr("num_heads")
    rows = [
        multiply(call, x, call.input(5 + i), bias=call.optional(11 + i), suffix=f".{n}")
        for i, n in enumerate("qkv")
    ]
    return attend(call, rows, heads, heads, causal=bool(call.attr("unidirectional", 0)))


@handles("GemmaRotaryEmbedding", domain=MICROSOFT)
def gemma_rotary(call: Call) -> Made:
    """Sine and cosine of a table, then ``q cos + q' sin`` and the same of k."""
    emb, q, q_turned, k, k_turned = (call.input(i) for i in range(5))
    call.emit("pointwise", emb, function="sine_and_cosine", special=2, suffix=".angles")
    return [
        call.emit("pointwise", a, b, function="rotate", vector=3, suffix=f".{n}")[0]
        for a, b, n in ((q, q_turned, "q"), (k, k_turned, "k"))
    ]
