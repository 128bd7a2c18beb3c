"""A validation (schema perfmodel/validation@1) as a table, markdown and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from rich.text import Text

from perfmodel.report.tables import Strings, markdown_table, print_table
from perfmodel.report.terminal import make_console
from perfmodel.units import format_si

Data = Mapping[str, Any]

#: how the rows are parted, in the order of the report
PARTS = ("op", "bound", "launch", "dtype")


def score_rows(data: Data) -> list[Strings]:
    """Return the score in total and by part, a row each, as texts."""
    rows = [score_row("all", data["totals"])]
    for part in PARTS:
        found = data[f"by_{part}"]
        if len(found) > 1 or part in ("op", "bound"):
            rows += [score_row(f"{part} {label}", score) for label, score in found.items()]
    return rows


def score_row(label: str, score: Data) -> Strings:
    """Return a score as texts."""
    rank = score["rank_correlation"]
    return {
        "rows of": label,
        "n": f"{score['rows']:,}",
        "MAPE": _percent(score["mape"]),
        "median": _percent(score["median_ape"]),
        "bias": f"{100 * score['bias']:+.1f} %",
        "rank corr.": "-" if rank is None else f"{rank:.3f}",
        "in 90 %": f"{100 * score['coverage_90']:.0f} %",
        "roofline": _percent(score["roofline_mape"]),
    }


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def worst_rows(data: Data) -> list[Strings]:
    """Return the rows that are farthest off, as texts."""
    return [
        {
            "kernel": row["name"],
            "format": row["dtype"],
            "measured": format_si(row["measured_s"], "s"),
            "predicted": format_si(row["predicted_s"], "s"),
            "ratio": f"{row['predicted_s'] / row['measured_s']:.2f}",
            "bound": row["bound"],
        }
        for row in (data["rows"][index] for index in data["worst"])
    ]


def headline(data: Data) -> str:
    """Return one line: the device, the file, how many rows."""
    conditions = data["conditions"]
    return (
        f"{data['hardware']} against {data['totals']['rows']:,} kernels of"
        f" {Path(conditions['against']).name}"
        f" ({', '.join(conditions['dtype'])}; {', '.join(conditions['launch'])} launch)"
    )


#: what the columns of the score mean
LEGEND = (
    "MAPE: mean of |predicted / measured - 1|; median: of the same; bias: its mean with its sign;"
    " rank corr.: Spearman's; in 90 %: share of measured times inside the predicted interval;"
    " roofline: MAPE of the plain datasheet roofline."
)


def print_validation(data: Data, stream: TextIO) -> None:
    """Print the score by part, then the worst rows."""
    console = make_console(stream)
    console.print(Text(headline(data), style="bold"))
    console.print()
    print_table(score_rows(data), stream)
    console.print(Text(LEGEND, style="dim"))
    console.print()
    console.print(Text("farthest off", style="bold"))
    print_table(worst_rows(data), stream)


def validation_markdown(data: Data) -> str:
    """Return the score and the worst rows as markdown."""
    return (
        f"### {headline(data)}\n\n{markdown_table(score_rows(data))}\n\n{LEGEND}\n\n"
        f"Farthest off:\n\n{markdown_table(worst_rows(data))}\n"
    )


def validation_csv(data: Data) -> str:
    """Return one line a kernel, SI units; a column for every size that some kernel has."""
    columns = list(dict.fromkeys(key for row in data["rows"] for key in row))
    last = [c for c in columns if c.endswith("_s") or c == "bound"]
    out = io.StringIO()
    writer = csv.DictWriter(
        out, [c for c in columns if c not in last] + last, lineterminator="\n", restval=""
    )
    writer.writeheader()
    writer.writerows(data["rows"])
    return out.getvalue()
