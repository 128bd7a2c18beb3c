"""Inputs, weights and caches of an operator as arrays: right shapes, formats, sensible values."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from perfmodel.core import Bound, Operator, Tensor
from perfmodel.kernels import formats

#: parts of names of tensors that are never negative
_POSITIVE = ("variance", "deviation", "second", "squares")
_POSITIVE_INPUTS = {"log", "sqrt", "pow", "div"}
#: random values are drawn once and repeated beyond this many
_DRAWN = 1 << 20

#: how an operator's indices, masks and the like are made, by operator and place
Maker = Callable[[Any, Bound, tuple[int, ...], Any], Any]
_MAKERS: dict[tuple[str, int | str], Maker] = {}


def values_of(name: str, *places: int | str) -> Callable[[Maker], Maker]:
    """Register how inputs (by number) or weights (by name) of an operator are made.

    For those that random normal values will not do for. The function is given the
    operator, its tensors, the shape, and NumPy's generator.
    """

    def register(make: Maker) -> Maker:
        for place in places:
            _MAKERS[name, place] = make
        return make

    return register


@dataclass(frozen=True, eq=False)
class Arrays:
    """An operator's arrays by role, and its tensors: inputs in order, the others by name."""

    inputs: tuple[Any, ...]
    weights: Mapping[str, Any] = field(default_factory=dict)
    caches: Mapping[str, Any] = field(default_factory=dict)
    tensors: Bound = field(default_factory=lambda: Bound((), ()))

    @property
    def x(self) -> Any:
        """The first input."""
        return self.inputs[0]


def shape_of(tensor: Tensor) -> tuple[int, ...]:
    """Return a tensor's shape as whole numbers."""
    return tuple(int(s) for s in tensor.shape)


def arrays(op: Operator, t: Bound, rng: Any, xp: Any, given: Sequence[Any | None] = ()) -> Arrays:
    """Return arrays for ``op`` on ``t``; ``rng`` is NumPy's generator, ``xp`` holds them.

    Activations are normal, weights too and scaled by their fan-in, so that a deep
    network neither grows nor fades; indices are in range. Without a generator the
    arrays are left empty. ``given`` are inputs that exist already, None where not.
    """

    def made(tensor: Tensor, place: int | str) -> Any:
        if isinstance(place, int) and place < len(given) and given[place] is not None:
            return given[place]
        shape, dtype = shape_of(tensor), formats.HELD[tensor.dtype]
        if rng is None:
            return xp.empty(shape, dtype=dtype)
        return xp.asarray(_values(op, t, tensor, place, shape, rng).astype(dtype))

    return Arrays(
        tuple(made(tensor, i) for i, tensor in enumerate(t.inputs)),
        {w.name: made(w, w.name) for w in t.weights},
        {c.name: made(c, c.name) for c in t.caches},
        t,
    )


def _values(
    op: Operator, t: Bound, tensor: Tensor, place: int | str, shape: tuple[int, ...], rng: Any
) -> Any:
    if maker := _MAKERS.get((op.name, place)):
        return maker(op, t, shape, rng)
    size = math.prod(shape)
    drawn = min(size, _DRAWN)
    if tensor.dtype == "bool":
        values = rng.random(drawn) < 0.8
    elif tensor.dtype.startswith("int"):
        values = rng.integers(-8, 8, drawn)
    else:
        values = rng.standard_normal(drawn)
        name = place if isinstance(place, str) else ""
        if op.name in _POSITIVE_INPUTS or any(word in name for word in _POSITIVE):
            values = abs(values) + 0.5
        elif tensor.is_parameter and len(shape) > 1:
            values *= math.sqrt(shape[0] / max(size, 1))
    if drawn < size:
        import numpy as np

        values = np.resize(values, size)
    return values.reshape(shape)
