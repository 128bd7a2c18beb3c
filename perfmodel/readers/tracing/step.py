"""Step: what puts one operation of a model into the graph, whatever the model's format."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from perfmodel.core import Dim, Operator, Precision, Tensor
from perfmodel.core.dims import same
from perfmodel.ops import make_operator
from perfmodel.readers.tracing import integers
from perfmodel.readers.tracing.network import Network
from perfmodel.readers.tracing.values import Data, Value, data_of

#: formats of places and truth values, which are no activations whatever made them
_INDICES = frozenset({"int64", "int32", "int16", "bool"})


class Step(ABC):
    """One operation of the model as its handler sees it; a reader's own form of it adds the rest.

    Handlers put operators into the graph with `emit` (inputs that are computed) and its
    ``stored`` (weights of the operator).
    """

    name: str
    op: str

    @property
    @abstractmethod
    def net(self) -> Network:
        """The network under construction."""

    @property
    @abstractmethod
    def kind(self) -> str:
        """The operation's name in its model, for reports."""

    @abstractmethod
    def operands(self) -> list[Value]:
        """Return the tensors that the operation reads."""

    def only_quantized(self) -> bool:
        """Tell whether the first output is only read to be quantized again."""
        return False

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
        weights = {k: v for k, v in present.items() if v.is_constant and v.learned is not False}
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
        numbers = inputs and inputs[0].role != "index" and inputs[0].dtype not in _INDICES
        active = inputs[0].dtype if numbers else net.activation
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
        present = self.operands()
        first = next((v.dtype for v in present), self.net.main)
        names = list(formats or [first] * len(shapes))
        op = make_operator(
            "opaque",
            ranks=tuple(len(s) for s in shapes),
            places=tuple(d for s in shapes for d in s),
            stands_for=self.kind,
            known=known,
            output_formats=" ".join(self.net.format(n) for n in names),
        )
        if read is None:
            read = [v for v in present if v.items is None]
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
        return Value(self.name, dtype, data.shape, data)

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
