"""One operator written inline, such as ``matmul:m=4096,n=4096,k=4096``, as a workload."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from perfmodel.core import REQUIRED, Dim, Operator, Precision, parse_precision
from perfmodel.core.dims import check_size, show
from perfmodel.errors import InputError, did_you_mean, shorten
from perfmodel.graph import Graph, Workload, bind_operator
from perfmodel.ops import get_operator


@dataclass(frozen=True)
class InlineWorkload(Workload):
    """A workload of one operator; its dims are the operator's sizes."""

    op_class: type[Operator]
    given: Mapping[str, Any]

    def dims(self, phase: str) -> Mapping[str, Dim | str]:
        return complete_sizes(self.op_class, self.given)

    def build(self, dims: Mapping[str, Dim], phase: str, precision: Precision) -> Graph:
        sizes = complete_sizes(self.op_class, {**self.given, **dims})
        op, inputs = self.op_class.from_sizes(sizes, precision)
        if phase == "training":
            op = op.for_training()
        node = bind_operator(self.op_class.name, op, inputs, precision)
        numbers = {k: v for k, v in sizes.items() if not isinstance(v, bool | str)}
        return Graph(
            name=self.name,
            phase=phase,
            precision=precision,
            dims=numbers,
            nodes=(node,),
            inputs=tuple(inputs),
            outputs=(node.output.name,),
            carried=frozenset(t.name for t in inputs if t.role != "index"),
        )


def parse_inline(text: str) -> InlineWorkload:
    """Return the workload written as ``name:size=value,...``.

    Raises InputError for an unknown operator or size, a missing size, or a
    value that is not a whole number.
    """
    name, _, rest = text.partition(":")
    op_class = get_operator(name.strip())
    given: dict[str, Any] = {}
    for part in rest.split(",") if rest.strip() else []:
        key, equals, value = (p.strip() for p in part.partition("="))
        if not equals or not key:
            raise InputError(
                f"found {shorten(part)} in {shorten(text)}, expected size=value",
                mend=f"as in {op_class.example}",
            )
        if key in given:
            raise InputError(f"size '{key}' is given twice in {shorten(text)}")
        if key == "dtype":
            given[key] = value
            continue
        given[key] = parse_size(op_class, key, value)
    precision = parse_precision(given.pop("dtype", "fp32"))
    complete_sizes(op_class, given)
    about = {"title": first_line(op_class), "family": "operator"}
    phases = ("inference", "training") if op_class.has_gradient() else ("inference",)
    return InlineWorkload(text, phases, precision, about, op_class, given)


def complete_sizes(op_class: type[Operator], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return every size of the operator, given or default; InputError where one is missing."""
    for key, value in given.items():
        if key not in op_class.sizes:
            raise InputError(
                f"{op_class.name} has no size '{key}'", mend=did_you_mean(key, op_class.sizes)
            )
        if not isinstance(value, bool | str):
            check_size(key, value, least=0 if op_class.sizes[key] == 0 else 1)
        if key in op_class.fixed and isinstance(value, np.ndarray):
            raise InputError(f"{op_class.name}: '{key}' is one number, it cannot be swept")
    sizes = {k: given.get(k, default) for k, default in op_class.sizes.items()}
    missing = [k for k, v in sizes.items() if v is REQUIRED]
    if missing:
        raise InputError(
            f"{op_class.name} needs {', '.join(missing)}", mend=f"as in {op_class.example}"
        )
    return {
        k: sizes[v] if isinstance(v, str) and v in sizes and k not in given else v
        for k, v in sizes.items()
    }


def parse_size(op_class: type[Operator], key: str, text: str) -> Any:
    """Return an inline size written as ``text``: a number, a flag, a choice or a text.

    Raises InputError for a size that the operator does not have, and for a
    value that is not of its kind.
    """
    if key not in op_class.sizes:
        raise InputError(
            f"{op_class.name} has no size '{key}'", mend=did_you_mean(key, op_class.sizes)
        )
    default = op_class.sizes[key]
    if isinstance(default, bool):
        if text.lower() not in ("true", "false", "1", "0"):
            raise InputError(f"{key}={text}, expected true or false")
        return text.lower() in ("true", "1")
    if isinstance(default, str) and default not in op_class.sizes:
        declared = next(f.metadata for f in op_class.attributes() if f.name == key)
        if declared["kind"] == "text":
            return text
        choices = declared["choices"]
        if text not in choices:
            raise InputError(f"{key}={text}, expected one of {', '.join(choices)}")
        return text
    if not text:
        return default
    return parse_whole(key, text)


def parse_whole(name: str, text: str) -> int:
    """Return the whole number written as ``text`` (1024, 1e6, 4k is not one)."""
    try:
        value = float(text)
        whole = int(text) if text.strip().lstrip("+-").isdigit() else int(value)
    except (ValueError, OverflowError):
        raise InputError(f"{name}={shorten(text)}, expected a whole number") from None
    if whole != value or abs(value) > 2.0**62:
        raise InputError(f"{name}={shorten(text)}, expected a whole number below 2**62")
    return whole


def first_line(op_class: type[Operator]) -> str:
    """Return the first sentence of an operator's docstring."""
    return (op_class.__doc__ or "").strip().split("\n")[0]


def write_inline(name: str, sizes: Mapping[str, Any]) -> str:
    """Write an operator with ``sizes`` in the inline form."""

    def text(value: Any) -> str:
        if isinstance(value, bool):
            return str(value).lower()
        return value if isinstance(value, str) else show(value)

    return f"{name}:{','.join(f'{k}={text(v)}' for k, v in sizes.items())}"
