"""A sweep's rows written as they come: CSV or Parquet, in constant memory."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol, TextIO

from perfmodel.errors import InputError, MissingExtraError
from perfmodel.report.files import replacing

Columns = dict[str, Any]
SUFFIXES = (".csv", ".parquet")


class _Writer(Protocol):
    def write(self, frame: Any) -> None: ...

    def close(self) -> None: ...


class _CsvWriter:
    def __init__(self, target: Path | TextIO) -> None:
        self._owned = isinstance(target, Path)
        self._file: TextIO = (
            target.open("w", encoding="utf-8", newline="") if isinstance(target, Path) else target
        )
        self._header = True

    def write(self, frame: Any) -> None:
        frame.to_csv(self._file, index=False, header=self._header, lineterminator="\n")
        self._header = False

    def close(self) -> None:
        if self._owned:
            self._file.close()
        else:
            self._file.flush()


class _ParquetWriter:
    def __init__(self, target: Path) -> None:
        try:
            import pyarrow
            import pyarrow.parquet as parquet
        except ImportError:
            raise MissingExtraError("pyarrow", "parquet", "a .parquet file") from None
        self._arrow, self._parquet = pyarrow, parquet
        self._target = target
        self._writer: Any = None

    def write(self, frame: Any) -> None:
        table = self._arrow.Table.from_pandas(frame, preserve_index=False)
        if self._writer is None:
            self._writer = self._parquet.ParquetWriter(self._target, table.schema)
        self._writer.write_table(table)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


def grid_writer(blocks: Iterable[Columns], outputs: Sequence[Path], stream: TextIO) -> int:
    """Write ``blocks`` to each of ``outputs``, or as CSV to ``stream``; return the rows written.

    Files appear whole or not at all. Raises InputError for an unknown suffix.
    """
    import pandas as pd

    for path in outputs:
        if path.suffix.lower() not in SUFFIXES:
            raise InputError(
                f"cannot write a sweep to '{path}'",
                mend=f"its name must end in {' or '.join(SUFFIXES)}",
            )
    points = 0
    with ExitStack() as stack:
        writers: list[_Writer] = []
        for path in outputs:
            temporary = stack.enter_context(replacing(path))
            kind = _ParquetWriter if path.suffix.lower() == ".parquet" else _CsvWriter
            writers.append(kind(temporary))
            stack.callback(writers[-1].close)
        if not outputs:
            writers.append(_CsvWriter(stream))
        for block in blocks:
            frame = pd.DataFrame(block)
            points += len(frame)
            for writer in writers:
                writer.write(frame)
            _progress(points, bool(outputs))
    return points


def _progress(points: int, wanted: bool) -> None:
    if wanted and sys.stderr.isatty():
        print(f"\r{points:,} points", end="\r", file=sys.stderr, flush=True)
