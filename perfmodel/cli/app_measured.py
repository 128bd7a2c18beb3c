"""The commands on measured kernels and their options; importing this adds them to `app`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from perfmodel.cli.app import Format, Hardware, Outputs, app

__all__ = ["app"]


@app.command()
def validate(
    hardware: Hardware,
    against: Annotated[
        Path,
        typer.Option(metavar="KERNELS.csv", help="Measured kernels: op, dtype, time_s, sizes."),
    ],
    format_: Format = "table",
    output: Outputs = None,
    fail_over: Annotated[
        float | None,
        typer.Option(
            metavar="PERCENT", min=0, help="Exit with code 1 where MAPE is over this many percent."
        ),
    ] = None,
) -> None:
    """How good the predictions for a device are, against kernels measured on it.

    Formats: table, json, csv, markdown; files end in .json .csv .md.
    """
    from perfmodel.cli.measured import run_validate

    raise typer.Exit(run_validate(against, hardware, format_, output or [], fail_over))


@app.command()
def calibrate(
    hardware: Annotated[
        str,
        typer.Option("--hardware", "-H", metavar="BASE", help="The device, or a .yaml file of it."),
    ],
    from_: Annotated[
        Path,
        typer.Option(
            "--from", metavar="KERNELS.csv", help="Kernels measured on it: op, time_s, sizes."
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE.yaml", help="The device file to write.")
    ],
    holdout: Annotated[
        float,
        typer.Option(
            metavar="SHARE", help="Share of the rows that a fit is scored on without seeing them."
        ),
    ] = 0.2,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Draws the rows held out.")] = 0,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of the new device; else BASE-fitted.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE.yaml.")] = False,
    format_: Format = "table",
) -> None:
    """Fit a device's efficiency to kernels measured on it, and write it as a hardware file.

    The held-out score comes from a fit to the other rows; the file's fit takes all rows.
    Formats: table, json.
    """
    from perfmodel.cli.measured import run_calibrate

    run_calibrate(from_, hardware, output, holdout, seed, name, force, format_)
