"""Reductions along axes, softmax, running sums, what is largest."""

from __future__ import annotations

from perfmodel.readers.torch.call import Call
from perfmodel.readers.torch.handlers import Made, handles
from perfmodel.readers.tracing.rows import rows_last
from perfmodel.readers.tracing.values import Value

_REDUCE = {
    "sum": "reduce_sum", "mean": "reduce_mean", "amax": "reduce_max", "amin": "reduce_min",
    "prod": "reduce_sum", "any": "reduce_max", "all": "reduce_min", "nansum": "reduce_sum",
}  # fmt: skip


@handles(*_REDUCE)
def reduce(call: Call) -> Made:
    """Sum, mean, extreme or product along axes; a product takes as many operations as a sum."""
    x = call.x()
    if call.dtype != x.dtype and call.op not in ("any", "all"):
        x = call.cast(x, call.dtype)
    if not x.rank:
        return x
    keep = bool(call.arg("keepdim", False))
    return call.emit(_REDUCE[call.op], x, axes=call.axes(x), keep=keep)


@handles("max", "min")
def extreme(call: Call) -> Made:
    """The largest along an axis with its place, or of all."""
    x = call.x()
    others = call.operands()[1:]
    op = "reduce_max" if call.op == "max" else "reduce_min"
    if others:
        return call.emit("maximum" if call.op == "max" else "minimum", x, *others)
    keep = bool(call.arg("keepdim", False))
    if not x.rank:
        return [x] * len(call.made)
    made: list[Value] = []
    if call.wants(0) or len(call.made) == 1:
        made += call.emit(op, x, axes=call.axes(x), keep=keep)
    else:
        made.append(Value("", x.dtype, call.shape, stored=call.name))
    if len(call.made) > 1:
        shape, dtype = call.made[1]
        if call.wants(1):
            made += call.emit("argmax", x, axis=call.axis(x), keep=keep, suffix=".place")
        else:
            made.append(Value("", dtype, shape, stored=call.name))
    return made


@handles("argmax", "argmin")
def place(call: Call) -> Made:
    """The place of the largest along an axis, or of all."""
    x = call.x()
    if call.arguments.get("dim") is None:
        flat = call.view(x, (x.elements,))
        return call.view(call.emit("argmax", flat, axis=0)[0], call.shape)
    return call.emit("argmax", x, axis=call.axis(x), keep=bool(call.arg("keepdim", False)))


@handles("topk", "sort", "argsort", "kthvalue", "median")
def ordered(call: Call) -> Made:
    """The k largest along an axis, or all in order, with their places."""
    x, axis = call.x(), call.axis(call.x(), default=-1)
    if call.op == "topk":
        return call.emit("topk", x, axis=axis, k=call.arg("k"))
    if call.op in ("sort", "argsort"):
        down = bool(call.arg("descending", False))
        made = call.emit("sort", x, axis=axis, descending=down)
        return made if call.op == "sort" else made[1]
    return call.bytes_only()


@handles("cumsum", "cumprod", "logcumsumexp", "cummax", "cummin")
def cumulative(call: Call) -> Made:
    """Sums, or products, of all values up to each."""
    x = call.x()
    if len(call.made) > 1:
        return call.bytes_only()
    x = x if x.dtype == call.dtype else call.cast(x, call.dtype)
    return call.emit("cumsum", x, axis=call.axis(x))


@handles("_softmax", "softmax", "_safe_softmax", "_log_softmax", "log_softmax")
def softmax(call: Call) -> Made:
    """Softmax along an axis, or its logarithm."""
    x = call.x()
    if call.dtype != x.dtype:
        x = call.cast(x, call.dtype)
    if not x.rank:
        return call.emit("pointwise", x, function="softmax")
    op = "log_softmax" if "log" in call.op else "softmax"
    return rows_last(call, op, x, [call.axis(x)])


@handles("logsumexp")
def logsumexp(call: Call) -> Made:
    """The logarithm of a sum of exponentials."""
    x = call.x()
    (powers,) = call.emit("exp", x, suffix=".exp")
    keep = bool(call.arg("keepdim", False))
    (total,) = call.emit("reduce_sum", powers, axes=call.axes(x), keep=keep, suffix=".sum")
    return call.emit("log", total)


@handles("var", "std", "var_mean", "std_mean")
def variance(call: Call) -> Made:
    """Mean, deviations, their mean square: two passes over the values."""
    x, keep = call.x(), bool(call.arg("keepdim", False))
    axes = call.axes(x)
    (mean,) = call.emit("reduce_mean", x, axes=axes, keep=True, suffix=".mean")
    (apart,) = call.emit("sub", x, mean, suffix=".apart")
    (squares,) = call.emit("mul", apart, suffix=".squares")
    (spread,) = call.emit("reduce_mean", squares, axes=axes, keep=keep, suffix=".mean_square")
    if "std" in call.op:
        (spread,) = call.emit("sqrt", spread, suffix=".root")
    if len(call.made) == 1:
        return spread
    return [spread, call.view(mean, call.made[1][0])]


@handles("norm", "frobenius_norm")
def norm(call: Call) -> Made:
    """Euclidean norm along axes."""
    x = call.x()
    return call.emit("norm", x, axes=call.axes(x), keep=bool(call.arg("keepdim", False)))


@handles("binary_cross_entropy", "binary_cross_entropy_with_logits", "nll_loss_forward",
         "nll_loss2d_forward", "mse_loss", treatment="bounded")  # fmt: skip
def loss(call: Call) -> Made:
    """A loss that the program holds: bytes only; the training phase has its own."""
    return call.bytes_only()
