"""Fused operators of com.microsoft that are several of ours, one after the other."""

from __future__ import annotations

from dataclasses import replace

from perfmodel.core.dims import product, same
from perfmodel.errors import InputError
from perfmodel.readers.onnx.call import Call
from perfmodel.readers.onnx.formats import FORMAT_OF
from perfmodel.readers.onnx.handlers import MICROSOFT, Made, handles
from perfmodel.readers.onnx.ops.activations import added
from perfmodel.readers.onnx.ops.convolution import conv_transpose
from perfmodel.readers.onnx.ops.indexing import gather_nd, range_
from perfmodel.readers.onnx.ops.normalization import embed_norm
from perfmodel.readers.tracing.integers import real
from perfmodel.readers.tracing.products import contract, multiply
from perfmodel.readers.tracing.rows import over_rows, stored_where
from perfmodel.readers.tracing.values import Value


@handles("GatherND", domain=MICROSOFT)
def gather_nd_fused(call: Call) -> Made:
    """Slices chosen by tuples of indices."""
    return gather_nd(call)


@handles("Range", domain=MICROSOFT)
def range_fused(call: Call) -> Made:
    """Numbers from a start to an end; a step of one may be left out."""
    if call.optional(2) is not None:
        return range_(call)
    return range_(replace(call, inputs=[*call.inputs[:2], call.constant(1)]))


@handles("ExpandDims", domain=MICROSOFT, treatment="free")
def expand_dims(call: Call) -> Made:
    """An axis of one place added."""
    x, axis = call.input(0), int(call.known(1, "the rank of the output")[0])
    if not -x.rank - 1 <= axis <= x.rank:
        raise InputError(f"ExpandDims: axis {axis} of a tensor with {x.rank} axes")
    shape = list(x.shape)
    shape.insert(axis if axis >= 0 else axis + x.rank + 1, 1)
    return call.view(x, shape)


