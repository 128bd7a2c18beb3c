"""What validate and calibrate do once the command line is parsed."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfmodel.errors import InputError, shorten

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
    formats = [format_of(path) for path in outputs]
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
    return gate(data, fail_over)


def gate(data: dict[str, Any], fail_over: float | None) -> int:
    """Return the exit code of a score under the limit ``fail_over``, in percent of MAPE."""
    mape = 100 * data["totals"]["mape"]
    if fail_over is not None and mape > fail_over:
        print(f"gate: MAPE {mape:.2f} % is over {fail_over:g} %", file=sys.stderr)
        return EXIT_GATE
    return 0


def check_validate(against: Path | None, timed_here: Mapping[str, object]) -> None:
    """Refuse options of kernels timed here beside a file of measured ones."""
    given = [k for k, v in timed_here.items() if v is not None]
    if against is not None and given:
        raise InputError(
            f"validate takes no {given[0]} beside --against",
            mend="leave --against out to time kernels here",
        )


def check_mix(
    kernels: Path | None, only_from: Mapping[str, object], only_host: Mapping[str, object]
) -> None:
    """Refuse options of one way to calibrate beside the other's.

    Raises InputError that names the option and both ways.
    """
    given = [k for k, v in (only_from if kernels is None else only_host).items() if v is not None]
    if given:
        way = "without --from" if kernels is None else "beside --from"
        raise InputError(
            f"calibrate takes no {given[0]} {way}",
            mend="measure this machine: -o FILE [--quick] [--threads N] [--backend NAME];"
            " or fit a device: --from KERNELS.csv -H BASE -o FILE",
        )
    if kernels is not None and only_from["--hardware"] is None:
        raise InputError("calibrate --from lacks the device to fit", mend="name it: -H BASE")


def run_calibrate(
    kernels: Path,
    hardware: str,
    output: Path,
    holdout: float,
    seed: int,
    name: str | None,
    force: bool,
    form: str,
) -> None:
    """Fit a device to measured kernels and write it as a hardware file."""
    from perfmodel.catalog import resolve
    from perfmodel.catalog.strict_yaml import read_text
    from perfmodel.cli.commands import check_format
    from perfmodel.machine import load_hardware
    from perfmodel.machine.schema import NAME_PATTERN
    from perfmodel.measure.calibration import calibrate
    from perfmodel.measure.fit import fit
    from perfmodel.report.files import write_text

    check_format(form, ("table", "json"))
    if output.suffix.lower() not in (".yaml", ".yml"):
        raise InputError(f"cannot write a device to '{output}'", mend="its name must end in .yaml")
    if output.exists() and not force:
        raise InputError(f"'{output}' is there already", mend="use another name, or --force")
    if not output.parent.is_dir():
        raise InputError(f"cannot write '{output}': there is no folder '{output.parent}'")
    if name is not None and not re.fullmatch(NAME_PATTERN, name):
        raise InputError(
            f"--name {shorten(name)}, expected small letters, digits, '.' and '-'",
            mend="as in my-gpu",
        )
    if not 0 <= holdout < 1:
        raise InputError(f"--holdout {holdout:g}, expected a share from 0 to below 1")
    base = load_hardware(hardware)
    table = _kernels(kernels, base)
    _progress(f"fitting {base.name} to {len(table):,} kernels ...")
    result = calibrate(
        base,
        read_text(resolve(hardware, "hardware"), "YAML"),
        table,
        fit,
        name=name or _fitted_name(base),
        holdout=holdout,
        seed=seed,
    )
    _progress("")
    write_text(output, result.text)
    if form == "json":
        import json

        print(json.dumps(result.data(), indent=1, allow_nan=False))
    else:
        from perfmodel.report.calibration import print_calibration

        print_calibration(result.data(), sys.stdout)
    print(f"wrote {output}", file=sys.stderr)


def _fitted_name(base: Machine) -> str:
    return f"{base.based_on or base.name}-fitted"


def _progress(text: str) -> None:
    """Write over the last line of a terminal; elsewhere say nothing."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def _kernels(file: Path, machine: Machine) -> KernelTable:
    from perfmodel.readers.kernel_table import read_kernels

    return read_kernels(file, machine.names)


def format_of(path: Path) -> str:
    """Return the format that a file's suffix picks; InputError for another."""
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
