"""The hard roofline of a Work: seconds by engine and by memory level, at theoretical figures.

Bytes at the last level are the compulsory traffic plus what the next level in
cannot hold; bytes at inner levels follow from the operator's blocking at the
capacity within. All of it works on arrays of sizes.
"""

from __future__ import annotations

from perfmodel.core import Dim, Work
from perfmodel.core.dims import maximum
from perfmodel.machine import ComputeEngine, Machine


def can_run(work: Work, machine: Machine, accumulate: str | None = None) -> bool:
    """Tell whether ``machine`` can skip the zeros that ``work`` skips."""
    dtypes = {dtype for kind, dtype in work.ops if kind == "matrix"}
    return work.sparsity is None or all(
        machine.knows(work.sparsity, dtype, accumulate) for dtype in dtypes
    )


def summing(work: Work, machine: Machine, accumulate: str | None) -> Work:
    """Return ``work`` with partial sums in the format that ``machine`` then takes."""
    for kind, dtype in work.ops:
        if kind == "matrix" and (found := machine.rate(kind, dtype, accumulate)):
            return work.summing_in(found[1].accumulator)
    return work


def engine_times(
    work: Work, machine: Machine, accumulate: str | None
) -> dict[str, tuple[ComputeEngine, Dim]]:
    """Return by name each engine at work and its seconds at its theoretical peak."""
    times: dict[str, tuple[ComputeEngine, Dim]] = {}
    for (kind, dtype), operations in work.ops.items():
        found = machine.rate(kind, dtype, accumulate, work.sparsity)
        if found is None:  # no source states a rate: it cannot bind
            continue
        engine, rate, factor = found
        before = times[engine.name][1] if engine.name in times else 0.0
        times[engine.name] = engine, before + operations * factor / rate.peak
    return times


def level_times(work: Work, machine: Machine) -> tuple[dict[str, Dim], dict[str, Dim]]:
    """Return seconds by level at its theoretical bandwidth, and bytes by level."""
    times: dict[str, Dim] = {}
    by_level: dict[str, Dim] = {}
    inner: float | None = None
    for level in machine.memory:
        if inner is not None or level.bandwidth is not None:
            # The nearest level passes on at least what enters it.
            moved = work.traffic(inner if inner is not None else level.capacity)
            by_level[level.name] = moved
            if level.bandwidth is not None:
                times[level.name] = moved / level.bandwidth
        # What the nearer levels hold together bounds the traffic of the next one out;
        # some devices have more registers than first-level cache.
        if level.capacity is not None:
            inner = max(inner or 0.0, level.capacity)
    return times, by_level


def ideal(work: Work, machine: Machine, engines: dict[str, tuple[ComputeEngine, Dim]]) -> Dim:
    """Return the roofline with compulsory bytes at the last level, and no overhead."""
    bandwidth = machine.last_level.bandwidth
    assert bandwidth is not None
    compulsory = (work.bytes_read + work.bytes_written) / bandwidth
    return maximum(compulsory, *(seconds for _, seconds in engines.values()))
