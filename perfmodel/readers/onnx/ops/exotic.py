"""Operators of com.microsoft of which only the bytes are counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from perfmodel.core import Dim
from perfmodel.errors import InputError
from perfmodel.readers.onnx.call import Call
from perfmodel.readers.onnx.formats import FORMAT_OF
from perfmodel.readers.onnx.handlers import MICROSOFT, Made, handles
from perfmodel.readers.onnx.ops.indexing import found
from perfmodel.readers.tracing.values import Value

#: operator -> for each output the input that has its shape and format
_LIKE: dict[str, tuple[int, ...]] = {
    "BifurcationDetector": (1, 2),
    "ConvStateReplay": (2,),
    "EngramGate": (0, 0),
    "GatedDeltaNetStateReplay": (2,),
    "Inverse": (0,),
    "NGramRepeatBlock": (1,),
    "SpeculativePrefixCommit": (2, 3, 4),
    "VarlenCausalConvWithState": (0, 4, 4),
}


@handles(*_LIKE, domain=MICROSOFT, treatment="bounded")
def like_inputs(call: Call) -> Made:
    """Outputs as large as some of the inputs."""
    like = [call.input(i) for i in _LIKE[call.op]]
    return call.opaque(*(v.shape for v in like), formats=[v.dtype for v in like])


@handles("EPContext", "Snpe", domain=MICROSOFT, treatment="bounded")
def compiled(call: Call) -> Made:
    """A graph compiled for one device: what it computes is not in the file."""
    call.net.note(f"{call.op} holds a compiled graph: only its inputs and outputs are counted")
    shapes, formats = [], []
    for i in range(len(call.outputs)):
        declared = call.declared(i)
        if declared is None:
            raise InputError(
                f"{call.op} holds a compiled graph, and the file does not say"
                f" the shape of its output '{call.outputs[i]}'"
            )
        shapes.append(declared[0])
        formats.append(declared[1])
    return call.opaque(*shapes, formats=formats)


@handles("QuantizeBFP", domain=MICROSOFT, treatment="bounded")
def quantize_bfp(call: Call) -> Made:
    """Blocks of values that share an exponent: a byte each, and one a block of 16."""
    x = call.input(0)
    size = x.elements + (x.elements + 15) // 16
    return call.opaque((size,), (x.rank,), (x.rank,), formats=["int8", "int64", "int64"])


@handles("DequantizeBFP", domain=MICROSOFT, treatment="bounded")
def dequantize_bfp(call: Call) -> Made:
    """Blocks of values brought back into a tensor of the shape that is given."""
    shape = call.known(1, "the shape of the output")
    dtype = FORMAT_OF.get(call.attr("dtype", 1), "fp32")
    return call.opaque(shape, formats=[dtype], read=[call.input(0)])


@handles("DynamicTimeWarping", domain=MICROSOFT, treatment="bounded")
def time_warping(call: Call) -> Made:
    """The cheapest path through a matrix: at most both its sides long."""
    x = call.input(0)
    longest = x.shape[-2] + x.shape[-1] - 1
    return found(call, (2, longest), ["int32"], "the steps of the path")


@handles("IsAllFinite", domain=MICROSOFT, treatment="bounded")
def is_all_finite(call: Call) -> Made:
    """One truth value for several tensors."""
    return call.opaque((), formats=["bool"])


@handles("MurmurHash3", domain=MICROSOFT, treatment="bounded")
def murmur_hash(call: Call) -> Made:
    """A hash of 32 bits for each value."""
    return call.opaque(call.input(0).shape, formats=["int32"])


@handles("NGramHashMapping", "VarlenNGramHashMapping", domain=MICROSOFT, treatment="bounded")
def n_gram_hashes(call: Call) -> Made:
    """Hashes of each token's last words, and the tokens that the next call needs."""
    ids = call.input(0)
    order = call.attr("max_ngram_size")
    columns = (order - 1) * call.attr("n_head_per_ngram")
    packed = call.op == "VarlenNGramHashMapping"
    requests: Dim = call.input(3).shape[0] - 1 if packed else ids.shape[0]
    state = (requests, order - 1)
    capacity = call.attr("state_update_capacity", 0)
    shapes = [(*ids.shape, columns), state, state, (requests, capacity, columns)]
    return call.opaque(*shapes[: max(2, len(call.outputs))])


