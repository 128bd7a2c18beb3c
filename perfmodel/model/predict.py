"""The prediction: the roofline at achievable shares, tiles and waves, launches, an interval.

    time = norm(engines at their shares, levels at theirs) + launches x overhead

Products take the tile model instead of their engine's share alone. Every term can be
switched off; with all of them off the time is the roofline of theoretical figures.
"""

from __future__ import annotations

from collections.abc import Set
from typing import get_args

from perfmodel.core import Dim, Work
from perfmodel.core.dims import clip, is_scalar, maximum, minimum, total, where
from perfmodel.core.gemms import GemmTraffic
from perfmodel.core.operator import Category
from perfmodel.core.work import AttentionSizes
from perfmodel.machine import Efficiency, Launch, Machine, efficiency_of
from perfmodel.model import roofline
from perfmodel.model.attention import Blocking, attention_seconds
from perfmodel.model.tiles import FEED, SPLITS, TILES, Tiling, combine, gemm_seconds
from perfmodel.model.times import Times

#: what can be switched off, to show what it is worth
TERMS = ("launches", "shares", "tiles", "split", "residency", "norm", "throttle")
#: attention reaches this share of what long products reach
ATTENTION_SHARE = 0.7
#: attention starts several kernels: it plans its splits, computes, adds them up
ATTENTION_LAUNCHES = 5
#: additions and functions reach this share of their engine's peak
VECTOR_SHARE = 0.95
#: bytes over the last cache's capacity between which data stops to stay from one
#: execution to the next: a benchmark rotates its buffers, so it is far below 1
RESIDENT = (0.13, 0.19)
#: a product with a side this small has kernels without tiles, on the vector engine
NARROW = 4

#: eager: share of a launch that the device sees; the rest passes while it computes
DEVICE_SHARE = 0.5
#: eager: a launch of the category over that of a sum of two tensors, for what the host
#: does besides (allocations, statistics, choice of a kernel)
HOST_WORK = {"dense": 1.3, "attention": 1.5, "normalization": 1.75, "reduction": 1.27}
#: the same where a kernel reads one tensor only
ONE_INPUT = 1.18
#: seconds that one unit spends on one row of a normalization
ROW_SECONDS = 0.6e-6
#: bytes of a row up to which a softmax keeps it in registers, and what that spares
SHORT_ROW, SHORT_SPARES = 4096, 0.25

_FAMILY = {"dense": "product", "attention": "attention", "normalization": "rows"}
_FAMILY |= {"reduction": "rows"}
assert set(_FAMILY) <= set(get_args(Category))


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
    warm: bool = False,
    without: Set[str] = frozenset(),
) -> Times:
    """Return the times of ``work`` on ``machine``.

    ``accumulate`` is the format in which matrix products are summed, at the
    least; None for what the device takes by itself. ``category`` is the operator's;
    ``warm`` says that the same buffers were just used, as in a benchmark's loop;
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
        if machine.kind != "gpu":
            levels = {name: t / eff["memory_share"] for name, t in levels.items()}
            levels[last] = levels[last] * eff["memory_share"]
        levels[last] = levels[last] / _stream_share(work, category, eff)
    if warm and "residency" not in without:
        levels[last] = levels[last] * _stays(by_level[last], machine, eff)
    memory = maximum(0.0, *levels.values())
    hard = "norm" in without
    rows = work.rows if category == "normalization" and machine.kind == "gpu" else None
    if rows is not None and "tiles" not in without:
        memory = combine(hard, memory, rows * (ROW_SECONDS / machine.engines[0].count))

    engines = {
        name: seconds / _share(engine.kind, family, eff, without)
        for name, (engine, seconds) in found.items()
    }
    busy: Dim = combine(hard, maximum(0.0, *engines.values()), memory)
    if family == "product" and "tiles" not in without:
        # What feeds a unit is part of a tile's step.
        if machine.kind == "gpu":
            shared = [v for v in machine.memory if v.scope != "unit" and v.name in levels]
            if len(machine.memory) > 1 and machine.memory[-2].capacity is None:
                compulsory = (work.bytes_read + work.bytes_written) / by_level[last]
                levels[last] = levels[last] * compulsory
            memory = maximum(0.0, *(levels[v.name] for v in shared))
        tiled = _products(work, machine, accumulate, memory, eff, without)
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
        overhead = _launches(work, category, machine, launch, eff, busy)
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
    return eff["compute_share"] * (ATTENTION_SHARE if family == "attention" else 1.0)


def _stream_share(work: Work, category: str, eff: Efficiency) -> Dim:
    """Return the share of the last level's bandwidth that a kernel reaches."""
    if family_of(category) != "rows":
        return eff["memory_share"]
    share = eff["memory_share"] * eff["row_share"]
    if work.rows is None or category != "reduction":
        return share
    # Between one and two short rows the advantage fades.
    short = clip(2.0 - work.bytes_read / work.rows / SHORT_ROW, 0.0, 1.0)
    return minimum(eff["memory_share"], share / (1.0 - SHORT_SPARES * short))


