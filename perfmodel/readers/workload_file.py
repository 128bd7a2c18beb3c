"""Reads a workload YAML (schema perfmodel/workload@1) into a Workload.

A file holds dims (numbers or expressions), inputs, reusable blocks and nodes.
A node names an operator or a block, takes the node before it as input unless it
says otherwise, and gives the operator's attributes as numbers or expressions.
`repeat: N` executes a block N times over, written once; `phases` limits a node to
some phases; `trained: false` leaves parameters as they are in training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from perfmodel.catalog import Document, load_document, looks_like_path, resolve
from perfmodel.catalog.validation import Spec, validate
from perfmodel.core import Dim, Precision, Tensor, parse_precision
from perfmodel.core.axes import axis_of
from perfmodel.core.dims import check_size
from perfmodel.core.expressions import parse_expression
from perfmodel.core.formats import get_format
from perfmodel.errors import InputError, did_you_mean, shorten
from perfmodel.graph import Graph, Node, Workload
from perfmodel.ops.losses import usual_loss
from perfmodel.readers.network import Builder, Scope
from perfmodel.readers.structure import check_nodes, maker_of, present

SCHEMA = "perfmodel/workload@1"
NAME = r"[A-Za-z_][A-Za-z0-9_.\-]*"


def _number_or_expression(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | str):
        found = "a float" if isinstance(value, float) else type(value).__name__
        raise PydanticCustomError(
            "value_error",
            "{text}",
            {"text": f"found {found} {shorten(value)}, expected a whole number or an expression"},
        )
    return value


_Size = Annotated[Any, BeforeValidator(_number_or_expression)]
_Name = Annotated[str, Field(pattern=rf"^{NAME}$")]


class _InputSpec(Spec):
    shape: list[_Size]
    role: Literal["activation", "index"] = "activation"
    dtype: str | None = None


class _BlockSpec(Spec):
    parameters: dict[_Name, _Size | None] = Field(default_factory=dict)
    inputs: list[_Name] = Field(default=["x"], min_length=1)
    nodes: dict[_Name, dict[str, Any]] = Field(min_length=1)
    output: str | None = None


class WorkloadSpec(Spec):
    """A workload file as written."""

    schema_: Literal["perfmodel/workload@1"] = Field(alias="schema")
    name: str = Field(pattern=rf"^{NAME}$")
    title: str
    family: Literal["mlp", "cnn", "rnn", "transformer", "other"]
    source: str
    dtype: str = "fp32"
    notes: str | None = None
    phases: dict[Literal["inference", "prefill", "decode", "training"], dict[_Name, _Size]] = Field(
        default={"inference": {}}, min_length=1
    )
    dims: dict[_Name, _Size] = Field(default_factory=dict)
    inputs: dict[_Name, _InputSpec] = Field(min_length=1)
    blocks: dict[_Name, _BlockSpec] = Field(default_factory=dict)
    nodes: dict[_Name, dict[str, Any]] = Field(min_length=1)
    outputs: list[str] | None = None
    loss: Literal["cross_entropy", "binary_cross_entropy", "mse", "none"] | None = None
    loss_axis: int | None = None


@dataclass(frozen=True)
class FileWorkload(Workload):
    """A workload read from a YAML file."""

    document: Document
    spec: WorkloadSpec

    def dims(self, phase: str) -> Mapping[str, Dim | str]:
        return {**self.spec.dims, **self.spec.phases.get(phase, {})}  # type: ignore[call-overload]

    def build(self, dims: Mapping[str, Dim], phase: str, precision: Precision) -> Graph:
        values = self._resolve({**self.dims(phase), **dims}, phase)
        builder = Builder(self.document, self.spec.blocks, precision, phase=phase)
        inputs = {
            name: Tensor(
                tuple(
                    builder.size(d, values, ("inputs", name, "shape", i))
                    for i, d in enumerate(item.shape)
                ),
                get_format(item.dtype).name if item.dtype else precision.of(item.role),
                item.role,
                name,
            )
            for name, item in self.spec.inputs.items()
        }
        scope = Scope(values, dict(inputs), tuple(inputs))
        last = builder.add(self.spec.nodes, scope, ("nodes",), "", 1)
        there = {*present(self.spec.nodes, phase), *inputs}
        stated = [scope.tensor(o) for o in self.spec.outputs or () if maker_of(o) in there]
        outputs = stated or [last]
        loss = self.spec.loss or _usual_loss(builder.nodes, outputs[0])
        axis = -1 if self.spec.loss_axis is None else self.spec.loss_axis
        # What no node of the phase reads need not be there.
        read = {t.name for node in builder.nodes for t in node.tensors.sources}
        read |= {t.name for t in outputs}
        try:
            if loss != "none":
                axis_of("loss_axis", axis, len(outputs[0].shape))
        except InputError as error:
            where = self.document.where(("loss_axis",))
            raise InputError(error.message, where=where) from None
        return Graph(
            name=self.name,
            phase=phase,
            precision=precision,
            dims=values,
            nodes=tuple(builder.nodes),
            inputs=tuple(t for name, t in inputs.items() if name in read),
            outputs=tuple(t.name for t in outputs),
            shared=builder.shared,
            carried=frozenset(builder.carried),
            held=builder.held,
            loss=None if loss == "none" else loss,
            loss_axis=axis,
        )

    def with_inputs(
        self, shapes: Mapping[str, tuple[int, ...]], values: Mapping[str, tuple[int, ...]]
    ) -> Workload:
        """Return the workload with the dims that its inputs' shapes name set to these sizes."""
        chosen: dict[str, Dim] = {}
        for name in values:
            raise InputError(f"{self.name}: no value of '{name}' decides a shape")
        for name, shape in shapes.items():
            if name not in self.spec.inputs:
                raise InputError(
                    f"{self.name} has no input '{name}'", mend=did_you_mean(name, self.spec.inputs)
                )
            written = self.spec.inputs[name].shape
            shown = f"--input {name}={'x'.join(map(str, shape))}"
            if len(written) != len(shape):
                raise InputError(f"{shown} has {len(shape)} axes, expected {written}")
            for dim, size in zip(written, shape, strict=True):
                if isinstance(dim, str) and dim.isidentifier():
                    if chosen.setdefault(dim, size) != size:
                        raise InputError(
                            f"{shown} gives '{dim}' two sizes, {chosen[dim]} and {size}"
                        )
                elif isinstance(dim, int) and dim != size:
                    raise InputError(f"{shown}: {size} where {self.name} has {dim}")
        return self.with_dims(chosen)

    def _resolve(self, raw: Mapping[str, Any], phase: str) -> dict[str, Dim]:
        """Evaluate dims that are expressions of others."""
        values: dict[str, Dim] = {}
        pending: list[str] = []

        def value(name: str) -> Dim:
            if name in values:
                return values[name]
            if name in pending:
                circle = " -> ".join([*pending[pending.index(name) :], name])
                raise InputError(f"dims depend on each other in a circle: {circle}")
            pending.append(name)
            item: Any = raw[name]
            if isinstance(item, str):
                expression = parse_expression(item)
                for other in sorted(expression.names - set(raw)):
                    raise InputError(
                        f"unknown dim '{other}' in {shorten(item)}", mend=did_you_mean(other, raw)
                    )
                item = expression.evaluate({n: value(n) for n in sorted(expression.names)})
            pending.pop()
            check_size(name, item, least=0)
            values[name] = item
            return values[name]

        for name in raw:
            try:
                value(name)
            except InputError as error:
                path: tuple[str, ...] = ("phases", phase, name)
                if path not in self.document.places:
                    path = ("dims", name)
                where = error.where or self.document.where(path)
                raise InputError(error.message, where=where, mend=error.mend) from None
        return values


