"""Calibrates the machine at hand: its tasks, and what their visits come to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np

from perfmodel.core.dims import Array
from perfmodel.machine.library import Library
from perfmodel.measure.least_squares import fit_logs
from perfmodel.measure.pass_columns import way
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
from perfmodel.measure.suite import Shape, kernel_task, random_shapes
from perfmodel.measure.summary import Drift, Timed, drift_of, quality, timed_tasks
from perfmodel.measure.tasks import CallTask
from perfmodel.measure.timing import noise_floor

#: seconds that the visits of a quick and of a full run take
QUICK = Plan(budget=36.0, samples=3, seed=0)
FULL = Plan(budget=245.0, samples=3, seed=0)
#: by whether a run is quick: tasks in a stratum, kernels, parts of the cross-validation
_DENSITY = {True: 1.0, False: 2.0}
_KERNELS = {True: 40, False: 140}
_FOLDS = {True: 3, False: 5}
#: added to the seed of a calibration's kernels, so that no validation draws the same
_APART = 1_000_000
#: of what a kernel of a validation may have at most, so that many are timed in the time
_SHARE = 0.1
#: bytes from which a new array's pages weigh in what it costs
_NEW = 24 << 20
#: kernels of a class from which it has a spread of its own
_FEW = 8


@dataclass(frozen=True)
class Calibrated:
    """What a session tells: costs, seconds by task, how disturbed it was."""

    library: Library
    timed: Sequence[Timed]
    drift: Drift
    quality: dict[str, Any]


@dataclass(frozen=True)
class Work:
    """What a calibration times: library calls, and kernels made of them."""

    calls: Sequence[CallTask]
    kernels: Sequence[Shape]

    @property
    def tasks(self) -> list[CallTask]:
        """All of it."""
        return [*self.calls, *map(kernel_task, self.kernels)]


def host_work(seed: int, quick: bool) -> Work:
    """Return what a calibration times, sizes drawn from ``seed``."""
    rng, density = np.random.default_rng(seed), _DENSITY[quick]
    calls = [
        *stream_tasks(rng, density),
        *product_tasks(rng, density),
        *rate_tasks(rng, density),
    ]
    return Work(calls, random_shapes(_KERNELS[quick], _APART + seed, share=_SHARE))


def calibrated(
    work: Work,
    session: Session,
    capacities: Sequence[float],
    *,
    threads: int,
    backend: str,
    blas: str,
) -> Calibrated:
    """Return the costs fitted to a session.

    ``held_out`` scores calls that a fit did not see: each fifth of them is predicted by
    a fit to the others. The spreads are those of kernels, to which only the cost of
    their Python code is fitted.
    """
    by_cpu, tasks = threads == 1, work.tasks
    known = {task.name: task.probe for task in tasks}
    visits = [v for v in session.visits if v.task in known]
    drift = drift_of(visits, known, by_cpu)
    timed = timed_tasks(tasks, visits, drift, by_cpu)
    found = quality(visits, noise_floor(visits, by_cpu))
    rows = [
        (t.passes[0], t.seconds)
        for t in timed
        if t.task.stated is None and len(t.passes) == 1 and t.passes[0].calls == 1
    ]
    plain = Library(
        backend, blas, threads, date.today().isoformat(), found["contended"],
        0.0, 0.0, 0.0, (), {}, {}, {}, dict(drift.probes),
    )  # fmt: skip
    library = _fitted(plain, rows, capacities)
    found["held_out"] = _held_out(plain, rows, capacities, session.plan.seed, len(work.kernels))
    shapes = {shape.label: shape for shape in work.kernels}
    whole = [(shapes[t.task.name], t.seconds) for t in timed if t.task.name in shapes]
    library, found["kernels"] = _with_kernels(library, whole)
    return Calibrated(library, timed, drift, found)


def _held_out(
    plain: Library, rows: Rows, capacities: Sequence[float], seed: int, kernels: int
) -> dict[str, Any]:
    parts = _FOLDS[kernels <= _KERNELS[True]]
    folds = np.random.default_rng(seed).permutation(len(rows)) % parts
    off: list[float] = []
    for fold in range(parts):
        library = _fitted(
            plain, [r for r, f in zip(rows, folds, strict=True) if f != fold], capacities
        )
        held = [r for r, f in zip(rows, folds, strict=True) if f == fold]
        guess = pass_seconds([p for p, _ in held], library)
        off += [float(g / s - 1) for (_, s), g in zip(held, guess, strict=True)]
    return _error(off)


def _error(off: Sequence[float]) -> dict[str, Any]:
    size = np.abs(off)
    return {
        "rows": len(off),
        "mape": float(np.mean(size)) if len(off) else 0.0,
        "median_ape": float(np.median(size)) if len(off) else 0.0,
    }


def _fitted(plain: Library, rows: Rows, capacities: Sequence[float]) -> Library:
    streams = [(p, s) for p, s in rows if way(p) in STREAMS and p.dtype in ("fp32", "fp64")]
    levels = fit_levels(streams, capacities)
    calls = fit_calls([(p, s) for p, s in rows if not (p.fresh and p.writes > _NEW)], levels)
    products = {
        dtype: fit_product(mine, levels, scale)
        for dtype, scale in (("fp32", 1.0), ("fp64", 2.0))
        if (mine := [(p, s) for p, s in rows if p.kind == "gemm" and p.dtype == dtype])
    }
    page = fit_page(rows, calls, levels)
    return replace(plain, page=page, levels=levels, calls=calls, products=products)


def _with_kernels(
    library: Library, timed: Sequence[tuple[Shape, float]]
) -> tuple[Library, dict[str, Any]]:
    """Return ``library`` with the cost of Python code and the spreads that kernels tell."""
    if not timed:
        return library, _error([])
    measured = np.array([seconds for _, seconds in timed])
    calls = np.array([shape.python for shape, _ in timed], dtype=float)
    inside = np.array([np.sum(pass_seconds(shape.passes, library)) for shape, _ in timed])

    def predict(x: Array) -> Array:
        run, python = np.exp(x)
        result: Array = inside + run + python * calls
        return result

    best = fit_logs(predict, np.log([1e-6, 1.5e-7]), np.array([1.0, 1.0]), measured)
    off = np.log(predict(best) / measured)
    classes = [shape.category for shape, _ in timed]
    own = [(c, o) for c, o in zip(classes, off, strict=True) if classes.count(c) >= _FEW]
    spread = spreads([*(("all", float(o)) for o in off), *((c, float(o)) for c, o in own)])
    run, python = (float(v) for v in np.exp(best))
    return replace(library, run=run, python=python, spread=spread), _error(list(np.expm1(off)))
