"""Operators that move values: copied, joined, repeated, padded, cast, put in places."""

from __future__ import annotations

from perfmodel.core import Dim
from perfmodel.core.dims import same
from perfmodel.readers.torch.call import Call
from perfmodel.readers.torch.handlers import Made, handles
from perfmodel.readers.tracing.values import Value


@handles("clone", "contiguous", "_to_copy", "to", "convert_element_type", "copy", "fill")
def copied(call: Call) -> Made:
    """A copy, in another number format or another order of memory."""
    if call.op == "fill":
        return call.bytes_only(read=[])
    x = call.operands()[-1] if call.op == "copy" else call.x()
    if call.op == "copy":
        x = call.view(x, call.shape) if x.rank == len(call.shape) else x
    if call.dtype != x.dtype:
        return call.cast(x, call.dtype)
    if call.op == "clone" and call.arg("memory_format") is None:
        # Decomposed programs write an idle dropout as a clone, which no kernel runs.
        return x
    if call.op in ("_to_copy", "to") and call.arg("memory_format") is None:
        return x
    if x.is_constant and x.tensor is None:
        return x
    if x.seen is not None and x.axes is not None and x.tensor is None:
        return call.emit("transpose", x.seen, axes=x.axes)
    return call.emit("pointwise", x, function="copy", vector=0)


@handles("cat")
def cat(call: Call) -> Made:
    """Tensors one after the other along an axis; empty ones take no part."""
    values = call.operands()
    axis = int(call.arg("dim", 0)) % len(call.shape)
    filled = [v for v in values if v.rank == len(call.shape) and not same(v.shape[axis], 0)]
    if len(filled) <= 1:
        return filled[0] if filled else values[0]
    return call.emit("concat", *filled, axis=axis)


@handles("stack")
def stack(call: Call) -> Made:
    """Tensors along a new axis."""
    axis = int(call.arg("dim", 0)) % len(call.shape)
    values = [call.view(v, [*v.shape[:axis], 1, *v.shape[axis:]]) for v in call.operands()]
    return call.emit("concat", *values, axis=axis) if len(values) > 1 else values[0]


@handles("repeat", "tile")
def repeat(call: Call) -> Made:
    """The tensor repeated along its axes."""
    x = call.x()
    repeats = call.arg("repeats", call.arg("dims", []))
    wide = call.view(x, [*[1] * (len(repeats) - x.rank), *x.shape])
    if all(same(r, 1) for r in repeats):
        return wide
    return call.emit("tile", wide, repeats=tuple(repeats))


@handles("constant_pad_nd", "reflection_pad1d", "reflection_pad2d", "reflection_pad3d",
         "replication_pad1d", "replication_pad2d", "replication_pad3d")  # fmt: skip
