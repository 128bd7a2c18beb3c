"""What validate does with kernels of this machine, once the command line is parsed."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def run_validate_kernels(
    hardware: str,
    shapes: int,
    seed: int,
    dtype: str,
    backend: str,
    form: str,
    outputs: Sequence[Path],
    fail_over: float | None,
) -> int:
    """Time kernels of random shapes and score the predictions; return the exit code."""
    from perfmodel.cli.calibrate import check_backend, progress_bar
    from perfmodel.cli.commands import check_format
    from perfmodel.cli.measured import format_of, gate
    from perfmodel.machine import load_hardware
    from perfmodel.measure.clocks import NumpyBackend
    from perfmodel.measure.kernel_validation import checked_library, validate_kernels
    from perfmodel.measure.suite import random_shapes
    from perfmodel.report.files import write_text

    check_format(form)
    check_backend(backend)
    formats = [format_of(path) for path in outputs]
    machine = load_hardware(hardware)
    checked_library(machine)
    with progress_bar("drawing shapes", float(shapes)) as shown:
        drawn = random_shapes(shapes, seed, dtype, shown)
    with progress_bar("measuring", 1.0) as shown:
        data = validate_kernels(drawn, machine, NumpyBackend(), seed=seed, progress=shown)
    for path, file_form in zip(outputs, formats, strict=True):
        write_text(path, _render(data, file_form))
        print(f"wrote {path}", file=sys.stderr)
    if form != "table":
        print(_render(data, form), end="")
    else:
        from perfmodel.report.kernel_validation import print_kernels

        print_kernels(data, sys.stdout)
    return gate(data, fail_over)


def _render(data: dict[str, Any], form: str) -> str:
    from perfmodel.report.kernel_validation import kernels_csv, kernels_markdown

    if form == "json":
        return json.dumps(data, allow_nan=False) + "\n"
    return kernels_csv(data) if form == "csv" else kernels_markdown(data)
