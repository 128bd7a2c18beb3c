"""What calibrate does on the machine at hand, once the command line is parsed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from perfmodel.errors import InputError

EXIT_CONTENDED = 1


def run_calibrate_host(
    output: Path, quick: bool, threads: int, backend: str, seed: int, name: str | None, force: bool
) -> int:
    """Measure this machine and write it as a hardware file; return the exit code."""
    from perfmodel.measure.calibrating import Request, calibrate_host

    check_backend(backend)
    if output.suffix.lower() not in (".yaml", ".yml"):
        raise InputError(f"cannot write a device to '{output}'", mend="its name must end in .yaml")
    if not output.parent.is_dir():
        raise InputError(f"cannot write '{output}': there is no folder '{output.parent}'")
    request = Request(output, quick, threads, seed, name)
    done = calibrate_host(request, progress_bar, lambda text: print(text, file=sys.stderr))
    from perfmodel.report.host import print_host

    if done.contended and done.better_exists and not force:
        other = output.with_name(f"{output.stem}.contended{output.suffix}")
        done.write(other)
        print(
            f"the machine is contended: {done.why}; '{output}' comes from a quieter run and stays,"
            f" this one is in '{other}' (--force replaces)",
            file=sys.stderr,
        )
        return EXIT_CONTENDED
    done.write(output)
    print_host(done.data, sys.stdout)
    if done.contended:
        print(f"warning: the machine is contended: {done.why}", file=sys.stderr)
    print(f"wrote {output} and {done.raw_of(output)}", file=sys.stderr)
    return 0


def check_backend(backend: str) -> None:
    """Refuse a backend that is not known, or not to be had here."""
    if backend == "numpy":
        return
    if backend != "cupy":
        raise InputError(f"unknown backend '{backend}'", mend="use numpy or cupy")
    try:
        import cupy
    except ImportError:
        raise InputError(
            "--backend cupy needs the package cupy, which is not installed",
            mend="pip install cupy-cuda12x, on a machine with an NVIDIA GPU",
        ) from None
    if not cupy.cuda.is_available():
        raise InputError("--backend cupy finds no GPU here", mend="use --backend numpy")
    raise InputError("calibrate measures a CPU", mend="use --from KERNELS.csv -H BASE for a GPU")


@contextmanager
def progress_bar(
    text: str, total: float, done: float = 0.0
) -> Iterator[Callable[[float, float], None]]:
    """Yield what is told how much is done, and of what: a bar on a terminal, else nothing."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns: list[Any] = [TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn()]
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(text, total=total, completed=int(done))
        yield lambda done, total: bar.update(task, completed=min(done, total), total=total)
