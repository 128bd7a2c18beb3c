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
        Path | None,
        typer.Option(metavar="KERNELS.csv", help="Measured kernels: op, dtype, time_s, sizes."),
    ] = None,
    shapes: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Time N kernels of random shapes here; else 300."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Draws the shapes; else 1.")
    ] = None,
    dtype: Annotated[
        str | None, typer.Option(metavar="FORMAT", help="Of the kernels timed here; else fp32.")
    ] = None,
    backend: Annotated[
        str | None, typer.Option(metavar="NAME", help="The array library: numpy or cupy.")
    ] = None,
    format_: Format = "table",
    output: Outputs = None,
    fail_over: Annotated[
        float | None,
        typer.Option(
            metavar="PERCENT", min=0, help="Exit with code 1 where MAPE is over this many percent."
        ),
    ] = None,
) -> None:
    """How good the predictions for a device are: kernels timed here, or measured elsewhere.

    Times kernels of every operator in random shapes on the machine that `calibrate` made
    HARDWARE of; with --against it scores the kernels of a file, of any device.
    Formats: table, json, csv, markdown; files end in .json .csv .md.
    """
    from perfmodel.cli.measured import check_validate, run_validate

    timed_here = {"--shapes": shapes, "--seed": seed, "--dtype": dtype, "--backend": backend}
    check_validate(against, timed_here)
    if against is not None:
        raise typer.Exit(run_validate(against, hardware, format_, output or [], fail_over))
    from perfmodel.cli.validate import run_validate_kernels

    count, drawn = shapes or 300, 1 if seed is None else seed
    numbers, library = dtype or "fp32", backend or "numpy"
    raise typer.Exit(
        run_validate_kernels(
            hardware, count, drawn, numbers, library, format_, output or [], fail_over
        )
    )


@app.command()
def calibrate(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE.yaml", help="The device file to write.")
    ],
    quick: Annotated[
        bool, typer.Option("--quick", help="Measure for a minute at most, not five.")
    ] = False,
    threads: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Threads of matrix products; else 1.")
    ] = None,
    backend: Annotated[
        str | None, typer.Option(metavar="NAME", help="The array library: numpy or cupy.")
    ] = None,
    from_: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="KERNELS.csv", help="Kernels measured elsewhere: op, time_s, sizes."
        ),
    ] = None,
    hardware: Annotated[
        str | None,
        typer.Option(
            "--hardware", "-H", metavar="BASE", help="With --from: the device, or its .yaml file."
        ),
    ] = None,
    holdout: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="With --from: rows that a fit is scored on without seeing them; else 0.2.",
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(metavar="N", min=0, help="Draws the sizes, or the rows held out.")
    ] = 0,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Of the new device.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE.yaml.")] = False,
    format_: Annotated[
        str | None, typer.Option("--format", metavar="FORMAT", help="With --from: table or json.")
    ] = None,
) -> None:
    """Measure this machine, or fit a device to kernels measured on it; write a hardware file.

    Alone it times calls of the array library and writes FILE.yaml, its raw samples beside
    it. An interrupted run goes on when the command is given again. With --from and -H it
    fits the device's efficiency; the held-out score comes from a fit to the other rows.
    """
    only_from = {"--hardware": hardware, "--holdout": holdout, "--format": format_}
    only_host = {"--quick": quick or None, "--threads": threads, "--backend": backend}
    from perfmodel.cli.measured import check_mix, run_calibrate

    check_mix(from_, only_from, only_host)
    if from_ is None:
        from perfmodel.cli.calibrate import run_calibrate_host

        raise typer.Exit(
            run_calibrate_host(output, quick, threads or 1, backend or "numpy", seed, name, force)
        )
    assert hardware is not None
    share = 0.2 if holdout is None else holdout
    run_calibrate(from_, hardware, output, share, seed, name, force, format_ or "table")


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
