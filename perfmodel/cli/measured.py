"""What validate and calibrate do once the command line is parsed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfmodel.errors import InputError

if TYPE_CHECKING:
    from perfmodel.machine import Machine
    from perfmodel.readers.kernel_table import KernelTable

EXIT_GATE = 1
_SUFFIXES = {".json": "json", ".csv": "csv", ".md": "markdown"}


def run_validate(
    against: Path, hardware: str, form: str, outputs: Sequence[Path], fail_over: float | None
) -> int:
    """Score the predictions for a device; return the exit code."""
    from perfmodel.cli.commands import check_format
    from perfmodel.machine import load_hardware
    from perfmodel.measure.validation import validate
    from perfmodel.report.files import write_text

    check_format(form)
    formats = [_format_of(path) for path in outputs]
    machine = load_hardware(hardware)
    data = validate(_kernels(against, machine), machine)
    for path, file_form in zip(outputs, formats, strict=True):
        write_text(path, _render(data, file_form))
        print(f"wrote {path}", file=sys.stderr)
    if form != "table":
        print(_render(data, form), end="")
    elif not outputs:
        from perfmodel.report.validation import print_validation

        print_validation(data, sys.stdout)
    mape = 100 * data["totals"]["mape"]
    if fail_over is not None and mape > fail_over:
        print(f"gate: MAPE {mape:.2f} % is over {fail_over:g} %", file=sys.stderr)
        return EXIT_GATE
    return 0


def _kernels(file: Path, machine: Machine) -> KernelTable:
    from perfmodel.readers.kernel_table import read_kernels

    return read_kernels(file, machine.names)


def _format_of(path: Path) -> str:
    form = _SUFFIXES.get(path.suffix.lower())
    if form is None:
        raise InputError(
            f"cannot tell the format of '{path}'", mend=f"use {', '.join(_SUFFIXES)} as its suffix"
        )
    return form


def _render(data: dict[str, Any], form: str) -> str:
    from perfmodel.report.validation import validation_csv, validation_markdown

    if form == "json":
        import json

        return json.dumps(data, indent=1, allow_nan=False) + "\n"
    return validation_csv(data) if form == "csv" else validation_markdown(data)
