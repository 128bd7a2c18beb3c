"""Reports: an analysis (plain data, schema perfmodel/analysis@1) made readable.

Nothing here knows an operator or computes a cost. `render` returns text in a
format, `write` puts it into a file by its suffix.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from perfmodel.errors import InputError
from perfmodel.report.files import write_text

Data = Mapping[str, Any]

SUFFIXES = {".json": "json", ".csv": "csv", ".md": "markdown", ".html": "html"}


def _json(data: Data) -> str:
    import json

    return json.dumps(data, indent=1, allow_nan=False) + "\n"


def _csv(data: Data) -> str:
    from perfmodel.report.text import to_csv

    return to_csv(data)


def _markdown(data: Data) -> str:
    from perfmodel.report.text import to_markdown

    return to_markdown(data)


def _html(data: Data) -> str:
    from perfmodel.report.page import roofline_page

    return roofline_page([data])


FORMATS: dict[str, Callable[[Data], str]] = {
    "json": _json,
    "csv": _csv,
    "markdown": _markdown,
    "html": _html,
}


def render(data: Data, form: str) -> str:
    """Return an analysis as text in ``form``: json, csv, markdown or html."""
    return FORMATS[form](data)


def format_of(path: Path) -> str:
    """Return the format that a file's suffix stands for; InputError lists the suffixes."""
    form = SUFFIXES.get(path.suffix.lower())
    if form is None:
        raise InputError(
            f"cannot tell the format of '{path}'", mend=f"use {', '.join(SUFFIXES)} as its suffix"
        )
    return form


def write(data: Data, path: Path) -> None:
    """Write an analysis to ``path`` in the format of its suffix, whole or not at all."""
    write_text(path, render(data, format_of(path)))
