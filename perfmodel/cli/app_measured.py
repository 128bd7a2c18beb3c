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
def noise(
    threads: Annotated[
        int, typer.Option(min=1, metavar="N", help="Threads that the libraries use.")
    ] = 1,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Of the order of blocks.")] = 0,
    format_: Format = "table",
) -> None:
    """Whether this machine is fit to measure on, and which changes can be told from noise.

    Compares a matrix product, a stream through memory and a small call with themselves.
    Formats: table, json, markdown.
    """
    from perfmodel.cli.noise import run_noise

    raise typer.Exit(run_noise(threads, seed, format_))
