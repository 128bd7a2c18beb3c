"""The prediction: the roofline at achievable shares, tiles and waves, launches, an interval.

    time = norm(engines at their shares, levels at theirs) + launches x overhead

Products take the tile model instead of their engine's share alone. Every term can be
switched off; with all of them off the time is the roofline of theoretical figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import get_args

from perfmodel.core import Dim, Work
from perfmodel.core.dims import clip, is_scalar, maximum
from perfmodel.core.operator import Category
from perfmodel.core.work import AttentionSizes
from perfmodel.machine import Efficiency, Launch, Machine, clock_of, efficiency_of
from perfmodel.model import roofline
from perfmodel.model.attention import (
    COMPUTE_SHARE,
    DRAW,
    MEMORY_SHARE,
    Blocking,
    attention_seconds,
)
from perfmodel.model.launches import launch_seconds
from perfmodel.model.products import products
from perfmodel.model.rows import row_seconds
from perfmodel.model.tiles import combine
from perfmodel.model.times import Times

#: what can be switched off, to show what it is worth
TERMS = ("launches", "shares", "tiles", "split", "residency", "norm", "throttle")
#: vector and special engines reach this share of their peak
VECTOR_SHARE = 0.95
#: tiles reach this share of the bandwidth of streams
TILES_SHARE = 0.85
#: what a byte written costs over one read, less one
WRITING = 0.14
#: bytes over the last cache's capacity between which data stops to stay from one
#: execution to the next. Benchmarks of products rotate their inputs, not their output.
RESIDENT = (0.65, 0.90)
RESIDENT_INPUTS = (0.13, 0.19)

#: categories with kernels of their own kind; the others stream
_FAMILY = {"dense": "product"} | {n: n for n in ("attention", "normalization", "reduction")}
assert set(_FAMILY) <= set(get_args(Category))
#: families whose kernels take row by row
_ROWS = ("normalization", "reduction")


def family_of(category: str) -> str:
    """Return the family of kernels that operators of ``category`` belong to."""
    return _FAMILY.get(category, "stream")


def estimate(
    work: Work,
    machine: Machine,
    launch: Launch = "graph",
    accumulate: str | None = None,
    *,
    category: str = "",
    host_work: float = 1.0,
    warm: bool = False,
    without: Set[str] = frozenset(),
) -> Times:
    """Return the times of ``work`` on ``machine``.

    ``accumulate`` is the format in which matrix products are summed, at the
    least; None for what the device takes by itself. ``category`` and ``host_work`` are
    the operator's; ``warm`` says that the same buffers were just used, as in a benchmark's loop;
    ``without`` names terms of TERMS to leave out.
    Raises InputError where the device cannot do matrix work in the format, or
    sum it so.
    """
    work = roofline.summing(work, machine, accumulate)
    found = roofline.engine_times(work, machine, accumulate)
    levels, by_level = roofline.level_times(work, machine)
    floor = roofline.ideal(work, machine, found)
    peak = maximum(0.0, *(seconds for _, seconds in found.values()))
    eff = efficiency_of(machine)
    family = family_of(category)

    last = machine.last_level.name
    if "shares" not in without:
        levels = _achieved(work, levels, machine, family, eff)
    if warm and "residency" not in without:
        levels[last] = levels[last] * _stays(work, by_level[last], machine, family, eff)
    memory = maximum(0.0, *levels.values())
    hard = "norm" in without
    if "tiles" not in without:
        memory = row_seconds(work, category, memory, machine, eff, hard)

    engines = {
        name: seconds / _share(engine.kind, family, eff, without)
        for name, (engine, seconds) in found.items()
    }
    busy: Dim = combine(hard, maximum(0.0, *engines.values()), memory)
    if family == "product" and "tiles" not in without:
        if machine.kind == "gpu":
            memory = _feeding(work, levels, by_level, machine)
        tiled = products(work, machine, accumulate, memory, eff, without)
        if tiled is not None:
            name, busy, alone = tiled
            engines[name] = alone
            others = maximum(0.0, *(t for other, t in engines.items() if other != name))
            busy = maximum(busy, others)
    if work.attention is not None and machine.kind == "gpu" and "tiles" not in without:
        name, busy, alone = _attention(work, work.attention, machine, memory, eff, without)
        engines[name] = alone
    if not warm:
        busy = maximum(busy, floor)
    overhead: Dim = 0.0 * work.launches
    if "launches" not in without:
        overhead = launch_seconds(work, category, host_work, launch, eff, busy)
    if is_scalar(*by_level.values(), *(t for _, t in found.values()), work.launches):
        busy, overhead = float(busy), float(overhead)
        engines = {name: float(t) for name, t in engines.items()}
        levels = {name: float(t) for name, t in levels.items()}
    time = busy + overhead
    spread = eff.spread[family]
    low = time / spread
    return Times(
        engines=engines,
        levels=levels,
        bytes_by_level=by_level,
        overhead=overhead,
        time=time,
        low=low if warm else maximum(low, floor),
        high=time * spread,
        ideal=floor,
        peak=peak,
    )


def _share(kind: str, family: str, eff: Efficiency, without: Set[str]) -> float:
    if "shares" in without:
        return 1.0
    if kind != "matrix":
        return VECTOR_SHARE
    return eff["compute_share"] * (COMPUTE_SHARE if family == "attention" else 1.0)


def _achieved(
    work: Work, levels: Mapping[str, Dim], machine: Machine, family: str, eff: Efficiency
) -> dict[str, Dim]:
    """Return the seconds of each level at the share of its bandwidth that kernels reach.

    Of a GPU, the last level alone: what its caches reach is part of the step of a tile.
    """
    share = eff["memory_share"] * (eff["row_share"] if family in _ROWS else 1.0)
    if machine.kind != "gpu":
        return {name: seconds / share for name, seconds in levels.items()}
    share = share * {"product": TILES_SHARE, "attention": MEMORY_SHARE}.get(family, 1.0)
    last, found = machine.last_level, dict(levels)
    assert last.bandwidth is not None
    if family in ("stream", *_ROWS):
        found[last.name] = found[last.name] + WRITING * work.bytes_written / last.bandwidth
    return found | {last.name: found[last.name] / share}


def _feeding(
    work: Work, levels: Mapping[str, Dim], by_level: Mapping[str, Dim], machine: Machine
) -> Dim:
    """Return the seconds of the levels that all units share; a unit's own is part of a step."""
    last = machine.last_level.name
    times = {
        v.name: levels[v.name] for v in machine.memory if v.scope != "unit" and v.name in levels
    }
    if len(machine.memory) > 1 and machine.memory[-2].capacity is None:
        # Nobody knows what the cache holds: each byte once.
        compulsory = (work.bytes_read + work.bytes_written) / by_level[last]
        times[last] = times[last] * compulsory
    return maximum(0.0, *times.values())


