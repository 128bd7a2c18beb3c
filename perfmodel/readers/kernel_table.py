"""Reads a kernels.csv: measured kernels, a row each, as groups that are evaluated at once.

Columns: ``op``, ``time_s`` (seconds), ``dtype`` (fp32), ``launch`` (graph), the sizes of
the inline form, and, where there are any, ``hardware`` and ``name``. An empty or absent
cell takes the default. Rows that agree in operator, format, launch mode and whatever is
no plain number are one group, whose sizes are arrays.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
import numpy.typing as npt

from perfmodel.catalog.strict_yaml import read_text
from perfmodel.core import Operator, parse_precision
from perfmodel.core.dims import Array
from perfmodel.errors import InputError, did_you_mean, shorten
from perfmodel.graph import Graph
from perfmodel.machine import Launch
from perfmodel.ops import get_operator, registry
from perfmodel.readers.inline import InlineWorkload, complete_sizes, first_line, parse_size

#: the columns that are no sizes
PLAIN = ("hardware", "op", "name", "dtype", "launch", "time_s")
MAX_BYTES = 2**30

Rows = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class KernelGroup:
    """Measured kernels of one operator, number format and launch mode.

    ``graph`` has one node, its sizes arrays with an element a row; ``rows`` are the
    rows' places in the table, ``measured`` their seconds.
    """

    op: str
    dtype: str
    launch: Launch
    graph: Graph
    sizes: Mapping[str, Any]
    rows: Rows
    measured: Array


@dataclass(frozen=True)
class _Row:
    """A row as read: what it belongs to, and the place of every cell that it has."""

    line: int
    op: type[Operator]
    name: str
    dtype: str
    launch: Launch
    time_s: float
    sizes: Mapping[str, Any]

    def key(self) -> tuple[Any, ...]:
        """Return what rows of one group have in common."""
        apart = tuple(
            (name, value if _is_apart(self.op, name, value) else None)
            for name, value in sorted(self.sizes.items())
        )
        return self.op.name, self.runs.name, self.dtype, self.launch, apart

    @property
    def runs(self) -> type[Operator]:
        """The operator that is bound: one product by itself is a linear layer without a bias."""
        alone = self.op.name == "matmul" and self.sizes.get("batch", 1) == 1
        return get_operator("affine") if alone else self.op


def _is_apart(op: type[Operator], name: str, value: Any) -> bool:
    return isinstance(value, bool | str) or name in op.fixed


@dataclass(frozen=True)
class KernelTable:
    """Measured kernels of one device, in the file's order. ``source`` is the file's name."""

    source: str
    rows: Sequence[_Row] = field(repr=False)

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def measured(self) -> Array:
        """Seconds by row."""
        return np.array([row.time_s for row in self.rows])

    @cached_property
    def groups(self) -> tuple[KernelGroup, ...]:
        """The rows by group. Raises InputError with the line where sizes do not fit."""
        members: dict[tuple[Any, ...], list[int]] = {}
        for index, row in enumerate(self.rows):
            members.setdefault(row.key(), []).append(index)
        return tuple(self._group(np.array(found)) for found in members.values())

    def take(self, rows: Sequence[int] | Rows) -> KernelTable:
        """Return the table of some rows."""
        return KernelTable(self.source, [self.rows[i] for i in rows])

    def column(self, name: str) -> list[str]:
        """Return 'op', 'class', 'dtype', 'launch' or 'name' by row."""
        if name == "op":
            return [row.op.name for row in self.rows]
        if name == "class":
            return [row.op.category for row in self.rows]
        return [getattr(row, name) for row in self.rows]

    def sizes(self, index: int) -> dict[str, Any]:
        """Return every size of a row, given or default."""
        row = self.rows[index]
        return complete_sizes(row.op, row.sizes)

    def _group(self, rows: Rows) -> KernelGroup:
        first = self.rows[rows[0]]
        sizes = {
            name: value
            if _is_apart(first.op, name, value)
            else np.array([self.rows[i].sizes[name] for i in rows], dtype=np.float64)
            for name, value in first.sizes.items()
        }
        try:
            graph = _bind(first, sizes)
        except InputError:
            self._blame(rows)
            raise
        measured = self.measured[rows]
        return KernelGroup(first.op.name, first.dtype, first.launch, graph, sizes, rows, measured)

    def _blame(self, rows: Rows) -> None:
        """Raise InputError for the first row that cannot be bound by itself."""
        for index in rows:
            row = self.rows[index]
            try:
                _bind(row, row.sizes)
            except InputError as error:
                where = f"{self.source}:{row.line}:1"
                raise InputError(error.message, where=where, mend=error.mend) from None


def _bind(row: _Row, sizes: Mapping[str, Any]) -> Graph:
    about = {"title": first_line(row.op), "family": "operator"}
    precision = parse_precision(row.dtype)
    op = row.runs
    if op is not row.op:
        sizes = {name: size for name, size in sizes.items() if name in op.sizes} | {"bias": False}
    return InlineWorkload(op.name, ("inference",), precision, about, op, sizes).bind()


def read_kernels(file: Path, devices: Collection[str] | None = None) -> KernelTable:
    """Return the rows of a kernels.csv.

    ``devices`` are the names of the device asked for: where there is a ``hardware``
    column only rows with one of them count; None takes every row.
    Raises InputError with file:line:column for an unknown column or operator, a
    missing size, a time that is not above 0, and where no row is left.
    """
    return _Reader(str(file), read_text(file, "CSV", MAX_BYTES), devices).table()


class _Reader:
    def __init__(self, name: str, text: str, devices: Collection[str] | None) -> None:
        self.name, self.devices = name, devices
        self.lines = text.splitlines()
        self.reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        self.header: list[str] = []
        self.cells: dict[tuple[str, str, str], Any] = {}

    def table(self) -> KernelTable:
        try:
            rows = list(self._rows())
        except csv.Error as error:
            line = self.reader.line_num
            raise InputError(f"not CSV: {error}", where=f"{self.name}:{line}:1") from None
        if not rows:
            raise InputError(
                f"found no row, expected a kernel in each line below {','.join(self.header)}",
                where=f"{self.name}:2:1",
            )
        return KernelTable(self.name, rows)

    def _rows(self) -> Iterator[_Row]:
        self._read_header()
        seen: dict[str, int] = {}
        for cells in self.reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(self.header):
                raise self._error(
                    f"found {len(cells)} cells, expected {len(self.header)} as in the first line"
                )
            given = {
                column: text
                for column, cell in zip(self.header, cells, strict=True)
                if (text := cell.strip())
            }
            if self.devices is not None and "hardware" in self.header:
                device = given.get("hardware", "")
                seen[device] = seen.get(device, 0) + 1
                if device not in self.devices:
                    continue
            yield self._row(given)
        if seen and not any(device in seen for device in self.devices or ()):
            wanted = " or ".join(f"'{d}'" for d in self.devices or ())
            there = ", ".join(f"{d or '(empty)'} ({n} rows)" for d, n in sorted(seen.items()))
            raise InputError(
                f"no row of hardware {wanted}; there are {there}",
                where=f"{self.name}:1:{self._column('hardware', 1)}",
                mend="take -H one of these, or leave the column out",
            )

    def _read_header(self) -> None:
        self.header = [cell.strip() for cell in next(self.reader, [])]
        if not any(self.header):
            raise InputError(
                "found nothing, expected a first line that names the columns",
                where=f"{self.name}:1:1",
                mend="as in op,dtype,launch,m,n,k,time_s",
            )
        sizes = {size for op in registry().values() for size in op.sizes}
        for column in self.header:
            if column not in sizes and column not in PLAIN:
                raise self._error(
                    f"unknown column {shorten(column)}",
                    column,
                    did_you_mean(column, [*PLAIN, *sizes]),
                )
            if self.header.count(column) > 1:
                raise self._error(f"the column '{column}' is there twice", column)
        for column in ("op", "time_s"):
            if column not in self.header:
                raise self._error(
                    f"no column '{column}'", mend="needed: op, time_s and the sizes of the operator"
                )

    def _row(self, given: dict[str, str]) -> _Row:
        if "op" not in given:
            raise self._error("op is empty, expected an operator", "op", "as in matmul")
        op = self._known("op", given["op"], get_operator)
        sizes = {}
        for column, text in given.items():
            # Of an operator that always takes as many, 'inputs' says what is known.
            if column == "inputs" and column not in op.sizes and text == str(op.arity):
                continue
            if column not in PLAIN:
                sizes[column] = self._known(
                    column, text, lambda text, column=column: parse_size(op, column, text), op.name
                )
        missing = [s for s, default in op.sizes.items() if default is None and s not in sizes]
        if missing:
            empty = next((m for m in missing if m in self.header), "op")
            raise self._error(f"{op.name} needs {', '.join(missing)}", empty, f"as in {op.example}")
        dtype = given.get("dtype", "fp32")
        return _Row(
            self.reader.line_num,
            op,
            given.get("name", ""),
            self._known("dtype", dtype, lambda text: parse_precision(text).name),
            self._known("launch", given.get("launch", "graph"), _launch),
            self._known("time_s", given.get("time_s", ""), _seconds),
            sizes,
        )

    def _known(self, column: str, text: str, parse: Any, of: str = "") -> Any:
        """Return a cell's value; the same text is parsed once."""
        key = (of, column, text)
        if key not in self.cells:
            try:
                self.cells[key] = parse(text)
            except InputError as error:
                raise self._error(error.message, column, error.mend) from None
        return self.cells[key]

    def _error(self, text: str, column: str | None = None, mend: str | None = None) -> InputError:
        line = self.reader.line_num
        place = self._column(column, line) if column in self.header else 1
        return InputError(text, where=f"{self.name}:{line}:{place}", mend=mend)

    def _column(self, column: str | None, line: int) -> int:
        """Return at which character of the line a cell begins, the first being 1."""
        index, place, quoted = self.header.index(str(column)), 1, False
        for position, character in enumerate(self.lines[line - 1], start=2):
            if not index:
                break
            quoted ^= character == '"'
            if character == "," and not quoted:
                index, place = index - 1, position
        return place


def _launch(text: str) -> Launch:
    if text not in get_args(Launch):
        raise InputError(f"launch {shorten(text)}, expected one of {', '.join(get_args(Launch))}")
    return cast(Launch, text)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise InputError(f"time_s {shorten(text)}, expected seconds above 0", mend="as in 4.67e-05")
    return value
