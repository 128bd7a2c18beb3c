"""Workspace: what a kernel keeps from one run to the next, as a library does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from perfmodel.kernels import formats
from perfmodel.kernels.arrays import Arrays, shape_of


class Workspace:
    """Buffers and constants that live as long as a kernel is used on the same shapes."""

    def __init__(self, xp: Any) -> None:
        self.xp = xp
        self._kept: dict[Any, Any] = {}
        self._names: dict[Any, str] = {}

    def buffer(self, name: Any, shape: Any, dtype: Any) -> Any:
        """Return an array to write to; the same memory whenever asked for again."""
        text = self._names.get(dtype)  # NumPy takes microseconds to write a format's name
        if text is None:
            text = self._names[dtype] = str(dtype)
        key = (name, tuple(shape), text)
        if key not in self._kept:
            self._kept[key] = self.xp.empty(tuple(shape), dtype=dtype)
        return self._kept[key]

    def like(self, name: Any, array: Any) -> Any:
        """Return a buffer of the shape and format of ``array``."""
        return self.buffer(name, array.shape, array.dtype)

    def output(self, a: Arrays, number: int = 0) -> Any:
        """Return the buffer of an output of the operator."""
        tensor = a.tensors.outputs[number]
        return self.buffer(("output", number), shape_of(tensor), formats.NUMPY[tensor.dtype])

    def once(self, name: Any, make: Callable[[], Any]) -> Any:
        """Return what ``make`` made the first time: transformed weights, tables, borders."""
        if ("once", name) not in self._kept:
            self._kept["once", name] = make()
        return self._kept["once", name]
