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
        self._buffers: dict[Any, Any] = {}
        self._made: dict[Any, Any] = {}
        #: counts look-ups where a statement is made
        self._recorder = getattr(xp, "recorder", None)

    def buffer(self, name: Any, shape: tuple[int, ...], dtype: Any) -> Any:
        """Return an array to write to; the same memory whenever asked for again."""
        if self._recorder is not None:
            self._recorder.steps += 1
        key = (name, shape, dtype)
        found = self._buffers.get(key)
        if found is None:
            found = self._buffers[key] = self.xp.empty(shape, dtype=dtype)
        return found

    def like(self, name: Any, array: Any) -> Any:
        """Return a buffer of the shape and format of ``array``."""
        return self.buffer(name, array.shape, array.dtype)

    def output(self, a: Arrays, number: int = 0) -> Any:
        """Return the buffer of an output of the operator."""
        found = self._made.get(number)
        if found is None:
            tensor = a.tensors.outputs[number]
            dtype = formats.NUMPY[tensor.dtype]
            found = self._made[number] = self.xp.empty(shape_of(tensor), dtype=dtype)
        return found

    def once(self, name: Any, make: Callable[[], Any]) -> Any:
        """Return what ``make`` made the first time: transformed weights, tables, borders."""
        if self._recorder is not None:
            self._recorder.steps += 1
        key = ("once", name)
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]
