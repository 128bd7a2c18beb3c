"""What analyze, plot and sweep do once the command line is parsed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perfmodel.errors import InputError, did_you_mean, shorten

FORMATS = ("table", "json", "csv", "markdown")


@dataclass(frozen=True)
class Settings:
    """How a workload is run: what analyze, plot and sweep have in common."""

    dims: Sequence[str]
    dtype: str | None
    phase: str | None
    launch: str
    optimizer: str
    recompute: str
    inputs: Sequence[str] = ()
    values: Sequence[str] = ()
    allow_unknown: bool = False
    strict: bool = False
    without: Sequence[str] = ()
    patterns: bool = True

    def keywords(self) -> dict[str, Any]:
        """Return the settings as the library takes them."""
        return {
            "dtype": self.dtype,
            "phase": self.phase,
            "launch": self.launch,
            "optimizer": self.optimizer,
            "recompute": self.recompute,
            "inputs": parse_shapes(self.inputs),
            "values": parse_values(self.values),
            "allow_unknown": self.allow_unknown,
            "strict": self.strict,
            "without": self.without,
            "patterns": self.patterns,
            **parse_settings(self.dims),
        }


def parse_settings(settings: Sequence[str]) -> dict[str, int]:
    """Return ``["batch=8"]`` as ``{"batch": 8}``."""
    from perfmodel.readers.inline import parse_whole

    dims: dict[str, int] = {}
    for item in settings:
        name, equals, value = (part.strip() for part in item.partition("="))
        if not equals or not name:
            raise InputError(
                f"--set {shorten(item)}, expected DIM=VALUE", mend="as in --set batch=8"
            )
        if name in dims:
            raise InputError(f"--set gives '{name}' twice")
        dims[name] = parse_whole(name, value)
    return dims


def parse_shapes(inputs: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Return ``["image=1x3x224x224"]`` as ``{"image": (1, 3, 224, 224)}``."""
    return _named_numbers("--input", inputs, "x", "1x3x224x224", least=1)


def parse_values(values: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Return ``["length=16000", "size=480,640"]`` as tuples by name."""
    return _named_numbers("--value", values, ",", "16000", least=None)


def _named_numbers(
    option: str, items: Sequence[str], separator: str, example: str, least: int | None
) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}
    for item in items:
        # Tensors' names may hold '=' and ':', numbers do not.
        name, equals, text = item.rpartition("=")
        if not equals or not name:
            raise InputError(
                f"{option} {shorten(item)}, expected NAME={example}",
                mend=f"as in {option} image={example}",
            )
        if name in found:
            raise InputError(f"{option} gives '{name}' twice")
        try:
            numbers = tuple(int(part) for part in text.lower().split(separator)) if text else ()
        except ValueError:
            raise InputError(
                f"{option} {shorten(item)}: found {shorten(text)}, expected numbers as {example}"
            ) from None
        if least is not None and any(n < least for n in numbers):
            raise InputError(f"{option} {shorten(item)}: expected sizes of at least {least}")
        found[name] = numbers
    return found


def check_format(form: str, known: Sequence[str] = FORMATS) -> None:
    """Raise InputError unless ``form`` is one of the formats."""
    if form not in known:
        raise InputError(f"unknown format {shorten(form)}", mend=did_you_mean(form, known))


def run_analyze(
    workload: str,
    hardware: str,
    how: Settings,
    sort: str | None,
    top: int | None,
    form: str,
    outputs: Sequence[Path],
) -> None:
    """Analyse and print; with -o, write files and print nothing but their names."""
    from perfmodel.api import analyze
    from perfmodel.report import format_of, render, write
    from perfmodel.report.columns import sort_rows

    check_format(form)
    for path in outputs:
        format_of(path)
    data = analyze(workload, hardware, **how.keywords()).data
    if sort is not None or top is not None:
        sort_rows(data, sort, top)
    for path in outputs:
        write(data, path)
        print(f"wrote {path}", file=sys.stderr)
    if outputs and form == "table":
        return
    if form == "table":
        from perfmodel.report.terminal import print_analysis

        print_analysis(data, sys.stdout, sort=sort, top=top)
    elif form == "markdown":
        from perfmodel.report.text import to_markdown

        print(to_markdown(data, sort=sort, top=top), end="")
    else:
        print(render(data, form), end="")


def run_plot(
    workloads: Sequence[str], hardware: Sequence[str], output: Path, how: Settings
) -> None:
    """Write the rooflines of every workload on every device to one page."""
    if output.suffix.lower() != ".html":
        raise InputError(f"cannot plot to '{output}'", mend="its name must end in .html")
    from perfmodel.api import analyze
    from perfmodel.report.files import write_text
    from perfmodel.report.page import roofline_page

    keywords = how.keywords()
    results = [analyze(w, h, **keywords).data for h in hardware for w in workloads]
    write_text(output, roofline_page(results))
    print(f"wrote {output}", file=sys.stderr)


def run_sweep(
    workload: str,
    hardware: Sequence[str],
    over: Sequence[str],
    how: Settings,
    outputs: Sequence[Path],
) -> None:
    """Evaluate a grid and write it, block by block."""
    from perfmodel.report.grid import grid_writer
    from perfmodel.sweeping import parse_axes, sweep_blocks

    blocks = sweep_blocks(workload, hardware, parse_axes(over), **how.keywords())
    points = grid_writer(blocks, outputs, sys.stdout)
    for path in outputs:
        print(f"wrote {path} ({points:,} points)", file=sys.stderr)
