"""Walks a model's nodes in order and has each become operators of the graph.

What is known before the model runs (weights, shapes and arithmetic on them) is
folded; everything else goes to the operator's handler.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import prod
from typing import Any

from perfmodel.core import Dim
from perfmodel.core.dims import product, show_shape
from perfmodel.core.symbols import is_symbolic
from perfmodel.errors import InputError, shorten
from perfmodel.readers.onnx.attributes import with_attributes
from perfmodel.readers.onnx.call import Call
from perfmodel.readers.onnx.codes import keep_codes
from perfmodel.readers.onnx.fold import fold, sized
from perfmodel.readers.onnx.handlers import handler_of
from perfmodel.readers.onnx.inputs import give_numbers
from perfmodel.readers.onnx.model import (
    DEFAULT_OPSET,
    MAX_ELEMENTS,
    Model,
    domain_of,
    imported_opsets,
    tensor_data,
    tensor_format,
    tensor_shape,
)
from perfmodel.readers.onnx.offline import all_stored, is_offline, is_table, source
from perfmodel.readers.onnx.order import called, in_order, readers_of
from perfmodel.readers.tracing.network import Network
from perfmodel.readers.tracing.table import as_list
from perfmodel.readers.tracing.values import Value, is_learned

MAX_GRAPH_DEPTH = 30
#: visits to nodes for running loops step by step, in all
MAX_STEPPED = 20_000
MALFORMED = (
    TypeError, ValueError, IndexError, KeyError, ZeroDivisionError, OverflowError,
    AttributeError, AssertionError, StopIteration, RecursionError, MemoryError,
)  # fmt: skip

Scope = dict[str, Value]


@dataclass
class Importer:
    """One import of a model into a Network.

    ``values`` are integers that the user gave for tensors by name, ``taken`` those of
    them that found their tensor; ``batch`` is (the file's, the wanted) size of the first
    axis where the user sets one that the file fixes; ``visits`` counts nodes, those of a
    body as often as it is imported.
    """

    model: Model
    net: Network
    values: Mapping[str, Sequence[int]] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    sizes: Mapping[str, Dim] = field(default_factory=dict)
    batch: tuple[int, Dim] | None = None
    depth: int = 0
    visits: int = 0
    #: version of each domain's operators, in the function under way
    opsets: Mapping[str, int] = field(default_factory=dict)
    _stepped: int = 0
    #: what tells the stored tensors of a graph inside a node from others of that name
    place: str = ""
    #: operators that read each tensor of the graph under way
    readers: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.opsets = self.opsets or self.model.opsets

    def for_batch(self, shape: list[Dim], source: Sequence[Dim]) -> list[Dim]:
        """Return a fixed shape with the file's batch replaced by the wanted one, if that fits."""
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
            scope[sparse.values.name] = self.sparse(sparse)
        shapes = {info.name: info for info in (*proto.value_info, *proto.output)}
        outside, self.readers = self.readers, readers_of(proto)
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
            raise InputError(f"no node makes the output {shorten(name)}")
        return scope[name]

    def stored(self, tensor: Any) -> Value:
        """Return an initializer or constant."""
        shape = tensor_shape(tensor)
        data = tensor_data(self.model, tensor)
        return Value(
            tensor.name, tensor_format(tensor), shape, data, stored=self.place + tensor.name
        )

    def sparse(self, proto: Any) -> Value:
        """Return a tensor of which the file stores what is not zero."""
        name, shape = proto.values.name, tensor_shape(proto)
        return Value(name, tensor_format(proto.values), shape, stored=self.place + name)

    def given(self, name: str) -> Sequence[int] | None:
        """Return the numbers that the user gave for ``name``."""
        if name in self.values:
            self.taken.add(name)
        return self.values.get(name)

    @contextmanager
    def stepping(self) -> Iterator[Callable[[], bool]]:
        """Run a body step by step; yields whether one more step is within reason."""
        start = self.visits
        try:
            yield lambda: self._stepped + self.visits - start < MAX_STEPPED
        finally:
            self._stepped += self.visits - start

    def node(self, node: Any, scope: Scope, shapes: Mapping[str, Any]) -> None:
        """Import one node and put its outputs into ``scope``."""
        self.visits += 1
        if self.visits > self.model.most_visits:
            raise InputError("nested graphs and functions go on and on")
        domain = domain_of(node.domain)
        if not node.op_type:
            raise InputError(f"the node{called(node)} does not say its operator")
        inputs: list[Value | None] = []
        for name in node.input:
            if name and name not in scope:
                raise InputError(f"{called(node)} reads '{name}', which nothing makes")
            inputs.append(scope[name] if name else None)
        call = Call(
            self,
            node.op_type,
            domain,
            self.opsets.get(domain, 1 if domain else DEFAULT_OPSET),
            node.name or f"{node.op_type}.{node.output[0] if node.output else ''}",
            inputs,
            list(node.output),
            {a.name: a for a in node.attribute},
            scope=scope,
            types=shapes,
        )
        try:
            made = self._made(call, node, scope)
            limited = any(v is not None and v.bound for v in inputs)
            for value in made:
                value.bound = value.bound or (limited and value.rank > 0)
                sizes = [float(d) for d in value.shape]
                if prod(sizes) > MAX_ELEMENTS:
                    raise InputError("a tensor of over 2**48 values")
                if min(sizes, default=0) < 0:
                    raise InputError(f"its output would have the shape {show_shape(value.shape)}")
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
        numbers = self.given(name)
        if numbers is not None and value.data is None:
            give_numbers(value, numbers)
        if not value.name:
            value.name = name
        return value

    def _made(self, call: Call, node: Any, scope: Scope) -> Sequence[Value]:
        if not call.domain or call.domain == "com.microsoft":
            # Rows of a table that sizes choose are looked up when the model runs.
            mixed = not all_stored(call) and any(map(is_table, call.inputs))
            folded = [] if mixed else fold(call.op, call.inputs, call.for_folding, call.opset)
            if folded and sized(call.op, call.inputs):
                return self._executed(call, folded)
            if folded:
                for value, name in zip(folded, call.outputs, strict=False):
                    value.name = name
                    value.stored = source(call, value, name) if all_stored(call) else None
                    keep_codes(call, value)
                return folded
        overload = getattr(node, "overload", "")
        function = self.model.functions.get((call.domain, call.op, overload))
        handler = handler_of(call.domain, call.op)
        if handler is None and function is not None:
            return self._function(function, call)
        if handler is None:
            return self._without_handler(call)
        if is_offline(call):
            with self.net.aside():
                made = as_list(handler(call))
            learned = call.op == "ConstantOfShape" or any(map(is_learned, call.inputs))
            for value, name in zip(made, call.outputs, strict=False):
                if value.tensor is not None or value.make is not None:
                    value.tensor, value.make = None, None
                    value.name, value.stored = name, source(call, value, name)
                    value.learned = None if learned else False
                    keep_codes(call, value)
            return made
        made = as_list(handler(call))
        if self.place and call.op == "Constant":
            for value in made:
                value.stored = self.place + call.outputs[0]
        return made

    def _executed(self, call: Call, folded: list[Value]) -> Sequence[Value]:
        """Import a node that runs although its values are known; returns its outputs with those."""
        handler = handler_of(call.domain, call.op)
        made = as_list(handler(call)) if handler is not None else folded
        for value, known in zip(made, folded, strict=False):
            value.data, value.sized = known.data, True
        return made

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
        outside, self.readers = self.readers, readers_of(function)
        around, self.opsets = self.opsets, {**self.opsets, **imported_opsets(function)}
        try:
            for node in in_order(function.node, inner, list(function.output)):
                bound = with_attributes(node, {**defaults, **given})
                self.node(bound, inner, {})
        finally:
            self.depth -= 1
            self.place, self.readers, self.opsets = before, outside, around
        return [self._output(name, inner) for name in function.output]

    def _without_handler(self, call: Call) -> Sequence[Value]:
        first = next((v for v in call.inputs if v is not None), None)
        like = (first.shape, first.dtype) if first is not None else ((), self.net.main)
        made = [call.declared(i) or like for i in range(len(call.outputs))]
        return call.opaque(*(s for s, _ in made), formats=[f for _, f in made], known=False)


def _exactly(a: Dim, b: Dim) -> bool:
    """Tell whether two sizes are the same expression, not only the same at their hints."""
    difference = a - b
    return not is_symbolic(difference) and bool(difference == 0)