@handles("RemovePadding", domain=MICROSOFT, treatment="bounded")
def remove_padding(call: Call) -> Made:
    """Tokens of all sequences without padding: at most all."""
    x = call.input(0)
    batch, length = x.shape[0], x.shape[1]
    call.net.note("RemovePadding keeps as many tokens as there are: all are taken")
    made = call.opaque(
        (batch * length, *x.shape[2:]), (batch, length), (batch + 1,), (1,),
        formats=[x.dtype, *["int32"] * 3],
    )  # fmt: skip
    made[0].bound = True
    return made


@handles("RestorePadding", domain=MICROSOFT, treatment="bounded")
def restore_padding(call: Call) -> Made:
    """Tokens back at their places in padded sequences."""
    x, offset = call.input(0), call.input(1)
    return call.opaque((*offset.shape, *x.shape[1:]))


@handles("SparseToDenseMatMul", domain=MICROSOFT, treatment="bounded")
def sparse_matmul(call: Call) -> Made:
    """A sparse matrix times a dense one; how much is zero is not known."""
    a, b = call.input(0), call.input(1)
    rows = a.shape[-1 if call.attr("transA", 0) else -2]
    return call.opaque((*b.shape[:-2], rows, b.shape[-2 if call.attr("transB", 0) else -1]))


@handles("Tokenizer", domain=MICROSOFT, treatment="bounded")
def tokenizer(call: Call) -> Made:
    """Texts cut into words: as many as there are, one is taken."""
    x = call.input(0)
    call.net.note("Tokenizer makes as many words as it finds: one is taken")
    (words,) = call.opaque((*x.shape, 1), formats=["int64"])
    words.bound = True
    return words


@handles("UnfoldTensor", domain=MICROSOFT, treatment="bounded")
def unfold(call: Call) -> Made:
    """All slices of a size along an axis, one after the other."""
    x, size, step = call.input(0), call.attr("size"), call.attr("step", 1)
    axis = call.attr("dim", -1) % x.rank
    shape = [*x.shape, size]
    shape[axis] = (x.shape[axis] - size) // step + 1
    return call.opaque(shape)


@handles("Unique", domain=MICROSOFT, treatment="bounded")
def unique(call: Call) -> Made:
    """Values that differ: at most all, with places and counts."""
    x = call.input(0)
    call.net.note("Unique keeps as many as it finds: the most it can is taken")
    shape = (x.elements,)
    made = call.opaque(shape, shape, shape, formats=[x.dtype, "int64", "int64"])
    for value in made:
        value.bound = True
    return made


@handles("WordConvEmbedding", domain=MICROSOFT, treatment="bounded")
def word_conv_embedding(call: Call) -> Made:
    """Words from their letters by a convolution and a maximum."""
    words, filters = call.input(0), call.input(1)
    return call.opaque((*words.shape[:-1], filters.shape[0]), formats=[filters.dtype])


