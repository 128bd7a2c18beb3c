"""An ONNX file, opened: parsed without its weights, and checked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from perfmodel.errors import InputError, MissingExtraError, shorten
from perfmodel.readers.onnx.formats import FORMAT_OF
from perfmodel.readers.onnx.wire import KEEP_BYTES, without_weights
from perfmodel.readers.tracing.values import Data, data_of

#: the most elements of one tensor that are believed
MAX_ELEMENTS = 2**48
#: values beyond which a constant is not worth knowing
MAX_DATA = 16_384
#: axes beyond which no library takes a tensor
MAX_AXES = 64
OLDEST_OPSET = 7
#: taken where the file does not say
DEFAULT_OPSET = 13
_EXTERNAL = 1


@dataclass
class Model:
    """A parsed model and where it lies."""

    file: Path
    proto: Any
    folder: Path
    functions: dict[tuple[str, str, str], Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @cached_property
    def opsets(self) -> dict[str, int]:
        """Version of each operator domain that the model imports."""
        return imported_opsets(self.proto)

    @cached_property
    def most_visits(self) -> int:
        """The most visits to nodes that an import takes; over it, graphs nest without end."""
        written = len(self.proto.graph.node) + sum(len(f.node) for f in self.proto.functions)
        return 40_000 + 20 * written

    def initializers(self) -> Iterator[Any]:
        """Yield the tensors that are stored with the model's main graph."""
        yield from self.proto.graph.initializer


def open_model(file: Path) -> Model:
    """Return the model in ``file``.

    Raises MissingExtraError without the onnx package, InputError for what is no
    ONNX model, an opset before 7, or weights stored outside the model's folder.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError:
        raise MissingExtraError("onnx", "onnx", "reading an ONNX file") from None
    raw = without_weights(file)
    proto = onnx.ModelProto()
    broken = InputError(
        f"'{file}' is not an ONNX model", mend="expected a file written by onnx.save or an exporter"
    )
    try:
        proto.ParseFromString(raw)
    except (DecodeError, ValueError, RecursionError):
        raise broken from None
    if not proto.HasField("graph"):
        raise broken
    if not proto.graph.node or not proto.graph.output:
        lacks = "outputs, so none of its nodes runs" if proto.graph.node else "nodes"
        raise InputError(f"'{file}': the model's graph has no {lacks}", mend=broken.mend)
    model = Model(file, proto, file.parent)
    for function in proto.functions:
        overload = getattr(function, "overload", "")
        model.functions[domain_of(function.domain), function.name, overload] = function
    version, newest = model.opsets.get(""), onnx.defs.onnx_opset_version()
    if version is None and any(not domain_of(n.domain) for n in proto.graph.node):
        model.notes.append(f"the file does not say its opset: {DEFAULT_OPSET} is taken")
    if version is not None and version > newest:
        model.notes.append(f"opset {version} is read as {newest}, the newest that is known")
    if version is not None and version < OLDEST_OPSET:
        raise InputError(
            f"'{file}' uses opset {version}, expected {OLDEST_OPSET} or newer",
            mend="convert it with onnx.version_converter.convert_version(model, 13)",
        )
    return model


def domain_of(name: str) -> str:
    """Return the name of an operator domain, '' for ONNX's own."""
    return "" if name == "ai.onnx" else name


def imported_opsets(proto: Any) -> dict[str, int]:
    """Return the version of each operator domain that a model or function imports."""
    return {domain_of(o.domain): o.version for o in proto.opset_import}


def tensor_shape(tensor: Any) -> tuple[int, ...]:
    """Return a stored tensor's shape; InputError where no machine could hold it."""
    shape = tuple(int(d) for d in tensor.dims)
    name = tensor.name if hasattr(tensor, "name") else tensor.values.name
    if len(shape) > MAX_AXES:
        raise InputError(
            f"tensor {shorten(name)} has {len(shape)} axes, expected at most {MAX_AXES}"
        )
    elements = 1
    for d in shape:
        elements *= d
    if any(d < 0 for d in shape) or elements > MAX_ELEMENTS:
        raise InputError(
            f"tensor {shorten(name)} has the shape {list(shape)[:8]},"
            f" expected sizes from 0 and at most 2**48 values"
        )
    return shape


def tensor_format(tensor: Any) -> str:
    """Return the number format of a TensorProto."""
    if tensor.data_type not in FORMAT_OF:
        raise InputError(
            f"tensor {shorten(tensor.name)} is of type {tensor.data_type}, which ONNX does not have"
        )
    return FORMAT_OF[tensor.data_type]


def tensor_data(model: Model, tensor: Any) -> Data | None:
    """Return a stored tensor's values where they are small and at hand, else None.

    Raises InputError for data outside the model's folder.
    """
    shape = tensor_shape(tensor)
    elements = int(np.prod(shape, dtype=object)) if shape else 1
    if tensor.data_location == _EXTERNAL:
        where = _external(model, tensor)
        if elements > MAX_DATA or where is None:
            return None
        return _read_external(where, tensor, shape)
    if elements > MAX_DATA:
        return None
    from onnx import numpy_helper

    try:
        return data_of(numpy_helper.to_array(tensor))
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RuntimeError):
        # Values that do not match the shape are the runtime's problem, not the count's.
        return None


def _external(model: Model, tensor: Any) -> Path | None:
    """Return the file of a tensor stored outside the model, if it is there."""
    entries = {e.key: e.value for e in tensor.external_data}
    location = entries.get("location", "")
    path = PurePosixPath(location.replace("\\", "/"))
    escapes = path.is_absolute() or ".." in path.parts or ":" in location or not location
    target = model.folder / location
    there = False
    if not escapes:
        try:
            escapes = not target.resolve().is_relative_to(model.folder.resolve())
            there = target.is_file()
        except (OSError, ValueError, RuntimeError):
            escapes = True
    if escapes:
        raise InputError(
            f"tensor {shorten(tensor.name)} is stored at {shorten(location)},"
            " outside the model's folder; refused",
            mend="keep external data beside the model",
        )
    return target if there else None


def _read_external(path: Path, tensor: Any, shape: tuple[int, ...]) -> Data | None:
    import onnx

    entries = {e.key: e.value for e in tensor.external_data}
    try:
        dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
        wanted = int(np.prod(shape, dtype=object)) * dtype.itemsize
        if wanted > KEEP_BYTES * 4:
            return None
        with path.open("rb") as stream:
            stream.seek(int(entries.get("offset", "0") or 0))
            raw = stream.read(wanted)
        if len(raw) < wanted:
            return None
        return data_of(np.frombuffer(raw, dtype=dtype).reshape(shape))
    except (ValueError, TypeError, KeyError, OSError, OverflowError):
        return None
