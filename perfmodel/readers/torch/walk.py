"""Walks an exported program's nodes in order and has each become operators of the graph."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from perfmodel.core import Dim
from perfmodel.core.dims import same
from perfmodel.errors import InputError, shorten
from perfmodel.readers.torch.call import Call
from perfmodel.readers.torch.formats import format_of, is_complex
from perfmodel.readers.torch.handlers import handler_of
from perfmodel.readers.torch.sizes import Sizes
from perfmodel.readers.tracing.network import Network
from perfmodel.readers.tracing.table import as_list
from perfmodel.readers.tracing.values import Value

#: what a handler raises where an operator's arguments are none that it knows
UNFIT = (
    InputError, TypeError, ValueError, IndexError, KeyError, ZeroDivisionError, OverflowError,
    AttributeError, AssertionError,
)  # fmt: skip
MAX_DEPTH = 30


@dataclass
class Walker:
    """One import of a program into a Network.

    ``misfits`` are operators whose handler could not take them, with why: they are
    charged their bytes; ``used`` are stored tensors that are part of a node's weights.
    """

    net: Network
    sizes: Sizes
    misfits: dict[str, str] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    depth: int = 0
    prefix: str = ""

    def graph(self, module: Any, inputs: Sequence[Any]) -> list[Any]:
        """Import a graph module fed with ``inputs``; returns what it gives back."""
        if self.depth > MAX_DEPTH:
            raise InputError(f"graphs nest over {MAX_DEPTH} deep")
        known: dict[Any, Any] = {}
        given = iter(inputs)
        self.depth += 1
        try:
            for node in module.graph.nodes:
                if node.op == "placeholder":
                    known[node] = next(given)
                elif node.op == "get_attr":
                    known[node] = self._attribute(module, node)
                elif node.op == "output":
                    return list(_filled(node.args[0], known))
                else:
                    known[node] = self.node(node, known)
        finally:
            self.depth -= 1
        return []

    def _attribute(self, module: Any, node: Any) -> Any:
        found = module
        for part in str(node.target).split("."):
            found = getattr(found, part)
        if hasattr(found, "dtype") and hasattr(found, "shape"):
            return self.stored(str(node.target), found, learned=False)
        return found

    def stored(self, name: str, tensor: Any, learned: bool, key: str = "") -> Value:
        """Return a tensor that the program holds."""
        shape, dtype = self.described(tensor)
        return Value(name, dtype, shape, stored=key or name, learned=learned)

    def described(self, tensor: Any) -> tuple[tuple[Dim, ...], str]:
        """Return shape and format of a tensor of the program; complex numbers are pairs."""
        shape = self.sizes.shape(tensor.shape)
        if is_complex(tensor.dtype):
            shape = (*shape, 2)
        return shape, format_of(tensor.dtype)

    def node(self, node: Any, known: Mapping[Any, Any]) -> Any:
        """Import one node; returns its Value, a list of them, or a size."""
        if node.target is operator.getitem:
            source, place = _filled(node.args, known)
            return source[place]
        raw = node.meta.get("val")
        outputs = list(raw) if isinstance(raw, list | tuple) else [raw]
        schema = getattr(node.target, "_schema", None)
        if not any(hasattr(o, "dtype") and hasattr(o, "shape") for o in outputs):
            return self._size(node, raw, known)
        if schema is not None:
            names = [a.name for a in schema.arguments]
            arguments = {a.name: a.default_value for a in schema.arguments}
        else:
            names, arguments = [str(i) for i in range(len(node.args))], {}
        arguments.update(zip(names, _filled(list(node.args), known), strict=False))
        arguments.update(_filled(dict(node.kwargs), known))
        call = self._call(node, raw, outputs, arguments)
        made = self._made(call)
        for value, (shape, dtype) in zip(made, call.made, strict=False):
            value.name = value.name or call.name
            if value.items is None and not _fits(value.shape, shape):
                self.misfits.setdefault(call.kind, f"makes {value.shape}, expected {shape}")
                made = call.bytes_only()
                break
            if value.whole is None and not value.is_constant:
                value.dtype = dtype
        return made if isinstance(raw, list | tuple) else made[0]

    def _size(self, node: Any, raw: Any, known: Mapping[Any, Any]) -> Any:
        source = next((known[a] for a in node.args if a in known), None) if node.args else None
        if isinstance(source, Value) and source.data is not None and source.data.size == 1:
            self.sizes.settle(raw, source.data.item())
        if raw is None:
            return None
        if isinstance(raw, list | tuple):
            return [self.sizes.of(r) for r in raw]
        return self.sizes.of(raw)

    def _call(self, node: Any, raw: Any, outputs: Sequence[Any], arguments: Any) -> Call:
        domain, _, rest = str(node.target).partition(".")
        namespace = getattr(node.target, "namespace", None) or domain
        op = rest.split(".")[0] if rest else str(getattr(node.target, "__name__", node.target))
        pending = [o for o in outputs if hasattr(o, "shape")]
        if node.meta.get("unbacked_bindings"):
            self._bound(pending, namespace, op, arguments)
        path, layer = _place(node)
        several = isinstance(raw, list | tuple)
        used = {int(u.args[1]) for u in node.users if u.target is operator.getitem and several}
        plain = layer.startswith("torch.nn.modules")
        name = path if plain and path else f"{path}.{op}" if path else op
        return Call(
            self,
            self.prefix + name,
            namespace,
            op,
            arguments,
            [self.described(o) for o in pending],
            frozenset(used) if several else frozenset({0}),
            raw,
            [str(u.target).partition(".")[2].split(".")[0] for u in node.users],
            layer,
        )

    def _bound(self, outputs: Sequence[Any], domain: str, op: str, arguments: Any) -> None:
        """Say how large outputs are at most whose sizes depend on data."""
        first = next((a for a in arguments.values() if isinstance(a, Value)), None)
        if first is None:
            return
        for output in outputs:
            for size in output.shape:
                name = str(getattr(getattr(size, "node", None), "expr", ""))
                if name and name not in self.sizes.values and not isinstance(size, int):
                    self.sizes.settle(size, first.elements)
        self.net.note(f"{domain}::{op} makes as much as it finds: the most it can is taken")

    def _made(self, call: Call) -> list[Value]:
        handler = handler_of(call.domain, call.op)
        if handler is None:
            return call.bytes_only(known=False)
        try:
            with self.net.aside() as trial:
                made = as_list(handler(call))
        except UNFIT as error:
            if isinstance(error, InputError) and error.where:
                raise
            self.misfits.setdefault(call.kind, f"{type(error).__name__}: {shorten(str(error))}")
            return call.bytes_only()
        self.net.adopt(trial)
        return made


def _filled(item: Any, known: Mapping[Any, Any]) -> Any:
    """Return arguments with nodes replaced by what they became."""
    if isinstance(item, list | tuple):
        return [_filled(i, known) for i in item]
    if isinstance(item, dict):
        return {k: _filled(v, known) for k, v in item.items()}
    try:
        return known.get(item, item)
    except TypeError:
        return item


def _fits(found: Sequence[Dim], expected: Sequence[Dim]) -> bool:
    return len(found) == len(expected) and all(map(same, found, expected))


def _place(node: Any) -> tuple[str, str]:
    """Return the path of the module that the node belongs to, and the module's class."""
    stack = [v for v in (node.meta.get("nn_module_stack") or {}).values() if len(v) == 2]
    stack = [(str(p), c) for p, c in stack if not str(p).startswith("_empty_nn_module")]
    if not stack:
        return "", ""
    path, kind = stack[-1]
    name = kind if isinstance(kind, str) else f"{kind.__module__}.{kind.__qualname__}"
    return path.replace("@", "."), name
