"""An analysis as CSV and as markdown."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

from perfmodel.report.columns import COLUMNS, near_note, sort_rows, summary, title

Data = Mapping[str, Any]


def to_csv(data: Data) -> str:
    """Return one line an operator, every field a column, SI units, per execution."""
    rows = [_flat(row) for row in data["operators"]]
    columns = list(dict.fromkeys(key for row in rows for key in row))
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    from perfmodel.analysis import flat_row

    flat = flat_row(row)
    return {k: "" if v is None else v for k, v in flat.items()}


def to_markdown(data: Data, *, sort: str | None = None, top: int | None = None) -> str:
    """Return a table for a pull request or a document, with the totals below."""
    rows = sort_rows(data, sort, top)
    total = data["totals"]["time_s"]
    lines = [f"### {_escape(title(data))}", ""]
    lines.append("| " + " | ".join(c.heading for c in COLUMNS.values()) + " |")
    lines.append("|" + "|".join("---:" if c.right else "---" for c in COLUMNS.values()) + "|")
    for row in rows:
        cells = [_escape(c.text(row, total)) for c in COLUMNS.values()]
        lines.append("| " + " | ".join(cells) + " |")
    lines.append("")
    lines += [f"- **{label}**: {_escape(text)}" for label, text in summary(data)]
    if note := near_note(rows):
        lines.append(f"\n{_escape(note)}")
    return "\n".join(lines) + "\n"


def _escape(text: str) -> str:
    for character in "\\`*_[]<>|#":
        text = text.replace(character, "\\" + character)
    return " ".join(text.split())
