"""YAML without surprises: plain data, and the place of every key and value.

PyYAML's default loader reads `4800e9` as text, `12:30` as 750, `no` as False,
`010` as 8, keeps the last of two equal keys and expands aliases without bound.
Here the document is built from PyYAML's parser events under YAML 1.2's core
rules, and each of those is refused with file:line:column.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from perfmodel.errors import InputError, shorten

Path_ = tuple[Any, ...]

MAX_BYTES = 4 * 2**20
MAX_DEPTH = 40

_INT = re.compile(r"[-+]?(0|[1-9][0-9]{0,30})")
_FLOAT = re.compile(r"[-+]?((0|[1-9][0-9]*)\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]{1,3})?")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9_]+")
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Document:
    """A parsed file: plain ``data``, and where each path of keys stands."""

    name: str
    data: Any
    places: dict[Path_, tuple[int, int]] = field(repr=False, default_factory=dict)
    key_places: dict[Path_, tuple[int, int]] = field(repr=False, default_factory=dict)

    def where(self, path: Path_ = (), *, key: bool = False) -> str:
        """Return ``file:line:column`` of a value (or of its key); the nearest parent if unknown."""
        places = self.key_places if key and tuple(path) in self.key_places else self.places
        path = tuple(path)
        while path and path not in places:
            path, places = path[:-1], self.places
        line, column = places.get(path, (1, 1))
        return f"{self.name}:{line}:{column}"


def load_document(file: Path) -> Document:
    """Read and parse ``file``; raises InputError with the place of the first problem."""
    return parse_document(read_text(file, "YAML"), str(file))


def read_text(file: Path, language: str, most: int = MAX_BYTES) -> str:
    """Return the text of ``file``, which should hold ``language``; InputError where it is none."""
    if file.is_dir():
        raise InputError(f"found a folder at '{file}', expected a {language} file")
    try:
        raw = file.read_bytes()
    except FileNotFoundError:
        raise InputError(f"no such file: '{file}'") from None
    except OSError as error:
        raise InputError(f"cannot read '{file}': {error.strerror or error}") from None
    if len(raw) > most:
        raise InputError(
            f"'{file}' has {len(raw):,} bytes, expected a {language} file of at most {most:,}"
        )
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise InputError(
            f"byte {error.start} is not UTF-8, expected a {language} text file",
            where=f"{file}:{line}:1",
        ) from None


def parse_document(text: str, name: str) -> Document:
    """Parse YAML ``text``; ``name`` stands for the file in messages."""
    return _Builder(text, name).build()


class _Builder:
    def __init__(self, text: str, name: str) -> None:
        self.text, self.name = text, name
        self.places: dict[Path_, tuple[int, int]] = {}
        self.key_places: dict[Path_, tuple[int, int]] = {}

    def build(self) -> Document:
        try:
            events = iter(yaml.parse(self.text, Loader=_Loader))
            for event in events:
                if isinstance(event, yaml.DocumentStartEvent):
                    break
            else:
                raise InputError(f"'{self.name}' is empty, expected a YAML mapping")
            data = self._value(events, next(events), (), 0)
            for event in events:
                if isinstance(event, yaml.DocumentStartEvent):
                    raise self._error(event, "a second document", "one document a file")
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            where = f"{self.name}:{mark.line + 1}:{mark.column + 1}" if mark else self.name
            raise InputError(f"not YAML: {error.problem or error.context}", where=where) from None
        except yaml.YAMLError as error:
            raise InputError(f"not YAML: {error}", where=f"{self.name}:1:1") from None
        return Document(self.name, data, self.places, self.key_places)

    def _value(self, events: Iterator[Any], event: Any, path: Path_, depth: int) -> Any:
        self.places[path] = self._mark(event)
        if depth > MAX_DEPTH:
            raise self._error(event, "nesting", f"at most {MAX_DEPTH} levels")
        if isinstance(event, yaml.AliasEvent):
            raise self._error(
                event, f"the alias '*{event.anchor}'", "values written out", "repeat the value"
            )
        if getattr(event, "anchor", None):
            raise self._error(
                event,
                f"the anchor '&{event.anchor}'",
                "no anchors",
                "remove it and repeat the value",
            )
        if getattr(event, "tag", None) not in (None, "!"):
            raise self._error(
                event, f"the tag {shorten(event.tag)}", "plain data", "remove the tag"
            )
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[Any] = []
            while not isinstance(inner := next(events), yaml.SequenceEndEvent):
                items.append(self._value(events, inner, (*path, len(items)), depth + 1))
            return items
        return self._mapping(events, path, depth)

    def _mapping(self, events: Iterator[Any], path: Path_, depth: int) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        while not isinstance(inner := next(events), yaml.MappingEndEvent):
            if not isinstance(inner, yaml.ScalarEvent):
                raise self._error(inner, "a key that is not text", "a plain name")
            key = inner.value
            if key == "<<":
                raise self._error(inner, "a merge key '<<'", "keys written out")
            here = (*path, key)
            if key in mapping:
                line, column = self.key_places[here]
                raise self._error(
                    inner,
                    f"duplicate key {shorten(key)}",
                    f"each key once (first at line {line}, column {column})",
                    "remove one of the two",
                )
            self.key_places[here] = self._mark(inner)
            mapping[key] = self._value(events, next(events), here, depth + 1)
        return mapping

    def _scalar(self, event: Any) -> Any:
        text = event.value
        if not event.implicit[0]:  # quoted, or a block
            return text
        if text in ("", "~", "null", "Null", "NULL"):
            return None
        if text in ("true", "True", "TRUE"):
            return True
        if text in ("false", "False", "FALSE"):
            return False
        if _INT.fullmatch(text):
            return int(text)
        if _LEADING_ZERO.fullmatch(text):
            raise self._error(
                event,
                f"{shorten(text)}, which some readers take as octal",
                "a decimal number",
                f"write {text.replace('_', '').lstrip('+-0') or '0'}",
            )
        if _FLOAT.fullmatch(text):
            value = float(text)
            if value in (float("inf"), float("-inf")):
                raise self._error(event, shorten(text), "a finite number")
            return value
        return text

    def _mark(self, event: Any) -> tuple[int, int]:
        return event.start_mark.line + 1, event.start_mark.column + 1

    def _error(self, event: Any, found: str, expected: str, mend: str | None = None) -> InputError:
        line, column = self._mark(event)
        where = f"{self.name}:{line}:{column}"
        return InputError(f"found {found}, expected {expected}", where=where, mend=mend)
