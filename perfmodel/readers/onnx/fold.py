"""Arithmetic on small constants, so that shapes computed by a model are known before it runs.

Exporters write a reshape's target as Shape, Gather, Mul, Concat. Here each such
operator is evaluated on Python numbers, or on Symbols where a size stays open.
A function returns None where the values are not known well enough.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from perfmodel.core.symbols import Symbol, is_symbolic
from perfmodel.readers.onnx.model import MAX_DATA
from perfmodel.readers.onnx.values import FLOATS, FORMAT_OF, Data, Value, count, data_of

Attributes = Callable[[str, Any], Any]
Folded = Sequence[Data] | Data | None
_Folder = Callable[[list[Data | None], Attributes, int], Folded]

_FOLDERS: dict[str, _Folder] = {}
_BOOLEAN = {
    "Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual", "And", "Or", "Xor", "Not",
    "IsNaN", "IsInf",
}  # fmt: skip
_WHOLE = {"NonZero", "ArgMax", "ArgMin", "Size", "Shape"}


def fold(op: str, inputs: Sequence[Value | None], attr: Attributes, opset: int) -> list[Value]:
    """Return the outputs of ``op`` where they are known now, else an empty list."""
    folder = _FOLDERS.get(op)
    if folder is None:
        return []
    data = [v.data if v is not None else None for v in inputs]
    if any(v is not None and v.data is None for v in inputs):
        return []
    try:
        made = folder(data, attr, opset)
    except (TypeError, ValueError, IndexError, ZeroDivisionError, OverflowError, AttributeError):
        return []
    if made is None:
        return []
    arrays = [made] if isinstance(made, np.ndarray) else list(made)
    if any(a.size > MAX_DATA for a in arrays):
        return []
    dtype = _dtype(op, inputs, attr)
    return [Value("", dtype, tuple(a.shape), a) for a in arrays]


def _dtype(op: str, inputs: Sequence[Value | None], attr: Attributes) -> str:
    if op in _BOOLEAN:
        return "bool"
    if op in _WHOLE:
        return "int64"
    if op == "Cast":
        return FORMAT_OF.get(attr("to", 1), "fp32")
    if op == "ConstantOfShape":
        value = attr("value", None)
        return value.dtype if value is not None else "fp32"
    chosen = inputs[1] if op in ("Where", "CastLike") else inputs[0]
    return chosen.dtype if chosen is not None else "fp32"


def _folds(*names: str) -> Callable[[_Folder], _Folder]:
    def register(folder: _Folder) -> _Folder:
        _FOLDERS.update(dict.fromkeys(names, folder))
        return folder

    return register


def _each(function: Callable[..., Any]) -> _Folder:
    def folder(data: list[Data | None], attr: Attributes, opset: int) -> Folded:
        arrays = np.broadcast_arrays(*(d for d in data if d is not None))
        if arrays[0].size > MAX_DATA:
            return None
        values = [function(*items) for items in zip(*(a.flat for a in arrays), strict=True)]
        return data_of(np.empty(0, dtype=object) if not values else _objects(values),
                       arrays[0].shape)  # fmt: skip

    return folder


def _objects(values: Sequence[Any]) -> Data:
    out = np.empty(len(values), dtype=object)
    for i, value in enumerate(values):
        out[i] = value
    return out


def _divide(a: Any, b: Any) -> Any:
    if isinstance(a, float) or isinstance(b, float):
        return a / b
    if is_symbolic(a) or is_symbolic(b):
        return a // b
    return int(a / b) if abs(a) < 2**52 and (a < 0) != (b < 0) else a // b


def _remainder(a: Any, b: Any) -> Any:
    return math.fmod(a, b) if isinstance(a, float) else a % b


def _power(a: Any, b: Any) -> Any:
    if abs(float(b)) > 64 or abs(float(a)) > 1e9:
        raise ValueError("too large")
    return a ** (int(b) if float(b).is_integer() else b)


def _larger(a: Any, *rest: Any) -> Any:
    for b in rest:
        a = b if b > a else a
    return a


def _smaller(a: Any, *rest: Any) -> Any:
    for b in rest:
        a = b if b < a else a
    return a


def _sum(*values: Any) -> Any:
    out = values[0]
    for value in values[1:]:
        out = out + value
    return out


for _names, _function in {
    "Add": lambda a, b: a + b,
    "Sub": lambda a, b: a - b,
    "Mul": lambda a, b: a * b,
    "Div": _divide,
    "Mod": _remainder,
    "Pow": _power,
    "Neg": lambda a: -a,
    "Abs": abs,
    "Floor": lambda a: a if isinstance(a, int) else math.floor(a),
    "Ceil": lambda a: a if isinstance(a, int) else math.ceil(a),
    "Round": lambda a: a if isinstance(a, int) else round(a),
    "Sqrt": lambda a: math.sqrt(a),
    "Reciprocal": lambda a: 1 / a,
    "Exp": lambda a: math.exp(a),
    "Log": lambda a: math.log(a),
    "Max": _larger,
    "Min": _smaller,
    "Sum": _sum,
    "Equal": lambda a, b: a == b,
    "Less": lambda a, b: a < b,
    "Greater": lambda a, b: a > b,
    "LessOrEqual": lambda a, b: a <= b,
    "GreaterOrEqual": lambda a, b: a >= b,
    "And": lambda a, b: bool(a) and bool(b),
    "Or": lambda a, b: bool(a) or bool(b),
    "Xor": lambda a, b: bool(a) != bool(b),
    "Not": lambda a: not a,
    "Where": lambda c, a, b: a if c else b,
    "Sign": lambda a: (a > 0) - (a < 0),
}.items():
    _FOLDERS[_names] = _each(_function)


@_folds("Identity")
def _identity(data: list[Data | None], attr: Attributes, opset: int) -> Folded:
    return data[0]


@_folds("Cast")
def _cast(data: list[Data | None], attr: Attributes, opset: int) -> Folded:
    to = FORMAT_OF.get(attr("to", 1), "fp32")

    def one(value: Any) -> Any:
        if isinstance(value, str | bytes):
            raise ValueError("a text")
        if to == "bool":
            return bool(value)
        if to in FLOATS:
            return value if is_symbolic(value) else float(value)
        return math.floor(value) if is_symbolic(value) else int(value)

    return _each(one)(data, attr, opset)


@_folds("CastLike")
def _cast_like(data: list[Data | None], attr: Attributes, opset: int) -> Folded:
    return data[0]


@_folds("Gather")
def _gather(data: list[Data | None], attr: Attributes, opset: int) -> Folded:
    x, places = data
    assert x is not None and places is not None
    return np.take(x, _ints(places).reshape(places.shape), axis=attr("axis", 0))


@_folds("GatherND")
def _gather_nd(data: list[Data | None], attr: Attributes, opset: int) -> Folded:
    x, places = data
    assert x is not None and places is not None
    if attr("batch_dims", 0):
        return None
    index = _ints(places).reshape(places.shape)
    return data_of(np.asarray(x[tuple(np.moveaxis(index, -1, 0))], dtype=object))


@_folds("GatherElements")
def _gather_elements(data: list[Data | None], attr: Attributes, opset: int) -> Folded:
    x, places = data
    assert x is not None and places is not None
    index = _ints(places).reshape(places.shape)
    return np.take_along_axis(x, np.where(index < 0, index + x.shape[attr("axis", 0)], index),
                              attr("axis", 0))  # fmt: skip


@_folds("Slice")
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
    return x[tuple(index)]


@_folds("Concat")
def _concat(data: list[Data | None], attr: Attributes, opset: int) -> Folded:
    return np.concatenate([d for d in data if d is not None], axis=attr("axis", 0))


@_folds("Split")
def _split(data: list[Data | None], attr: Attributes, opset: int) -> Folded:
    x, axis = data[0], attr("axis", 0)
    assert x is not None
    sizes = attr("split", None) or (_list(data[1]) if len(data) > 1 else None)
    if sizes is None:
        parts = attr("num_outputs", None)
        return None if parts is None else np.array_split(x, parts, axis)
    return np.split(x, np.cumsum(sizes)[:-1], axis)


@_folds("Unsqueeze")
def _unsqueeze(data: list[Data | None], attr: Attributes, opset: int) -> Folded:
    assert data[0] is not None
    axes = attr("axes", None) if opset < 13 else _list(data[1])
    return np.expand_dims(data[0], tuple(axes))


@_folds("Squeeze")
def _squeeze(data: list[Data | None], attr: Attributes, opset: int) -> Folded:
    assert data[0] is not None
    axes = attr("axes", None) if opset < 13 else _list(data[1]) if len(data) > 1 else None
    return np.asarray(np.squeeze(data[0], tuple(axes) if axes is not None else None), dtype=object)


@_folds("Reshape")
def _reshape(data: list[Data | None], attr: Attributes, opset: int) -> Folded:
    x, target = data
    assert x is not None
    shape = [x.shape[i] if d == 0 and not attr("allowzero", 0) else d
             for i, d in enumerate(_list(target))]  # fmt: skip
    return x.reshape(shape)


@_folds("Flatten")
def _flatten(data: list[Data | None], attr: Attributes, opset: int) -> Folded:
    assert data[0] is not None
    axis = attr("axis", 1)
    return data[0].reshape(count(data[0].shape[:axis]), -1)


@_folds("Transpose")
def _transpose(data: list[Data | None], attr: Attributes, opset: int) -> Folded:
    assert data[0] is not None
    return np.transpose(data[0], attr("perm", None))


@_folds("Expand")
def _expand(data: list[Data | None], attr: Attributes, opset: int) -> Folded:
    x, target = data
    assert x is not None
    shape = np.broadcast_shapes(x.shape, tuple(_list(target)))
    return np.broadcast_to(x, shape).copy() if count(shape) <= MAX_DATA else None


@_folds("Tile")
def _tile(data: list[Data | None], attr: Attributes, opset: int) -> Folded:
    x, repeats = data
    assert x is not None
    times = _list(repeats)
    return np.tile(x, times) if x.size * count(times) <= MAX_DATA else None


@_folds("Range")
def _range(data: list[Data | None], attr: Attributes, opset: int) -> Folded:
    start, limit, step = (d.item() for d in data if d is not None)
    if any(is_symbolic(v) for v in (start, limit, step)) or step == 0:
        return None
    if (limit - start) / step > MAX_DATA:
        return None
    return data_of(np.arange(start, limit, step))


@_folds("ConstantOfShape")
def _constant_of_shape(data: list[Data | None], attr: Attributes, opset: int) -> Folded:
    shape = _list(data[0])
    value = attr("value", None)
    filler = value.data.flat[0] if value is not None and value.data is not None else 0.0
    if count(shape) > MAX_DATA or any(d < 0 for d in shape):
        return None
    out = np.empty(tuple(shape), dtype=object)
    out[...] = filler
    return out


def _reduce(function: Callable[[Any, Any], Any], since: int) -> _Folder:
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


_FOLDERS["ReduceSum"] = _reduce(lambda a, b: a + b, 13)
_FOLDERS["ReduceProd"] = _reduce(lambda a, b: a * b, 18)
_FOLDERS["ReduceMax"] = _reduce(_larger, 18)
_FOLDERS["ReduceMin"] = _reduce(_smaller, 18)


@_folds("NonZero")
def _non_zero(data: list[Data | None], attr: Attributes, opset: int) -> Folded:
    assert data[0] is not None
    if any(isinstance(v, Symbol) for v in data[0].flat):
        return None
    return data_of(np.stack(np.nonzero(data[0].astype(float))))


@_folds("ScatterND")
def _scatter_nd(data: list[Data | None], attr: Attributes, opset: int) -> Folded:
    x, places, updates = data
    assert x is not None and places is not None and updates is not None
    if attr("reduction", "none") != "none":
        return None
    out = x.copy()
    out[tuple(np.moveaxis(_ints(places).reshape(places.shape), -1, 0))] = updates
    return out


@_folds("CumSum")
def _cumsum(data: list[Data | None], attr: Attributes, opset: int) -> Folded:
    x, axis = data
    assert x is not None
    if attr("exclusive", 0) or attr("reverse", 0):
        return None
    return np.frompyfunc(lambda a, b: a + b, 2, 1).accumulate(x, axis=_list(axis)[0])


def _list(data: Data | None) -> list[Any]:
    if data is None:
        raise ValueError("missing")
    return [v if is_symbolic(v) else int(v) for v in data.ravel().tolist()]


def _ints(data: Data) -> Any:
    if any(is_symbolic(v) for v in data.flat):
        raise ValueError("a place that is not a number yet")
    return np.array([int(v) for v in data.flat], dtype=np.int64)
