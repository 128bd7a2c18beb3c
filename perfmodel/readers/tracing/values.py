"""Value: what a reader knows of a tensor while it walks a model."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from perfmodel.core import Dim, Tensor
from perfmodel.core.dims import product, same

#: values of a small tensor as Python numbers, texts or Symbols
Data = npt.NDArray[Any]

FLOATS = frozenset({"fp64", "fp32", "fp16", "bf16", "fp8_e4m3", "fp8_e5m2", "tf32"})


@dataclass(eq=False)
class Value:
    """A tensor of the model.

    Parameters
    ----------
    name : as in the file.
    dtype : number format.
    shape : its sizes; Symbols where they are not numbers yet.
    data : its values, where they are small and known before anything runs.
    tensor : the graph's tensor, where a node makes it.
    stored : the name of the stored tensor (initializer, constant) that it is, or that
        it follows from before anything runs; None for what is computed.
    make : puts the node that makes the tensor into the graph, when somebody reads it.
    whole : the value of which this one is the dequantized form.
    items : the tensors of a sequence.
    bound : its size depends on data, and ``shape`` is the most it can be.
    learned : whether a stored tensor is a parameter (a window or a filter bank made of
        sizes alone is none); None where the model does not say.
    seen : the tensor of which this one is a view, and how: ``axes`` is the order of
        its axes, None for another shape of the same values.
    sized : its length follows from open sizes, so that a node makes it although its
        values are known.
    """

    name: str
    dtype: str = "fp32"
    shape: tuple[Dim, ...] = ()
    data: Data | None = None
    tensor: Tensor | None = None
    stored: str | None = None
    make: Callable[[], Tensor] | None = None
    whole: Value | None = None
    items: list[Value] | None = None
    bound: bool = False
    learned: bool | None = None
    seen: Value | None = None
    axes: tuple[int, ...] | None = None
    sized: bool = False

    @property
    def rank(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def elements(self) -> Dim:
        """Number of values."""
        return product(self.shape)

    @property
    def is_float(self) -> bool:
        """Whether it holds floating-point numbers."""
        return self.dtype in FLOATS

    @property
    def is_constant(self) -> bool:
        """Whether it is known before anything runs."""
        return self.stored is not None or (self.data is not None and self.tensor is None)


def is_learned(value: Value | None) -> bool:
    """Tell whether a value is a stored tensor that was learned, as far as can be seen.

    Where the model does not say, floating-point tensors of more than one value are;
    integers, masks and single numbers are constants.
    """
    if value is None or value.stored is None:
        return False
    if value.learned is not None:
        return value.learned
    return (value.is_float or value.whole is not None) and not same(value.elements, 1)


def data_of(values: Any, shape: Sequence[int] | None = None) -> Data:
    """Return ``values`` as an array of Python numbers, which Symbols can stand among."""
    if isinstance(values, np.ndarray) and values.dtype == object:
        out = values
    else:
        flat = np.asarray(values).ravel().tolist() if not _has_objects(values) else list(values)
        out = np.empty(len(flat), dtype=object)
        out[:] = flat
        if shape is None and not _has_objects(values):
            shape = np.asarray(values).shape
    return out.reshape(tuple(shape)) if shape is not None else out


def _has_objects(values: Any) -> bool:
    return isinstance(values, list | tuple) and any(
        not isinstance(v, int | float | bool | str | bytes | list | tuple) for v in values
    )


def count(shape: Sequence[Any]) -> int:
    """Return the number of values of a shape of plain numbers."""
    return math.prod(int(d) for d in shape)