def _usual_loss(nodes: Sequence[Node], output: Tensor) -> str:
    makers = {t.name: node for node in nodes for t in node.tensors.outputs}
    return usual_loss(makers[output.name].op.name)


def read_workload_file(name: str) -> FileWorkload:
    """Return the workload called ``name``, or in the file ``name``."""
    file = resolve(name, "workloads")
    return _read(file) if looks_like_path(name) else _read_builtin(file)


def _read(file: Path) -> FileWorkload:
    return workload_from_document(load_document(file))


#: a built-in network is read once; the package's own files do not change
_read_builtin = cache(_read)


def workload_from_document(document: Document) -> FileWorkload:
    """Return the workload a parsed file describes; errors carry file:line:column."""
    spec = validate(document, WorkloadSpec)
    try:
        precision = parse_precision(spec.dtype)
    except InputError as error:
        raise InputError(error.message, where=document.where(("dtype",)), mend=error.mend) from None
    for name, item in spec.inputs.items():
        try:
            get_format(item.dtype or "fp32")
        except InputError as error:
            where = document.where(("inputs", name, "dtype"))
            raise InputError(error.message, where=where, mend=error.mend) from None
    if spec.loss_axis is not None and spec.loss not in (None, "cross_entropy"):
        where = document.where(("loss_axis",), key=True)
        raise InputError(f"loss_axis: {spec.loss} has no classes along an axis", where=where)
    check_nodes(document, spec.blocks, spec.nodes, tuple(spec.inputs), tuple(spec.phases))
    about = {
        "title": spec.title,
        "family": spec.family,
        "source": spec.source,
        "notes": spec.notes,
        "file": document.name,
    }
    return FileWorkload(spec.name, tuple(spec.phases), precision, about, document, spec)
