"""Folding of operators that move or gather small constants."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from perfmodel.core.symbols import Symbol, is_symbolic
from perfmodel.readers.onnx.fold import (
    FOLDERS,
    Attributes,
    Folded,
    Folder,
    each,
    folds,
    larger,
    smaller,
)
from perfmodel.readers.onnx.formats import FORMAT_OF
from perfmodel.readers.onnx.model import MAX_DATA
from perfmodel.readers.tracing.open_sizes import is_open, opened
from perfmodel.readers.tracing.values import FLOATS, Data, count, data_of


@folds("Identity")
def _identity(data: list[Data | None], attr: Attributes, opset: int) -> Folded:
    return data[0]


@folds("Cast")
def _cast(data: list[Data | None], attr: Attributes, opset: int) -> Folded:
    to = FORMAT_OF.get(attr("to", 1), "fp32")

    def one(value: Any) -> Any:
        if isinstance(value, str | bytes):
            raise ValueError("a text")
        if to == "bool":
            return bool(value)
        if to in FLOATS:
            if is_symbolic(value):
                return value
            return opened(float(value)) if is_open(value) else float(value)
        return math.floor(value) if is_symbolic(value) else math.trunc(value)

    return each(one)(data, attr, opset)


@folds("CastLike")
def _cast_like(data: list[Data | None], attr: Attributes, opset: int) -> Folded:
    return data[0]


@folds("Gather")
def _gather(data: list[Data | None], attr: Attributes, opset: int) -> Folded:
    x, places = data
    assert x is not None
    assert places is not None
    taken: Data = np.asarray(
        np.take(x, _ints(places).reshape(places.shape), axis=attr("axis", 0)), dtype=object
    )
    return taken


@folds("GatherND")
def _gather_nd(data: list[Data | None], attr: Attributes, opset: int) -> Folded:
    x, places = data
    assert x is not None
    assert places is not None
    if attr("batch_dims", 0):
        return None
    index = _ints(places).reshape(places.shape)
    return data_of(np.asarray(x[tuple(np.moveaxis(index, -1, 0))], dtype=object))


@folds("GatherElements")
def _gather_elements(data: list[Data | None], attr: Attributes, opset: int) -> Folded:
    x, places = data
    assert x is not None
    assert places is not None
    index = _ints(places).reshape(places.shape)
    return np.take_along_axis(x, np.where(index < 0, index + x.shape[attr("axis", 0)], index),
                              attr("axis", 0))  # fmt: skip


@folds("Slice")
def _slice(data: list[Data | None], attr: Attributes, opset: int) -> Folded:
    x = data[0]
    assert x is not None
    if opset < 10:
        starts, ends = attr("starts", []), attr("ends", [])
        axes, steps = attr("axes", None), None
    else:
        starts, ends = _list(data[1]), _list(data[2])
        axes = _list(data[3]) if len(data) > 3 and data[3] is not None else None
        steps = _list(data[4]) if len(data) > 4 and data[4] is not None else None
    index = [slice(None)] * x.ndim
    for i, axis in enumerate(axes if axes is not None else range(len(starts))):
        step = steps[i] if steps is not None else 1
        end: Any = ends[i]
        if abs(end) > 2**31:  # "to the end", in either direction
            end = None
        index[axis] = slice(starts[i], end, step)
    part: Data = x[tuple(index)]
    return part


@folds("Concat")
def _concat(data: list[Data | None], attr: Attributes, opset: int) -> Folded:
    return np.concatenate([d for d in data if d is not None], axis=attr("axis", 0))


@folds("Split")
def _split(data: list[Data | None], attr: Attributes, opset: int) -> Folded:
    x, axis = data[0], attr("axis", 0)
    assert x is not None
    sizes = attr("split", None) or (_list(data[1]) if len(data) > 1 else None)
    if sizes is None:
        length = x.shape[axis]
        part = max(1, -(-length // attr("num_outputs", 1)))
        return np.split(x, range(part, length, part), axis)
    return np.split(x, np.cumsum(sizes)[:-1], axis)


@folds("Unsqueeze")
def _unsqueeze(data: list[Data | None], attr: Attributes, opset: int) -> Folded:
    assert data[0] is not None
    axes = attr("axes", None) if opset < 13 else _list(data[1])
    return np.expand_dims(data[0], tuple(axes))


@folds("Squeeze")
def _squeeze(data: list[Data | None], attr: Attributes, opset: int) -> Folded:
    assert data[0] is not None
    axes = attr("axes", None) if opset < 13 else _list(data[1]) if len(data) > 1 else None
    return np.asarray(np.squeeze(data[0], tuple(axes) if axes is not None else None), dtype=object)


@folds("Reshape")
def _reshape(data: list[Data | None], attr: Attributes, opset: int) -> Folded:
    x, target = data
    assert x is not None
    shape = [x.shape[i] if d == 0 and not attr("allowzero", 0) else d
             for i, d in enumerate(_list(target))]  # fmt: skip
    return x.reshape(shape)


@folds("Flatten")
def _flatten(data: list[Data | None], attr: Attributes, opset: int) -> Folded:
    assert data[0] is not None
    axis = attr("axis", 1)
    return data[0].reshape(count(data[0].shape[:axis]), -1)


@folds("Transpose")
def _transpose(data: list[Data | None], attr: Attributes, opset: int) -> Folded:
    assert data[0] is not None
    moved: Data = np.transpose(data[0], attr("perm", None))
    return moved


@folds("Expand")
def _expand(data: list[Data | None], attr: Attributes, opset: int) -> Folded:
    x, target = data
    assert x is not None
    shape = np.broadcast_shapes(x.shape, tuple(_list(target)))
    return np.broadcast_to(x, shape).copy() if count(shape) <= MAX_DATA else None


@folds("Tile")
def _tile(data: list[Data | None], attr: Attributes, opset: int) -> Folded:
    x, repeats = data
    assert x is not None
    times = _list(repeats)
    return np.tile(x, times) if x.size * count(times) <= MAX_DATA else None


@folds("Range")
def _range(data: list[Data | None], attr: Attributes, opset: int) -> Folded:
    start, limit, step = (d.item() for d in data if d is not None)
    if any(is_symbolic(v) for v in (start, limit, step)) or step == 0:
        return None
    if (limit - start) / step > MAX_DATA:
        return None
    return data_of(np.arange(start, limit, step))


@folds("ConstantOfShape")
def _constant_of_shape(data: list[Data | None], attr: Attributes, opset: int) -> Folded:
    shape = _list(data[0])
    value = attr("value", None)
    filler = value.data.flat[0] if value is not None and value.data is not None else 0.0
    if count(shape) > MAX_DATA or any(d < 0 for d in shape):
        return None
    out = np.empty(tuple(shape), dtype=object)
    out[...] = filler
    return out


def _reduce(function: Callable[[Any, Any], Any], since: int) -> Folder:
    """Return the folder of a reduction whose axes are an input since that opset."""

    def folder(data: list[Data | None], attr: Attributes, opset: int) -> Folded:
        x = data[0]
        assert x is not None
        axes = attr("axes", None)
        if opset >= since and len(data) > 1 and data[1] is not None:
            axes = _list(data[1])
        if not axes and attr("noop_with_empty_axes", 0):
            return x
        chosen = sorted((a % x.ndim for a in (axes or range(x.ndim))), reverse=True)
        keep = bool(attr("keepdims", 1))
        out: Any = x
        for axis in chosen:
            out = np.frompyfunc(function, 2, 1).reduce(out, axis=axis, keepdims=keep)
        return np.asarray(out, dtype=object)

    return folder


FOLDERS["ReduceSum"] = _reduce(lambda a, b: a + b, 13)
FOLDERS["ReduceProd"] = _reduce(lambda a, b: a * b, 18)
FOLDERS["ReduceMax"] = _reduce(larger, 18)
FOLDERS["ReduceMin"] = _reduce(smaller, 18)


@folds("NonZero")
def _non_zero(data: list[Data | None], attr: Attributes, opset: int) -> Folded:
    assert data[0] is not None
    if any(isinstance(v, Symbol) for v in data[0].flat):
        return None
    return data_of(np.stack(np.nonzero(data[0].astype(float))))


@folds("ScatterND")
def _scatter_nd(data: list[Data | None], attr: Attributes, opset: int) -> Folded:
    x, places, updates = data
    assert x is not None
    assert places is not None
    assert updates is not None
    if attr("reduction", "none") != "none":
        return None
    out = x.copy()
    out[tuple(np.moveaxis(_ints(places).reshape(places.shape), -1, 0))] = updates
    return out


@folds("ScatterElements", "Scatter")
def _scatter_elements(data: list[Data | None], attr: Attributes, opset: int) -> Folded:
    x, places, updates = data
    assert x is not None
    assert places is not None
    assert updates is not None
    if attr("reduction", "none") != "none":
        return None
    axis, out = attr("axis", 0), x.copy()
    np.put_along_axis(out, _ints(places).reshape(places.shape) % x.shape[axis], updates, axis)
    return out


@folds("CumSum")
def _cumsum(data: list[Data | None], attr: Attributes, opset: int) -> Folded:
    x, axis = data
    assert x is not None
    if attr("exclusive", 0) or attr("reverse", 0):
        return None
    sums: Data = np.frompyfunc(lambda a, b: a + b, 2, 1).accumulate(x, axis=_list(axis)[0])
    return sums


def _list(data: Data | None) -> list[Any]:
    if data is None:
        raise ValueError("missing")
    return [v if is_open(v) and not isinstance(v, float) else int(v)
            for v in data.ravel().tolist()]  # fmt: skip


def _ints(data: Data) -> Any:
    if any(is_symbolic(v) for v in data.flat):
        raise ValueError("a place that is not a number yet")
    return np.array([int(v) for v in data.flat], dtype=np.int64)
