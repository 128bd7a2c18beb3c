"""Plain lists and descriptions on a terminal: what `list` and `show` print."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TextIO

from rich.table import Table
from rich.text import Text

from perfmodel.report.terminal import make_console
from perfmodel.units import format_capacity, format_si

Strings = dict[str, str]


#: a terminal narrower than this shows no optional columns
NARROW = 110


def print_table(
    rows: Sequence[Mapping[str, Any]], stream: TextIO, optional: Sequence[str] = ()
) -> None:
    """Print rows as a table; long text folds within its column.

    Columns that are ``optional`` are left out where the terminal is narrow.
    """
    console = make_console(stream)
    if console.width < NARROW:
        rows = [{k: v for k, v in row.items() if k not in optional} for row in rows]
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for key in rows[0] if rows else ():
        numeric = all(_is_number(r[key]) for r in rows)
        table.add_column(_heading(key), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(key, value)) for key, value in row.items()))
    console.print(table)


def _is_number(value: Any) -> bool:
    """Tell whether a cell is a number, or the text of one with its unit, as in '12.5 %'."""
    return isinstance(value, int | float) or bool(_NUMBER.match(str(value)))


def markdown_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as a markdown table."""
    keys = list(rows[0]) if rows else []
    lines = ["| " + " | ".join(_heading(k) for k in keys) + " |", "|" + "---|" * len(keys)]
    for row in rows:
        cells = (_cell(k, row[k]).replace("|", "\\|") for k in keys)
        lines.append("| " + " | ".join(" ".join(c.split()) for c in cells) + " |")
    return "\n".join(lines)


_NUMBER = re.compile(r"[+-]?\d[\d,.]*(e[+-]?\d+)?( \S{1,7})?$|-$")

#: how a column's unit, the end of its key, is written for a reader
_UNITS: dict[str, Callable[[float], str]] = {
    "_flop_per_s": lambda v: format_si(v, "FLOP/s"),
    "_bytes_per_s": lambda v: format_si(v, "B/s"),
    "_bytes": format_capacity,
    "parameters": lambda v: format_si(v, "").strip(),
}


def _heading(key: str) -> str:
    bare = next((key.removesuffix(s) for s in _UNITS if key.endswith(s)), key) or key
    return bare.replace("_", " ")


def _cell(key: str, value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(str(v) for v in value)
    if isinstance(value, int | float):
        for suffix, write in _UNITS.items():
            if key.endswith(suffix):
                return write(value)
    return str(value)


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


def markdown_sections(data: Mapping[str, Any]) -> str:
    """Return a description as markdown: texts as a list, lists of rows as tables."""
    lines: list[str] = []
    for key, value in data.items():
        if isinstance(value, list):
            if value:
                lines += ["", f"## {key}", "", markdown_table(value)]
        else:
            lines.append(f"- **{key}**: {' '.join(str(value).split())}")
    return "\n".join(lines) + "\n"
