"""Kernels that were timed here against their predictions: a table, markdown and CSV."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TextIO

from rich.text import Text

from perfmodel.report.tables import Strings, markdown_table, print_table
from perfmodel.report.terminal import make_console
from perfmodel.report.validation import LEGEND, score_row, validation_csv
from perfmodel.units import format_si

Data = Mapping[str, Any]

#: how the rows are parted, in the order of the report
PARTS = ("class", "bound", "limiter", "op")
_MORE = (
    "samples: timed stretches of a kernel; kernel: the bound of the passes that it makes; ideal:"
    " what the operator must take at the least traffic, fused; gap: kernel over ideal."
)

kernels_csv = validation_csv


def kernel_rows(data: Data) -> list[Strings]:
    """Return a row a kernel: predicted, interval, measured, ratio, samples."""
    return [
        {
            "kernel": row["name"],
            "predicted": format_si(row["predicted_s"], "s"),
            "90 % interval": f"{format_si(row['low_s'], 's')} .. {format_si(row['high_s'], 's')}",
            "measured": format_si(row["measured_s"], "s"),
            "ratio": f"{row['ratio']:.2f}",
            "samples": str(row["samples"]),
            "bound": row["bound"],
            "ideal": format_si(row["ideal_s"], "s"),
            "gap": f"{row['predicted_s'] / row['ideal_s']:.1f}" if row["ideal_s"] else "-",
        }
        for row in data["rows"]
    ]


def part_rows(data: Data) -> list[Strings]:
    """Return the score in total and by part, a row each."""
    rows = [score_row("all", data["totals"])]
    for part in PARTS:
        rows += [score_row(f"{part} {label}", s) for label, s in data[f"by_{part}"].items()]
    return rows


def verdict(data: Data) -> list[str]:
    """Return what the numbers must be read beside: noise, drift, the datasheet's roofline."""
    floor, plain, steady = data["noise_floor"], data["roofline"], data["steady"]
    found = data["conditions"]["quality"]
    lines = [
        f"noise floor, visits against visits: mean {_percent(floor['mean'])},"
        f" median {_percent(floor['median'])}; {_percent(found['clean'])} of"
        f" {found['samples']:,} samples clean"
        if floor["pairs"]
        else "no kernel was visited twice",
        f"at the speed that the probes beside each visit had in the calibration: MAPE"
        f" {_percent(steady['mape'])}, median {_percent(steady['median_ape'])},"
        f" {_percent(steady['coverage_90'])} in 90 %",
        f"plain roofline of the same machine: MAPE {_percent(plain['mape'])},"
        f" median {_percent(plain['median_ape'])}",
    ]
    then, now = (data["conditions"]["probes"][k] for k in ("calibration", "now"))
    moved = [f"{k} {now[k] / then[k]:.2f}" for k in now if then.get(k)]
    lines.append(f"probes now over those of the calibration: {', '.join(moved)}")
    return lines


def print_kernels(data: Data, stream: TextIO) -> None:
    """Print every kernel, the scores, and what they must be read beside."""
    console = make_console(stream)
    print_table(kernel_rows(data), stream)
    console.print(Text(_MORE, style="dim"))
    console.print()
    print_table(part_rows(data), stream)
    console.print(Text(LEGEND, style="dim"))
    console.print()
    for line in verdict(data):
        console.print(Text(line))


def kernels_markdown(data: Data) -> str:
    """Return the same as markdown."""
    notes = "\n".join(f"- {line}" for line in verdict(data))
    return (
        f"### {data['hardware']}: {data['totals']['rows']:,} kernels timed here\n\n{notes}\n\n"
        f"{markdown_table(part_rows(data))}\n\n{LEGEND}\n\n"
        f"{markdown_table(kernel_rows(data))}\n\n{_MORE}\n"
    )


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"
