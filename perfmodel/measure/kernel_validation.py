"""Times kernels of random shapes on this machine and scores what was predicted for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from perfmodel.core import parse_precision
from perfmodel.core.dims import Array
from perfmodel.errors import InputError
from perfmodel.evaluate import evaluate
from perfmodel.graph import Graph
from perfmodel.machine import Library, Machine
from perfmodel.measure.clocks import Backend
from perfmodel.measure.conditions import conditions
from perfmodel.measure.pass_model import kernel_seconds, parts
from perfmodel.measure.probes import reference_probes
from perfmodel.measure.score import score
from perfmodel.measure.session import Plan, Session
from perfmodel.measure.suite import Shape, kernel_task
from perfmodel.measure.summary import Drift, drift_of, probe_seconds, quality, timed_tasks
from perfmodel.measure.timing import Visit, noise_floor
from perfmodel.measure.validation import SCHEMA, WORST
from perfmodel.ops import get_operator
from perfmodel.readers.inline import InlineWorkload

#: rounds that every shape is visited
ROUNDS = 4


def validate_kernels(
    shapes: Sequence[Shape],
    machine: Machine,
    backend: Backend,
    *,
    seed: int,
    rounds: int = ROUNDS,
    budget: float = 600.0,
    progress: Callable[[float, float], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Return the score over ``shapes``: schema perfmodel/validation@1, all samples kept.

    Raises InputError where the device's file states no costs of library calls.
    """
    library = checked_library(machine)
    tasks = [kernel_task(shape) for shape in shapes]
    ideal = {s.label: evaluate(_graph(s), machine, "eager", warm=True)[0] for s in shapes}
    session = Session(Plan(budget, 3, seed, most_rounds=rounds), {})
    total = float(rounds * len(tasks))
    with backend.threads(library.threads):
        session.run(
            tasks,
            reference_probes(backend),
            backend,
            lambda *_: progress(float(len(session.visits)), total),
        )
    by_cpu = library.threads == 1
    resource = {task.name: task.probe for task in tasks}
    drift = drift_of(session.visits, resource, by_cpu)
    # What a kernel would have taken at the speed that the probes had in the calibration.
    then = Drift({**drift.probes, **library.clocks}, drift.shares)
    timed = {t.task.name: t for t in timed_tasks(tasks, session.visits, then, by_cpu)}
    floor = noise_floor(session.visits, by_cpu)
    rows = [
        _row(shape, library, _measured(session.visits, shape.label, by_cpu), t.seconds)
        | {"ideal_s": float(ideal[shape.label].time), "roofline_s": float(ideal[shape.label].ideal)}
        for shape in shapes
        if (t := timed.get(shape.label))
    ]
    return {
        "schema": SCHEMA,
        "hardware": machine.name,
        "backend": backend.name,
        "conditions": conditions()
        | {
            "threads_used": library.threads,
            "clock": "cpu" if by_cpu else "wall",
            "quality": quality(session.visits, floor),
            "probes": {"calibration": dict(library.clocks), "now": dict(drift.probes)},
        },
        **scores(rows),
        "noise_floor": floor,
        "session": session.data(),
    }


def checked_library(machine: Machine) -> Library:
    """Return the costs of library calls that a device's file states; InputError for none."""
    if machine.library is None:
        raise InputError(
            f"{machine.name} states no costs of library calls",
            mend="calibrate this machine (perfmodel calibrate -o my-machine.yaml), or score a file:"
            " --against KERNELS.csv",
        )
    return machine.library


def _measured(visits: Sequence[Visit], name: str, by_cpu: bool) -> tuple[float, int, float]:
    """Return a kernel's median seconds over its visits, its samples, its probe's seconds."""
    mine = [v for v in visits if v.task == name]
    times = [s for v in mine if (s := v.seconds(by_cpu))]
    probe = float(np.median([probe_seconds(v, by_cpu) for v in mine]))
    return float(np.median(times)), sum(len(v.samples) for v in mine), probe


def _row(
    shape: Shape,
    library: Library,
    measured: tuple[float, int, float],
    steady: float,
) -> dict[str, Any]:
    predicted, low, high = kernel_seconds(shape.passes, library, shape.python, shape.category)
    shares = parts(shape.passes, library, shape.python)
    heaviest = max(shares["by_family"].items(), key=lambda item: item[1])[0]
    return {
        "op": shape.name,
        "name": shape.label,
        "dtype": shape.dtype,
        "class": shape.category,
        "algorithm": shape.kernel.algorithm,
        **shape.sizes,
        "predicted_s": predicted,
        "low_s": low,
        "high_s": high,
        "measured_s": measured[0],
        "steady_s": steady,
        "ratio": predicted / measured[0],
        "samples": measured[1],
        "bound": shares["bound"],
        "limiter": heaviest,
    }


def _graph(shape: Shape) -> Graph:
    precision = parse_precision(shape.dtype)
    op_class = get_operator(shape.name)
    one = InlineWorkload(shape.label, ("inference",), precision, {}, op_class, dict(shape.sizes))
    return one.build({}, "inference", precision)


def scores(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the totals, and the same by operator, class, bound and limiter."""

    def column(name: str) -> Array:
        return np.array([row[name] for row in rows], dtype=float)

    measured, roofline = column("measured_s"), column("roofline_s")
    predicted, low, high = column("predicted_s"), column("low_s"), column("high_s")

    def of(places: Any) -> dict[str, Any]:
        result = score(predicted[places], measured[places], low[places], high[places])
        plain = score(roofline[places], measured[places], roofline[places], roofline[places])
        return {**result, "roofline_mape": plain["mape"]}

    def by(name: str) -> dict[str, Any]:
        labels = np.array([row[name] for row in rows], dtype=object)
        return {label: of(np.flatnonzero(labels == label)) for label in sorted(set(labels))}

    off = np.abs(np.log(predicted / measured))
    everything = np.arange(len(rows))
    return {
        "totals": of(everything),
        **{f"by_{n}": by(n) for n in ("op", "class", "bound", "limiter", "dtype")},
        "steady": score(predicted, column("steady_s"), low, high),
        "roofline": {**score(roofline, measured, roofline, roofline), "coverage_90": None},
        "worst": [int(i) for i in np.argsort(-off, kind="stable")[:WORST]],
        "rows": [dict(row) for row in rows],
    }
