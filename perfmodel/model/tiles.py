"""How long a device takes over matrix products and attention cut into tiles.

Everything is vectorised: sizes may be arrays. The best of a menu of tiles and splits of
the depth is taken, as a library's heuristic would. Each candidate's time does not
decrease with any size, so neither does the least of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from perfmodel.core.dims import Array, Dim, total, where

#: rows and columns of the output that one unit computes at a time
TILES = (
    (32, 32), (64, 64), (128, 32), (32, 128), (64, 128), (128, 64), (128, 128), (128, 256),
    (256, 128),
)  # fmt: skip
#: parts that the depth may be cut into, each computed by a unit of its own
SPLITS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
#: products of a step that feeding a tile's edges is worth: (rows + columns) times this
FEED = 15.0
#: depth that starting and ending a tile is worth on engines for matrices
FILL = 96.0
#: exponent by which a step's three limits combine
STEP_NORM = 3.0
#: share of the latency of a split that every further wave of tiles costs
WAVE_LATENCY = 0.15
#: seconds from which a kernel runs at the clock that the power limit sustains
HEATING = 5e-4
#: points evaluated at once, so that intermediate arrays stay in cache
BLOCK = 1 << 12
#: points up to which the candidates are an axis of the arrays rather than a loop
FEW = 64


@dataclass(frozen=True)
class Tiling:
    """A device as tiles see it.

    ``units`` work side by side, each at ``rate`` products (multiply-adds) a second; a
    step of the depth takes at least ``step`` products' time, and ``feed`` times the edges
    of the tile; a tile takes ``fill`` steps more than its depth; ``latency`` seconds are
    lost by a split, ``throttle`` is the share by which kernels far over HEATING slow
    down. ``bytes_per_s`` is the achievable bandwidth;
    ``hard``: the slower of compute and memory counts alone.
    """

    units: float
    rate: float
    step: float
    feed: float
    fill: float
    latency: float
    throttle: float
    bytes_per_s: float
    hard: bool
    tiles: tuple[tuple[int, int], ...] = TILES
    splits: tuple[int, ...] = SPLITS


def combine(hard: bool, first: Dim, second: Dim) -> Array:
    """Return the larger of the two where ``hard``, else the cube root of the sum of cubes."""
    a, b = np.broadcast_arrays(np.asarray(first, np.float64), np.asarray(second, np.float64))
    largest: Array = np.maximum(a, b)
    if hard:
        return largest
    safe = np.where(largest > 0, largest, 1.0)
    ratio = np.minimum(a, b) / safe
    joined = safe * np.cbrt(1.0 + ratio * ratio * ratio) * (largest > 0)
    # Never below the larger, whatever the rounding.
    together: Array = np.maximum(largest, joined)
    return together


def throttled(seconds: Array, share: float) -> Array:
    """Return the time at the clock that long kernels sustain; nothing changes far below HEATING."""
    longer: Array = seconds + share * seconds * seconds / (seconds + HEATING)
    return longer


def gemm_seconds(
    groups: Dim, m: Dim, n: Dim, k: Dim, memory: Dim, partial_bytes: Dim, on: Tiling
) -> tuple[Array, Array]:
    """Return (seconds, seconds of compute alone) of ``groups`` products c[m,n] = a[m,k] b[k,n].

    ``memory`` is the seconds of moving the operands, ``partial_bytes`` what one set of
    partial sums takes. A wave is as many tiles as there are units; it costs ``k`` steps,
    and those of its start and end:

        step = norm(tm tn, feed (tm + tn), step) products
        time = norm(waves (k / splits + fill) step / rate, memory) + latency of the split
    """
    arrays = np.broadcast_arrays(groups, m, n, k, memory, partial_bytes)
    shape = arrays[0].shape
    flat = [np.ascontiguousarray(a, dtype=np.float64).ravel() for a in arrays]
    time, compute = np.empty(flat[0].size), np.empty(flat[0].size)
    for start in range(0, flat[0].size, BLOCK):
        part = slice(start, start + BLOCK)
        time[part], compute[part] = _best([a[part] for a in flat], on)
    return time.reshape(shape), compute.reshape(shape)


def systolic_seconds(
    groups: Dim, m: Dim, n: Dim, k: Dim, memory: Dim, on: Tiling
) -> tuple[Array, Array]:
    """Return (seconds, seconds of compute alone) of products on arrays that hold the weights.

    An array of R x C cells holds a tile of b[k,n]; the rows of a stream through it, and
    filling and draining it takes R cycles more:

        time = norm(groups ceil(k / R) ceil(n / C) (m + R) R C / rate of all arrays, memory)
    """
    ((height, width),) = on.tiles
    passes = groups * np.ceil(np.asarray(k, np.float64) / height) * np.ceil(np.divide(n, width))
    alone: Array = passes * (m + height) * (height * width) / (on.rate * on.units)
    return combine(on.hard, alone, memory), alone


def _best(sizes: Sequence[Array], on: Tiling) -> tuple[Array, Array]:
    """Return the least time over all candidates."""
    groups, m, n, *_ = sizes
    # Libraries do not split the depth of products in a batch.
    splitting = np.where(groups > 1, np.inf, on.latency)
    if groups.size <= FEW:
        menu = np.array([(tm, tn, s) for tm, tn in on.tiles for s in on.splits], dtype=np.float64)
        tm, tn, splits = menu[:, 0:1], menu[:, 1:2], menu[:, 2:3]
        load = np.ceil(m / tm) * groups * np.ceil(n / tn) / on.units
        time, alone = _times(sizes, load, _step(tm, tn, on), splits, splitting, on)
        first = np.argmin(time, axis=0)[None]
        return np.take_along_axis(time, first, 0)[0], np.take_along_axis(alone, first, 0)[0]
    best, compute = np.full(groups.size, np.inf), np.zeros(groups.size)
    edges = sorted({edge for tile in on.tiles for edge in tile})
    rows = {edge: np.ceil(m / edge) * groups for edge in edges}
    columns = {edge: np.ceil(n / edge) for edge in edges}
    for tile in on.tiles:
        load = rows[tile[0]] * columns[tile[1]] / on.units
        for parts in on.splits:
            time, alone = _times(sizes, load, _step(*tile, on), parts, splitting, on)
            better = time < best
            best, compute = np.where(better, time, best), np.where(better, alone, compute)
    return best, compute


def _step(tm: Dim, tn: Dim, on: Tiling) -> Dim:
    """Return the products' time that a step of the depth takes."""
    limits = (tm * tn, on.feed * (tm + tn), on.step)
    return total(x**STEP_NORM for x in limits) ** (1 / STEP_NORM)


def _times(
    sizes: Sequence[Array], load: Array, step: Dim, splits: Dim, splitting: Array, on: Tiling
) -> tuple[Array, Array]:
    """Return seconds, and seconds of compute alone, of one candidate or of a column of them."""
    _, _, _, k, memory, partial = sizes
    tile = (k / splits + on.fill) * (step / on.rate) + WAVE_LATENCY * on.latency
    # A menu of one has no quantum: a core takes any share of a block.
    waves = np.ceil(load * splits) if len(on.tiles) > 1 else load
    alone = throttled(waves * tile, on.throttle)
    written = 2 * where(splits > 1, splits, 0.0) * partial / on.bytes_per_s
    return combine(on.hard, alone, memory + written) + where(splits > 1, splitting, 0.0), alone
