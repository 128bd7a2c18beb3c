"""Rows gathered by index: embeddings, their bags, gather and scatter."""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise
from typing import Any

from perfmodel.kernels import cuda
from perfmodel.kernels.arrays import shape_of, values_of
from perfmodel.kernels.fast._blocks import BLOCK_BYTES, ranges
from perfmodel.kernels.registry import kernel

#: bytes of gathered rows that wait in cache to be summed
BAGS_BYTES = 2 * BLOCK_BYTES


def take(xp: Any, table: Any, indices: Any, axis: int, out: Any) -> Any:
    """Set out to the rows of a table; indices are in range, so none is checked twice."""
    if cuda.on_gpu(xp):
        return xp.take(table, indices, axis=axis, out=out)
    return xp.take(table, indices, axis=axis, out=out, mode="clip")


@kernel("embedding", "one_hot_affine")
def embedding(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """One gather; a product with one-hot vectors is nothing else."""
    return take(xp, a.weights["table"], a.x, 0, ws.output(a))


def _empty_bags(op: Any, t: Any) -> str | None:
    lookups, bags = t.x.elements, t.y.shape[0]
    return f"{bags} bags of {lookups} lookups leave some empty" if bags > lookups else None


@kernel("embedding_bag", refuses=_empty_bags)
def embedding_bag(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """Rows gathered for some bags at a time, summed while in cache.

    Bags of one length are summed along an axis, others between their offsets.
    """
    out, table = ws.output(a), a.weights["table"]
    row = out.shape[1] * out.itemsize
    if len(a.inputs) == 2 and cuda.on_gpu(xp):
        cuda.bags(xp, table, *a.inputs, out)
    elif len(a.inputs) == 2:
        _between_offsets(xp, ws, a, table, out, row)
    else:
        bags, length = a.x.shape
        for block in ranges(xp, bags, length * row, BAGS_BYTES):
            rows = ws.buffer("rows", (block.stop - block.start, length, out.shape[1]), out.dtype)
            take(xp, table, a.x[block], 0, rows)
            xp.sum(rows, axis=1, out=out[block])
    if op.mode == "mean" and len(a.inputs) == 2:
        xp.multiply(out, ws.once("shares", lambda: _shares(xp, a, out.dtype)), out=out)
    elif op.mode == "mean":
        xp.multiply(out, 1.0 / a.x.shape[1], out=out)
    return out


def _between_offsets(xp: Any, ws: Any, a: Any, table: Any, out: Any, row: int) -> None:
    """Sum bags of any length; a statement of passes supposes that all are equally long."""
    indices, offsets = a.inputs
    bags, lookups = offsets.shape[0], indices.shape[0]
    even = [lookups * bag // bags for bag in range(bags)]
    starts = even if cuda.is_dry(xp) else offsets.tolist()
    starts.append(lookups)
    most = max(int(BAGS_BYTES // row), 1)
    longest = max(b - a for a, b in pairwise(starts))
    rows = ws.buffer("rows", (min(max(most, longest), lookups), out.shape[1]), out.dtype)
    first = 0
    while first < bags:
        last = max(bisect_right(starts, starts[first] + most) - 1, first + 1)
        low, high = starts[first], starts[last]
        part = rows[: high - low]
        take(xp, table, indices[low:high], 0, part)
        places = xp.subtract(offsets[first:last], low)
        xp.add.reduceat(part, places, axis=0, out=out[first:last])
        first = last


def _shares(xp: Any, a: Any, dtype: Any) -> Any:
    """Return one over the length of each bag, [B, 1]."""
    starts = a.inputs[1].reshape(-1, 1)
    ends = xp.full(starts.shape, a.x.shape[0], dtype=str(starts.dtype))
    xp.copyto(ends[:-1], starts[1:])
    lengths = xp.subtract(ends, starts).astype(dtype)
    return xp.reciprocal(lengths)


def _indices(limit: str) -> Any:
    def make(op: Any, t: Any, shape: tuple[int, ...], rng: Any) -> Any:
        return rng.integers(0, int(getattr(op, limit)), shape)

    return make


for _name in ("embedding", "embedding_bag", "one_hot_affine"):
    values_of(_name, 0)(_indices("rows"))


@values_of("embedding_bag", 1)
def _offsets(op: Any, t: Any, shape: tuple[int, ...], rng: Any) -> Any:
    import numpy as np

    lookups, bags = shape_of(t.x)[0], shape[0]
    inner = 1 + rng.choice(lookups - 1, bags - 1, replace=False) if bags > 1 else []
    return np.sort(np.concatenate([[0], inner])).astype("int64")


@kernel("gather")
def gather(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """One gather along an axis."""
    x, indices = a.inputs
    return take(xp, x, indices, op.axis % x.ndim, ws.output(a))


@values_of("gather", 1)
def _gathered(op: Any, t: Any, shape: tuple[int, ...], rng: Any) -> Any:
    return rng.integers(0, int(t.x.shape[op.axis]), shape)


@values_of("scatter", 1)
def _scattered(op: Any, t: Any, shape: tuple[int, ...], rng: Any) -> Any:
    import math

    # Distinct rows: which of two values stays is up to the library.
    rows, count = int(t.x.shape[0]), math.prod(shape)
    if count <= rows:
        return rng.permutation(rows)[:count].reshape(shape)
    return rng.integers(0, rows, shape)


@kernel("scatter")
def scatter(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """A copy, then rows put, or added one after the other, at the indices."""
    x, indices, updates = a.inputs
    out = ws.output(a)
    xp.copyto(out, x)
    if op.mode == "add":
        xp.add.at(out, indices, updates)
    else:
        out[indices] = updates
    return out
