"""Arithmetic on small constants, so that shapes computed by a model are known before it runs.

Exporters write a reshape's target as Shape, Gather, Mul, Concat. Here each such
operator is evaluated on Python numbers, or on Symbols where a size stays open.
A function returns None where the values are not known well enough.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np

from perfmodel.core.symbols import greatest, is_symbolic, least
from perfmodel.readers.onnx.formats import FORMAT_OF
from perfmodel.readers.onnx.model import MAX_DATA
from perfmodel.readers.tracing.open_sizes import is_open
from perfmodel.readers.tracing.values import Data, Value, data_of

Attributes = Callable[[str, Any], Any]
Folded = Sequence[Data] | Data | None
Folder = Callable[[list[Data | None], Attributes, int], Folded]

FOLDERS: dict[str, Folder] = {}
_BOOLEAN = {
    "Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual", "And", "Or", "Xor", "Not",
    "IsNaN", "IsInf",
}  # fmt: skip
_WHOLE = {"NonZero", "ArgMax", "ArgMin", "Size", "Shape"}


def fold(op: str, inputs: Sequence[Value | None], attr: Attributes, opset: int) -> list[Value]:
    """Return the outputs of ``op`` where they are known now, else an empty list."""
    folder = _folders().get(op)
    if folder is None:
        return []
    data = [v.data if v is not None else None for v in inputs]
    if any(v is not None and v.data is None for v in inputs):
        return []
    if op in _LENGTHS and any(is_symbolic(x) for d in data[_LENGTHS[op] :] if d is not None
                              for x in d.flat):  # fmt: skip
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


@cache
def _folders() -> dict[str, Folder]:
    import_module("perfmodel.readers.onnx.fold_moves")
    return FOLDERS


#: operators whose outputs are as long as their inputs' values say, and the first of those
_LENGTHS = {"Range": 0, "ConstantOfShape": 0, "Expand": 1, "Tile": 1, "Slice": 1, "Split": 1,
            "Reshape": 1}  # fmt: skip


def sized(op: str, inputs: Sequence[Value | None]) -> bool:
    """Tell whether the length of what ``op`` makes follows from open sizes."""
    present = [v for v in inputs if v is not None]
    if any(v.sized for v in present):
        return True
    if op not in _LENGTHS:
        return False
    decide = [v for v in inputs[_LENGTHS[op] :] if v is not None and v.data is not None]
    return any(is_open(x) for v in decide for x in v.data.flat)  # type: ignore[union-attr]


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


def folds(*names: str) -> Callable[[Folder], Folder]:
    def register(folder: Folder) -> Folder:
        FOLDERS.update(dict.fromkeys(names, folder))
        return folder

    return register


def each(function: Callable[..., Any]) -> Folder:
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


def larger(a: Any, *rest: Any) -> Any:
    for b in rest:
        a = greatest(a, b)
    return a


def smaller(a: Any, *rest: Any) -> Any:
    for b in rest:
        a = least(a, b)
    return a


def _sum(*values: Any) -> Any:
    out = values[0]
    for value in values[1:]:
        out = out + value
    return out


_CELLWISE: dict[str, Callable[..., Any]] = {
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
    "Max": larger,
    "Min": smaller,
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
}
FOLDERS.update({name: each(function) for name, function in _CELLWISE.items()})
