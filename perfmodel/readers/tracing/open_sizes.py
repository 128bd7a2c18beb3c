"""Numbers that follow from sizes which another analysis of the same file may set otherwise.

They are plain numbers in every respect, and remember through arithmetic where they come
from: a tensor whose length is one of them is made when the model runs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import chain
from typing import Any

from perfmodel.core.symbols import is_symbolic
from perfmodel.graph import Node

_ARITHMETIC = (
    "add", "radd", "sub", "rsub", "mul", "rmul", "floordiv", "rfloordiv", "mod", "rmod",
    "truediv", "rtruediv", "neg", "abs", "pow",
)  # fmt: skip


class OpenInt(int):
    """A whole number that follows from open sizes."""

    def __trunc__(self) -> Any:
        return self

    __floor__ = __ceil__ = __trunc__

    def __round__(self, digits: Any = None) -> Any:
        return self


class OpenFloat(float):
    """A number that follows from open sizes."""

    def __floor__(self) -> Any:
        return OpenInt(math.floor(float(self)))

    def __ceil__(self) -> Any:
        return OpenInt(math.ceil(float(self)))

    def __trunc__(self) -> Any:
        return OpenInt(math.trunc(float(self)))

    def __round__(self, digits: Any = None) -> Any:
        return OpenInt(round(float(self)))


def opened(value: Any) -> Any:
    """Return a number as one that follows from open sizes; others as they are."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return OpenInt(value)
    return OpenFloat(value) if isinstance(value, float) else value


def is_open(value: Any) -> bool:
    """Tell whether a value follows from open sizes, or is a size that is no number yet."""
    return isinstance(value, OpenInt | OpenFloat) or is_symbolic(value)


def settle(nodes: Iterable[Node]) -> None:
    """Have the tensors of a finished graph forget where their sizes come from.

    What counts on them is much faster with plain numbers, and equal.
    """
    for node in nodes:
        held = node.tensors
        groups = (held.sources, held.outputs, held.weights, held.caches, held.appended, held.kept)
        for tensor in chain.from_iterable(groups):
            if any(type(d) is OpenInt for d in tensor.shape):
                plain = tuple(int(d) if type(d) is OpenInt else d for d in tensor.shape)
                # In place: nodes know each other by these very tensors.
                object.__setattr__(tensor, "shape", plain)


def _remembering(kind: type, name: str) -> Any:
    plain = getattr(kind, f"__{name}__")

    def method(self: Any, *others: Any) -> Any:
        made = plain(self, *others)
        return OpenInt(made) if type(made) is int else opened(made)

    return method


for _name in _ARITHMETIC:
    for _kind, _plain in ((OpenInt, int), (OpenFloat, float)):
        setattr(_kind, f"__{_name}__", _remembering(_plain, _name))
