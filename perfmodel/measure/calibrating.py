"""A calibration from beginning to end: it can be interrupted anywhere and goes on later.

While it runs, its visits lie in a file beside the output (`my-machine.partial.json`). The
output and its raw samples (`my-machine.samples.json`) are written whole at the end.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from perfmodel.errors import InputError
from perfmodel.measure.clocks import Backend, NumpyBackend
from perfmodel.measure.conditions import conditions, read_disturbance, read_processor
from perfmodel.measure.host import FULL, QUICK, Calibrated, calibrated, host_work
from perfmodel.measure.machine_file import machine_name, machine_yaml, memory_bytes
from perfmodel.measure.probes import reference_probes
from perfmodel.measure.roofs import compute_roofs, memory_roofs
from perfmodel.measure.scaling import measure_scaling, thread_counts
from perfmodel.measure.session import Session
from perfmodel.report.files import write_text

SCHEMA = "perfmodel/calibration@1"
#: seconds between two writes of the file from which an interrupted run goes on
SAVE_EVERY = 5.0

#: stands for the name of the raw samples' file until the output's is known
_RAW = "@samples@"
Bar = Callable[[str, float, float], AbstractContextManager[Callable[[float, float], None]]]


@dataclass(frozen=True)
class Request:
    """What is asked for: the file to write, how long it may take, threads, seed, name."""

    output: Path
    quick: bool
    threads: int
    seed: int
    name: str | None = None


@dataclass(frozen=True)
class Done:
    """A finished calibration, not yet written."""

    text: str
    data: dict[str, Any]
    partial: Path
    contended: bool
    why: str
    better_exists: bool

    def raw_of(self, output: Path) -> Path:
        """Return the file of the raw samples beside ``output``."""
        return output.with_name(f"{output.stem}.samples.json")

    def write(self, output: Path) -> None:
        """Write the hardware file and the raw samples; drop the unfinished run's file."""
        text = self.text.replace(_RAW, self.raw_of(output).name)
        write_text(self.raw_of(output), json.dumps(self.data, allow_nan=False) + "\n")
        write_text(output, text)
        self.partial.unlink(missing_ok=True)


def calibrate_host(
    request: Request, bar: Bar, say: Callable[[str], None], backend: Backend | None = None
) -> Done:
    """Measure this machine; go on with an interrupted run of the same kind.

    Raises InputError where the system does not tell what is needed, or with more
    threads than there are. KeyboardInterrupt leaves the file to go on from.
    """
    backend = backend or NumpyBackend()
    processor = read_processor()
    if processor.threads and request.threads > processor.threads:
        raise InputError(
            f"found {request.threads} threads, expected at most the {processor.threads} CPUs here"
        )
    before, at_start = read_disturbance(), conditions()
    key = _key(request, at_start)
    partial = request.output.with_name(f"{request.output.stem}.partial.json")
    session = _resumed(partial, key, say)
    plan = replace(QUICK if request.quick else FULL, seed=request.seed)
    session = session or Session(plan, key)
    work = host_work(request.seed, request.quick)
    saved = [session.spent]

    def save() -> None:
        write_text(partial, json.dumps(session.data(), allow_nan=False) + "\n")
        saved[0] = session.spent

    with bar("measuring", plan.budget, session.spent) as shown, backend.threads(request.threads):

        def progress(spent: float, budget: float) -> None:
            if spent - saved[0] > SAVE_EVERY:
                save()
            shown(spent, budget)

        try:
            session.run(work.tasks, reference_probes(backend), backend, progress)
        except KeyboardInterrupt:
            save()
            say(f"the visits so far are in '{partial}': the same command goes on from there")
            raise
        save()
    scaling = measure_scaling(backend, thread_counts(processor.threads or 1))
    caches = processor.caches
    found = calibrated(
        work,
        session,
        [c.size for c in caches],
        threads=request.threads,
        backend=f"numpy {at_start['numpy']}",
        blas=_blas(at_start),
    )
    try:
        text = _text(request, found, scaling, processor)
    except InputError:
        partial.unlink(missing_ok=True)  # its time is up: to go on would end here again
        raise
    data = {
        "schema": SCHEMA,
        "conditions": at_start | {"disturbance": asdict(read_disturbance().since(before))},
        "quality": found.quality,
        "drift": asdict(found.drift),
        "scaling": scaling,
        "tasks": {
            t.task.name: {"seconds": t.seconds, "best": t.best, "n": t.n} for t in found.timed
        },
        "session": session.data(),
    }
    return Done(
        text, data, partial, found.library.contended, _why(found.quality), _is_good(request.output)
    )


def _text(
    request: Request, found: Calibrated, scaling: list[dict[str, Any]], processor: Any
) -> str:
    caches, library = processor.caches, found.library
    model = processor.model or "CPU"
    name = request.name or machine_name(processor.model, request.threads)
    return machine_yaml(
        name=name,
        title=f"{model}, {request.threads} of {processor.threads} CPUs, as measured",
        vendor=model.split()[0],
        raw=_RAW,
        caches=caches,
        memory=memory_bytes(),
        engines={
            "matrix": compute_roofs(found.timed, "matrix."),
            "vector": compute_roofs(found.timed, "vector."),
            "special": compute_roofs(found.timed, "special."),
        },
        levels=memory_roofs(found.timed, library, [c.size for c in caches]),
        library=library,
        scaling=scaling,
        quality=found.quality,
    )


def _key(request: Request, at_start: dict[str, Any]) -> dict[str, Any]:
    """Return what must be the same for an interrupted run to go on."""
    known = ("model", "numpy", "python")
    return {k: at_start[k] for k in known} | {
        "blas": _blas(at_start),
        "quick": request.quick,
        "threads": request.threads,
        "seed": request.seed,
    }


def _blas(at_start: dict[str, Any]) -> str:
    pools = [f"{p['name']} {p['version']} {p['architecture'] or ''}" for p in at_start["blas"]]
    return (pools or ["no known BLAS"])[0].strip()


def _resumed(partial: Path, key: dict[str, Any], say: Callable[[str], None]) -> Session | None:
    if not partial.exists():
        return None
    try:
        session = Session.from_data(json.loads(partial.read_text(encoding="utf-8")))
    except (OSError, ValueError, InputError):
        say(f"'{partial}' cannot be read: starting again")
        return None
    if dict(session.key) != key:
        changed = [k for k, v in key.items() if session.key.get(k) != v]
        say(f"'{partial}' is of another run ({', '.join(changed)} differ): starting again")
        return None
    say(f"going on with '{partial}', {len(session.visits):,} visits done")
    return session


def _why(quality: dict[str, Any]) -> str:
    floor = quality["noise_floor"]["median"]
    apart = "" if floor is None else f", visits of the same call differ by {100 * floor:.0f} %"
    return f"{100 * quality['clean']:.0f} % of the samples are clean{apart}"


def _is_good(output: Path) -> bool:
    """Tell whether ``output`` is there and holds a calibration that nothing disturbed."""
    from perfmodel.machine import load_hardware

    if not output.exists():
        return False
    try:
        library = load_hardware(str(output)).library
    except InputError:
        return False
    return library is not None and not library.contended
