"""Roofs of a machine from what was timed: best clean sample and median, never a contended one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from perfmodel.machine.library import Library
from perfmodel.measure.pass_columns import family, way
from perfmodel.measure.pass_model import call_cost
from perfmodel.measure.streams import ARRAYS
from perfmodel.measure.summary import Timed

#: share of a cache that a working set may fill to count as lying in it
_WITHIN = 0.8
#: a memory stream's working set over the last cache
_BEYOND = 2.0


@dataclass(frozen=True)
class Roof:
    """A rate: of the best clean sample, and of the task with the best median.

    ``by`` names the task; ``n`` counts the samples looked at; ``residual`` is how far
    the median lies below the best, as a fraction.
    """

    best: float
    typical: float
    by: str
    n: int

    @property
    def residual(self) -> float:
        """How far the median lies below the best."""
        return 1 - self.typical / self.best


def compute_roofs(timed: Sequence[Timed], prefix: str) -> dict[str, Roof]:
    """Return the roofs whose name starts with ``prefix``: work a second, by the rest of it.

    A product's work is 2 m n k; any other call's, an operation an element.
    """
    groups: dict[str, list[Timed]] = {}
    for t in timed:
        if t.task.roof and t.task.roof.startswith(prefix) and t.best:
            groups.setdefault(t.task.roof[len(prefix) :], []).append(t)
    return {
        name: _roof(tasks, [sum(p.flops for p in t.passes) for t in tasks], [0.0] * len(tasks))
        for name, tasks in groups.items()
    }


def memory_roofs(
    timed: Sequence[Timed], library: Library, capacities: Sequence[float]
) -> list[dict[str, Roof]]:
    """Return for each level, nearest first, the bytes a second of each kind of stream.

    Levels inside are told by working sets that fit them and not the level before, the
    last by ones of at least twice the last cache. The call's own cost is taken off.
    """
    bounds = [0.0, *(_WITHIN * c for c in capacities)]
    levels: list[dict[str, Roof]] = []
    for level in range(len(capacities) + 1):
        last = level == len(capacities)
        low = _BEYOND * capacities[-1] if last else bounds[level]
        high = float("inf") if last else bounds[level + 1]
        found = {}
        for kind in ARRAYS:
            tasks = [t for t in timed if t.task.roof == kind and t.best]
            chosen = [t for t in tasks if low < max(map(_working_set, t.passes)) <= high]
            if chosen:
                moved = [sum(p.bytes for p in t.passes) for t in chosen]
                calls = [_calls(t, library) for t in chosen]
                found[kind] = _roof(chosen, moved, calls)
        levels.append(found)
    return levels


def _working_set(p: object) -> float:
    return float(max([*p.reuse, p.write_reuse], default=0.0))  # type: ignore[attr-defined]


def _calls(t: Timed, library: Library) -> float:
    return sum(call_cost(library, way(p), p.dtype, family(p)).call for p in t.passes)


def _roof(tasks: Sequence[Timed], work: Sequence[float], calls: Sequence[float]) -> Roof:
    """Return work a second; the call's cost counts at most half of the time."""

    def rate(seconds: float, i: int) -> float:
        return work[i] / max(seconds - calls[i], seconds / 2)

    places = range(len(tasks))
    best = max(rate(tasks[i].best or 1.0, i) for i in places)
    top = max(places, key=lambda i: rate(tasks[i].typical or 1.0, i))
    typical = min(rate(tasks[top].typical or 1.0, top), best)
    return Roof(best, typical, tasks[top].task.name, sum(t.n for t in tasks))


def best_of(roofs: Mapping[str, Roof]) -> Roof | None:
    """Return the fastest roof."""
    return max(roofs.values(), key=lambda r: r.best, default=None)
