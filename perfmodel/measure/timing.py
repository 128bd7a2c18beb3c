"""Timing that keeps every sample, and says of each whether something disturbed it."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from perfmodel.measure.clocks import Backend, Call

#: seconds of a sample: below a scheduler's slice, a thousand times the cost of reading a clock
SHORTEST, TARGET, LONGEST = 1e-3, 2e-3, 3e-3
PROBES = 7
WARM_UPS = 5
#: seconds of one call from which on a few probes and warm-ups must do
SLOW = 0.05
#: CPU over wall time below which something else ran in between
CONTENDED = 0.95
_ROUNDS = 12

State = Literal["hot", "cold"]


@dataclass(frozen=True)
class Sample:
    """One timed stretch of ``inner`` calls.

    ``clean`` where nothing is known to have disturbed it: CPU over wall time at least
    CONTENDED (where the calls run on the CPU), no involuntary switch, no stolen tick.
    """

    wall: float
    cpu: float
    inner: int
    clean: bool

    @property
    def wall_per_call(self) -> float:
        """Seconds of wall time of one call."""
        return self.wall / self.inner

    @property
    def cpu_per_call(self) -> float:
        """Seconds of CPU time of one call."""
        return self.cpu / self.inner


def take_sample(backend: Backend, call: Call, inner: int) -> Sample:
    """Time ``inner`` calls."""
    clock = backend.clock
    backend.synchronize()
    before = clock.disturbance()
    cpu, wall = clock.cpu(), clock.wall()
    backend.run(call, inner)
    wall, cpu = clock.wall() - wall, clock.cpu() - cpu
    found = clock.disturbance().since(before)
    shared = backend.on_cpu and cpu < CONTENDED * wall
    return Sample(wall, cpu, inner, not (shared or found.switches or found.steal))


def calibrate_inner(backend: Backend, call: Call) -> int:
    """Return how many calls make a sample of SHORTEST to LONGEST seconds, at least 1.

    Noise only adds time, so each stretch is judged by the quickest of several probes,
    and a count is taken only when a second look confirms it.
    """
    inner = 1
    for _ in range(_ROUNDS):
        quickest = _quickest(backend, call, inner)
        if SHORTEST <= quickest <= LONGEST or (inner == 1 and quickest > LONGEST):
            quickest = _quickest(backend, call, inner)
            if SHORTEST <= quickest <= LONGEST or (inner == 1 and quickest > LONGEST):
                return inner
        factor = TARGET / quickest if quickest > 0 else 100
        inner = max(1, round(inner * min(max(factor, 0.01), 100)))
    return inner


def roughly_inner(backend: Backend, call: Call) -> int:
    """Return about how many calls make a sample of TARGET seconds: a guess in under 1 ms."""
    once = min(take_sample(backend, call, 1).wall for _ in range(2))
    if once >= SHORTEST:
        return 1
    some = max(1, round(TARGET / 10 / max(once, 1e-9)))
    each = take_sample(backend, call, some).wall / some
    return max(1, round(TARGET / max(min(each, once), 1e-9)))


def _quickest(backend: Backend, call: Call, inner: int) -> float:
    best = take_sample(backend, call, inner).wall
    for _ in range(PROBES - 1 if best < SLOW else 0):
        best = min(best, take_sample(backend, call, inner).wall)
    return best


def warm_up(backend: Backend, call: Call) -> None:
    """Run ``call`` so often that its pages are there, its code decoded, its clock up."""
    first = take_sample(backend, call, 1).wall
    if first < SLOW:
        backend.run(call, WARM_UPS - 1)


@contextmanager
def collector_off() -> Iterator[None]:
    """Keep Python's garbage collector from running in the middle of a sample."""
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@dataclass(frozen=True)
class Task:
    """Something to time.

    ``make`` returns the call on fresh buffers whose pages are touched. ``probe`` names
    the probe that strains the same resource. ``state`` says what is in cache when a
    call starts: 'hot' what the call before left, 'cold' nothing, because ``make``
    returns a call that goes round buffers larger than the caches.
    """

    name: str
    make: Callable[[], Call]
    probe: str
    state: State = "hot"


