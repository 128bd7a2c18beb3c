"""A calibration as tables: parameters before and after, and the scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TextIO

from rich.text import Text

from perfmodel.machine import PARAMETERS
from perfmodel.machine.efficiency_file import show_value
from perfmodel.report.tables import Strings, print_table
from perfmodel.report.terminal import make_console

Data = Mapping[str, Any]


def parameter_rows(data: Data) -> list[Strings]:
    """Return a row a parameter: before, after, how it was found, and its meaning."""
    rows = []
    for name, found in data["parameters"].items():
        parameter, before, after = PARAMETERS[name], found["before"], found["after"]
        told = after["method"] == "fitted" and after != before
        rows.append(
            {
                "parameter": name,
                "before": show_value(parameter, before["value"]),
                "after": show_value(parameter, after["value"]) if told else "as it was",
                "found": f"fitted, n {after['n']}" if told else after["method"],
                "meaning": parameter.meaning,
            }
        )
    return rows


def score_rows(data: Data) -> list[Strings]:
    """Return the MAPE before and after, on rows of the fit and on rows held out."""
    parts = [
        (f"by_{part}", label) for part in ("op", "bound") for label in data["after"][f"by_{part}"]
    ]
    return [
        _scores("all", data, lambda found: found["totals"]),
        *(
            _scores(f"{part[3:]} {label}", data, lambda f, p=part, x=label: f[p].get(x))
            for part, label in parts
        ),
    ]


def _scores(label: str, data: Data, pick: Any) -> Strings:
    before, after = pick(data["before"]), pick(data["after"])
    held = pick(data["held_out"]) if data["held_out"] else None
    return {
        "rows of": label,
        "n": f"{after['rows']:,}",
        "roofline": _percent(after["roofline_mape"]),
        "before": _percent(before["mape"]) if before else "-",
        "fitted": _percent(after["mape"]),
        "held out": _percent(held["mape"]) if held else "-",
        "of n": f"{held['rows']:,}" if held else "-",
        "in 90 %": f"{100 * held['coverage_90']:.0f} %" if held else "-",
    }


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def print_calibration(data: Data, stream: TextIO) -> None:
    """Print the parameters, what the rows could not tell, and the scores."""
    console = make_console(stream)
    rows = parameter_rows(data)
    console.print(Text(f"{data['based_on']} fitted to {data['after']['totals']['rows']:,} kernels"))
    console.print()
    print_table(rows, stream)
    untold = [row["parameter"] for row in rows if row["after"] == "as it was"]
    if untold:
        console.print(Text(f"These rows do not tell {', '.join(untold)}.", style="dim"))
    console.print()
    console.print(Text("MAPE", style="bold"))
    print_table(score_rows(data), stream)
    console.print(
        Text(
            "fitted: on the rows of the fit; held out: a fit to the other rows, scored on these;"
            " in 90 %: share of them inside the predicted interval.",
            style="dim",
        )
    )