def _stays(work: Work, moved: Dim, machine: Machine, family: str, eff: Efficiency) -> Dim:
    """Return the factor on the last level's time where part of ``moved`` stays in cache."""
    cache = machine.memory[-2].capacity if len(machine.memory) > 1 else None
    if cache is None:
        return 1.0
    missed = _ramp(moved / cache, RESIDENT)
    if family != "attention":
        written = work.bytes_written / maximum(moved, 1.0)
        missed = written * missed + (1.0 - written) * _ramp(moved / cache, RESIDENT_INPUTS)
    return missed + (1.0 - missed) / eff["cache_gain"]


def _ramp(value: Dim, between: tuple[float, float]) -> Dim:
    low, high = between
    return clip((value - low) / (high - low), 0.0, 1.0)


def _attention(
    work: Work,
    sizes: AttentionSizes,
    machine: Machine,
    memory: Dim,
    eff: Efficiency,
    without: Set[str],
) -> tuple[str, Dim, Dim]:
    """Return (engine, seconds, seconds of the blocks alone) of a fused attention kernel."""
    dtype = next(dtype for kind, dtype in work.ops if kind == "matrix")
    found = machine.rate("matrix", dtype)
    assert found is not None
    engine, rate, factor = found
    off = "shares" in without
    on = Blocking(
        units=float(engine.count),
        rate=rate.peak
        / (2 * factor * engine.count)
        * (1.0 if off else eff["compute_share"] * COMPUTE_SHARE),
        draw=DRAW * clock_of(machine),
        hard="norm" in without,
    )
    return engine.name, *attention_seconds(sizes, memory, on)
