"""Normalizations, with what is added before them in fused operators."""

from __future__ import annotations

from collections.abc import Sequence

from perfmodel.core.dims import product, same
from perfmodel.readers.onnx.call import Call
from perfmodel.readers.onnx.handlers import MICROSOFT, Made, handles
from perfmodel.readers.onnx.ops.activations import added
from perfmodel.readers.onnx.ops.reductions import axis_of
from perfmodel.readers.tracing.rows import over_rows, stored_where
from perfmodel.readers.tracing.values import Value


@handles("BatchNormalization")
def batch_norm(call: Call) -> Made:
    """``(x - mean) / sqrt(variance + epsilon) scale + bias``, each channel with its own."""
    x = call.input(0)
    training = bool(call.attr("training_mode", 0))
    channels = (x.shape[1],) if x.rank > 1 else (1,)
    stored = stored_where(
        channels[0], gamma=call.optional(1), beta=call.optional(2), mean=call.optional(3),
        variance=call.optional(4),
    )  # fmt: skip
    (y,) = call.emit("batch_norm", x, stored=stored, training=training)
    statistics = [Value("", x.dtype, channels, stored=f"{call.name}.statistics") for _ in range(4)]
    return [y, *statistics]


@handles("InstanceNormalization")
def instance_norm(call: Call) -> Made:
    """Each channel of each sample by its own statistics."""
    x = call.input(0)
    stored = stored_where(x.shape[1], gamma=call.optional(1), beta=call.optional(2))
    return call.emit("instance_norm", x, stored=stored)


@handles("GroupNormalization")
def group_norm(call: Call) -> Made:
    """Groups of channels of each sample by their own statistics."""
    x = call.input(0)
    stored = stored_where(x.shape[1], gamma=call.optional(1), beta=call.optional(2))
    return call.emit("group_norm", x, stored=stored, groups=call.attr("num_groups"))


@handles("GroupNorm", "SkipGroupNorm", domain=MICROSOFT)
def group_norm_fused(call: Call) -> Made:
    """Group norm with channels last, after a residual, before a silu."""
    x = call.input(0)
    if call.op == "SkipGroupNorm":
        x = added(call, x, [call.optional(3), call.optional(4)])
    layout = "nhwc" if call.attr("channels_last", 1) else "nchw"
    channels = x.shape[-1 if layout == "nhwc" else 1]
    stored = stored_where(channels, gamma=call.optional(1), beta=call.optional(2))
    (y,) = call.emit("group_norm", x, stored=stored, groups=call.attr("groups"), layout=layout)
    if call.attr("activation", 0):
        (y,) = call.emit("silu", y, suffix=".silu")
    return [y, x]


def row_statistics(call: Call, x: Value, axis: int) -> list[Value]:
    """Return what a norm says of each row besides its result, where somebody reads it."""
    shape = (*x.shape[:axis], *(1 for _ in x.shape[axis:]))
    made: list[Value] = []
    for i in (1, 2):
        if call.wants(i):
            made += call.emit("reduce_mean", x, axes=tuple(range(axis, x.rank)), keep=True,
                              suffix=f".statistic{i}")  # fmt: skip
        else:
            made.append(Value("", "fp32", shape))
    return made


@handles("LayerNormalization")
@handles("LayerNormalization", domain=MICROSOFT)
def layer_norm(call: Call) -> Made:
    """``(x - mean) / sqrt(variance + epsilon) scale + bias`` over the axes from one."""
    x = call.input(0)
    axis = axis_of(call, x, -1)
    row = product(x.shape[axis:])
    stored = stored_where(row, gamma=call.optional(1), beta=call.optional(2))
    return [over_rows(call, "layer_norm", x, axis, stored), *row_statistics(call, x, axis)]


@handles("RMSNormalization")
@handles("SimplifiedLayerNormalization")
@handles("SimplifiedLayerNormalization", domain=MICROSOFT)
def rms_norm(call: Call) -> Made:
    """``x / sqrt(mean(x^2) + epsilon) scale`` over the axes from one."""
    x = call.input(0)
    axis = axis_of(call, x, -1)
    stored = stored_where(product(x.shape[axis:]), gamma=call.optional(1))
    return [over_rows(call, "rms_norm", x, axis, stored), *row_statistics(call, x, axis)]


@handles("SkipLayerNormalization", "SkipSimplifiedLayerNormalization", domain=MICROSOFT)
def skip_norm(call: Call) -> Made:
    """A residual and a bias added, then a norm of rows; the sum is the fourth output."""
    simple = call.op == "SkipSimplifiedLayerNormalization"
    bias = call.optional(3 if simple else 4)
    x = added(call, call.input(0), [call.input(1), bias])
    beta = None if simple else call.optional(3)
    stored = stored_where(x.shape[-1], gamma=call.optional(2), beta=beta)
    y = over_rows(call, "rms_norm" if simple else "layer_norm", x, x.rank - 1, stored)
    row = Value("", "fp32", (*x.shape[:-1], 1))
    return [y, row, row, x]


@handles("EmbedLayerNormalization", domain=MICROSOFT)
def embed_norm(call: Call) -> Made:
    """Word, position and segment embeddings added, then a layer norm."""
    words, segments = call.input(0), call.optional(1)
    tables: Sequence[tuple[Value | None, Value | None]] = (
        (words, call.input(2)), (words, call.input(3)), (segments, call.optional(4)),
    )  # fmt: skip
    x: Value | None = None
    for i, (places, table) in enumerate(tables):
        if places is None or table is None:
            continue
        (rows,) = call.emit(
            "embedding", places, stored={"table": table}, rows=table.shape[0],
            width=table.shape[1], suffix=f".table{i}",
        )  # fmt: skip
        x = rows if x is None else call.emit("add", x, rows, suffix=f".add{i}")[0]
    assert x is not None
    stored = stored_where(x.shape[-1], gamma=call.optional(5), beta=call.optional(6))
    y = over_rows(call, "layer_norm", x, x.rank - 1, stored)
    lengths = Value("", "int32", (words.shape[0],))
    return [y, lengths, x]


@handles("LRN")
def local_response_norm(call: Call) -> Made:
    """Each value over a power of its neighbours' squares, across channels."""
    return call.emit("local_response_norm", call.input(0), size=call.attr("size"))


@handles("LpNormalization")
def lp_norm(call: Call) -> Made:
    """Each row over its norm."""
    x = call.input(0)
    axis = axis_of(call, x, -1)
    (length,) = call.emit("norm", x, axes=(axis,), keep=True, suffix=".norm")
    return call.emit("div", x, length)


@handles("MeanVarianceNormalization")
def mean_variance_norm(call: Call) -> Made:
    """Mean zero and variance one over axes: a layer norm of rows without weights."""
    x = call.input(0)
    axes = [int(a) % x.rank for a in call.attr("axes", [0, 2, 3])]
    rest = product(d for i, d in enumerate(x.shape) if i not in axes)
    if same(rest, 0):
        return x
    flat = call.view(x, (rest, product(x.shape[a] for a in axes)))
    (mean,) = call.emit("reduce_mean", flat, axes=(1,), keep=True, suffix=".mean")
    (centred,) = call.emit("sub", flat, mean, suffix=".centred")
    (spread,) = call.emit("norm", centred, axes=(1,), keep=True, suffix=".deviation")
    return call.view(call.emit("div", centred, spread)[0], x.shape)
