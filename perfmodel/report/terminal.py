"""An analysis as a table on a terminal, as wide as the terminal is."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Mapping
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from perfmodel.report.columns import COLUMNS, near_note, sort_rows, summary, title

#: columns dropped, in this order, where the terminal is narrow
_DROPPED = ("op", "limiter", "share")
_STYLES = {"compute": "red", "bandwidth": "blue", "overhead": "yellow"}


def make_console(stream: TextIO) -> Console:
    """Return a console for ``stream``: colour on a terminal only, NO_COLOR respected."""
    width = None if stream.isatty() or "COLUMNS" in os.environ else 120
    return Console(file=stream, width=width, highlight=False, emoji=False, markup=False)


def print_analysis(
    data: Mapping[str, Any], stream: TextIO, *, sort: str | None = None, top: int | None = None
) -> None:
    """Print the operators, then the totals. Values are for all n executions of a row."""
    console = make_console(stream)
    rows = sort_rows(data, sort, top)
    total = data["totals"]["time_s"]
    dropped = _DROPPED[: 3 if console.width < 92 else 1 if console.width < 120 else 0]
    columns = [c for c in COLUMNS.values() if c.key not in dropped]

    console.print(Text(title(data), style="bold"))
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim")
    for column in columns:
        table.add_column(
            column.heading,
            justify="right" if column.right else "left",
            no_wrap=True,
            overflow="ellipsis",
            min_width=12 if column.key == "name" else len(column.heading),
        )
    for row in rows:
        cells = []
        for column in columns:
            cell = Text(_printable(column.text(row, total)))
            if column.key in ("bound", "limiter"):
                cell.stylize(_STYLES[row["bound"]])
            cells.append(cell)
        table.add_row(*cells)
    console.print(table)
    hidden = len(data["operators"]) - len(rows)
    if hidden:
        console.print(Text(f"... and {hidden} more operators", style="dim"))
    if note := near_note(rows):
        console.print(Text(note, style="dim"))
    console.print()
    for label, text in summary(data):
        lines = textwrap.wrap(text, max(console.width - 8, 20))
        console.print(Text(f"{label:7} ", style="bold") + Text(lines[0]))
        for line in lines[1:]:
            console.print(Text(" " * 8 + line))


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)
