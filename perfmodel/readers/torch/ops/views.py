"""Views: other shapes, orders and parts of a tensor's memory. Nothing moves."""

from __future__ import annotations

from dataclasses import replace

from perfmodel.core import Dim
from perfmodel.core.dims import same
from perfmodel.readers.torch.call import Call
from perfmodel.readers.torch.handlers import Made, handles
from perfmodel.readers.tracing.values import Value


@handles(
    "view", "_unsafe_view", "reshape", "squeeze", "unsqueeze", "flatten", "view_as_real",
    "view_as_complex", treatment="free",
)  # fmt: skip
def view(call: Call) -> Made:
    """The same values under another shape."""
    x = call.x()
    if call.op == "view" and "dtype" in call.arguments:
        return call.bytes_only()
    return call.view(x, call.shape)


@handles(
    "alias", "detach", "lift_fresh_copy", "lift", "positive", "resolve_conj", "resolve_neg",
    "sym_constrain_range_for_size", "_assert_tensor_metadata", "_assert_scalar",
    "sym_is_contiguous", "sym_size", "sym_numel", "sym_stride", "sym_storage_offset",
    treatment="free",
)  # fmt: skip
def same_values(call: Call) -> Made:
    """The tensor itself, or a size, which is known."""
    return replace(call.x())


@handles("permute", "transpose", "t", "numpy_T", treatment="free")
def permute(call: Call) -> Made:
    """Axes in another order, by steps in memory."""
    x = call.x()
    if call.op == "permute":
        axes = [int(a) % max(x.rank, 1) for a in call.arg("dims", [])]
    else:
        axes = list(range(x.rank))
        i, j = (call.axis(x, "dim0", -2), call.axis(x, "dim1", -1)) if x.rank > 1 else (0, 0)
        if x.rank:
            axes[i], axes[j] = axes[j], axes[i]
    return call.turned(x, axes)


@handles("expand", "broadcast_to", treatment="free")
def expand(call: Call) -> Made:
    """Axes of one place repeated by steps of zero in memory."""
    x = call.x()
    if len(call.shape) == x.rank and all(map(same, call.shape, x.shape)):
        return x
    return call.lazily_expanded(x, call.shape)


@handles("slice", treatment="free")
def slice_(call: Call) -> Made:
    """A run of places along an axis."""
    x, axis = call.x(), call.axis(call.x())
    if int(call.arg("step", 1)) != 1:
        return call.some(x, call.shape)
    start: Dim = call.arg("start", 0)
    if start < 0:
        start = start + x.shape[axis]
    start = 0 if start < 0 else start
    return call.cut(x, axis, start, call.shape[axis])


@handles("select", treatment="free")
def select(call: Call) -> Made:
    """One place of an axis, which goes."""
    x, axis = call.x(), call.axis(call.x())
    place: Dim = call.arg("index", 0)
    if not isinstance(place, int | float) and not hasattr(place, "hint"):
        place = 0
    place = place + x.shape[axis] if place < 0 else place
    return call.view(call.cut(x, axis, place, 1), call.shape)


@handles("split_with_sizes", "split", "chunk", "unbind", treatment="free")
def split(call: Call) -> Made:
    """Parts of one axis."""
    x, axis = call.x(), call.axis(call.x())
    out: list[Value] = []
    start: Dim = 0
    for shape, _ in call.made:
        length: Dim = 1 if call.op == "unbind" else shape[axis]
        part = call.cut(x, axis, start, length)
        out.append(call.view(part, shape) if call.op == "unbind" else part)
        start = start + length
    return out


@handles("diagonal", "as_strided", "unfold", "real", "imag", treatment="free")
def strided(call: Call) -> Made:
    """Some places of the tensor, by steps in memory; windows that overlap repeat them."""
    x = call.x()
    from perfmodel.core.dims import product

    if product(call.shape) > x.elements:
        return call.bytes_only()
    return call.some(x, call.shape)
