"""What a model takes: its inputs, their sizes, and the names that stand for open ones.

Files name open sizes as they like: 'batch', 'N', '-1', 'None', '' or the same
word for two sizes. Here each open size gets a name that `--set` takes: its own where it
is one, else that of the input and axis (``image_2``).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from perfmodel.core import Dim
from perfmodel.errors import InputError, did_you_mean, shorten
from perfmodel.readers.onnx.formats import FORMAT_OF
from perfmodel.readers.onnx.model import MAX_AXES, MAX_ELEMENTS, Model
from perfmodel.readers.tracing.values import Value, data_of

#: what `--set batch=8` sets where the file has no size of that name
BATCH = "batch"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: words that exporters write for "no name"
_ANONYMOUS = {"none", "null", "unknown", "dynamic", "nan", "undefined", "unk"}


@dataclass(frozen=True)
class ModelInput:
    """An input of the model.

    Parameters
    ----------
    shape : a number, or the name of an open size, for each axis; None where the file
        does not even say how many axes there are.
    container : 'tensor', 'sequence' or 'optional'.
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...] | None
    container: str = "tensor"

    @property
    def opened(self) -> tuple[str, ...]:
        """Names of the open sizes."""
        return tuple(d for d in self.shape or () if isinstance(d, str))

    def __str__(self) -> str:
        if self.shape is None:
            return f"{self.name}[?]"
        return f"{self.name}[{', '.join(map(str, self.shape))}]"


def model_inputs(model: Model) -> list[ModelInput]:
    """Return the inputs that the user feeds: those that no initializer fills."""
    stored = {t.name for t in model.initializers()}
    stored |= {t.values.name for t in model.proto.graph.sparse_initializer}
    out = []
    for info in model.proto.graph.input:
        if info.name in stored:
            continue
        container, kind = _tensor_type(info.type)
        shape = _shape(info.name, kind) if kind is not None and kind.HasField("shape") else None
        dtype = FORMAT_OF.get(kind.elem_type, "fp32") if kind is not None else "fp32"
        out.append(ModelInput(info.name, dtype, shape, container))
    return out


def _tensor_type(proto: Any) -> tuple[str, Any]:
    container = "tensor"
    for _ in range(8):
        which = proto.WhichOneof("value")
        if which == "tensor_type":
            return container, proto.tensor_type
        if which == "sparse_tensor_type":
            return container, proto.sparse_tensor_type
        if which not in ("sequence_type", "optional_type"):
            return container, None
        container = which.removesuffix("_type") if container == "tensor" else container
        proto = getattr(proto, which).elem_type
    return container, None


def _shape(name: str, kind: Any) -> tuple[int | str, ...]:
    shape: list[int | str] = []
    if len(kind.shape.dim) > MAX_AXES:
        raise InputError(
            f"input {shorten(name)} has {len(kind.shape.dim)} axes, expected at most {MAX_AXES}"
        )
    for axis, dim in enumerate(kind.shape.dim):
        if dim.WhichOneof("value") == "dim_value" and dim.dim_value > 0:
            if dim.dim_value > MAX_ELEMENTS:
                raise InputError(
                    f"input {shorten(name)} has an axis of {dim.dim_value:,} places,"
                    " expected at most 2**48"
                )
            shape.append(int(dim.dim_value))
        else:
            word = dim.dim_param.strip()
            plain = re.sub(r"[^A-Za-z0-9_]+", "_", word).strip("_")
            named = _NAME.fullmatch(plain) and plain.lower() not in _ANONYMOUS
            if plain.lower().startswith("unk__"):
                named = None
            shape.append(plain if named else f"{_plain(name)}_{axis}")
    return tuple(shape)


def _plain(name: str) -> str:
    plain = re.sub(r"[^A-Za-z0-9_]+", "_", name).strip("_") or "input"
    return plain if _NAME.fullmatch(plain) else f"input_{plain}"


def open_sizes(inputs: Sequence[ModelInput]) -> dict[str, list[ModelInput]]:
    """Return the names of the open sizes, each with the inputs that have it."""
    found: dict[str, list[ModelInput]] = {}
    for item in inputs:
        for name in item.opened:
            if item not in found.setdefault(name, []):
                found[name].append(item)
    return found


