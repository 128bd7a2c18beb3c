"""SLIDE: neurons that share a bucket with the input are computed, the others are not.

Hash tables are built once over the neurons and hold buckets of one size, as SLIDE's do.
Which neurons a bucket holds follows the naive kernel's rule, since real tables are built
from trained weights. Source: Chen et al., arXiv:1903.03129.
"""

from __future__ import annotations

from typing import Any

from perfmodel.kernels.arrays import shape_of, values_of
from perfmodel.kernels.fast.embedding import take
from perfmodel.kernels.registry import kernel

#: tables are looked up until they hold this many times the neurons wanted
ENOUGH = 2


@kernel("slide_affine")
def slide_affine(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """Hash, look up, drop what was found before, then a product with the rows of each input."""
    out, w = ws.output(a), a.weights
    x = a.x.reshape(-1, a.x.shape[-1])
    active = out.shape[-1]
    buckets, codes = _codes(xp, ws, w, x)
    table = ws.once("tables", lambda: _tables(xp, op.units, buckets, codes.shape[1], active))
    tables, room = table.shape[0], table.shape[2]
    found = ws.buffer("found", (x.shape[0], tables * room + active), "int64")
    for number in range(tables):
        part = found[:, number * room : (number + 1) * room]
        xp.copyto(part, xp.take(table[number], codes[:, number], axis=0))
    # The neurons that fill up a short list.
    xp.copyto(found[:, tables * room :], ws.once("others", lambda: xp.arange(active)))
    chosen = _first_distinct(xp, ws, found, active, op.units)
    rows = ws.buffer("rows", (active, x.shape[1]), x.dtype)
    bias = ws.buffer("bias", (active,), x.dtype)
    y = out.reshape(-1, active)
    for i in range(x.shape[0]):
        take(xp, w["weight"], chosen[i], 0, rows)
        take(xp, w["bias"], chosen[i], 0, bias)
        if x.shape[1] == 1:
            xp.multiply(rows, x[i], out=y[i].reshape(-1, 1))
        else:
            xp.matmul(rows, x[i].reshape(-1, 1), out=y[i].reshape(-1, 1))
        xp.add(y[i], bias, out=y[i])
    return out


def _codes(xp: Any, ws: Any, w: Any, x: Any) -> tuple[int, Any]:
    """Return the buckets of a table, and each input's bucket in every table, [M, tables]."""
    if "positions" in w:
        tables, hashes, size = w["positions"].shape
        places = ws.once("places", lambda: _wrapped(xp, w["positions"], x.shape[1]))
        values = xp.take(x, places, axis=1).reshape(x.shape[0], tables, hashes, size)
        digits = xp.argmax(values, axis=3)
        buckets = size**hashes
        powers = [size ** (hashes - 1 - i) for i in range(hashes)]
    else:
        tables, hashes, _ = w["hyperplanes"].shape
        planes = w["hyperplanes"].reshape(tables * hashes, -1)
        sides = ws.buffer("sides", (x.shape[0], tables * hashes), x.dtype)
        if x.shape[1] == 1:
            xp.multiply(x, planes.T, out=sides)
        else:
            xp.matmul(x, planes.T, out=sides)
        above = xp.greater(sides, 0.0)
        digits = above.astype("int64").reshape(x.shape[0], tables, hashes)
        buckets = 2**hashes
        powers = [2 ** (hashes - 1 - i) for i in range(hashes)]
    weights = ws.once("powers", lambda: xp.asarray(powers))
    xp.multiply(digits, weights, out=digits)
    return buckets, xp.sum(digits, axis=2)


def _wrapped(xp: Any, positions: Any, size: int) -> Any:
    return xp.remainder(positions.astype("int64").reshape(-1), size)


def _tables(xp: Any, units: int, buckets: int, tables: int, active: int) -> Any:
    """Return the neurons of each bucket, [tables, buckets, room]; ``units`` where it is empty."""
    import numpy as np

    room = -(-units // buckets) if buckets < units else 1
    wanted = min(tables, -(-ENOUGH * active // room) + 1)
    rows = []
    for number in range(wanted):
        code = np.arange(units, dtype=np.int64) * (2 * number + 1) % buckets
        order = np.argsort(code, kind="stable")
        counts = np.bincount(code, minlength=buckets)
        place = np.arange(units) - np.repeat(np.cumsum(counts) - counts, counts)
        made = np.full((buckets, max(room, int(counts.max()))), units, dtype=np.int64)
        made[code[order], place] = order
        rows.append(made)
    room = max(r.shape[1] for r in rows)
    full = np.full((wanted, buckets, room), units, dtype=np.int64)
    for number, made in enumerate(rows):
        full[number, :, : made.shape[1]] = made
    return xp.asarray(full)


def _first_distinct(xp: Any, ws: Any, found: Any, count: int, units: int) -> Any:
    """Return the first ``count`` distinct neurons of each row, in order, [M, count]."""
    wide = found.shape[1]
    order = xp.argsort(found, axis=1, kind="stable")
    sorted_ = xp.take_along_axis(found, order, axis=1)
    dropped = ws.buffer("dropped", found.shape, "bool")
    xp.equal(sorted_, units, out=dropped)
    again = xp.equal(sorted_[:, 1:], sorted_[:, :-1])
    xp.logical_or(dropped[:, 1:], again, out=dropped[:, 1:])
    # Back in the order found: a dropped place goes behind all others.
    keys = ws.buffer("keys", found.shape, "int64")
    late = dropped.astype("int64")
    xp.multiply(late, wide, out=late)
    xp.put_along_axis(keys, order, late, axis=1)
    xp.add(keys, ws.once("numbers", lambda: xp.arange(wide)), out=keys)
    if count < wide:
        first = xp.argpartition(keys, count - 1, axis=1)[:, :count]
    else:
        first = xp.argsort(keys, axis=1)
    chosen_keys = xp.take_along_axis(keys, first, axis=1)
    first = xp.take_along_axis(first, xp.argsort(chosen_keys, axis=1), axis=1)
    return xp.take_along_axis(found, first, axis=1)


@values_of("slide_affine", "positions")
def _positions(op: Any, t: Any, shape: tuple[int, ...], rng: Any) -> Any:
    return rng.integers(0, shape_of(t.x)[-1], shape)
