"""Passes of library calls as arrays: what the formulas of `pass_model` work on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from perfmodel.core.dims import Array
from perfmodel.kernels.passes import PRODUCTS, Pass

#: kinds whose elements take a step for each doubling of the inner length
_LOGARITHMIC = ("sort", "argsort", "fft", "ifft", "rfft", "irfft")
_SPECIAL = ("exp", "exp2", "expm1", "tanh", "sqrt", "log", "log2", "log1p", "power",
            "divide", "reciprocal", "sin", "cos", "floor_divide", "remainder")  # fmt: skip
_MOVEMENT = ("take", "put", "where", "random", "partition", "argpartition", *_LOGARITHMIC)
#: functions of two operands
TWO = frozenset(
    [
        "add",
        "subtract",
        "multiply",
        "divide",
        "maximum",
        "minimum",
        "power",
        "greater",
        "less",
        "greater_equal",
        "less_equal",
        "equal",
        "not_equal",
        "floor_divide",
        "remainder",
        "copysign",
    ]
)
_REDUCTIONS = ("sum", "max", "min", "prod", "any", "all", "argmax", "cumsum")

#: kinds that have one way only
_PLAIN = (*PRODUCTS, "take", "put", "partition", "argpartition")
FAMILIES = ("product", "special", "reduction", "movement", "stream")


def way(p: Pass) -> str:
    """Return the name of the cost that a pass has: its kind, and the way a library goes.

    gemv_dots : the matrix is contiguous along the sum; gemv_sums : across it.
    cast4 : from a format of 4 bytes.
    ..._strided : an operand is not contiguous along the innermost loop.
    ..._scalar : a function of two operands, one of them a single value.
    ..._column : the same in every row, each with a value of its own.
    ..._loops : several innermost loops.
    """
    if p.kind == "gemv":
        along = not p.trans_a if p.n == 1 else p.trans_b
        return "gemv_dots" if along else "gemv_sums"
    kind = str(p.kind)
    if kind in _PLAIN:
        return kind
    if kind == "cast":
        kind = f"cast{2 ** round(np.log2(max(p.reads[0] / p.elements, 1.0))):.0f}"
    if not p.unit:
        return f"{kind}_strided"
    if p.kind in TWO and len(p.reads) == 1:
        return f"{kind}_scalar"
    if 0 < p.inner < p.elements and _is_elementwise(p.kind):
        width = p.writes / p.elements
        column = any(abs(r - width * p.elements / p.inner) < 1 for r in p.reads)
        return f"{kind}_column" if column and p.kind in TWO else f"{kind}_loops"
    return kind


def _is_elementwise(kind: str) -> bool:
    bare = kind.removesuffix("_rows").removesuffix("_runs")
    return bare == kind and kind not in _REDUCTIONS and kind not in _LOGARITHMIC + _PLAIN


def family(p: Pass) -> str:
    """Return which passes are about as hard to predict."""
    kind = p.kind.removesuffix("_rows").removesuffix("_runs")
    if kind in PRODUCTS:
        return "product"
    if kind in _SPECIAL:
        return "special"
    if kind in _REDUCTIONS:
        return "reduction"
    return "stream" if p.unit and kind not in _MOVEMENT else "movement"


@dataclass(frozen=True, eq=False)
class Columns:
    """The fields of passes as arrays, one element a pass; ``reads``, ``reuse`` [pass, array].

    ``work`` counts what the arithmetic grows with: elements, multiplications of a
    product, steps of a sort. ``rows`` counts inner loops, ``strided`` elements that do
    not lie beside the one before.
    """

    work: Array
    rows: Array
    inner: Array
    strided: Array
    reads: Array
    reuse: Array
    writes: Array
    write_reuse: Array
    in_place: Array
    fresh: Array
    m: Array
    n: Array
    k: Array
    batch: Array
    trans_a: Array
    trans_b: Array
    calls: Array


def columns(passes: Sequence[Pass]) -> Columns:
    """Return the fields of ``passes``."""
    width = max((len(p.reads) for p in passes), default=0)

    def padded(values: Sequence[Sequence[float]]) -> Array:
        filled = [[*v, *([0.0] * (width - len(v)))] for v in values]
        return np.array(filled, dtype=float).reshape(len(passes), width)

    def column(values: Sequence[float]) -> Array:
        return np.array(values, dtype=float)

    plain = (
        "writes",
        "write_reuse",
        "in_place",
        "m",
        "n",
        "k",
        "batch",
        "trans_a",
        "trans_b",
        "calls",
    )
    return Columns(
        work=column([_work(p) for p in passes]),
        rows=column([_rows(p) for p in passes]),
        inner=column([p.inner for p in passes]),
        strided=column([p.elements * (not p.unit) for p in passes]),
        reads=padded([p.reads for p in passes]),
        reuse=padded([p.reuse for p in passes]),
        fresh=column([p.writes * p.fresh for p in passes]),
        **{name: column([getattr(p, name) for p in passes]) for name in plain},
    )


def _work(p: Pass) -> float:
    if p.kind in PRODUCTS:
        return float(p.m * p.n * p.k * p.batch)
    if p.kind in _LOGARITHMIC:
        return float(p.elements * np.log2(max(p.inner, 2.0)))
    return float(p.elements)


def _rows(p: Pass) -> float:
    if p.kind == "gemm_loop":
        return float(p.m * p.n * p.batch)
    if p.kind in PRODUCTS:
        return float(p.batch)
    return float(p.elements / p.inner) if p.inner else 1.0