def batch_axes(inputs: Sequence[ModelInput]) -> Mapping[str, int | str]:
    """Return the inputs whose first axis `--set batch=...` sets, with that axis as it is.

    Empty where a size is called batch already, or where the inputs' first axes are of
    several sizes.
    """
    if BATCH in open_sizes(inputs):
        return {}
    first = {i.name: i.shape[0] for i in inputs if i.shape}
    opened = {n: d for n, d in first.items() if isinstance(d, str)}
    if opened:
        return opened
    return first if len(set(first.values())) == 1 else {}


def missing_sizes(inputs: Sequence[ModelInput], given: Mapping[str, Any]) -> Iterator[str]:
    """Yield the open sizes that have no value, in order."""
    for name in open_sizes(inputs):
        if given.get(name) is None:
            yield name


def need_sizes(
    file: str,
    inputs: Sequence[ModelInput],
    sizes: Mapping[str, Any],
    shapes: Mapping[str, Sequence[int]],
) -> None:
    """Raise InputError that says which inputs need a size and how to give it."""
    lacking = [i for i in inputs if i.name not in shapes]
    missing = list(missing_sizes(lacking, sizes))
    unranked = [i for i in lacking if i.shape is None and i.container == "tensor"]
    if unranked:
        raise InputError(
            f"{file}: the file does not say what shape the input '{unranked[0].name}' has",
            mend=f"give it, as in --input {unranked[0].name}=1x3x224x224",
        )
    if missing:
        holders = [str(i) for i in lacking if set(i.opened) & set(missing)]
        ways = " ".join(f"--set {name}=..." for name in missing[:6])
        first = next(i for i in lacking if missing[0] in i.opened)
        raise InputError(
            f"{file}: {'the input' if len(holders) == 1 else 'the inputs'} {', '.join(holders[:6])}"
            f" need{'s' if len(holders) == 1 else ''} a size for {', '.join(missing)}",
            mend=f"give {ways}, or --input {first.name}="
            + "x".join(str(d) if isinstance(d, int) else "?" for d in first.shape or ()),
        )


def check_names(file: str, given: Mapping[str, Any], inputs: Sequence[ModelInput]) -> None:
    """Raise InputError where `--input` names no input, or gives it another number of axes."""
    names = {i.name: i for i in inputs}
    for name, shape in given.items():
        if name not in names:
            raise InputError(f"{file} has no input '{name}'", mend=did_you_mean(name, names))
        declared = names[name].shape
        if declared is not None and len(declared) != len(shape):
            raise InputError(
                f"--input {name}={'x'.join(map(str, shape))} has {len(shape)} axes,"
                f" expected {len(declared)}: {names[name]}"
            )


def check_values(
    file: str, given: Iterable[str], taken: Collection[str], inputs: Sequence[ModelInput]
) -> None:
    """Raise InputError where `--value` names neither an input nor a tensor of the model."""
    names = {i.name for i in inputs}
    for name in given:
        if name not in names and name not in taken:
            raise InputError(
                f"--value {name}: {file} has no input or tensor of that name",
                mend=did_you_mean(name, names),
            )


def give_numbers(value: Value, numbers: Sequence[int]) -> None:
    """Set the numbers of ``value``; InputError where it holds another number of them.

    A tensor whose length is not known gets theirs.
    """
    fixed = not value.bound and all(isinstance(d, int) for d in value.shape)
    if fixed and value.elements != len(numbers):
        raise InputError(
            f"--value {value.name} gives {len(numbers)} numbers, expected"
            f" {value.elements} for its shape {list(value.shape)}"
        )
    value.data = data_of(list(numbers))
    if not value.shape or (fixed and value.elements == len(numbers)):
        value.data = value.data.reshape([int(d) for d in value.shape])
    value.shape = tuple(value.data.shape)


def declared_shape(kind: Any, sizes: Mapping[str, Dim]) -> tuple[Dim, ...] | None:
    """Return a tensor type's shape with open sizes filled in, None where one stays open."""
    if not kind.HasField("shape"):
        return None
    shape: list[Dim] = []
    for dim in kind.shape.dim:
        if dim.WhichOneof("value") == "dim_value":
            shape.append(int(dim.dim_value))
        elif dim.dim_param in sizes:
            shape.append(sizes[dim.dim_param])
        else:
            return None
    return tuple(shape)
