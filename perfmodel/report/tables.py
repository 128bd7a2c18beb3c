"""Plain lists and descriptions on a terminal: what `list` and `show` print."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from rich.table import Table
from rich.text import Text

from perfmodel.report.terminal import make_console


def print_table(rows: Sequence[Mapping[str, Any]], stream: TextIO) -> None:
    """Print rows as a table; long text folds within its column."""
    console = make_console(stream)
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for heading in rows[0] if rows else ():
        numeric = all(isinstance(r[heading], int | float) for r in rows)
        table.add_column(
            heading, justify="right" if numeric else "left", overflow="fold", no_wrap=False
        )
    for row in rows:
        table.add_row(*(Text(str(value)) for value in row.values()))
    console.print(table)


def print_sections(data: Mapping[str, Any], stream: TextIO) -> None:
    """Print a description: texts as ``key: value``, lists of rows as tables."""
    console = make_console(stream)
    for key, value in data.items():
        if isinstance(value, list):
            if value:
                console.print()
                console.print(Text(key, style="bold"))
                print_table(value, stream)
        elif "\n" in str(value):
            console.print()
            console.print(Text(str(value)))
            console.print()
        else:
            lines = textwrap.wrap(f"{key}: {value}", console.width, subsequent_indent="  ")
            for line in lines:
                console.print(Text(line))