def _launches(
    work: Work, category: str, machine: Machine, launch: Launch, eff: Efficiency, busy: Dim
) -> Dim:
    """Return the seconds that launches add to ``busy``.

    In a graph each adds its own. Eager, the host launches ahead: a kernel that takes
    longer than its launch hides it, but for the device's share.
    """
    each = eff[f"launch_{launch}"]
    count = work.launches
    if work.attention is not None and machine.kind == "gpu":
        count = count * ATTENTION_LAUNCHES
    if launch == "graph":
        return count * each
    reads = sum(1 for access in work.accesses if access.direction == "read")
    factor = HOST_WORK.get(category, ONE_INPUT if reads == 1 else 1.0)
    return maximum(count * each * DEVICE_SHARE, count * each * factor - busy)


def _stays(moved: Dim, machine: Machine, eff: Efficiency) -> Dim:
    """Return the factor on the last level's time where part of ``moved`` stays in cache."""
    cache = machine.memory[-2].capacity if len(machine.memory) > 1 else None
    if cache is None:
        return 1.0
    low, high = RESIDENT
    missed = clip((moved / cache - low) / (high - low), 0.0, 1.0)
    return missed + (1.0 - missed) / eff["cache_gain"]


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
    bandwidth = machine.last_level.bandwidth
    assert found is not None
    assert bandwidth is not None
    engine, rate, factor = found
    off = "shares" in without
    on = Blocking(
        units=float(engine.count),
        rate=rate.peak
        / (2 * factor * engine.count)
        * (1.0 if off else eff["compute_share"] * ATTENTION_SHARE),
        block=eff["block"],
        latency=eff["latency"],
        bytes_per_s=bandwidth * (1.0 if off else eff["memory_share"]),
        hard="norm" in without,
    )
    return engine.name, *attention_seconds(sizes, memory, on)


def _products(
    work: Work,
    machine: Machine,
    accumulate: str | None,
    memory: Dim,
    eff: Efficiency,
    without: Set[str],
) -> tuple[str, Dim, Dim] | None:
    """Return (engine, seconds, seconds of compute alone) of the products in ``work``.

    None where it has none. Products one after the other share ``memory`` by their MACs.
    """
    traffic = work.extra_traffic
    formats = [dtype for kind, dtype in work.ops if kind == "matrix"]
    if not isinstance(traffic, GemmTraffic) or len(formats) != 1:
        return None
    found = machine.rate("matrix", formats[0], accumulate, work.sparsity)
    last = machine.last_level.bandwidth
    if found is None or last is None:
        return None
    engine, rate, factor = found
    macs = total(gemm.macs for gemm in traffic.gemms)
    # What is skipped, or computed in vain, makes the depth shorter or longer.
    stretch = work.ops["matrix", formats[0]] * factor / (2 * macs)
    units = float(engine.count)
    off = "shares" in without
    share = 1.0 if off else eff["compute_share"]
    gpu = machine.kind == "gpu"
    on = Tiling(
        units=units,
        rate=rate.peak / 2 / units * share,
        step=eff["step"],
        feed=FEED if gpu else 0.0,
        latency=eff["latency"],
        throttle=0.0 if "throttle" in without else eff["throttle"],
        bytes_per_s=last * (1.0 if off else eff["memory_share"]),
        hard="norm" in without,
        tiles=TILES if gpu else ((1, 1),),
        splits=SPLITS if gpu and "split" not in without else (1,),
    )
    narrow = machine.rate("vector", formats[0]) if gpu else None
    seconds: Dim = 0.0
    compute: Dim = 0.0
    for gemm in traffic.gemms:
        part = memory * (gemm.macs / macs)
        partial = gemm.groups * gemm.m * gemm.n * traffic.accumulator_bytes
        time: Dim
        alone: Dim
        time, alone = gemm_seconds(gemm.groups, gemm.m, gemm.n, gemm.k * stretch, part, partial, on)
        if narrow is not None:
            lanes = gemm.macs * stretch * 2 / (narrow[1].peak * VECTOR_SHARE)
            fits = minimum(gemm.m, gemm.n) <= NARROW
            direct = combine(on.hard, lanes, part)
            better = fits & (direct < time)
            time, alone = where(better, direct, time), where(better, lanes, alone)
        seconds, compute = seconds + time, compute + alone
    return engine.name, seconds, compute
