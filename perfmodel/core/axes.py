"""Axes of a tensor: named from either end, and shapes with some of them changed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from perfmodel.core.dims import Dim
from perfmodel.errors import InputError


def axis_of(name: str, axis: Dim, rank: int) -> int:
    """Return ``axis`` counted from 0; InputError where a tensor of ``rank`` axes has none such."""
    if not isinstance(axis, int) or not -rank <= axis < rank:
        raise InputError(f"{name}: axis {axis} of a tensor with {rank} axes")
    return axis % rank


def axes_of(name: str, axes: Iterable[Dim], rank: int) -> tuple[int, ...]:
    """Return ``axes`` counted from 0; InputError where one is missing or named twice."""
    found = tuple(axis_of(name, axis, rank) for axis in axes)
    if len(set(found)) < len(found):
        raise InputError(f"{name}: axes {list(axes)} name an axis twice")
    return found


def with_extent(shape: Sequence[Dim], axis: int, extent: Dim) -> tuple[Dim, ...]:
    """Return ``shape`` with another extent along ``axis``."""
    return (*shape[:axis], extent, *shape[axis + 1 :])
