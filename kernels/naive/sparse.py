"""Naive layers with sparse weights: an affine one and a convolution."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import index as as_int
from typing import Any

import numpy as np

from . import _windows as windows
from ._numbers import Array, Gradients, Number, Weights, mac

_Add = Callable[[Number, Number, Number], Number]
#: a stored weight's place in its row of values, or None for a zero, and its column
_Entry = tuple[int | None, int]


def sparse_affine(
    x: Array, *, weights: Weights, units: int, kept: int, of: int, pattern: str, algorithm: str
) -> Array:
    add = _adder(pattern, algorithm)
    rows = _rows(weights, x.shape[-1], kept, of, pattern)
    y = np.full((*x.shape[:-1], units), 0.0, dtype=x.dtype)
    for at in np.ndindex(*x.shape[:-1]):
        for o in range(units):
            for j, column in _entries(rows[o], x.shape[-1], algorithm == "dense", kept, pattern):
                value = 0.0 if j is None else weights["values"][o, j]
                y[(*at, o)] = add(y[(*at, o)], value, x[(*at, column)])
    return y


def sparse_affine_grad(
    part: str,
    dy: Array,
    x: Array,
    *,
    output: Array,
    weights: Weights,
    units: int,
    kept: int,
    of: int,
    pattern: str,
    algorithm: str,
) -> Gradients:
    inputs, add = x.shape[-1], _adder(pattern, algorithm)
    rows = _rows(weights, inputs, kept, of, pattern)
    dense = pattern == "structured" or algorithm == "dense"
    dx, dw = np.full_like(x, 0.0), np.full((units, inputs), 0.0, dtype=x.dtype)
    for at in np.ndindex(*x.shape[:-1]):
        for o in range(units):
            for j, column in _entries(rows[o], inputs, dense, kept, pattern):
                place = (*at, column)
                if part == "input":
                    value = 0.0 if j is None else weights["values"][o, j]
                    dx[place] = add(dx[place], value, dy[(*at, o)])
                else:
                    dw[o, column] = add(dw[o, column], dy[(*at, o)], x[place])
    return {"input 0": dx} if part == "input" else {"values": _kept(dw, rows)}


def sparse_conv2d(
    x: Array,
    *,
    weights: Weights,
    kept: int,
    of: int,
    pattern: str,
    algorithm: str,
    layout: str,
    groups: int,
    **more: Any,
) -> Array:
    x, values = windows.channels_first(x, layout), weights["values"]
    add = _adder(pattern, algorithm)
    slide = _Slide(x, len(values), groups, **more)
    rows = _rows(weights, slide.depth, kept, of, pattern)
    y = np.full(slide.y_shape, 0.0, dtype=x.dtype)
    for to in np.ndindex(*slide.y_shape):
        k = to[1]
        for j, column in _entries(rows[k], slide.depth, algorithm == "dense", kept, pattern):
            value = 0.0 if j is None else values[k, j]
            y[to] = add(y[to], value, slide.x[slide.source(to, column)])
    return windows.in_layout(y, layout)


def sparse_conv2d_grad(
    part: str,
    dy: Array,
    x: Array,
    *,
    output: Array,
    weights: Weights,
    kept: int,
    of: int,
    pattern: str,
    algorithm: str,
    layout: str,
    groups: int,
    **more: Any,
) -> Gradients:
    dy, x = windows.channels_first(dy, layout), windows.channels_first(x, layout)
    values, add = weights["values"], _adder(pattern, algorithm)
    slide = _Slide(x, len(values), groups, **more)
    rows = _rows(weights, slide.depth, kept, of, pattern)
    dense = pattern == "structured" or algorithm == "dense"
    dx = np.full(slide.x.shape, 0.0, dtype=x.dtype)
    dw = np.full((len(values), slide.depth), 0.0, dtype=x.dtype)
    for to in np.ndindex(*slide.y_shape):
        k = to[1]
        for j, column in _entries(rows[k], slide.depth, dense, kept, pattern):
            place = slide.source(to, column)
            if part == "input":
                value = 0.0 if j is None else values[k, j]
                dx[place] = add(dx[place], value, dy[to])
            else:
                dw[k, column] = add(dw[k, column], dy[to], slide.x[place])
    if part == "weight":
        return {"values": _kept(dw, rows)}
    image = dx[windows.inside(slide.before, x.shape[2:])]
    return {"input 0": windows.in_layout(image, layout)}


class _Slide:
    """Where filters stand on a padded image; a filter's columns go tap by tap, channels innermost.

    ``x`` is the padded image, ``depth`` the number of a filter's columns.
    """

    def __init__(
        self,
        x: Array,
        filters: int,
        groups: int,
        *,
        kernel: Any,
        stride: Any,
        padding: Any,
        dilation: Any,
        out_channels: int,
    ) -> None:
        added = windows.borders(padding, 2)
        self.before = added[0]
        self.x = windows.pad(x, added, 0.0)
        self.taps, self.gaps = windows.per_axis(kernel), windows.per_axis(dilation)
        self.starts = windows.positions(
            self.x.shape[2:], self.taps, windows.per_axis(stride), self.gaps
        )
        self.channels, self.filters = x.shape[1] // groups, filters // groups
        self.depth = self.channels * self.taps[0] * self.taps[1]
        self.y_shape = (x.shape[0], filters, *(len(s) for s in self.starts))

    def source(self, to: tuple[int, ...], column: int) -> tuple[int, ...]:
        """Return the place in ``x`` that a filter's column multiplies for the output at ``to``."""
        n, k, p, q = to
        tap, channel = divmod(column, self.channels)
        down, along = divmod(tap, self.taps[1])
        first = k // self.filters * self.channels
        vertical, horizontal = self.gaps
        return (
            n,
            first + channel,
            self.starts[0][p] + down * vertical,
            self.starts[1][q] + along * horizontal,
        )


def _rows(weights: Weights, depth: int, kept: int, of: int, pattern: str) -> list[list[int]]:
    """Return the column of each stored weight: in its group of four, or anywhere.

    An index that names a column which is taken means the next one that is free.
    """
    rows = []
    for row in weights["indices"]:
        columns: list[int] = []
        for j, index in enumerate(row):
            first, length = (j // kept * of, of) if pattern == "structured" else (0, depth)
            place = as_int(index) % length
            while first + place in columns:
                place = (place + 1) % length
            columns.append(first + place)
        rows.append(columns)
    return rows


def _entries(
    columns: list[int], depth: int, dense: bool, kept: int, pattern: str
) -> Iterator[_Entry]:
    """Yield the weights that are multiplied: those stored, or with the zeros between them."""
    if dense or (pattern == "structured" and kept != 2):
        stored = {column: j for j, column in enumerate(columns)}
        yield from ((stored.get(column), column) for column in range(depth))
    else:
        yield from enumerate(columns)


def _kept(dw: Array, rows: list[list[int]]) -> Array:
    """Return the gradients of the weights that are stored."""
    out = np.empty((len(rows), len(rows[0])), dtype=dw.dtype)
    for k, columns in enumerate(rows):
        for j, column in enumerate(columns):
            out[k, j] = dw[k, column]
    return out


def _adder(pattern: str, algorithm: str) -> _Add:
    on_vector = pattern == "unstructured" and algorithm != "dense"
    return (lambda acc, a, b: acc + a * b) if on_vector else mac