@handles("SampleOp", "BitmaskDropout", domain=MICROSOFT, treatment="free")
def same_again(call: Call) -> Made:
    """The input itself; a mask of bits, where it is read, is written."""
    x = call.input(0)
    if not call.wants(1):
        return x
    (mask,) = call.opaque(((x.elements + 31) // 32,), formats=["int32"], read=[x])
    return [x, mask]


@handles("BitmaskBiasDropout", domain=MICROSOFT)
def bitmask_bias_dropout(call: Call) -> Made:
    """A bias and a residual; dropout itself is the identity."""
    return added(call, call.input(0), [call.optional(1), call.optional(2)])


@handles("TorchEmbedding", domain=MICROSOFT)
def torch_embedding(call: Call) -> Made:
    """Rows of a table, by number."""
    table, places = call.input(0), call.input(1)
    return call.emit(
        "embedding", places, stored={"table": table}, rows=table.shape[0], width=table.shape[1]
    )


@handles("QEmbedLayerNormalization", domain=MICROSOFT)
def quantized_embed_norm(call: Call) -> Made:
    """Word, position and segment embeddings of 8 bits added, then a layer norm."""
    return embed_norm(call)


@handles("QOrderedLayerNormalization", domain=MICROSOFT)
def ordered_layer_norm(call: Call) -> Made:
    """A layer norm from codes to codes: ``x, x_scale, scale, bias, y_scale``."""
    x = call.input(0)
    stored = stored_where(x.shape[-1], gamma=call.optional(2), beta=call.optional(3))
    return over_rows(call, "layer_norm", x, x.rank - 1, stored)


@handles("QLinearWhere", domain=MICROSOFT)
def qlinear_where(call: Call) -> Made:
    """One of two codes, by a mask: ``mask, x, x_scale, x_zero, y, ...``."""
    return call.emit("pointwise", call.input(0), call.input(1), call.input(4), function="where",
                     vector=3, to=call.input(1).dtype)  # fmt: skip


@handles("QuantizeWithOrder", domain=MICROSOFT)
def quantize_with_order(call: Call) -> Made:
    """Codes of 8 bits in a tiled layout."""
    return call.emit("quantize", call.input(0), to="int8", precision=call.net.precision)


@handles("DequantizeWithOrder", domain=MICROSOFT)
def dequantize_with_order(call: Call) -> Made:
    """Real numbers of codes in a tiled layout."""
    return real(call, call.input(0), FORMAT_OF.get(call.attr("to", 1), "fp32"))


@handles("MulInteger", domain=MICROSOFT)
def mul_integer(call: Call) -> Made:
    """Products of codes, element by element, into 32 bits: ``a, a_zero, b, b_zero``."""
    return call.emit("pointwise", call.input(0), call.input(2), function="mul", vector=3,
                     to="int32")  # fmt: skip


@handles("ReduceSumInteger", domain=MICROSOFT)
def reduce_sum_integer(call: Call) -> Made:
    """Sums of codes along axes, in 32 bits."""
    x = call.input(0)
    axes = tuple(sorted({int(a) % x.rank for a in call.attr("axes")}))
    wide = call.cast(x, "int32")
    return call.emit("reduce_sum", wide, axes=axes, keep=bool(call.attr("keepdims", 1)))


@handles("ComplexMul", "ComplexMulConj", domain=MICROSOFT)
def complex_mul(call: Call) -> Made:
    """Products of pairs: six operations for two numbers."""
    return call.emit("pointwise", call.input(0), call.input(1), function="complex_mul", vector=3)


@handles("CDist", domain=MICROSOFT)
def distances(call: Call) -> Made:
    """Distances of all pairs of rows, as ``|a|^2 + |b|^2 - 2 a b'``."""
    a, b = call.input(0), call.input(1)
    lengths: list[Value] = []
    for x, name in ((a, "a"), (b, "b")):
        (squares,) = call.emit("mul", x, suffix=f".{name}_squares")
        lengths += call.emit("reduce_sum", squares, axes=(1,), keep=name == "a",
                             suffix=f".{name}_norms")  # fmt: skip
    products = contract(call, "mk,nk->mn", (a, b), suffix=".products")
    root = "sqeuclidean" not in str(call.attr("metric", "sqeuclidean"))
    return call.emit("pointwise", products, *lengths, function="distance", vector=3,
                     special=int(root))  # fmt: skip


@handles("ConvTransposeWithDynamicPads", domain=MICROSOFT)
def transpose_with_pads(call: Call) -> Made:
    """A transposed convolution whose borders are an input."""
    inputs = [call.input(0), call.input(1), call.optional(3)]
    attributes = dict(call.attributes)
    found = dict(call.constants)
    if call.optional(2) is not None:
        found["pads"] = call.known(2, "the shape of the output")
        attributes["pads"] = None
    return conv_transpose(replace(call, inputs=inputs, attributes=attributes, constants=found))


@handles("CropAndResize", domain=MICROSOFT)
def crop_and_resize(call: Call) -> Made:
    """Regions of images brought to one size: one sample an output."""
    x, regions, numbers = call.input(0), call.input(1), call.input(2)
    bins = tuple(call.known(3, "the shape of the output"))
    if call.attr("mode", "bilinear") != "bilinear":
        return call.opaque((regions.shape[0], x.shape[1], *bins))
    return call.emit("roi_align", x, regions, numbers, bins=bins, samples=1)


@handles("ScaledSiLU", domain=MICROSOFT)
def scaled_silu(call: Call) -> Made:
    """``silu(scale x)``."""
    (scaled,) = call.emit("mul", call.input(0), suffix=".scaled")
    return call.emit("silu", scaled)


@handles("GatedAdd", domain=MICROSOFT)
def gated_add(call: Call) -> Made:
    """``x + y gate``, the gate given, or ``sigmoid(rows w)``."""
    x, y, gate, weight = call.input(0), call.input(1), call.input(2), call.optional(3)
    if weight is not None:
        logits = multiply(call, gate, weight, suffix=".logits")
        (gate,) = call.emit("sigmoid", logits, suffix=".gate")
    return call.emit("pointwise", x, y, gate, function="gated_add", vector=2)


@handles("GatedRMSNorm", domain=MICROSOFT)
def gated_rms_norm(call: Call) -> Made:
    """``rms_norm(x) activation(gate)``, the norm over as many columns as it has scales."""
    y = _branches(call, call.input(0), call.input(1).elements, call.input(1))
    name = "sigmoid" if str(call.attr("activation", "silu")) == "sigmoid" else "silu"
    (gate,) = call.emit(name, call.input(2), suffix=".gate")
    return call.emit("mul", y, gate, suffix=".gated")


@handles("BranchwiseRMSNorm", domain=MICROSOFT)
def branchwise_rms_norm(call: Call) -> Made:
    """A norm of each branch, ``x[..., C, H]`` or ``x[..., C H]``."""
    x, scale = call.input(0), call.optional(1)
    branches = call.attr("num_branches", 0)
    return _branches(call, x, x.shape[-1] // branches if branches else x.shape[-1], scale)


def _branches(call: Call, x: Value, width: object, scale: Value | None) -> Value:
    """Norm rows of ``width`` columns; scales of another number are multiplied afterwards."""
    columns: object = width
    rows = call.view(x, (x.elements // columns, columns))  # type: ignore[operator, arg-type]
    stored = stored_where(rows.shape[1], gamma=scale)
    if stored:
        return call.view(over_rows(call, "rms_norm", rows, 1, stored), x.shape)
    (length,) = call.emit("norm", rows, axes=(1,), keep=True, suffix=".length")
    y = call.view(call.emit("div", rows, length, suffix=".normed")[0], x.shape)
    if scale is None:
        return y
    shape = (scale.elements,) if same(scale.elements, x.shape[-1]) else x.shape[-2:]
    return call.emit("mul", y, call.view(scale, shape), suffix=".scaled")[0]


@handles("LinearAttentionGate", domain=MICROSOFT)
def linear_attention_gate(call: Call) -> Made:
    """``scale softplus(a + bias)``, and ``sigmoid(b)``."""
    a, b = call.input(0), call.optional(3)
    (biased,) = call.emit("add", a, call.input(1), suffix=".bias")
    (soft,) = call.emit("softplus", biased, suffix=".softplus")
    made = list(call.emit("mul", soft, call.input(2)))
    if b is not None:
        made += call.emit("sigmoid", b, suffix=".beta")
    return made


@handles("RMSNormRotary", domain=MICROSOFT)
def rms_norm_rotary(call: Call) -> Made:
    """Heads ``x[B,S,H,D]`` normed, then turned; the result is rows."""
    x, scale = call.input(0), call.input(1)
    width = call.attr("input_width", 0) or x.shape[-1]
    if not same(width, x.shape[-1]):
        (x,) = call.emit("slice", x, axis=3, start=call.attr("input_start", 0), length=width,
                         suffix=".part")  # fmt: skip
    stored = stored_where(width, gamma=scale)
    normed = over_rows(call, "rms_norm", x, 3, stored)
    rows = call.view(normed, (x.shape[0], x.shape[1], x.shape[2] * width))
    return call.emit("rope", rows, head_dim=width, rotary_dim=call.attr("rotary_embedding_dim"))


@handles("RelativePositionBias", domain=MICROSOFT)
def relative_position_bias(call: Call) -> Made:
    """``bias[1,H,S,S']`` from a table of distances, ``table[buckets,H]``."""
    table = call.input(0)
    q, k = (call.known(i, "the shape of the output")[0] for i in (1, 2))
    return call.opaque((1, table.shape[1], q, k), formats=[table.dtype], read=[table])


@handles("GatedRelativePositionBias", domain=MICROSOFT)
def gated_relative_bias(call: Call) -> Made:
    """Gates from ``q[B,S,H D] w[D,8]``, then the bias ``[1,H,S,S]`` times a gate a query."""
    q, bias, positions = call.input(0), call.input(1), call.input(2)
    weight, offset, factor = call.input(3), call.input(4), call.input(5)
    heads = call.attr("num_heads")
    if q.rank != 3:
        raise InputError(f"{call.op} takes rows [B,S,H D], found {q.rank} axes")
    batch, length, width = q.shape
    rows = call.view(added(call, q, [bias]), (batch, length, heads, width // heads))
    made = multiply(call, rows, weight, bias=offset, suffix=".gates")
    halves = call.view(made, (batch, length, heads, 2, weight.shape[1] // 2))
    (summed,) = call.emit("reduce_sum", halves, axes=(4,), keep=False, suffix=".summed")
    (gates,) = call.emit("sigmoid", summed, suffix=".sigmoid")
    update, reset = call.emit("split", gates, axis=3, lengths=(1, 1), suffix=".halves")
    shape = (batch, heads, length, 1)
    (gate,) = call.emit("pointwise", call.view(update, shape), call.view(reset, shape), factor,
                        function="gate", vector=4, suffix=".gate")  # fmt: skip
    return call.emit("mul", positions, gate)


@handles("HyperConnectionPreMix", domain=MICROSOFT)
def pre_mix(call: Call) -> Made:
    """Streams ``x[..., C, H]`` or ``x[..., C H]``, weighted and added up."""
    x, weights = call.input(0), call.input(1)
    branches = call.attr("num_branches", 0)
    if branches:
        x = call.view(x, (*x.shape[:-1], branches, x.shape[-1] // branches))
    lead = product(x.shape[:-2])
    each = weights.elements // lead
    shape = (lead, x.shape[-2], each // x.shape[-2])
    grouped = call.view(x, (lead, *x.shape[-2:]))
    (mixed,) = call.emit("mul", grouped, call.view(weights, shape), suffix=".weighted")
    (y,) = call.emit("reduce_sum", mixed, axes=(1,), keep=False)
    return call.view(y, (*x.shape[:-2], x.shape[-1]))
