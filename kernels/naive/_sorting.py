"""Order of numbers by comparisons whose number does not depend on the numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ._numbers import Number, constant

Run = list[tuple[Number, int]]


def merge_order(values: Sequence[Number], descending: bool) -> list[int]:
    """Return the places of ``values`` in order, by merge sort from the bottom up."""
    runs: list[Run] = [[(value, place)] for place, value in enumerate(values)]
    while len(runs) > 1:
        pairs = [runs[i : i + 2] for i in range(0, len(runs), 2)]
        runs = [_merged(*pair, descending=descending) for pair in pairs]
    return [place for _, place in runs[0]]


def _merged(left: Run, right: Run | None = None, *, descending: bool) -> Run:
    """Merge two runs, or one with nothing, comparing once for each value they hold."""
    last = constant(left[0][0], -math.inf if descending else math.inf)
    first, second = iter([*left, (last, -1)]), iter([*(right or []), (last, -1)])
    a, b, merged = next(first), next(second), []
    for _ in range(len(left) + len(right or [])):
        if a[0] < b[0] if descending else b[0] < a[0]:
            merged.append(b)
            b = next(second)
        else:
            merged.append(a)
            a = next(first)
    return merged


def tournament(values: Sequence[Number], count: int) -> list[int]:
    """Return the places of the ``count`` largest values, the largest first."""
    leaves = 1
    while leaves < len(values):
        leaves *= 2
    none = constant(values[0], -math.inf)
    scores = [*values, *[none] * (leaves - len(values))]
    # A node holds the place that won below it; None where no value stands.
    tree: list[int | None] = [None] * leaves
    tree += [i if i < len(values) else None for i in range(leaves)]
    for node in range(leaves - 1, 0, -1):
        a, b = tree[2 * node], tree[2 * node + 1]
        tree[node] = a if a is None or b is None else (b if scores[a] < scores[b] else a)
    winners: list[int] = []
    while True:
        winner = tree[1]
        assert winner is not None
        winners.append(winner)
        if len(winners) == count:
            return winners
        scores[winner] = none
        node = (leaves + winner) // 2
        while node:
            a, b = tree[2 * node], tree[2 * node + 1]
            assert a is not None
            rival = none if b is None else scores[b]
            tree[node] = b if scores[a] < rival and b is not None else a
            node //= 2
