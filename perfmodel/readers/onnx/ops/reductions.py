"""Reductions along axes, softmax, sums on the way, and what is largest."""

from __future__ import annotations

from perfmodel.readers.onnx.call import Call
from perfmodel.readers.onnx.handlers import MICROSOFT, Made, handles
from perfmodel.readers.tracing.rows import rows_last
from perfmodel.readers.tracing.values import Value

_REDUCE = {
    "ReduceSum": "reduce_sum",
    "ReduceMean": "reduce_mean",
    "ReduceMax": "reduce_max",
    "ReduceMin": "reduce_min",
    "ReduceL2": "norm",
}
#: what stands before and after a sum along axes
_AROUND_SUM = {
    "ReduceL1": ("abs", None),
    "ReduceSumSquare": ("mul", None),
    "ReduceLogSum": (None, "log"),
    "ReduceLogSumExp": ("exp", "log"),
}
#: since this opset the axes are an input
_AXES_INPUT = {"ReduceSum": 13}


def axis_of(call: Call, value: Value, default: int = 0) -> int:
    """Return the node's axis, counted from the front."""
    axis = int(call.attr("axis", default))
    return axis + value.rank if axis < 0 else axis


def axes_of(call: Call, value: Value) -> tuple[int, ...]:
    """Return the axes of a reduction, counted from the front; all where none are named."""
    axes = call.attr("axes")
    if call.opset >= _AXES_INPUT.get(call.op, 18) and call.optional(1) is not None:
        axes = call.known(1, "the shape of the output")
    if not axes and call.attr("noop_with_empty_axes", 0):
        return ()
    chosen = axes if axes else range(value.rank)
    return tuple(sorted({int(a) + value.rank if a < 0 else int(a) for a in chosen}))


@handles(*_REDUCE, *_AROUND_SUM, "ReduceProd")
def reduce(call: Call) -> Made:
    """Sum, mean, extreme, product or norm along axes."""
    x = call.input(0)
    axes = axes_of(call, x)
    if not axes:
        return x
    keep = bool(call.attr("keepdims", 1))
    if call.op in _REDUCE:
        return call.emit(_REDUCE[call.op], x, axes=axes, keep=keep)
    before, after = _AROUND_SUM.get(call.op, (None, None))
    if before is not None:
        (x,) = call.emit(before, x, suffix=f".{before}")
    # A product takes as many operations as a sum.
    (x,) = call.emit("reduce_sum", x, axes=axes, keep=keep)
    return call.emit(after, x, suffix=f".{after}") if after is not None else x


@handles("ArgMax", "ArgMin")
def arg_extreme(call: Call) -> Made:
    """The place of the largest, or smallest, value along an axis."""
    x = call.input(0)
    return call.emit("argmax", x, axis=axis_of(call, x), keep=bool(call.attr("keepdims", 1)))


@handles("TopK")
@handles("TopK", domain=MICROSOFT)
def top_k(call: Call) -> Made:
    """The k largest along an axis, with their places."""
    x = call.input(0)
    k = call.attr("k") if call.opset < 10 and "k" in call.attributes else None
    if k is None:
        k = call.known(1, "the number of values kept")[0]
    return call.emit("topk", x, axis=axis_of(call, x, -1), k=k)


@handles("CumSum", "CumProd")
def cumulative(call: Call) -> Made:
    """Sums, or products, of all values up to each."""
    x = call.input(0)
    axis = call.known(1, "the axis")[0] if call.optional(1) is not None else 0
    return call.emit("cumsum", x, axis=axis + x.rank if axis < 0 else axis)


@handles("Softmax", "LogSoftmax")
def softmax(call: Call) -> Made:
    """Softmax along an axis; before opset 13 along all axes from it."""
    op = {"Softmax": "softmax", "LogSoftmax": "log_softmax"}[call.op]
    x = call.input(0)
    if not x.rank:
        return call.emit("pointwise", x, function="softmax")
    axis = axis_of(call, x, -1 if call.opset >= 13 else 1)
    if call.opset < 13 and axis < x.rank - 1:
        return rows_last(call, op, x, range(axis, x.rank))
    return rows_last(call, op, x, [axis])


@handles("BiasSoftmax", domain=MICROSOFT)
def bias_softmax(call: Call) -> Made:
    """Softmax of the input plus a bias, along all axes from one."""
    x = call.input(0)
    (summed,) = call.emit("add", x, call.input(1), suffix=".bias")
    return rows_last(call, "softmax", summed, range(axis_of(call, x, 1), x.rank))


@handles("Hardmax")
def hardmax(call: Call) -> Made:
    """One at the largest value along an axis, zero elsewhere."""
    x = call.input(0)
    axis = axis_of(call, x, -1 if call.opset >= 13 else 1)
    (place,) = call.emit("argmax", x, axis=axis, keep=True, suffix=".place")
    return call.emit("pointwise", x, place, function="hardmax")