def pad(call: Call) -> Made:
    """A border before and after the last axes; a negative one cuts."""
    x = call.x()
    given = list(call.arg("pad", call.arg("padding", [])))
    before: list[Dim] = [0] * x.rank
    after: list[Dim] = [0] * x.rank
    for i in range(len(given) // 2):
        before[x.rank - 1 - i], after[x.rank - 1 - i] = given[2 * i], given[2 * i + 1]
    for axis in range(x.rank):
        if before[axis] < 0 or after[axis] < 0:
            low = -before[axis] if before[axis] < 0 else 0
            high = -after[axis] if after[axis] < 0 else 0
            x = call.cut(x, axis, low, x.shape[axis] - low - high)
            before[axis] = 0 if before[axis] < 0 else before[axis]
            after[axis] = 0 if after[axis] < 0 else after[axis]
    if all(same(d, 0) for d in (*before, *after)):
        return x
    mode = {"c": "constant", "r": "reflect"}[call.op[0]]
    mode = "edge" if call.op.startswith("replication") else mode
    return call.emit("pad", x, before=tuple(before), after=tuple(after), mode=mode)


@handles("pixel_shuffle", "pixel_unshuffle")
def shuffle(call: Call) -> Made:
    """Channels to places, or back."""
    x = call.x()
    factor = call.arg("upscale_factor", call.arg("downscale_factor"))
    if x.rank == 4:
        return call.emit(call.op, x, factor=factor)
    return call.emit("pointwise", x, function=call.op, vector=0)


@handles("channel_shuffle", "native_channel_shuffle")
def channel_shuffle(call: Call) -> Made:
    """Channels dealt out over groups."""
    return call.emit("channel_shuffle", call.x(), groups=call.arg("groups"))


@handles("roll", "flip", "rot90")
def moved(call: Call) -> Made:
    """A copy in another order."""
    return call.emit("pointwise", call.x(), function=call.op, vector=0)


@handles("arange", "full", "full_like", "zeros", "zeros_like", "ones", "ones_like", "new_full",
         "new_zeros", "new_ones", "scalar_tensor", "eye", "linspace", "rand", "randn", "randint",
         "randperm", "rand_like", "randn_like", "bernoulli", "tril_indices",
         "triu_indices")  # fmt: skip
def written(call: Call) -> Made:
    """Numbers made on the way: written once."""
    from perfmodel.readers.tracing.values import data_of

    fill = call.arguments.get("fill_value", call.arguments.get("s"))
    if not call.shape and isinstance(fill, int | float):
        return Value(call.name, call.dtype, (), data_of([fill], ()), stored=call.name,
                     learned=False)  # fmt: skip
    return call.bytes_only(read=[])


@handles("empty", "empty_like", "empty_strided", "empty_permuted", "new_empty", "new_empty_strided",
         treatment="free")  # fmt: skip
def empty(call: Call) -> Made:
    """Memory without values."""
    shape, dtype = call.made[0]
    return Value(call.name, dtype, shape, stored=call.name, learned=False)


@handles("gather", "index_select", "embedding_renorm", "take")
def chosen(call: Call) -> Made:
    """Places of an axis by index."""
    x, places = call.x(), call.operands()[1]
    if call.op == "index_select" and x.rank:
        return call.emit("gather", x, places, axis=call.axis(x))
    return _gathered(call, x, [places])


@handles("index", "_unsafe_index")
def index(call: Call) -> Made:
    """Places by tensors of indices along some axes."""
    x, places = call.x("self"), [v for v in call.arg("indices", []) if isinstance(v, Value)]
    given = [i for i, v in enumerate(call.arg("indices", [])) if isinstance(v, Value)]
    if places and places[0].dtype == "bool":
        return call.bytes_only()
    if len(places) == 1 and given:
        return call.emit("gather", x, places[0], axis=given[0])
    return _gathered(call, x, places)


def _gathered(call: Call, x: Value, places: list[Value]) -> Made:
    """Put a gather into the graph: what is taken is read and written, with the indices."""
    from perfmodel.core.dims import product

    if product(call.shape) > x.elements:
        return call.bytes_only()
    return call.bytes_only(read=[call.some(x, call.shape), *places])


@handles("scatter", "scatter_add", "scatter_reduce", "index_put", "_unsafe_index_put",
         "index_add", "index_copy", "index_fill", "masked_scatter", "slice_scatter",
         "select_scatter", "diagonal_scatter", "index_reduce", "resize_",
         treatment="bounded")  # fmt: skip
def put(call: Call) -> Made:
    """A copy of the tensor with values put in, or added, at places."""
    return call.bytes_only()


@handles("nonzero", "masked_select", "unique", "_unique2", "unique_dim", "unique_consecutive",
         "repeat_interleave", "bincount", "one_hot", "histc", "searchsorted", "bucketize",
         "nonzero_static", treatment="bounded")  # fmt: skip
def found(call: Call) -> Made:
    """As many values as there are: bytes only, the most that it can be."""
    made = call.bytes_only()
    for value in made:
        value.bound = True
    return made


@handles("_local_scalar_dense", "item", treatment="bounded")
def item(call: Call) -> Made:
    """One number brought to the host; its size is what the walk says."""
    return None
