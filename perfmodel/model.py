"""The machine model: (Work, Machine) -> Times, a hierarchical roofline.

Per operator a time for each engine and each memory level; the slowest binds,
and a fixed overhead for each launch is added:

    time = max(operations_e / peak_e, bytes_l / bandwidth_l) + launches x overhead

Bytes at the last level are the compulsory traffic plus what the next level in
cannot hold; bytes at inner levels follow from the operator's blocking at the
capacity within. All of it works on arrays of sizes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from perfmodel.core import Dim, Work
from perfmodel.core.dims import is_scalar, maximum, where
from perfmodel.machine import Launch, Machine

#: share of the binding time within which the next limiter is named as well
NEAR = 0.10


@dataclass(frozen=True, eq=False)
class Times:
    """How long one execution takes, in seconds, and why.

    ``engines`` and ``levels`` hold each resource's own time; ``roofline`` is the
    largest of them, ``low`` the same with theoretical peaks and compulsory
    bytes at the last level only, ``high`` with the device's achievable figures.
    """

    engines: Mapping[str, Dim]
    levels: Mapping[str, Dim]
    bytes_by_level: Mapping[str, Dim]
    overhead: Dim
    low: Dim
    high: Dim

    @property
    def compute(self) -> Dim:
        """The slowest engine's time."""
        return maximum(0.0, *self.engines.values())

    @property
    def bandwidth(self) -> Dim:
        """The slowest memory level's time."""
        return maximum(0.0, *self.levels.values())

    @property
    def roofline(self) -> Dim:
        """The slowest resource's time."""
        return maximum(self.compute, self.bandwidth)

    @property
    def time(self) -> Dim:
        """Predicted time."""
        return self.roofline + self.overhead

    def split(self) -> dict[str, Dim]:
        """Return the time by what it is spent on; the parts add up to it."""
        by_compute = self.compute >= self.bandwidth
        return {
            "compute": where(by_compute, self.roofline, 0.0),
            "bandwidth": where(by_compute, 0.0, self.roofline),
            "overhead": self.overhead,
        }


def estimate(
    work: Work, machine: Machine, launch: Launch = "graph", accumulate: str | None = None
) -> Times:
    """Return the times of ``work`` on ``machine``.

    ``accumulate`` is the format in which matrix products are summed, at the
    least; None for what the device takes by itself.
    Raises InputError where the device cannot do matrix work in the format, or
    sum it so.
    """
    if accumulate is not None:
        work = _summing(work, machine, accumulate)
    engines, slow_engines = _engine_times(work, machine, accumulate)
    levels, slow_levels, by_level = _level_times(work, machine)
    overhead = work.launches * machine.launch_overhead(launch)
    last = machine.last_level
    assert last.bandwidth is not None
    compulsory = (work.bytes_read + work.bytes_written) / last.bandwidth
    low = maximum(compulsory, *engines.values())
    high = maximum(0.0, *slow_engines.values(), *slow_levels.values()) + overhead
    return Times(engines, levels, by_level, overhead, low, high)


def can_run(work: Work, machine: Machine, accumulate: str | None = None) -> bool:
    """Tell whether ``machine`` can skip the zeros that ``work`` skips."""
    dtypes = {dtype for kind, dtype in work.ops if kind == "matrix"}
    return work.sparsity is None or all(
        machine.knows(work.sparsity, dtype, accumulate) for dtype in dtypes
    )


def _summing(work: Work, machine: Machine, accumulate: str) -> Work:
    """Return ``work`` with partial sums in the format that ``machine`` then takes."""
    for kind, dtype in work.ops:
        if kind == "matrix" and (found := machine.rate(kind, dtype, accumulate)):
            return work.summing_in(found[1].accumulator)
    return work


def _engine_times(
    work: Work, machine: Machine, accumulate: str | None
) -> tuple[dict[str, Dim], dict[str, Dim]]:
    """Return seconds by engine at its theoretical peak, and at its achievable one."""
    times: dict[str, Dim] = {}
    slow: dict[str, Dim] = {}
    for (kind, dtype), operations in work.ops.items():
        found = machine.rate(kind, dtype, accumulate, work.sparsity)
        if found is None:  # no source states a rate: it cannot bind
            continue
        engine, rate, factor = found
        operations = operations * factor
        times[engine.name] = times.get(engine.name, 0.0) + operations / rate.peak
        slow[engine.name] = slow.get(engine.name, 0.0) + operations / (rate.achievable or rate.peak)
    return times, slow


def _level_times(
    work: Work, machine: Machine
) -> tuple[dict[str, Dim], dict[str, Dim], dict[str, Dim]]:
    """Return seconds by level, the same at achievable bandwidth, and bytes by level."""
    times: dict[str, Dim] = {}
    slow: dict[str, Dim] = {}
    by_level: dict[str, Dim] = {}
    inner: float | None = None
    for level in machine.memory:
        if inner is not None or level.bandwidth is not None:
            # The nearest level passes on at least what enters it.
            moved = work.traffic(inner if inner is not None else level.capacity)
            by_level[level.name] = moved
            if level.bandwidth is not None:
                times[level.name] = moved / level.bandwidth
                slow[level.name] = moved / (level.achievable or level.bandwidth)
        # What the nearer levels hold together bounds the traffic of the next one out;
        # some devices have more registers than first-level cache.
        if level.capacity is not None:
            inner = max(inner or 0.0, level.capacity)
    return times, slow, by_level


def limiter(times: Times) -> tuple[Any, Any, Any]:
    """Return (bound, limiter, next limiter) as names; arrays of them for arrays of sizes.

    The next limiter is '' unless its time is within 10 % of the largest. Work
    that takes no time at all is bound by overhead, limiter 'none'.
    """
    names = [*times.engines, *times.levels, "launch"]
    kinds = ["compute"] * len(times.engines) + ["bandwidth"] * len(times.levels) + ["overhead"]
    values: list[Dim] = [*times.engines.values(), *times.levels.values(), times.overhead]
    if is_scalar(*values):
        return _limiter_of(names, kinds, [float(v) for v in values])
    stack = np.stack(np.broadcast_arrays(*values))
    order = np.argsort(-stack, axis=0, kind="stable")
    top = np.take_along_axis(stack, order[:1], 0)[0]
    first = np.where(top > 0, order[0], len(names))
    near = np.full(top.shape, "", dtype=object)
    if len(names) > 1:
        second = np.take_along_axis(stack, order[1:2], 0)[0]
        close = (second >= (1 - NEAR) * top) & (top > 0)
        near = np.where(close, np.array(names, dtype=object)[order[1]], "")
    return (
        np.array([*kinds, "overhead"], dtype=object)[first],
        np.array([*names, "none"], dtype=object)[first],
        near,
    )


def _limiter_of(names: list[str], kinds: list[str], values: list[float]) -> tuple[str, str, str]:
    order = sorted(range(len(names)), key=lambda i: -values[i])
    top = values[order[0]]
    if not top > 0:
        return "overhead", "none", ""
    near = len(order) > 1 and values[order[1]] >= (1 - NEAR) * top
    return kinds[order[0]], names[order[0]], names[order[1]] if near else ""