@dataclass(frozen=True)
class Visit:
    """Samples of a task at one moment of the run, and its probe's just before and after."""

    task: str
    round: int
    state: State
    samples: tuple[Sample, ...]
    before: Sample
    after: Sample

    def seconds(self, by_cpu: bool, clean_only: bool = False) -> float | None:
        """Return the median seconds a call; None where ``clean_only`` leaves no sample.

        Without ``clean_only`` the clean samples are taken where there are any, else all.
        """
        clean = [s for s in self.samples if s.clean]
        chosen = clean if clean or clean_only else self.samples
        times = [s.cpu_per_call if by_cpu else s.wall_per_call for s in chosen]
        return float(np.median(times)) if times else None

    @property
    def contended(self) -> bool:
        """Whether no sample was clean."""
        return not any(s.clean for s in self.samples)


def visit_all(
    tasks: Sequence[Task],
    probes: Mapping[str, Call],
    backend: Backend,
    rng: np.random.Generator,
    *,
    rounds: int = 3,
    samples: int = 5,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[Visit, ...]:
    """Return the visits of every task, in the order in which they were made.

    Each round visits every task once in a random order, so a task's visits lie apart
    in time and a slow drift of the machine cannot favour one. Loop counts are found
    on the first visit and kept.
    """
    inner: dict[str, int] = {}
    visits: list[Visit] = []
    with collector_off():
        for name, probe in probes.items():
            warm_up(backend, probe)
            inner[f"probe {name}"] = calibrate_inner(backend, probe)
        for turn in range(rounds):
            for place in rng.permutation(len(tasks)):
                task = tasks[place]
                call = task.make()
                warm_up(backend, call)
                if task.name not in inner:
                    inner[task.name] = calibrate_inner(backend, call)
                pair = call, inner[task.name]
                beside = probes[task.probe], inner[f"probe {task.probe}"]
                taken = sample_beside(backend, pair, beside, samples)
                visits.append(Visit(task.name, turn, task.state, *taken))
                progress(len(visits), rounds * len(tasks))
    return tuple(visits)


def sample_beside(
    backend: Backend, call: tuple[Call, int], probe: tuple[Call, int], samples: int
) -> tuple[tuple[Sample, ...], Sample, Sample]:
    """Return samples of a call, and one of its probe just before and just after.

    Each of ``call`` and ``probe`` comes with how often it runs in a sample.
    """
    before = take_sample(backend, *probe)
    backend.run(call[0], 1)  # the probe emptied the caches: a hot call follows a call
    taken = tuple(take_sample(backend, *call) for _ in range(samples))
    return taken, before, take_sample(backend, *probe)


def noise_floor(visits: Sequence[Visit], by_cpu: bool) -> dict[str, Any]:
    """Return how far visits of one task lie apart: the error that no model can be blamed for.

    For each pair of visits a and b of a task, |a / b - 1| both ways round; ``mean``,
    ``median`` and ``p90`` over all pairs, and ``pairs``; None without any pair.
    """
    times: dict[str, list[float]] = {}
    for visit in visits:
        seconds = visit.seconds(by_cpu)
        if seconds:
            times.setdefault(visit.task, []).append(seconds)
    apart = np.array(
        [
            abs(a / b - 1)
            for each in times.values()
            for i, a in enumerate(each)
            for j, b in enumerate(each)
            if i != j
        ]
    )
    if not len(apart):
        return {"pairs": 0, "mean": None, "median": None, "p90": None}
    return {
        "pairs": len(apart) // 2,
        "mean": float(apart.mean()),
        "median": float(np.median(apart)),
        "p90": float(np.quantile(apart, 0.9)),
    }
