"""What a session's visits come to: seconds by task, free of the machine's drift where that can be.

The probe beside each visit says how fast the machine was just then. For each resource the
share of a probe's drift that tasks follow is fitted to the visits; between none and all of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from perfmodel.kernels.passes import Pass
from perfmodel.measure.tasks import CallTask
from perfmodel.measure.timing import Visit

#: share of clean samples below which a session is contended
FEWEST_CLEAN = 0.5
#: how far apart visits of the same task may lie, by median, before a session is contended
FARTHEST = 0.15


@dataclass(frozen=True)
class Timed:
    """A task's seconds: median over its visits, at the probe's median.

    ``best`` clean sample and the median of visits' clean samples, ``typical``, are as
    measured; None without a clean sample. ``n`` counts samples.
    """

    task: CallTask
    passes: tuple[Pass, ...]
    seconds: float
    best: float | None
    typical: float | None
    n: int


@dataclass(frozen=True)
class Drift:
    """By resource: a probe's median seconds, and the share of its drift that tasks follow."""

    probes: Mapping[str, float]
    shares: Mapping[str, float]


def drift_of(visits: Sequence[Visit], probe_of: Mapping[str, str], by_cpu: bool) -> Drift:
    """Return how the machine's speed moved and what tasks make of it."""
    logs: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for v in visits:
        seconds = v.seconds(by_cpu)
        if seconds:
            pair = np.log(seconds), np.log(probe_seconds(v, by_cpu))
            logs.setdefault(probe_of[v.task], {}).setdefault(v.task, []).append(pair)
    probes, shares = {}, {}
    for resource, tasks in logs.items():
        every = np.concatenate([np.array(pairs) for pairs in tasks.values()])
        probes[resource] = float(np.exp(np.median(every[:, 1])))
        within = np.concatenate([np.array(p) - np.median(p, axis=0) for p in tasks.values()])
        within = np.clip(within, -0.3, 0.3)
        var = float(np.sum(within[:, 1] ** 2))
        share = float(np.sum(within[:, 0] * within[:, 1])) / var if var > 0 else 0.0
        shares[resource] = float(np.clip(share, 0.0, 1.0))
    return Drift(probes, shares)


def probe_seconds(visit: Visit, by_cpu: bool) -> float:
    """Return the seconds of a visit's probe, the mean of before and after."""
    both = visit.before, visit.after
    return sum(s.cpu_per_call if by_cpu else s.wall_per_call for s in both) / 2


def adjusted(visit: Visit, resource: str, drift: Drift, by_cpu: bool) -> float | None:
    """Return a visit's seconds as they would be at the probe's median."""
    seconds = visit.seconds(by_cpu)
    if not seconds:
        return None
    off = probe_seconds(visit, by_cpu) / drift.probes[resource]
    return float(seconds / off ** drift.shares[resource])


def timed_tasks(
    tasks: Sequence[CallTask], visits: Sequence[Visit], drift: Drift, by_cpu: bool
) -> list[Timed]:
    """Return what each task that was visited takes."""
    found: dict[str, list[Visit]] = {}
    for v in visits:
        found.setdefault(v.task, []).append(v)
    result = []
    for task in tasks:
        mine = found.get(task.name, [])
        free = [s for v in mine if (s := adjusted(v, task.probe, drift, by_cpu))]
        plain = [s for v in mine if (s := v.seconds(by_cpu, clean_only=True))]
        if not free:
            continue
        samples = [s for v in mine for s in v.samples]
        clean = [s.cpu_per_call if by_cpu else s.wall_per_call for s in samples if s.clean]
        result.append(
            Timed(
                task,
                task.passes(),
                float(np.median(free)),
                min(clean, default=None),
                float(np.median(plain)) if plain else None,
                len(samples),
            )
        )
    return result


def quality(visits: Sequence[Visit], floor: Mapping[str, Any]) -> dict[str, Any]:
    """Return how far a session is to be trusted: clean samples, visits against visits."""
    samples = [s for v in visits for s in v.samples]
    clean = float(np.mean([s.clean for s in samples])) if samples else 0.0
    median = floor["median"]
    return {
        "samples": len(samples),
        "clean": clean,
        "noise_floor": dict(floor),
        "contended": bool(clean < FEWEST_CLEAN or (median is not None and median > FARTHEST)),
    }
