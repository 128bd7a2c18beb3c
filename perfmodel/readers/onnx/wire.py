"""Reads a protobuf file without its large tensors.

An ONNX file is mostly weights, and no weight's value is needed to count it. The
file is mapped, not read; fields of tensors over a size are left out, while shapes
and number formats stay. What comes back is small and valid protobuf, for the onnx
library to parse.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

from perfmodel.errors import InputError

#: bytes of a tensor's values that are kept; shape arithmetic needs far less
KEEP_BYTES = 64 * 1024
#: the same once so many bytes are kept in all: a file may hold very many small tensors
KEEP_FEW = 1024
MANY_BYTES = 8 * 2**20
#: bytes of an attribute beyond which a list of numbers is left out (trees of a forest)
LONG_LIST = 2**20
#: bytes of the file after which its pages are given back
RELEASE_BYTES = 32 * 2**20
#: bytes of a model without its weights, and how deep graphs nest
MAX_STRUCTURE = 256 * 2**20
MAX_DEPTH = 60

Buffer = memoryview
#: message -> field number -> message of that field; 'tensor' is where values are
_MESSAGES: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
#: of TensorProto: float, int32, string, int64, raw, double and uint64 data
_VALUES = frozenset({4, 5, 6, 7, 9, 10, 11})
#: message -> fields of text about the model, which nothing needs
_REMARKS: dict[str, frozenset[int]] = {
    "model": frozenset({6, 14}), "graph": frozenset({10, 14, 16}), "node": frozenset({6, 9}),
    "function": frozenset({8, 14}), "tensor": frozenset({12, 16}), "attribute": frozenset({13}),
}  # fmt: skip
#: lists of AttributeProto (floats, ints, strings) -> their kind, and the fields they follow
_LISTS = {7: 6, 8: 7, 9: 8}
_NAME, _KIND = 1, 20


def without_weights(file: Path) -> bytes:
    """Return the model's bytes without values of more than KEEP_BYTES.

    Raises InputError where the file cannot be read or is not protobuf.
    """
    try:
        if file.is_dir():
            raise InputError(f"found a folder at '{file}', expected an ONNX file")
        with file.open("rb") as stream:
            size = stream.seek(0, 2)
            if not size:
                raise InputError(f"'{file}' is empty, expected an ONNX file")
            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
                view = memoryview(mapped)
                try:
                    return _Stripper(view, mapped).model(size)
                finally:
                    view.release()
    except FileNotFoundError:
        raise InputError(f"no such file: '{file}'") from None
    except _BrokenError as error:
        raise InputError(
            f"'{file}' is not an ONNX model, or is cut short: {error}",
            mend="expected a file written by onnx.save or an exporter",
        ) from None
    except OSError as error:
        raise InputError(f"cannot read '{file}': {error.strerror or error}") from None


class _BrokenError(Exception):
    """The bytes are not protobuf."""


class _Stripper:
    """Goes through the messages of one file."""

    def __init__(self, view: Buffer, mapped: mmap.mmap) -> None:
        self.view = view
        self.mapped = mapped
        self.released = 0
        self.keep = KEEP_BYTES
        self.kept = 0

    def model(self, size: int) -> bytes:
        return b"".join(self.strip(0, size, "model", 0))

    def strip(self, start: int, end: int, message: str, depth: int) -> Iterator[bytes]:
        """Yield the bytes of a message without its large values."""
        if depth > MAX_DEPTH:
            raise _BrokenError(f"messages nest over {MAX_DEPTH} deep")
        view, inner = self.view, _MESSAGES[message]
        unwanted = _REMARKS.get(message, frozenset())
        if message == "tensor":
            unwanted = unwanted | _VALUES
        name = b""
        long = message == "attribute" and end - start > LONG_LIST
        position, copied = start, start
        while position < end:
            here = position
            if here - self.released > RELEASE_BYTES:
                self.release(here)
            key, position = _varint(view, position, end)
            field, wire = key >> 3, key & 7
            if not field:
                raise _BrokenError(f"a field numbered 0 at byte {here}")
            if long and field in _LISTS:
                # One list to the end: millions of numbers, each a field of its own.
                kind = _as_varint(_KIND << 3) + _as_varint(_LISTS[field])
                yield _as_varint(_NAME << 3 | 2) + _as_varint(len(name)) + name + kind
                return
            if wire == 0:
                _, position = _varint(view, position, end)
                continue
            if wire in (1, 5):
                position += 8 if wire == 1 else 4
            elif wire == 2:
                length, position = _varint(view, position, end)
                body, position = position, position + length
            else:
                raise _BrokenError(f"a field of unknown kind at byte {here}")
            if position > end:
                raise _BrokenError(f"a field at byte {here} goes beyond the end")
            if wire != 2:
                continue
            if long and field == _NAME and length <= KEEP_FEW:
                name = view[body:position].tobytes()
            if length <= self.keep:
                self.kept += length
                if self.kept > MANY_BYTES:
                    self.keep = KEEP_FEW
                continue
            if field in unwanted:
                yield from self.copy(copied, here)
                copied = position
            elif field in inner:
                yield from self.copy(copied, here)
                copied = position
                kept = b"".join(self.strip(body, position, inner[field], depth + 1))
                yield _as_varint(key) + _as_varint(len(kept)) + kept
        yield from self.copy(copied, end)

    def release(self, position: int) -> None:
        """Give back the memory of the file's pages; they are read again where need be."""
        self.released = position
        if hasattr(mmap, "MADV_DONTNEED"):
            self.mapped.madvise(mmap.MADV_DONTNEED)

    def copy(self, start: int, end: int) -> Iterator[bytes]:
        if end - start > MAX_STRUCTURE:
            raise _BrokenError(f"{end - start:,} bytes that are no tensor's values")
        if end > start:
            yield self.view[start:end].tobytes()


def _varint(view: Buffer, position: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while position < end and shift < 70:
        byte = view[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    raise _BrokenError(f"a number at byte {position} does not end")


def _as_varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
