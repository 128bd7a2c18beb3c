"""Normalizations."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from perfmodel.core.dims import product
from perfmodel.readers.torch.call import Call
from perfmodel.readers.torch.handlers import Made, handles
from perfmodel.readers.tracing.rows import over_rows, stored_where
from perfmodel.readers.tracing.values import Value


def _unread(call: Call) -> list[Value]:
    """Return the outputs after the first, which training keeps."""
    return [Value("", d, s, stored=call.name, learned=False) for s, d in call.made[1:]]


def _ones(call: Call, size: Any) -> Value:
    """Return weights of a norm that has none: a constant, no parameter."""
    return Value(f"{call.name}.ones", call.dtype, (size,), stored=f"{call.name}.ones",
                 learned=False)  # fmt: skip


@handles("native_layer_norm", "layer_norm", "_fused_rms_norm", "rms_norm")
def layer_norm(call: Call) -> Made:
    """Rows over their last axes, by mean and variance or by the mean square."""
    x = call.x("input")
    axis = x.rank - len(call.arg("normalized_shape", [1]))
    row = product(x.shape[axis:])
    gamma, beta = call.maybe("weight"), call.maybe("bias")
    stored = stored_where(row, gamma=gamma, beta=beta)
    op = "rms_norm" if "rms" in call.op else "layer_norm"
    stored.setdefault("gamma", _ones(call, row))
    return [over_rows(call, op, x, axis, stored), *_unread(call)]


@handles("native_group_norm", "group_norm")
def group_norm(call: Call) -> Made:
    """Groups of channels of each sample by their own statistics."""
    x = call.x("input")
    stored = stored_where(x.shape[1], gamma=call.maybe("weight"), beta=call.maybe("bias"))
    groups = call.arg("group", call.arg("num_groups"))
    y = call.emit("group_norm", x, stored=stored, groups=groups, affine=bool(stored))
    return [*y, *_unread(call)]


@handles("_native_batch_norm_legit_no_training", "_native_batch_norm_legit", "native_batch_norm",
         "_native_batch_norm_legit_functional", "_batch_norm_no_update", "batch_norm",
         "_batch_norm_with_update", "_batch_norm_with_update_functional")  # fmt: skip
def batch_norm(call: Call) -> Made:
    """Each channel by stored statistics, or by those of the batch."""
    x = call.x("input")
    training = bool(call.arg("training", False)) or "update_" in call.op
    channels = x.shape[1]
    gamma, beta = call.maybe("weight"), call.maybe("bias")
    # Stored statistics belong to the layer; they are no parameters whatever is said.
    mean, variance = (
        replace(v, learned=None) if v is not None else None
        for v in (call.maybe("running_mean"), call.maybe("running_var"))
    )
    stored = stored_where(channels, gamma=gamma, beta=beta, mean=mean, variance=variance)
    for name in ("gamma", "beta"):
        stored.setdefault(name, _ones(call, channels))
    y = call.emit("batch_norm", x, stored=stored, training=training)
    return [*y, *_unread(call)]


@handles("instance_norm")
def instance_norm(call: Call) -> Made:
    """Each channel of each sample by its own statistics."""
    x = call.x("input")
    stored = stored_where(x.shape[1], gamma=call.maybe("weight"), beta=call.maybe("bias"))
    return call.emit("instance_norm", x, stored=stored, affine=bool(stored))


@handles("_weight_norm", "_weight_norm_interface")
def weight_norm(call: Call) -> Made:
    """``g v / |v|``: a norm along all axes but one, and a product."""
    v, g = call.operands()[:2]
    axis = int(call.arg("dim", 0)) % v.rank
    axes = tuple(i for i in range(v.rank) if i != axis)
    (length,) = call.emit("norm", v, axes=axes, keep=True, suffix=".norm")
    y = call.emit("pointwise", v, g, length, function="weight_norm", vector=1, special=1)
    return [*y, *_unread(call)]
