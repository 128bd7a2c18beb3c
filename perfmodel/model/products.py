"""Matrix products in a Work as tiles see them: the engine, what feeds it, each product."""

from __future__ import annotations

from collections.abc import Set

from perfmodel.core import Dim, Work
from perfmodel.core.dims import minimum, total, where
from perfmodel.core.gemms import GemmTraffic
from perfmodel.machine import Efficiency, Machine
from perfmodel.model.tiles import FEED, FILL, SPLITS, TILES, Tiling, combine, gemm_seconds


def products(
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
        fill=FILL if gpu and engine.kind == "matrix" else 0.0,
        latency=eff["latency"],
        throttle=0.0 if "throttle" in without else eff["throttle"],
        bytes_per_s=last * (1.0 if off else eff["memory_share"]),
        hard="norm" in without,
        tiles=TILES if gpu else ((1, 1),),
        splits=SPLITS if gpu and "split" not in without else (1,),
    )
    seconds: Dim = 0.0
    compute: Dim = 0.0
    for gemm in traffic.gemms:
        part = memory * (gemm.macs / macs)
        partial = gemm.groups * gemm.m * gemm.n * traffic.accumulator_bytes
        depth = gemm.k * stretch
        time: Dim
        alone: Dim
        time, alone = gemm_seconds(gemm.groups, gemm.m, gemm.n, depth, part, partial, on)
        if gpu and engine.kind == "vector":
            # A product with a vector has kernels without tiles.
            lanes = gemm.macs * stretch / (on.rate * units)
            direct = combine(on.hard, lanes, part)
            better = (minimum(gemm.m, gemm.n) <= 1) & (direct < time)
            time, alone = where(better, direct, time), where(better, lanes, alone)
        seconds, compute = seconds + time, compute + alone
    return engine.name, seconds, compute