def _attended(call: Call) -> tuple[Sequence[Dim], Value]:
    """Return the shape of the result of attention to chosen keys: that of the queries."""
    q, k = call.input(0), call.optional(1)
    if k is not None:
        return q.shape, q
    heads, kv_heads = call.attr("num_heads"), call.attr("kv_num_heads")
    return (*q.shape[:-1], q.shape[-1] * heads // (heads + 2 * kv_heads)), q


@handles("DynamicSparseAttention", "SparsePagedAttention", domain=MICROSOFT, treatment="bounded")
def chosen_attention(call: Call) -> Made:
    """Attention to keys that another operator has chosen; caches are written in place."""
    shape, q = _attended(call)
    caches = [call.optional(i) for i in (3, 4)]
    kept = [
        Value("", q.dtype, c.shape if c is not None else (0,), tensor=c.tensor if c else None)
        for c in caches
    ]
    return [*call.opaque(shape, formats=[q.dtype]), *kept, Value("", "int32", (1,))]


@handles("SparseAttentionIndexer", "PackedSparseAttentionIndexer", domain=MICROSOFT,
         treatment="bounded")  # fmt: skip
def attention_indexer(call: Call) -> Made:
    """The keys that each query may read: as many as the budget allows."""
    q = call.input(0)
    most = call.attr("max_output_entries", 0) or call.attr("token_budget", 0) \
        or call.attr("index_topk", 0) * call.attr("compress_ratio", 1) or 1  # fmt: skip
    rows = q.shape[:-1] if q.rank < 4 else (q.shape[0], q.shape[2])
    packed = call.op.startswith("Packed")
    state = call.input(12 if packed else 7)
    if not packed:
        buffer = call.optional(13) or state
        return call.opaque((*rows, most), state.shape, buffer.shape,
                           formats=["int32", state.dtype, buffer.dtype])  # fmt: skip
    shapes: list[Sequence[Dim]] = [(*rows, most), rows, state.shape]
    formats = ["int32", "int32", state.dtype]
    for i in (13, 14, 15):
        value = call.optional(i) or state
        shapes.append(value.shape)
        formats.append(value.dtype)
    made = call.opaque(*shapes, formats=formats)
    return [*made, *(Value("", "int32", (1,)) for _ in range(3))]


@handles("PackedSparseAttentionIndexerMerge", domain=MICROSOFT, treatment="bounded")
def indexer_merge(call: Call) -> Made:
    """Two choices of keys as one."""
    rows = call.input(2).shape
    shapes = ((*rows, call.attr("max_output_entries")), rows, rows)
    return call.opaque(*shapes, formats=["int32"] * 3)


@handles("GatedDeltaNet", domain=MICROSOFT, treatment="bounded")
def gated_delta_net(call: Call) -> Made:
    """Attention by a state that is carried on: tokens packed, a state a sequence."""
    q, v, state = call.input(0), call.optional(2), call.optional(6)
    if state is None and v is None:
        raise InputError("GatedDeltaNet with packed rows needs its initial state")
    if state is not None:
        heads, width, shape = state.shape[1], state.shape[-2], state.shape
    else:
        assert v is not None
        heads, width = v.shape[-2], v.shape[-1]
        shape = (1, heads, width, q.shape[-1])
    made = (*v.shape,) if v is not None else (*q.shape[:-1], heads, width)
    return call.opaque(made, shape, formats=[q.dtype, "fp32"])


@handles("Mamba2Verify", domain=MICROSOFT, treatment="bounded")
def mamba_verify(call: Call) -> Made:
    """A convolution, a selective state and a norm for a few tokens of one sequence."""
    x, conv, state = call.input(0), call.input(1), call.input(2)
    heads, head, groups = call.attr("heads"), call.attr("head_dim", 64), call.attr("n_groups")
    inner, rows = heads * head, x.shape[0]
    mixed = inner + 2 * groups * call.attr("d_state", 128)
    shapes = ((rows, inner), (rows, *conv.shape[1:]), (rows, *state.shape[1:]), (rows, mixed),
              (rows, inner))  # fmt: skip
    return call.opaque(*shapes, formats=[x.dtype, conv.dtype, "fp32", x.dtype, "fp32"])


@handles("HyperConnectionPostMix", domain=MICROSOFT, treatment="bounded")
def post_mix(call: Call) -> Made:
    """Streams mixed, and a block's output put into each."""
    return call.opaque(call.input(0).shape)


@handles("HyperConnectionLowRankMix", domain=MICROSOFT, treatment="bounded")
def low_rank_mix(call: Call) -> Made:
    """Streams mixed by gates that two narrow products make."""
    x, branches = call.input(0), call.attr("num_branches")
    lead = x.shape[:-1]
    return call.opaque((*lead, x.shape[-1] // branches), (*lead, branches), x.shape)


#: type of plug-in -> shapes of its outputs from the node
_Shapes = Callable[[Call], list[tuple[Sequence[Dim], str]]]


def _boxes(call: Call) -> list[tuple[Sequence[Dim], str]]:
    batch, most = call.input(0).shape[0], call.attr("max_output_boxes", 100)
    return [((batch, 1), "int32"), ((batch, most, 4), "fp32"), ((batch, most), "fp32"),
            ((batch, most), "int32")]  # fmt: skip


def _pyramid(call: Call) -> list[tuple[Sequence[Dim], str]]:
    regions, image = call.input(0), call.input(1)
    size = call.attr("pooled_size", call.attr("crop_height", 7))
    return [((*regions.shape[:2], image.shape[1], size, size), image.dtype)]


def _disentangled(call: Call) -> list[tuple[Sequence[Dim], str]]:
    return [(call.input(0).shape, call.input(0).dtype)]


_PLUGINS: dict[str, _Shapes] = {
    "EfficientNMS_TRT": _boxes,
    "MultilevelCropAndResize_TRT": _pyramid,
    "PyramidROIAlign_TRT": _pyramid,
    "DisentangledAttention_TRT": _disentangled,
}


@handles(*_PLUGINS, treatment="bounded")
def plugin(call: Call) -> Made:
    """A plug-in of another runtime that ONNX Runtime knows the name of."""
    made = _PLUGINS[call.op](call)
    return call.opaque(*(shape for shape, _ in made), formats=[form for _, form in made])
