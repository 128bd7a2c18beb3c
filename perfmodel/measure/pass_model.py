"""(passes of library calls, Library) -> seconds: what a kernel does, priced call by call.

A pass costs its call, its inner loops, and the slower of arithmetic and memory:

    time = call + rows row + misses miss + (E^4 + B^4)^(1/4) + page x new bytes
    E = work x element
    B = sum over arrays of bytes x r(D) + line x strided elements x 64 r(64 inner)

D, the reuse distance, is how many bytes are touched from an array's last touch to this
one. r(D), the seconds a byte, rises from level to level as D passes what the caches hold:

    r(D) = r_1 + sum over levels l of (r_{l+1} - r_l) S(D / capacity_l),  S(x) = x^4 / (1 + x^4)

A strided element takes a cache line; the next use of that line is an inner loop away, and
misses where 64 inner is more than a core's own caches hold. Rows that are gathered or
scattered miss where D is more than the last cache holds.
Matrix products sum what they do: see `product_seconds`. Every formula is continuous and
grows with every size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from perfmodel.core.dims import Array
from perfmodel.kernels.passes import Pass
from perfmodel.machine.library import CallCost, LevelCost, Library, ProductCost
from perfmodel.measure.pass_columns import Columns, columns, family, way

#: how sharply the slower of two resources hides the other, and a cache overflows
SHARPNESS = 4
#: bytes above which an allocator maps new pages for every array (glibc's largest threshold)
MAPPED = 32 << 20
#: bytes of a cache line
LINE = 64
#: factor of the 90 % interval of a family whose residuals are not known
UNKNOWN = 2.0


def overflow(distance: Array, capacity: float) -> Array:
    """Return the share of accesses that a cache does not hold, from 0 to 1."""
    x = (distance / capacity) ** SHARPNESS
    share: Array = x / (1 + x)
    return share


def by_level(distance: Array, levels: Sequence[LevelCost], direction: str) -> Array:
    """Return the seconds a byte of data that was touched ``distance`` bytes ago."""
    costs = [getattr(level, direction) for level in levels]
    result = np.full(np.shape(distance), costs[0], dtype=float)
    for inner, near, far in zip(levels, costs, costs[1:], strict=False):
        assert inner.capacity is not None, "only the last level has no capacity"
        result = result + max(far - near, 0.0) * overflow(distance, inner.capacity)
    return result


def memory_seconds(c: Columns, levels: Sequence[LevelCost]) -> Array:
    """Return the seconds of all bytes of each pass.

    What a call reads and then writes in place is there when it is written.
    """
    reads = np.sum(c.reads * by_level(c.reuse, levels, "read"), axis=1)
    near = np.zeros(len(c.writes))
    far = by_level(c.write_reuse, levels, "write")
    moved = (c.writes - c.in_place) * far + c.in_place * by_level(near, levels, "write")
    total: Array = reads + moved
    return total


def call_seconds(cost: CallCost, c: Columns, levels: Sequence[LevelCost], page: float) -> Array:
    """Return the seconds of passes of one kind and format."""
    memory = memory_seconds(c, levels)
    missed = np.zeros(len(memory))
    if cost.miss:
        own, last = levels[max(len(levels) - 3, 0)].capacity, levels[-2].capacity
        assert own is not None, "the levels inside have capacities"
        assert last is not None, "the levels inside have capacities"
        again = 1 - 1 / np.maximum(c.rows, 1.0)  # a single loop comes back to no line
        lines = c.strided * again * overflow(LINE * c.inner, own)
        far = c.rows * overflow(np.max(c.reuse, axis=1, initial=0.0), last)
        missed = cost.miss * np.where(c.strided > 0, lines, far)
    if cost.line:
        memory = memory + cost.line * LINE * c.strided * by_level(LINE * c.inner, levels, "read")
    slower = ((c.work * cost.element) ** SHARPNESS + memory**SHARPNESS) ** (1 / SHARPNESS)
    new = c.fresh * overflow(c.fresh, MAPPED)
    total: Array = cost.call + c.rows * cost.row + missed + slower + page * new
    return total


def product_seconds(cost: ProductCost, c: Columns, levels: Sequence[LevelCost]) -> Array:
    """Return the seconds of matrix products of one format.

    With P = m n k products and each cost times what it is named after,

        small = product P + a_small m k + b_small k n + c_small m n
        large = the same with the costs of large products
        time = call + batch (matrix + small + S(P / switch) max(large - small, 0)
               + a_strided m k + b_strided k n) + exposed x seconds of the bytes
    """
    a, b, out, products = c.m * c.k, c.k * c.n, c.m * c.n, c.m * c.n * c.k
    small = cost.product * products + cost.a_small * a + cost.b_small * b + cost.c_small * out
    large = cost.product_large * products
    large = large + cost.a_large * a + cost.b_large * b + cost.c_large * out
    turned = overflow(products, cost.switch)
    strided = cost.a_strided * c.trans_a * a + cost.b_strided * c.trans_b * b
    each = cost.matrix + small + turned * np.maximum(large - small, 0.0) + strided
    total: Array = cost.call + c.batch * each + cost.exposed * memory_seconds(c, levels)
    return total


def pass_seconds(passes: Sequence[Pass], library: Library) -> Array:
    """Return the seconds of each pass, all its calls together."""
    result = np.zeros(len(passes))
    groups: dict[tuple[str, str], list[int]] = {}
    for place, p in enumerate(passes):
        groups.setdefault((way(p), p.dtype), []).append(place)
    for (kind, dtype), places in groups.items():
        c = columns([passes[i] for i in places])
        if kind == "gemm" and dtype in library.products:
            each = product_seconds(library.products[dtype], c, library.levels)
        else:
            cost = call_cost(library, kind, dtype, family(passes[places[0]]))
            each = call_seconds(cost, c, library.levels, library.page)
        result[places] = each * c.calls
    return result


def call_cost(library: Library, kind: str, dtype: str, of: str) -> CallCost:
    """Return the cost of a way to call a kind, or what comes nearest.

    A way that was not timed for the kind: its elements, and the calls and rows of that
    way for 'add'. A format that was not timed: fp32. A kind that was not timed: what
    stands in for its family.
    """
    bare, _, suffix = kind.partition("_")
    for known in (f"{kind}.{dtype}", f"{kind}.fp32"):
        if known in library.calls:
            return library.calls[known]
    stand_in = {"special": "exp", "reduction": "sum", "movement": "copy_strided"}.get(of, "add")
    names = (f"{n}.{d}" for n in (bare, stand_in, "add") for d in (dtype, "fp32"))
    found = next(library.calls[n] for n in (*names, *library.calls) if n in library.calls)
    way_of_add = library.calls.get(f"add_{suffix}.fp32")
    if suffix and way_of_add:
        found = replace(
            found, call=way_of_add.call, row=way_of_add.row, line=way_of_add.line,
            element=max(found.element, way_of_add.element if suffix == "strided" else 0.0),
        )  # fmt: skip
    return found


def kernel_seconds(
    passes: Sequence[Pass], library: Library, python: int = 0, category: str = "all"
) -> tuple[float, float, float]:
    """Return the seconds of a kernel, and the ends of its 90 % interval.

    ``python`` counts the steps of its own code between the calls; ``category`` is its
    operator's class, whose spread the interval has.
    """
    total = float(np.sum(pass_seconds(passes, library)))
    total += library.run + python * library.python
    factor = library.spread.get(category, library.spread.get("all", UNKNOWN))
    return total, total / factor, total * factor


def parts(passes: Sequence[Pass], library: Library, python: int = 0) -> dict[str, Any]:
    """Return what binds a kernel, and the seconds of its passes by family.

    ``bound`` is the largest of the seconds of Python code, calls and inner loops
    ('overhead'), of passes whose arithmetic is slower than memory ('compute'), and of
    the rest.
    """
    seconds = pass_seconds(passes, library)
    overhead = library.run + python * library.python
    split = {"overhead": overhead, "compute": 0.0, "bandwidth": 0.0}
    by_family: dict[str, float] = {}
    for p, total in zip(passes, seconds, strict=True):
        kind, c = way(p), columns([p])
        by_family[family(p)] = by_family.get(family(p), 0.0) + float(total)
        if kind == "gemm" and p.dtype in library.products:
            product = library.products[p.dtype]
            fixed = (product.call + p.batch * product.matrix) * p.calls
            hidden = True
        else:
            cost = call_cost(library, kind, p.dtype, family(p))
            fixed = float(cost.call + c.rows[0] * cost.row) * p.calls
            arithmetic = float(c.work[0] * cost.element)
            hidden = arithmetic >= float(memory_seconds(c, library.levels)[0])
        fixed = min(fixed, float(total))
        split["overhead"] += fixed
        split["compute" if hidden else "bandwidth"] += float(total) - fixed
    return {"bound": max(split, key=lambda k: split[k]), "by_family": by_family, "split": split}
