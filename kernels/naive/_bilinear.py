"""Bilinear weights of a place between the values of an image."""

from __future__ import annotations

import math

from ._numbers import Number

Corners = list[tuple[int, int]]


def beside(position: Number, extent: int) -> tuple[tuple[int, int], Number, Number]:
    """Return the two cells beside a position, and the weights of the first and the second.

    Beyond the border the cell is the border's. To find a cell is to address
    memory, so the number is looked at and no operation counted.
    """
    looked_at: Number = getattr(position, "value", position)
    cell = math.floor(looked_at)
    second = position - float(cell)
    low, high = (min(max(i, 0), extent - 1) for i in (cell, cell + 1))
    return (low, high), 1.0 - second, second


def corners(rows: tuple[int, int], columns: tuple[int, int]) -> Corners:
    return [(r, c) for r in rows for c in columns]


def products(vertical: tuple[Number, Number], horizontal: tuple[Number, Number]) -> list[Number]:
    return [v * h for v in vertical for h in horizontal]


def weighed(values: list[Number], weights: list[Number]) -> Number:
    """Return the sum of values times weights, which starts at the first product."""
    total = values[0] * weights[0]
    for value, weight in zip(values[1:], weights[1:], strict=True):
        total = total + value * weight
    return total
