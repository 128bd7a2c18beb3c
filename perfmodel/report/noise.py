"""A noise measurement (schema perfmodel/noise@1) as a table and a verdict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TextIO

from rich.text import Text

from perfmodel.report.tables import Strings, markdown_table, print_table
from perfmodel.report.terminal import make_console

Data = Mapping[str, Any]

LEGEND = (
    "block, interval: 95th percentile of |ln(A / A)| of one ABBA block, and of the farther end of"
    " a comparison's 95 % interval; threshold: the smallest change that a gate can be set to;"
    " clean: samples that nothing is known to have disturbed."
)


def noise_rows(data: Data) -> list[Strings]:
    """Return a row for each probe, as texts."""
    return [
        {
            "probe": name,
            "block": _percent(probe["block_p95"]),
            "interval": _percent(probe["interval_p95"]),
            "threshold": _percent(probe["threshold"]),
            "clean": f"{100 * probe['clean']:.0f} %",
        }
        for name, probe in data["probes"].items()
    ]


def verdict(data: Data) -> str:
    """Return one line: fit or not, and down to which change."""
    worst = max(data["probes"].items(), key=lambda item: item[1]["threshold"])
    threshold = _percent(worst[1]["threshold"])
    if data["fit"]:
        return f"fit to measure: changes of {threshold} and more can be told from noise"
    return (
        f"not fit to measure: '{worst[0]}' differs from itself so much that only changes of"
        f" {threshold} and more can be told from noise"
    )


def print_noise(data: Data, stream: TextIO) -> None:
    """Print the probes, then the verdict."""
    console = make_console(stream)
    print_table(noise_rows(data), stream)
    console.print(Text(LEGEND, style="dim"))
    console.print()
    console.print(Text(verdict(data), style="bold"))


def noise_markdown(data: Data) -> str:
    """Return the probes and the verdict as markdown."""
    return f"{markdown_table(noise_rows(data))}\n\n{LEGEND}\n\n**{verdict(data)}**\n"


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"
