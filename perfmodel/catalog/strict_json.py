"""JSON without surprises: plain data, and the place of every key and value.

Python's own reader keeps the last of two equal keys and no places. Here both are
refused or kept, as `strict_yaml` does; ``NaN`` and ``Infinity`` are read, since
Python's writer makes them.
"""

from __future__ import annotations

import re
from json import JSONDecodeError, JSONDecoder
from pathlib import Path
from typing import Any

from perfmodel.catalog.strict_yaml import MAX_DEPTH, Document, Path_, read_text
from perfmodel.errors import InputError, shorten

_DECODER = JSONDecoder()
_SPACE = re.compile(r"[ \t\n\r]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_WORD = re.compile(r"-?[A-Za-z]+")
_WORDS = {
    "true": True, "false": False, "null": None,
    "NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf"),
}  # fmt: skip
_MAX_DIGITS = 400


def load_json(file: Path) -> Document:
    """Read and parse ``file``; raises InputError with the place of the first problem."""
    return parse_json(read_text(file, "JSON"), str(file))


def parse_json(text: str, name: str) -> Document:
    """Parse JSON ``text``; ``name`` stands for the file in messages."""
    return _Reader(text, name).document()


class _Reader:
    def __init__(self, text: str, name: str) -> None:
        self.text, self.name, self.at = text, name, 0
        self.places: dict[Path_, tuple[int, int]] = {}
        self.key_places: dict[Path_, tuple[int, int]] = {}
        self._line, self._start = 1, 0

    def document(self) -> Document:
        if not self._peek():
            raise InputError(f"'{self.name}' is empty, expected a JSON object")
        data = self._value(())
        if self._peek():
            raise self._error("more text after the value", "one value a file")
        return Document(self.name, data, self.places, self.key_places)

    def _peek(self) -> str:
        """Pass over white space and return the next character, empty at the end."""
        match = _SPACE.match(self.text, self.at)
        assert match
        lines = match.group().count("\n")
        if lines:
            self._line += lines
            self._start = self.text.rindex("\n", 0, match.end()) + 1
        self.at = match.end()
        return self.text[self.at : self.at + 1]

    def _mark(self) -> tuple[int, int]:
        return self._line, self.at - self._start + 1

    def _error(self, found: str, expected: str, mend: str | None = None) -> InputError:
        line, column = self._mark()
        where = f"{self.name}:{line}:{column}"
        return InputError(f"found {found}, expected {expected}", where=where, mend=mend)

    def _unexpected(self, expected: str) -> InputError:
        found = shorten(self.text[self.at : self.at + 20]) if self._peek() else "the end"
        return self._error(found, expected)

    def _value(self, path: Path_) -> Any:
        first = self._peek()
        self.places[path] = self._mark()
        if len(path) > MAX_DEPTH:
            raise self._error("nesting", f"at most {MAX_DEPTH} levels")
        if first == "{":
            return self._object(path)
        if first == "[":
            return self._array(path)
        if first == '"':
            return self._string()
        if match := _NUMBER.match(self.text, self.at):
            return self._number(match)
        if (match := _WORD.match(self.text, self.at)) and match.group() in _WORDS:
            self.at = match.end()
            return _WORDS[match.group()]
        raise self._unexpected("a JSON value")

    def _object(self, path: Path_) -> dict[str, Any]:
        made: dict[str, Any] = {}
        self.at += 1
        if self._peek() == "}":
            self.at += 1
            return made
        while True:
            if self._peek() != '"':
                raise self._unexpected('a key in "quotes"')
            mark, begin = self._mark(), self.at
            key = self._string()
            here = (*path, key)
            if key in made:
                self.at = begin
                line, column = self.key_places[here]
                raise self._error(
                    f"duplicate key {shorten(key)}",
                    f"each key once (first at line {line}, column {column})",
                    "remove one of the two",
                )
            self.key_places[here] = mark
            if self._peek() != ":":
                raise self._unexpected(f"':' after the key {shorten(key)}")
            self.at += 1
            made[key] = self._value(here)
            if self._ends("}"):
                return made

    def _array(self, path: Path_) -> list[Any]:
        made: list[Any] = []
        self.at += 1
        if self._peek() == "]":
            self.at += 1
            return made
        while True:
            made.append(self._value((*path, len(made))))
            if self._ends("]"):
                return made

    def _ends(self, close: str) -> bool:
        """Pass over a comma or ``close``, and tell whether it was ``close``."""
        found = self._peek()
        if found not in (",", close) or not found:
            raise self._unexpected(f"',' or '{close}'")
        self.at += 1
        return found == close

    def _string(self) -> str:
        try:
            value, self.at = _DECODER.raw_decode(self.text, self.at)
        except JSONDecodeError as error:
            self.at = error.pos
            line, column = self._mark()
            where = f"{self.name}:{line}:{column}"
            raise InputError(f"not JSON: {error.msg}", where=where) from None
        return str(value)

    def _number(self, match: re.Match[str]) -> int | float:
        text = match.group()
        if len(text) > _MAX_DIGITS:
            raise self._error(f"a number of {len(text)} digits", f"at most {_MAX_DIGITS}")
        self.at = match.end()
        return float(text) if match.group(1) or match.group(2) else int(text)
