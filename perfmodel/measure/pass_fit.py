"""Fits the costs of a library's calls to calls that were timed.

First the memory levels, to streams; then each kind of call, with the levels given; then
matrix products. Each is a robust least squares fit of a few positive parameters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np

from perfmodel.core.dims import Array
from perfmodel.kernels.passes import Pass
from perfmodel.machine.library import CallCost, LevelCost, ProductCost
from perfmodel.measure.least_squares import fit_logs
from perfmodel.measure.pass_columns import Columns, columns, way
from perfmodel.measure.pass_model import call_seconds, memory_seconds, product_seconds

#: seconds a byte to begin with: 100 GB/s near, 20 GB/s far
_NEAR, _FAR = 1e-11, 5e-11
#: kinds of streams that tell the levels
STREAMS = ("copy", "add", "fill", "dot", "subtract", "max", "maximum", "negative", "square")
_WIDTHS = {"call": 1.2, "element": 3.0, "row": 1.0, "line": 1.0, "miss": 1.0}

Rows = Sequence[tuple[Pass, float]]


def fit_levels(rows: Rows, capacities: Sequence[float]) -> tuple[LevelCost, ...]:
    """Return the seconds a byte of each level, and what of each cache a call has for itself.

    ``rows`` are passes of streams with their seconds, ``capacities`` the bytes of the
    caches, nearest first. Each kind of stream has its own call and element; the levels
    are shared. Each level's seconds are those of the nearer one and something more.
    """
    kinds = sorted({(way(p), p.dtype) for p, _ in rows})
    place = {kind: i for i, kind in enumerate(kinds)}
    c = columns([p for p, _ in rows])
    which = np.array([place[way(p), p.dtype] for p, _ in rows])
    measured = np.array([t for _, t in rows])
    levels, caches = len(capacities) + 1, len(capacities)
    start = np.log(
        np.concatenate(
            [
                [5e-7] * len(kinds),
                [2e-11] * len(kinds),
                [_NEAR / 4] * (levels - 1) + [_FAR],
                [_NEAR / 4] * (levels - 1) + [_FAR],
                [0.7] * caches,
            ]
        )
    )
    widths = np.array([1.2] * len(kinds) + [2.0] * len(kinds) + [1.5] * (2 * levels)
                      + [0.3] * caches)  # fmt: skip

    def split(x: Array) -> tuple[Array, Array, tuple[LevelCost, ...]]:
        calls, elements, read, write, share = np.split(
            np.exp(x), np.cumsum([len(kinds), len(kinds), levels, levels])
        )
        bounds = [*(np.array(capacities) * share), None]
        costs = zip(np.cumsum(read), np.cumsum(write), bounds, strict=True)
        return calls, elements, tuple(LevelCost(float(r), float(w), b) for r, w, b in costs)

    def predict(x: Array) -> Array:
        calls, elements, found = split(x)
        arithmetic = c.work * elements[which]
        slower = (arithmetic**4 + memory_seconds(c, found) ** 4) ** 0.25
        result: Array = calls[which] + slower
        return result

    return split(fit_logs(predict, start, widths, measured))[2]


def fit_call(
    rows: Rows, start: CallCost, levels: Sequence[LevelCost], free: Sequence[str]
) -> CallCost:
    """Return the cost of one kind in one format; the fields not in ``free`` stay."""
    c = columns([p for p, _ in rows])
    measured = np.array([t for _, t in rows])

    def cost(x: Array) -> CallCost:
        found: dict[str, Any] = {n: float(v) for n, v in zip(free, np.exp(x), strict=True)}
        return replace(start, **found)

    begin = replace(start, element=max(start.element, 1e-12))
    logs = np.log(np.maximum([getattr(begin, name) for name in free], 1e-12))
    widths = np.array([_WIDTHS[name] for name in free])
    best = cost(fit_logs(lambda x: call_seconds(cost(x), c, levels, 0.0), logs, widths, measured))
    return replace(best, n=len(rows), residual=_residual(call_seconds(best, c, levels, 0.0), rows))


_PRODUCT = tuple(f.name for f in fields(ProductCost) if f.name not in ("n", "residual"))
_PRODUCT_START = {
    "call": 7e-7, "matrix": 1e-7, "product": 2.5e-11, "product_large": 2.2e-11,
    "a_small": 1e-10, "b_small": 1e-10, "c_small": 1e-10,
    "a_large": 3e-10, "b_large": 3e-10, "c_large": 5e-10,
    "a_strided": 1e-10, "b_strided": 3e-10, "exposed": 0.5, "switch": 1e6,
}  # fmt: skip
_PRODUCT_WIDTHS = {"call": 0.7, "matrix": 1.0, "exposed": 0.7, "switch": 0.7}


def fit_product(rows: Rows, levels: Sequence[LevelCost], scale: float = 1.0) -> ProductCost:
    """Return the cost of products of one format; ``scale`` multiplies what it starts from."""
    c = columns([p for p, _ in rows])
    measured = np.array([t for _, t in rows])
    plain = ("call", "matrix", "exposed", "switch")
    start = np.log([_PRODUCT_START[n] * (1 if n in plain else scale) for n in _PRODUCT])
    widths = np.array([_PRODUCT_WIDTHS.get(name, 1.5) for name in _PRODUCT])

    def cost(x: Array) -> ProductCost:
        found: dict[str, Any] = {n: float(v) for n, v in zip(_PRODUCT, np.exp(x), strict=True)}
        found["exposed"] = min(found["exposed"], 1.0)
        return ProductCost(**found)

    best = cost(fit_logs(lambda x: product_seconds(cost(x), c, levels), start, widths, measured))
    return replace(best, n=len(rows), residual=_residual(product_seconds(best, c, levels), rows))


def _residual(predicted: Array, rows: Rows) -> float:
    measured = np.array([t for _, t in rows])
    return float(np.mean(np.abs(predicted / measured - 1)))


def fit_calls(rows: Rows, levels: Sequence[LevelCost]) -> dict[str, CallCost]:
    """Return the cost of each 'kind.format' among ``rows``, products of matrices left out.

    What the rows of a kind do not tell (an inner loop's cost, where none has several)
    is as for 'add', which is therefore fitted first.
    """
    groups: dict[tuple[str, str], list[tuple[Pass, float]]] = {}
    for p, seconds in rows:
        if p.kind != "gemm":
            groups.setdefault((way(p), p.dtype), []).append((p, seconds))
    found: dict[str, CallCost] = {}
    for kind, dtype in sorted(groups, key=_order):
        mine = groups[kind, dtype]
        start = replace(found.get("add.fp32", _BASE), element=_element(mine), n=0)
        _, _, suffix = kind.partition("_")
        if like := found.get(f"add_{suffix}.fp32"):
            start = replace(start, call=like.call, row=like.row, line=like.line, miss=like.miss)
        free = ["call", "element"]
        if any(_has_rows(p) for p, _ in mine):
            free.append("row")
        if kind.endswith("_strided"):
            free += ["line", "miss"]
            start = replace(start, line=start.line or 0.3, miss=start.miss or 3e-9)
        if kind in ("take", "put"):
            free.append("miss")
            start = replace(start, miss=3e-8)
        found[f"{kind}.{dtype}"] = fit_call(mine, start, levels, free)
    return found


_BASE = CallCost(call=5e-7, element=1e-10, row=1e-8)


def _order(group: tuple[str, str]) -> tuple[bool, bool]:
    """'add' first, then the ways to call it: the others start from what was found for these."""
    kind, dtype = group
    return dtype != "fp32" or not kind.startswith("add"), kind != "add"


def _has_rows(p: Pass) -> bool:
    return bool(0 < p.inner < p.elements or p.batch > 1 or p.kind == "gemm_loop")


def _element(rows: Rows) -> float:
    c = columns([p for p, _ in rows])
    fastest = float(np.min(np.array([t for _, t in rows]) / np.maximum(c.work, 1.0)))
    return min(0.7 * fastest, 3e-10)  # calls of a few elements do not tell it


def fit_page(rows: Rows, calls: Mapping[str, CallCost], levels: Sequence[LevelCost]) -> float:
    """Return the seconds a byte of a new page: what large new arrays cost over old ones."""
    costs = []
    for p, seconds in rows:
        if p.fresh and p.writes > (48 << 20) and f"{way(p)}.{p.dtype}" in calls:
            c: Columns = columns([p])
            old = float(call_seconds(calls[f"{way(p)}.{p.dtype}"], c, levels, 0.0)[0])
            costs.append(max(seconds - old, 0.0) / p.writes)
    return float(np.median(costs)) if costs else 0.0


def spreads(rows: Sequence[tuple[str, float]]) -> dict[str, float]:
    """Return by family the factor that holds 90 % of ``rows``: (family, ln(predicted / measured)).

    The quantile of as many rows and one more that is far off, as in conformal prediction.
    """
    found: dict[str, list[float]] = {}
    for name, off in rows:
        found.setdefault(name, []).append(abs(off))
    result = {}
    for name, offs in found.items():
        level = min(1.0, np.ceil(0.9 * (len(offs) + 1)) / len(offs))
        result[name] = float(np.exp(np.quantile(offs, level, method="inverted_cdf")))
    return result
