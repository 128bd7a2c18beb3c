"""A session of measuring: every task visited again and again in random order, resumable.

A session can stop after any visit, be written down, and go on from there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from typing import Any

import numpy as np

from perfmodel.errors import InputError
from perfmodel.measure.clocks import Backend, Call
from perfmodel.measure.tasks import CallTask
from perfmodel.measure.timing import (
    SLOW,
    Sample,
    Visit,
    calibrate_inner,
    collector_off,
    roughly_inner,
    sample_beside,
    take_sample,
)

SCHEMA = "perfmodel/session@1"
_WARM = 3


@dataclass(frozen=True)
class Plan:
    """How a session goes: seconds it may take, samples a visit, the seed of its order."""

    budget: float
    samples: int
    seed: int
    most_rounds: int = 1000


@dataclass
class Session:
    """The visits so far, loop counts by task or probe, and seconds spent."""

    plan: Plan
    key: Mapping[str, Any]
    visits: list[Visit] = field(default_factory=list)
    inner: dict[str, int] = field(default_factory=dict)
    spent: float = 0.0

    def run(
        self,
        tasks: Sequence[CallTask],
        probes: Mapping[str, Call],
        backend: Backend,
        progress: Callable[[float, float], None] = lambda spent, budget: None,
    ) -> None:
        """Visit tasks until the time is up; call ``progress`` after each visit.

        The order of round r is drawn from (seed, r), so a session that was interrupted
        goes on where it was. An exception leaves the visits made so far.
        """
        start = time.perf_counter() - self.spent
        with collector_off():
            for name, call in probes.items():
                backend.run(call, _WARM)
                if name not in self.inner:
                    self.inner[name] = calibrate_inner(backend, call)
            while self.spent < self.plan.budget:
                turn, place = divmod(len(self.visits), len(tasks))
                if turn >= self.plan.most_rounds:
                    break
                order = np.random.default_rng((self.plan.seed, turn)).permutation(len(tasks))
                self._visit(tasks[order[place]], turn, probes, backend)
                self.spent = time.perf_counter() - start
                progress(self.spent, self.plan.budget)

    def _visit(
        self, task: CallTask, turn: int, probes: Mapping[str, Call], backend: Backend
    ) -> None:
        rng = np.random.default_rng((self.plan.seed, turn, len(self.visits)))
        call = task.build(backend.arrays(), rng)
        if take_sample(backend, call, 1).wall < SLOW:
            backend.run(call, _WARM)
        if task.name not in self.inner:
            self.inner[task.name] = roughly_inner(backend, call)
        pair = call, self.inner[task.name]
        probe = probes[task.probe], self.inner[task.probe]
        taken = sample_beside(backend, pair, probe, self.plan.samples)
        self.visits.append(Visit(task.name, turn, "hot", *taken))

    def data(self) -> dict[str, Any]:
        """Return all that was measured, ready for JSON: schema perfmodel/session@1.

        A sample is [wall s, CPU s, calls, clean].
        """
        return {
            "schema": SCHEMA,
            "key": dict(self.key),
            "plan": list(astuple(self.plan)),
            "spent_s": self.spent,
            "inner": self.inner,
            "visits": [
                {
                    "task": v.task,
                    "round": v.round,
                    "samples": [_written(s) for s in v.samples],
                    "before": _written(v.before),
                    "after": _written(v.after),
                }
                for v in self.visits
            ],
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Session:
        """Return the session that was written down.

        Raises InputError where it is none.
        """
        try:
            if data["schema"] != SCHEMA:
                raise InputError(f"found schema {data['schema']}, expected {SCHEMA}")
            visits = [
                Visit(
                    v["task"],
                    v["round"],
                    "hot",
                    tuple(Sample(*s) for s in v["samples"]),
                    Sample(*v["before"]),
                    Sample(*v["after"]),
                )
                for v in data["visits"]
            ]
            plan = Plan(*data["plan"])
            return cls(plan, data["key"], visits, dict(data["inner"]), float(data["spent_s"]))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"not a session: {type(error).__name__} {error}") from None


def _written(s: Sample) -> list[Any]:
    return [float(f"{s.wall:.7g}"), float(f"{s.cpu:.7g}"), s.inner, s.clean]
