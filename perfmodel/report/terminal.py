"""An analysis as a table on a terminal, as wide as the terminal is."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO

from rich.console import Console
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
    texts = [[_printable(c.text(row, total)) for c in columns] for row in rows]
    widths = [
        max([len(c.heading), *(len(line[i]) for line in texts)]) for i, c in enumerate(columns)
    ]
    # Numbers are never cut: the names give way, in their middle.
    names = max(console.width - sum(widths[1:]) - len(columns), 12)
    widths[0] = min(widths[0], names)
    coloured = [i for i, c in enumerate(columns) if c.key in ("bound", "limiter")]

    def line_of(cells: Sequence[str], style: str = "") -> Text:
        # Set by hand: a table of the library takes longer than the analysis of a large network.
        line, spans = "", []
        for i, (column, width) in enumerate(zip(columns, widths, strict=True)):
            cell = cells[i].rjust(width) if column.right else cells[i].ljust(width)
            line += (" " if i else "") + cell
            spans += [(len(line) - width, len(line))] if i in coloured else []
        text = Text(line)
        for start, end in spans if style else ():
            text.stylize(style, start, end)
        return text

    def show(lines: Iterable[Text]) -> None:
        if console.is_terminal:
            for line in lines:
                console.print(line, no_wrap=True, overflow="crop")
        else:
            stream.writelines(f"{line.plain[: console.width]}\n" for line in lines)

    heading = line_of([c.heading for c in columns])
    heading.stylize("dim")
    show([heading])
    show(
        line_of([_shortened(line[0], names), *line[1:]], _STYLES[row["bound"]])
        for row, line in zip(rows, texts, strict=True)
    )
    hidden = len(data["operators"]) - len(rows)
    if hidden:
        console.print(Text(f"... and {hidden} more operators", style="dim"))
    if note := near_note(rows):
        console.print(Text(note, style="dim"))
    console.print()
    for label, text in summary(data):
        first, *others = textwrap.wrap(text, max(console.width - 8, 20))
        console.print(Text(f"{label:7} ", style="bold") + Text(first))
        for other in others:
            console.print(Text(" " * 8 + other))


def _shortened(name: str, width: int) -> str:
    """Cut a name in its middle: its ends tell the block and the layer."""
    if len(name) <= width:
        return name
    head = (width - 2) // 2
    return name[:head] + ".." + name[len(name) - (width - 2 - head) :]


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)
