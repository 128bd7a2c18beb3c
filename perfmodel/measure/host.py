"""Calibrates the machine at hand: its tasks, and what their visits come to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np

from perfmodel.machine.library import Library
from perfmodel.measure.pass_columns import family, way
from perfmodel.measure.pass_fit import (
    STREAMS,
    Rows,
    fit_calls,
    fit_levels,
    fit_page,
    fit_product,
    spreads,
)
from perfmodel.measure.pass_model import pass_seconds
from perfmodel.measure.products import product_tasks
from perfmodel.measure.rates import rate_tasks
from perfmodel.measure.session import Plan, Session
from perfmodel.measure.streams import stream_tasks
from perfmodel.measure.summary import Drift, Timed, drift_of, quality, timed_tasks
from perfmodel.measure.tasks import CallTask
from perfmodel.measure.timing import noise_floor

#: seconds that the visits of a quick and of a full run take, and how many tasks there are
QUICK = Plan(budget=42.0, samples=3, seed=0)
FULL = Plan(budget=260.0, samples=4, seed=0)
_DENSITY = {True: 1.0, False: 2.5}
_FOLDS = 5


@dataclass(frozen=True)
class Calibrated:
    """What a session tells: costs, seconds by task, how disturbed it was."""

    library: Library
    timed: Sequence[Timed]
    drift: Drift
    quality: dict[str, Any]


def host_tasks(seed: int, quick: bool) -> list[CallTask]:
    """Return the calls that a calibration times, their sizes drawn from ``seed``."""
    rng, density = np.random.default_rng(seed), _DENSITY[quick]
    return [
        *stream_tasks(rng, density),
        *product_tasks(rng, density),
        *rate_tasks(rng, density),
    ]


def calibrated(
    tasks: Sequence[CallTask],
    session: Session,
    capacities: Sequence[float],
    *,
    threads: int,
    backend: str,
    blas: str,
) -> Calibrated:
    """Return the costs fitted to a session.

    The spreads are of tasks that a fit did not see: each fifth of them is predicted by
    a fit to the others.
    """
    by_cpu = threads == 1
    known = {task.name: task.probe for task in tasks}
    visits = [v for v in session.visits if v.task in known]
    drift = drift_of(visits, known, by_cpu)
    timed = timed_tasks(tasks, visits, drift, by_cpu)
    found = quality(visits, noise_floor(visits, by_cpu))
    rows = [
        (t.passes[0], t.seconds) for t in timed if len(t.passes) == 1 and t.passes[0].calls == 1
    ]

    def library(chosen: Rows, spread: dict[str, float]) -> Library:
        return _library(
            chosen, capacities, threads, backend, blas, found["contended"], spread, drift
        )

    off: list[tuple[str, float]] = []
    folds = np.random.default_rng(session.plan.seed).permutation(len(rows)) % _FOLDS
    for fold in range(_FOLDS):
        others = [row for row, f in zip(rows, folds, strict=True) if f != fold]
        held = [row for row, f in zip(rows, folds, strict=True) if f == fold]
        guess = pass_seconds([p for p, _ in held], library(others, {}))
        off += [(family(p), float(np.log(g / s))) for (p, s), g in zip(held, guess, strict=True)]
    error = np.abs(np.expm1([o for _, o in off]))
    found["held_out"] = {
        "rows": len(off), "mape": float(np.mean(error)), "median_ape": float(np.median(error)),
    }  # fmt: skip
    return Calibrated(library(rows, spreads(off)), timed, drift, found)


def _library(
    rows: Rows,
    capacities: Sequence[float],
    threads: int,
    backend: str,
    blas: str,
    contended: bool,
    spread: dict[str, float],
    drift: Drift,
) -> Library:
    streams = [(p, s) for p, s in rows if way(p) in STREAMS and p.dtype in ("fp32", "fp64")]
    levels = fit_levels(streams, capacities)
    old = [(p, s) for p, s in rows if not (p.fresh and p.writes > _NEW)]
    calls = fit_calls(old, levels)
    products = {
        dtype: fit_product(mine, levels, scale)
        for dtype, scale in (("fp32", 1.0), ("fp64", 2.0))
        if (mine := [(p, s) for p, s in rows if p.kind == "gemm" and p.dtype == dtype])
    }
    return Library(
        backend=backend,
        blas=blas,
        threads=threads,
        date=date.today().isoformat(),
        contended=contended,
        page=fit_page(rows, calls, levels),
        levels=levels,
        calls=calls,
        products=products,
        spread=spread,
        clocks=dict(drift.probes),
    )


#: bytes from which a new array's pages weigh in what it costs
_NEW = 24 << 20
