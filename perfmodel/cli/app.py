"""The commands and their options. Each calls a function that imports what it needs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="How fast can this network run on this device, what stops it, and what would help?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_WORKLOAD = (
    "A built-in name, a .yaml, .onnx or .pt2 file, a Hugging Face config.json, or one operator:"
    " matmul:m=4096,n=4096,k=4096."
)
_HARDWARE = "A built-in device, or a .yaml file."

Workload = Annotated[str, typer.Argument(metavar="WORKLOAD", help=_WORKLOAD)]
Hardware = Annotated[str, typer.Option("--hardware", "-H", metavar="HARDWARE", help=_HARDWARE)]
Hardwares = Annotated[
    list[str],
    typer.Option("--hardware", "-H", metavar="HARDWARE", help=_HARDWARE + " Repeat for several."),
]
Dims = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="DIM=VALUE", help="Set a size, as batch=8. Repeat for several."),
]
Dtype = Annotated[
    str | None,
    typer.Option(
        metavar="FORMAT",
        help="Number format: fp64 fp32 tf32 bf16 fp16 fp8 int8 int4, of each role as in w4a16kv8;"
        " -acc-FORMAT behind it asks for an accumulator.",
    ),
]
Phase = Annotated[
    str | None,
    typer.Option(metavar="PHASE", help="Of the workload: inference, training, prefill, decode."),
]
LaunchMode = Annotated[
    str,
    typer.Option(metavar="MODE", help="Kernels launched as a 'graph', or one by one: 'eager'."),
]
Optimizer = Annotated[
    str, typer.Option(metavar="NAME", help="In training: sgd momentum adam adamw lamb adafactor.")
]
Recompute = Annotated[
    str,
    typer.Option(metavar="WHAT", help="In training, computed again: none, selective, full."),
]
Inputs = Annotated[
    list[str] | None,
    typer.Option(
        "--input", metavar="NAME=SHAPE", help="An input's whole shape, as image=1x3x224x224."
    ),
]
Values = Annotated[
    list[str] | None,
    typer.Option(
        "--value",
        metavar="NAME=NUMBERS",
        help="An integer input's value where it decides a shape or a branch, as length=16000.",
    ),
]
AllowUnknown = Annotated[
    bool,
    typer.Option(
        "--allow-unknown", help="Charge operators that are not known their bytes, and say so."
    ),
]
Strict = Annotated[
    bool,
    typer.Option("--strict", help="Refuse operators of which only the bytes are known, too."),
]
Without = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TERM",
        help="Leave a term of the model out, to see its worth: launches, shares, tiles, split,"
        " residency, norm, throttle; all: the roofline of the datasheet. Repeat for several.",
    ),
]
NoPatterns = Annotated[
    bool,
    typer.Option(
        "--no-patterns", help="Leave attention and norms written out in primitive nodes as such."
    ),
]
Outputs = Annotated[
    list[Path] | None,
    typer.Option(
        "--output", "-o", metavar="FILE", help="Write a file; its suffix picks the format."
    ),
]
Format = Annotated[str, typer.Option("--format", metavar="FORMAT", help="What is printed.")]


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        from perfmodel import __version__

        print(f"perfmodel {__version__}")
        raise typer.Exit


@app.command()
def analyze(
    workload: Workload,
    hardware: Hardware,
    set_: Dims = None,
    dtype: Dtype = None,
    phase: Phase = None,
    launch: LaunchMode = "graph",
    optimizer: Optimizer = "adam",
    recompute: Recompute = "none",
    input_: Inputs = None,
    value: Values = None,
    allow_unknown: AllowUnknown = False,
    strict: Strict = False,
    without: Without = None,
    no_patterns: NoPatterns = False,
    sort: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Sort rows: time, flops, bytes, name, ...")
    ] = None,
    top: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Print the first N rows.")
    ] = None,
    format_: Format = "table",
    output: Outputs = None,
) -> None:
    """What each operator costs on a device, what binds it, and the totals.

    Formats: table, json, csv, markdown; files end in .json .csv .md .html.
    """
    from perfmodel.cli.commands import Settings, run_analyze

    how = Settings(
        set_ or [],
        dtype,
        phase,
        launch,
        optimizer,
        recompute,
        input_ or [],
        value or [],
        allow_unknown,
        strict,
        without or [],
        not no_patterns,
    )
    run_analyze(workload, hardware, how, sort, top, format_, output or [])


@app.command()
def plot(
    workload: Annotated[list[str], typer.Argument(metavar="WORKLOAD...", help=_WORKLOAD)],
    hardware: Hardwares,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE.html", help="The page to write.")
    ],
    set_: Dims = None,
    dtype: Dtype = None,
    phase: Phase = None,
    launch: LaunchMode = "graph",
    optimizer: Optimizer = "adam",
    recompute: Recompute = "none",
    input_: Inputs = None,
    value: Values = None,
    allow_unknown: AllowUnknown = False,
    strict: Strict = False,
    without: Without = None,
    no_patterns: NoPatterns = False,
) -> None:
    """A roofline plot as one self-contained HTML page."""
    from perfmodel.cli.commands import Settings, run_plot

    how = Settings(
        set_ or [],
        dtype,
        phase,
        launch,
        optimizer,
        recompute,
        input_ or [],
        value or [],
        allow_unknown,
        strict,
        without or [],
        not no_patterns,
    )
    run_plot(workload, hardware, output, how)


@app.command()
def sweep(
    workload: Workload,
    hardware: Hardwares,
    over: Annotated[
        list[str],
        typer.Option(
            metavar="AXIS=VALUES",
            help="Values of a size or setting: batch=1:512, context=128:8192:16, batch=1,2,4,"
            " dtype=fp16,int8. Ranges include their end. Repeat for a grid.",
        ),
    ],
    set_: Dims = None,
    dtype: Dtype = None,
    phase: Phase = None,
    launch: LaunchMode = "graph",
    optimizer: Optimizer = "adam",
    recompute: Recompute = "none",
    input_: Inputs = None,
    value: Values = None,
    allow_unknown: AllowUnknown = False,
    strict: Strict = False,
    without: Without = None,
    no_patterns: NoPatterns = False,
    output: Outputs = None,
) -> None:
    """Totals at every point of a grid of sizes, in one vectorised evaluation.

    Writes CSV to the terminal, or to -o FILE.csv or FILE.parquet.
    """
    from perfmodel.cli.commands import Settings, run_sweep

    how = Settings(
        set_ or [],
        dtype,
        phase,
        launch,
        optimizer,
        recompute,
        input_ or [],
        value or [],
        allow_unknown,
        strict,
        without or [],
        not no_patterns,
    )
    run_sweep(workload, hardware, over, how, output or [])


@app.command()
def convert(
    workload: Workload,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE.yaml", help="The file to write.")
    ],
    set_: Dims = None,
    phase: Phase = None,
    input_: Inputs = None,
    value: Values = None,
    no_patterns: NoPatterns = False,
) -> None:
    """A model written as a readable workload file, which analyses to the same numbers.

    Open sizes stay open, with the value that --set gives as their default; what the
    network repeats is written once.
    """
    from perfmodel.cli.convert import run_convert

    run_convert(workload, output, set_ or [], phase, input_ or [], value or [], not no_patterns)


@app.command("list")
def list_(
    what: Annotated[str, typer.Argument(metavar="hardware|workloads|operators")],
    format_: Format = "table",
) -> None:
    """What there is: devices, networks, operators. Formats: table, json, markdown."""
    from perfmodel.cli.catalogue import run_list

    run_list(what, format_)


@app.command()
def show(
    what: Annotated[str, typer.Argument(metavar="hardware|workload|operator")],
    name: Annotated[str, typer.Argument(metavar="NAME")],
    phase: Phase = None,
    set_: Dims = None,
    format_: Format = "table",
) -> None:
    """A device with its sources, a network with its layers, or an operator.

    Formats: table, json, markdown.
    """
    from perfmodel.cli.catalogue import run_show

    run_show(what, name, phase, set_ or [], format_)


@app.command()
def check(
    files: Annotated[list[str], typer.Argument(metavar="FILE.yaml...")],
) -> None:
    """Validate hardware and workload files; prints every problem with file:line:column."""
    from perfmodel.cli.catalogue import run_check

    raise typer.Exit(run_check(files))
