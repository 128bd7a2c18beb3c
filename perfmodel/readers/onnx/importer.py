"""Walks a model's nodes in order and has each become operators of the graph.

What is known before the model runs (weights, shapes and arithmetic on them) is
folded; everything else goes to the operator's handler.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from perfmodel.core import Dim
from perfmodel.core.dims import largest, product
from perfmodel.core.symbols import is_symbolic
from perfmodel.errors import InputError, shorten
from perfmodel.readers.onnx.call import Call
from perfmodel.readers.onnx.fold import fold
from perfmodel.readers.onnx.formats import FORMAT_OF
from perfmodel.readers.onnx.handlers import handler_of
from perfmodel.readers.onnx.inputs import declared_shape
from perfmodel.readers.onnx.integers import keep_codes
from perfmodel.readers.onnx.model import (
    MAX_ELEMENTS,
    Model,
    tensor_data,
    tensor_format,
    tensor_shape,
)
from perfmodel.readers.onnx.order import called, in_order, reads_of, with_attributes
from perfmodel.readers.tracing.network import Network
from perfmodel.readers.tracing.values import Value, data_of

#: operators whose output is not the same every time
_RANDOM = {
    "RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Multinomial",
    "Bernoulli",
}  # fmt: skip
_CONTROL = {"If", "Loop", "Scan", "SequenceMap"}
MAX_GRAPH_DEPTH = 30
MALFORMED = (
    TypeError, ValueError, IndexError, KeyError, ZeroDivisionError, OverflowError,
    AttributeError, AssertionError, StopIteration, RecursionError, MemoryError,
)  # fmt: skip

Scope = dict[str, Value]


@dataclass
class Importer:
    """One import of a model into a Network.

    ``values`` are integers that the user gave for tensors by name; ``unknown``
    collects operators without a handler; ``batch`` is (the file's, the wanted) size of
    the first axis where the user sets one that the file fixes.
    """

    model: Model
    net: Network
    values: Mapping[str, Sequence[int]] = field(default_factory=dict)
    unknown: dict[str, int] = field(default_factory=dict)
    sizes: Mapping[str, Dim] = field(default_factory=dict)
    batch: tuple[int, Dim] | None = None
    depth: int = 0
    #: what tells the stored tensors of a graph inside a node from others of that name
    place: str = ""
    #: operators that read each tensor of the graph under way
    readers: dict[str, list[str]] = field(default_factory=dict)

    def for_batch(self, shape: list[Dim], source: Sequence[Dim]) -> list[Dim]:
        """Return a fixed shape with the file's batch replaced by the wanted one, if that fits.

        ``source`` is the shape of what is reshaped.
        """
        if self.batch is None or not shape or not all(isinstance(d, int) for d in shape):
            return shape
        fixed, wanted = self.batch
        elements = product(source)
        # What is left over, -1, is what it is in the file where the first axis is the batch.
        kept = -1 in shape and shape[0] == fixed and bool(source) and _exactly(source[0], wanted)
        if shape[0] % fixed or (-1 in shape and not kept) or _exactly(product(shape), elements):
            return shape
        scaled = [shape[0] // fixed * wanted, *shape[1:]]
        if _exactly(scaled[0], shape[0]) or not (kept or _exactly(product(scaled), elements)):
            return shape
        self.net.note("a reshape to the file's batch follows the batch that was set")
        return scaled

    def graph(self, proto: Any, scope: Scope) -> list[Value]:
        """Import a graph whose inputs stand in ``scope`` already; returns its outputs."""
        if self.depth > MAX_GRAPH_DEPTH:
            raise InputError(f"graphs nest over {MAX_GRAPH_DEPTH} deep")
        for tensor in proto.initializer:
            if tensor.name not in scope or scope[tensor.name].tensor is None:
                scope[tensor.name] = self.stored(tensor)
        for sparse in proto.sparse_initializer:
            value = self.stored(sparse.values)
            scope[value.name] = Value(
                value.name, value.dtype, tuple(int(d) for d in sparse.dims), stored=value.name
            )
        shapes = {info.name: info for info in (*proto.value_info, *proto.output)}
        outside, self.readers = self.readers, _readers(proto)
        self.depth += 1
        try:
            for node in in_order(proto.node, scope, [o.name for o in proto.output]):
                self.node(node, scope, shapes)
        finally:
            self.depth -= 1
            self.readers = outside
        return [self._output(o.name, scope) for o in proto.output]

    def subgraph(
        self, proto: Any, outer: Mapping[str, Value], inputs: Sequence[Value], place: str
    ) -> list[Value]:
        """Import a graph that a node carries; its own names hide those of ``outer``."""
        scope = dict(outer)
        scope.update(zip((i.name for i in proto.input), inputs, strict=False))
        before, self.place = self.place, f"{self.place}{place}/"
        try:
            return self.graph(proto, scope)
        finally:
            self.place = before

    def _output(self, name: str, scope: Scope) -> Value:
        if name not in scope:
            raise InputError(f"no node makes the output '{shorten(name)}'")
        return scope[name]

    def stored(self, tensor: Any) -> Value:
        """Return an initializer or constant."""
        shape = tensor_shape(tensor)
        data = tensor_data(self.model, tensor)
        return Value(
            tensor.name, tensor_format(tensor), shape, data, stored=self.place + tensor.name
        )

    def node(self, node: Any, scope: Scope, shapes: Mapping[str, Any]) -> None:
        """Import one node and put its outputs into ``scope``."""
        domain = "" if node.domain == "ai.onnx" else node.domain
        inputs: list[Value | None] = []
        for name in node.input:
            if name and name not in scope:
                raise InputError(f"{called(node)} reads '{name}', which nothing makes")
            inputs.append(scope[name] if name else None)
        call = Call(
            self,
            node.op_type,
            domain,
            self.model.opsets.get(domain, 1 if domain else 13),
            node.name or f"{node.op_type}.{node.output[0] if node.output else ''}",
            inputs,
            list(node.output),
            {a.name: a for a in node.attribute},
            scope=scope,
        )
        try:
            made = self._made(call, node, scope, shapes)
            for value in made:
                if largest(value.elements) > MAX_ELEMENTS:
                    raise InputError("a tensor of over 2**48 values")
        except InputError as error:
            if error.where:
                raise
            message = error.message
            where = f"{self.model.file}: {called(node)}"
            raise InputError(message, where=where, mend=error.mend) from None
        except MALFORMED as error:
            raise InputError(
                f"{self.model.file}: {called(node)} makes no sense: {type(error).__name__}"
                f" {shorten(str(error))}",
                mend="its attributes or its inputs' shapes are not what the operator takes",
            ) from error
        for name, value in zip(node.output, made, strict=False):
            if name:
                scope[name] = self._given(name, value)

    def _given(self, name: str, value: Value) -> Value:
        """Return ``value`` with the numbers that the user gave for it."""
        if name in self.values and value.data is None:
            data = data_of(list(self.values[name]))
            if not value.shape and data.size == 1:
                data = data.reshape(())
            value.data, value.shape = data, tuple(data.shape)
        if not value.name:
            value.name = name
        return value

    def _made(
        self, call: Call, node: Any, scope: Scope, shapes: Mapping[str, Any]
    ) -> Sequence[Value]:
        if not call.domain or call.domain == "com.microsoft":
            folded = fold(call.op, call.inputs, call.attr, call.opset)
            if folded:
                stored = next((v.stored for v in call.inputs if v and v.stored), None)
                for value, name in zip(folded, call.outputs, strict=False):
                    value.name, value.stored = name, stored
                    keep_codes(call, value)
                return folded
        function = self.model.functions.get((call.domain, call.op))
        handler = handler_of(call.domain, call.op)
        if handler is None and function is not None:
            return self._function(function, call)
        if handler is None:
            return self._without_handler(call, scope, shapes)
        if self._offline(call):
            with self.net.aside():
                made = _as_list(handler(call))
            root = next((v.stored for v in call.inputs if v and v.stored), None)
            for value, name in zip(made, call.outputs, strict=False):
                if value.tensor is not None or value.make is not None:
                    value.tensor, value.make = None, None
                    value.name, value.stored = name, root or self.place + name
                    keep_codes(call, value)
            return made
        made = _as_list(handler(call))
        if self.place and call.op == "Constant":
            for value in made:
                value.stored = self.place + call.outputs[0]
        return made

    def _offline(self, call: Call) -> bool:
        """Tell whether a runtime computes the node once, when it loads the model."""
        present = [v for v in call.inputs if v is not None]
        return (
            bool(present)
            and all(v.is_constant and v.items is None for v in present)
            and call.op not in _RANDOM
            and call.op not in _CONTROL
            and call.op != "DequantizeLinear"
        )

    def _function(self, function: Any, call: Call) -> list[Value]:
        """Import the body of a function that the model defines."""
        if self.depth > MAX_GRAPH_DEPTH:
            raise InputError(f"functions nest over {MAX_GRAPH_DEPTH} deep")
        inner: Scope = {
            name: value
            for name, value in zip(function.input, call.inputs, strict=False)
            if value is not None
        }
        given = dict(call.attributes)
        defaults = {a.name: a for a in function.attribute_proto}
        self.depth += 1
        before, self.place = self.place, f"{call.domain}.{call.op}/"
        outside, self.readers = self.readers, _readers(function)
        try:
            for node in in_order(function.node, inner, list(function.output)):
                bound = with_attributes(node, {**defaults, **given})
                self.node(bound, inner, {})
        finally:
            self.depth -= 1
            self.place, self.readers = before, outside
        return [self._output(name, inner) for name in function.output]

    def _without_handler(
        self, call: Call, scope: Scope, shapes: Mapping[str, Any]
    ) -> Sequence[Value]:
        kind = f"{call.domain}::{call.op}" if call.domain else call.op
        self.unknown[kind] = self.unknown.get(kind, 0) + 1
        made_shapes, formats = [], []
        first = next((v for v in call.inputs if v is not None), None)
        for name in call.outputs:
            shape = None
            if name in shapes:
                declared = shapes[name].type.tensor_type
                shape = declared_shape(declared, self.sizes)
                formats.append(FORMAT_OF.get(declared.elem_type, self.net.main))
            else:
                formats.append(first.dtype if first else self.net.main)
            made_shapes.append(shape if shape is not None else (first.shape if first else ()))
        return call.opaque(*made_shapes, formats=formats, known=False)

    def attribute(self, proto: Any) -> Any:
        """Return an attribute's value as plain Python, a Value, or a GraphProto."""
        kind = proto.type
        if kind == 1 or (kind == 0 and proto.HasField("f")):
            return float(proto.f)
        if kind == 2 or (kind == 0 and proto.HasField("i")):
            return int(proto.i)
        if kind == 3:
            return proto.s.decode("utf-8", "replace")
        if kind == 4:
            return self.stored(proto.t)
        if kind == 5:
            return proto.g
        if kind == 6:
            return [float(v) for v in proto.floats]
        if kind == 7 or (kind == 0 and proto.ints):
            return [int(v) for v in proto.ints]
        if kind == 8:
            return [s.decode("utf-8", "replace") for s in proto.strings]
        if kind == 11:
            return self.stored(proto.sparse_tensor.values)
        return list(proto.graphs) if kind == 10 else None


def _readers(proto: Any) -> dict[str, list[str]]:
    readers: dict[str, list[str]] = {}
    for node in proto.node:
        for name in reads_of(node):
            readers.setdefault(name, []).append(node.op_type)
    for output in proto.output:
        readers.setdefault(getattr(output, "name", output), []).append("")
    return readers


def _exactly(a: Dim, b: Dim) -> bool:
    """Tell whether two sizes are the same expression, not only the same at their hints."""
    difference = a - b
    return not is_symbolic(difference) and bool(difference == 0)


def _as_list(made: Value | Sequence[Value] | None) -> list[Value]:
    if made is None:
        return []
    return [made] if isinstance(made, Value) else list(made)
