"""Call: one node of the model as its handler sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from perfmodel.core import Dim
from perfmodel.errors import InputError
from perfmodel.readers.onnx.attributes import attribute_value
from perfmodel.readers.onnx.formats import FORMAT_OF
from perfmodel.readers.onnx.inputs import declared_shape
from perfmodel.readers.tracing.network import Network
from perfmodel.readers.tracing.step import Step
from perfmodel.readers.tracing.values import Value

if TYPE_CHECKING:
    from perfmodel.readers.onnx.importer import Importer


@dataclass
class Call(Step):
    """A node: its operator, inputs (None where one is left out) and attributes.

    Handlers read ``inputs``, `attr`, `known`; see `Step` for how they put operators in.
    """

    importer: Importer
    op: str
    domain: str
    opset: int
    name: str
    inputs: list[Value | None]
    outputs: list[str]
    attributes: Mapping[str, Any]
    constants: dict[str, Any] = field(default_factory=dict)
    scope: Mapping[str, Value] = field(default_factory=dict)
    #: what the file says of tensors' types, by name
    types: Mapping[str, Any] = field(default_factory=dict)

    @property
    def net(self) -> Network:
        """The network under construction."""
        return self.importer.net

    @property
    def kind(self) -> str:
        """The operator, with its domain where it is not the default one."""
        return f"{self.domain}::{self.op}" if self.domain else self.op

    def operands(self) -> list[Value]:
        """Return the inputs that are there."""
        return [v for v in self.inputs if v is not None]

    def only_quantized(self) -> bool:
        """Tell whether the first output is only read to be quantized again."""
        return set(self.readers()) == {"QuantizeLinear"}

    def input(self, i: int) -> Value:
        """Return input ``i``; InputError where the node does not have it."""
        value = self.optional(i)
        if value is None:
            raise InputError(f"{self.op} has no input {i}")
        return value

    def optional(self, i: int) -> Value | None:
        """Return input ``i``, or None where it is left out."""
        return self.inputs[i] if i < len(self.inputs) else None

    def attr(self, name: str, default: Any = None) -> Any:
        """Return an attribute: int, float, text, a list of them, a Value, or a GraphProto."""
        if name not in self.attributes:
            return default
        if name not in self.constants:
            self.constants[name] = attribute_value(
                self.attributes[name], self.importer.stored, self.importer.sparse
            )
        return self.constants[name]

    def for_folding(self, name: str, default: Any = None) -> Any:
        """Return an attribute; the number of outputs is one of them."""
        if name == "num_outputs" and name not in self.attributes:
            return len(self.outputs)
        return self.attr(name, default)

    def wants(self, i: int) -> bool:
        """Tell whether anything reads output ``i``."""
        return i < len(self.outputs) and bool(self.outputs[i])

    def declared(self, i: int) -> tuple[tuple[Dim, ...], str] | None:
        """Return the shape and the format that the file states for output ``i``, if it does."""
        if not self.wants(i) or self.outputs[i] not in self.types:
            return None
        kind = self.types[self.outputs[i]].type.tensor_type
        shape = declared_shape(kind, self.importer.sizes)
        return None if shape is None else (shape, FORMAT_OF.get(kind.elem_type, self.net.main))

    def readers(self, i: int = 0) -> Sequence[str]:
        """Return the operators that read output ``i``; '' for the graph's own output."""
        return self.importer.readers.get(self.outputs[i], ()) if self.wants(i) else ()

    def subgraph(self, graph: Any, inputs: Sequence[Value] = (), place: str = "") -> list[Value]:
        """Import a graph that the node carries, fed with ``inputs``; returns its outputs.

        It sees the tensors around the node; ``place`` tells its stored tensors from
        those of another graph of the node.
        """
        return self.importer.subgraph(graph, self.scope, inputs, f"{self.name}.{place}")

    def known(self, i: int, what: str) -> list[Any]:
        """Return the values of input ``i``, which the node's shapes depend on."""
        value = self.input(i)
        if value.data is None:
            raise InputError(
                f"{what} depends on the value of '{value.name}', which is not known before it runs",
                mend=f"give it with --value {value.name}=...",
            )
        return list(value.data.ravel().tolist())
