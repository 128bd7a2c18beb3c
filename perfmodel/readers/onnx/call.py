"""Call: one node of the model as its handler sees it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from perfmodel.core import Dim, Operator, Precision, Tensor
from perfmodel.core.dims import same
from perfmodel.errors import InputError
from perfmodel.ops import make_operator
from perfmodel.readers.onnx import integers
from perfmodel.readers.onnx.attributes import attribute_value
from perfmodel.readers.onnx.formats import FORMAT_OF
from perfmodel.readers.onnx.inputs import declared_shape
from perfmodel.readers.tracing.network import Network, role_of
from perfmodel.readers.tracing.values import Data, Value, data_of

if TYPE_CHECKING:
    from perfmodel.readers.onnx.importer import Importer


@dataclass
class Call:
    """A node: its operator, inputs (None where one is left out) and attributes.

    Handlers read ``inputs``, `attr`, `known`, and put operators into the graph with
    `emit` (inputs that are computed) and its ``stored`` (weights of the operator).
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

    def emit(
        self,
        op: str | Operator,
        *inputs: Value,
        stored: Mapping[str, Value] | None = None,
        precision: Precision | None = None,
        suffix: str = "",
        **attributes: Any,
    ) -> tuple[Value, ...]:
        """Put an operator into the graph and return its outputs.

        Inputs that are stored with the model become nodes of their own.
        ``stored`` maps the operator's own weights to the tensors they are in the file,
        so that what is shared counts once, and gives the weights their format; those
        that the model computes are no parameters but tensors that the node reads.
        """
        made = make_operator(op, **attributes) if isinstance(op, str) else op
        present = {k: v for k, v in (stored or {}).items() if v is not None}
        weights = {k: v for k, v in present.items() if v.is_constant and not v.generated}
        given = {k: v for k, v in present.items() if k not in weights}
        inputs = (*inputs, *given.values())
        codes = integers.codes_of(self, made.name, inputs, weights)
        tensors = [self.net.tensor(v) for v in codes or inputs]
        if precision is None and weights:
            precision = self._precision(next(iter(weights.values())), tensors)
        outputs = self.net.add(self.name + suffix, made, tensors, precision, weights, tuple(given))
        values = tuple(Value(t.name, t.dtype, t.shape, tensor=t) for t in outputs)
        return tuple(integers.real(self, v, inputs[0].dtype) for v in values) if codes else values

    def _precision(self, weight: Value, inputs: Sequence[Tensor]) -> Precision | None:
        """Return the formats of a node with weights of its own, None where the network's fit."""
        net = self.net.precision
        form = self.net.format(weight.dtype, "weight")
        # Whole numbers of these formats are places in a table, whatever moved them.
        places = not inputs or inputs[0].role == "index" or inputs[0].dtype in ("int64", "int32")
        active = net.activation if places else inputs[0].dtype
        if form == net.weight and active == net.activation:
            return None
        return replace(net, name=f"{form}/{active}", weight=form, activation=active)

    def opaque(
        self,
        *shapes: Sequence[Dim],
        formats: Sequence[str] | None = None,
        known: bool = True,
        read: Sequence[Value] | None = None,
    ) -> tuple[Value, ...]:
        """Put a node into the graph of which only the bytes are known; returns its outputs.

        It reads all inputs, or what ``read`` says.
        """
        first = next((v.dtype for v in self.inputs if v is not None), self.net.main)
        names = list(formats or [first] * len(shapes))
        op = make_operator(
            "opaque",
            ranks=tuple(len(s) for s in shapes),
            places=tuple(d for s in shapes for d in s),
            stands_for=f"{self.domain}::{self.op}" if self.domain else self.op,
            known=known,
            output_formats=" ".join(self.net.format(n) for n in names),
        )
        if read is None:
            read = [v for v in self.inputs if v is not None and v.items is None]
        return self.emit(op, *read)

    def view(self, value: Value, shape: Sequence[Dim]) -> Value:
        """Return ``value`` under another shape, which costs nothing."""
        target = tuple(shape)
        if value.tensor is None and (value.make is None or value.is_constant):
            data = None
            if value.data is not None and all(isinstance(d, int) for d in target):
                data = value.data.reshape([int(d) for d in target])
            return replace(value, shape=target, data=data)
        if value.whole is not None and value.tensor is None:
            return integers.real(self, self.view(value.whole, target), value.dtype)
        if len(target) == value.rank and all(map(same, target, value.shape)):
            return value
        if not target:
            return self.emit("reshape", value, shape=())[0]
        return self.emit("reshape", value, shape=target)[0]

    def constant(self, values: Any, dtype: str = "int64") -> Value:
        """Return a small constant."""
        data: Data = data_of(values)
        return Value(self.outputs[0] if self.outputs else self.name, dtype, data.shape, data)

    def cast(self, value: Value, dtype: str) -> Value:
        """Return ``value`` in another format, where it is not in it already."""
        wanted = self.net.format(dtype)
        if value.is_constant and value.tensor is None:
            return replace(value, dtype=dtype)
        tensor = self.net.tensor(value)
        if tensor.dtype == wanted:
            return value
        (out,) = self.emit("cast", value, to=wanted)
        return out

    def role(self, dtype: str) -> str:
        """Return the role of a computed tensor of that format."""
        return role_of(dtype)


Maker = Callable[[], Tensor]
