"""Turns the nodes and blocks of a workload file into graph nodes.

`check_nodes` finds what is wrong before any size is known (unknown operators,
attributes and tensors, cycles); `Builder` binds sizes and shapes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from perfmodel.catalog import Document
from perfmodel.core import Dim, Operator, Precision, Tensor
from perfmodel.core.dims import same, show_shape, smallest
from perfmodel.core.expressions import parse_expression
from perfmodel.errors import InputError, did_you_mean, shorten
from perfmodel.graph import Node, bind_operator, check_size
from perfmodel.ops import get_operator

_Place = tuple[Any, ...]
_Nodes = Mapping[str, Mapping[str, Any]]

#: keys of a node that are not attributes of its operator
_NODE_KEYS = ("op", "block", "inputs", "repeat", "share")
MAX_NODES = 100_000
MAX_BLOCK_DEPTH = 20


@dataclass
class Scope:
    """Names that a list of nodes can see: sizes, and tensors (its inputs and earlier nodes)."""

    sizes: Mapping[str, Dim]
    tensors: dict[str, Tensor]
    inputs: tuple[str, ...]

    def tensor(self, name: str) -> Tensor:
        """Return the tensor called ``name``."""
        if name not in self.tensors:
            raise InputError(f"unknown tensor '{name}'", mend=did_you_mean(name, self.tensors))
        return self.tensors[name]


@dataclass
class Builder:
    """Adds nodes one by one; ``nodes`` and ``shared`` are what it made."""

    document: Document
    blocks: Mapping[str, Any]
    precision: Precision
    nodes: list[Node] = field(default_factory=list)
    shared: dict[str, str] = field(default_factory=dict)
    _shared_shapes: dict[str, tuple[Dim, ...]] = field(default_factory=dict)
    _depth: int = 0

    def add(self, nodes: _Nodes, scope: Scope, place: _Place, prefix: str, count: Dim) -> Tensor:
        """Add ``nodes`` in order of execution and return the last one's output as written."""
        for name, inputs in _in_order(nodes, scope.inputs):
            item, here = nodes[name], (*place, name)
            try:
                given = [scope.tensor(i) for i in inputs]
                times = count
                if "repeat" in item:
                    times = count * self.size(item["repeat"], scope.sizes, (*here, "repeat"))
                if "block" in item:
                    output = self._block(item, scope, given, here, prefix + name, times)
                    if "repeat" in item:
                        self._repeatable(given[0], output, times, count)
                else:
                    output = self._operator(item, scope, given, here, prefix + name, times)
            except InputError as error:
                raise self._at(here, error, prefix + name) from None
            scope.tensors[name] = output
        return scope.tensors[list(nodes)[-1]]

    def size(self, value: Any, sizes: Mapping[str, Dim], place: _Place, least: int = 1) -> Dim:
        """Return a number or expression of the file as a checked size."""
        try:
            if isinstance(value, str):
                value = parse_expression(value).evaluate(sizes)
            check_size(str(place[-1]), value, least=least)
            return value  # type: ignore[no-any-return]
        except InputError as error:
            raise self._at(place, error) from None

    def _at(self, place: _Place, error: InputError, name: str = "") -> InputError:
        if error.where:
            return error
        message = f"{name}: {error.message}" if name else error.message
        return InputError(message, where=self.document.where(place), mend=error.mend)

    def _operator(
        self,
        item: Mapping[str, Any],
        scope: Scope,
        inputs: list[Tensor],
        place: _Place,
        name: str,
        count: Dim,
    ) -> Tensor:
        if len(self.nodes) >= MAX_NODES:
            raise InputError(f"over {MAX_NODES:,} nodes", mend="repeat blocks instead")
        op_class = get_operator(item["op"])
        attributes = {
            f.name: self._attribute(f.metadata, item[f.name], scope.sizes, (*place, f.name))
            for f in op_class.attributes()
            if f.name in item
        }
        node = bind_operator(name, op_class(**attributes), inputs, self.precision, count)
        self.nodes.append(node)
        for weight, label in item.get("share", {}).items():
            self._share(node, weight, label)
        return node.output

    def _attribute(
        self, kind: Mapping[str, Any], value: Any, sizes: Mapping[str, Dim], place: _Place
    ) -> Any:
        if kind["kind"] in ("flag", "choice"):
            return value
        if isinstance(value, list):
            return tuple(
                self.size(v, sizes, (*place, i), kind["least"]) for i, v in enumerate(value)
            )
        return self.size(value, sizes, place, kind["least"])

    def _share(self, node: Node, weight: str, label: str) -> None:
        own = {w.name: w.shape for w in node.tensors.weights}
        if weight not in own:
            raise InputError(f"no weight '{weight}' to share", mend=did_you_mean(weight, own))
        known = self._shared_shapes.setdefault(label, own[weight])
        if len(known) != len(own[weight]) or not all(map(same, known, own[weight])):
            raise InputError(
                f"'{weight}' {show_shape(own[weight])} cannot share '{label}' {show_shape(known)}"
            )
        self.shared[f"{node.name}.{weight}"] = label

    def _block(
        self,
        item: Mapping[str, Any],
        scope: Scope,
        inputs: list[Tensor],
        place: _Place,
        name: str,
        count: Dim,
    ) -> Tensor:
        block = self.blocks[item["block"]]
        if len(inputs) != len(block.inputs):
            raise InputError(
                f"block '{item['block']}' takes {len(block.inputs)} inputs, found {len(inputs)}"
            )
        sizes = dict(scope.sizes)
        for parameter, default in block.parameters.items():
            if parameter in item:
                sizes[parameter] = self.size(
                    item[parameter], scope.sizes, (*place, parameter), least=0
                )
            else:
                sizes[parameter] = self.size(
                    default, sizes, ("blocks", item["block"], "parameters", parameter), least=0
                )
        inner = Scope(sizes, dict(zip(block.inputs, inputs, strict=True)), tuple(block.inputs))
        inside = ("blocks", item["block"], "nodes")
        self._depth += 1
        if self._depth > MAX_BLOCK_DEPTH:
            raise InputError(f"blocks nest over {MAX_BLOCK_DEPTH} deep")
        last = self.add(block.nodes, inner, inside, f"{name}.", count)
        self._depth -= 1
        return inner.tensor(block.output) if block.output else last

    def _repeatable(self, before: Tensor, after: Tensor, times: Dim, count: Dim) -> None:
        alike = len(before.shape) == len(after.shape) and all(map(same, before.shape, after.shape))
        if not alike and smallest(times - count) > 0:
            raise InputError(
                f"a repeated block must keep its first input's shape: {show_shape(before.shape)}"
                f" became {show_shape(after.shape)}"
            )


def check_nodes(
    document: Document, blocks: Mapping[str, Any], nodes: _Nodes, inputs: tuple[str, ...]
) -> None:
    """Raise InputError for anything wrong with nodes that does not depend on sizes."""
    _check_recursion(document, blocks)
    for name, block in blocks.items():
        _check_scope(document, blocks, block.nodes, tuple(block.inputs), ("blocks", name, "nodes"))
        if block.output is not None and block.output not in block.nodes:
            raise InputError(
                f"output '{block.output}' is no node of the block",
                where=document.where(("blocks", name, "output")),
                mend=did_you_mean(block.output, block.nodes),
            )
    _check_scope(document, blocks, nodes, inputs, ("nodes",))
    for i, output in enumerate(document.data.get("outputs") or ()):
        if output not in nodes:
            raise InputError(
                f"output '{output}' is no node",
                where=document.where(("outputs", i)),
                mend=did_you_mean(output, nodes),
            )


def _check_recursion(document: Document, blocks: Mapping[str, Any]) -> None:
    uses = {
        name: [n["block"] for n in block.nodes.values() if isinstance(n.get("block"), str)]
        for name, block in blocks.items()
    }
    for start in uses:
        seen, pending = set[str](), list(uses[start])
        while pending:
            name = pending.pop()
            if name == start:
                raise InputError(
                    f"block '{start}' contains itself", where=document.where(("blocks", start))
                )
            if name not in seen:
                seen.add(name)
                pending += uses.get(name, [])


def _check_scope(
    document: Document,
    blocks: Mapping[str, Any],
    nodes: _Nodes,
    inputs: tuple[str, ...],
    place: _Place,
) -> None:
    for name, item in nodes.items():
        here = (*place, name)
        if name in inputs:
            raise InputError(f"'{name}' is an input already", where=document.where(here, key=True))
        if ("op" in item) == ("block" in item):
            raise InputError(
                f"node '{name}' needs either 'op' or 'block'", where=document.where(here)
            )
        _check_node(document, blocks, item, here)
        _check_node_keys(document, item, here)
        for i, tensor in enumerate(_inputs_of(name, nodes, inputs)):
            if tensor not in nodes and tensor not in inputs:
                written = (*here, "inputs", i) if isinstance(item.get("inputs"), list) else (*here, "inputs")
                raise InputError(
                    f"unknown tensor {shorten(tensor)}",
                    where=document.where(written),
                    mend=did_you_mean(str(tensor), {*nodes, *inputs}),
                )
    try:
        list(_in_order(nodes, inputs))
    except InputError as error:
        raise InputError(error.message, where=document.where(place)) from None


def _check_node(
    document: Document, blocks: Mapping[str, Any], item: Mapping[str, Any], here: _Place
) -> None:
    kind = "op" if "op" in item else "block"
    if not isinstance(item[kind], str):
        raise InputError(
            f"found {shorten(item[kind])}, expected a name", where=document.where((*here, kind))
        )
    if kind == "op":
        try:
            op_class = get_operator(item["op"])
        except InputError as error:
            raise InputError(
                error.message, where=document.where((*here, "op")), mend=error.mend
            ) from None
        known = {f.name for f in op_class.attributes()}
        _check_attributes(document, op_class, item, here)
    else:
        if item["block"] not in blocks:
            raise InputError(
                f"unknown block {shorten(item['block'])}",
                where=document.where((*here, "block")),
                mend=did_you_mean(item["block"], blocks),
            )
        block = blocks[item["block"]]
        known = set(block.parameters)
        missing = [p for p, d in block.parameters.items() if d is None and p not in item]
        if missing:
            raise InputError(
                f"block '{item['block']}' needs {', '.join(missing)}", where=document.where(here)
            )
    for key in item:
        if key not in known and key not in _NODE_KEYS:
            raise InputError(
                f"unknown attribute '{key}' of {item[kind]}",
                where=document.where((*here, key), key=True),
                mend=did_you_mean(key, {*known, *_NODE_KEYS}),
            )


def _check_node_keys(document: Document, item: Mapping[str, Any], here: _Place) -> None:
    share, repeat, given = item.get("share", {}), item.get("repeat", 1), item.get("inputs", [])
    names = [given] if isinstance(given, str) else given
    problems = {
        "inputs": not isinstance(names, list) or not all(isinstance(n, str) for n in names),
        "share": not isinstance(share, dict) or not all(isinstance(v, str) for v in share.values()),
        "repeat": isinstance(repeat, bool) or not isinstance(repeat, int | str),
    }
    expected = {
        "inputs": "a tensor's name, or a list of them",
        "share": "a mapping of the operator's weights to names",
        "repeat": "a whole number or an expression",
    }
    for key, wrong in problems.items():
        if wrong:
            raise InputError(
                f"{key}: found {shorten(item[key])}, expected {expected[key]}",
                where=document.where((*here, key)),
            )


def _check_attributes(
    document: Document, op_class: type[Operator], item: Mapping[str, Any], here: _Place
) -> None:
    for attribute in op_class.attributes():
        name, kind = attribute.name, attribute.metadata["kind"]
        if name not in item:
            if attribute.default is attribute.default_factory:  # both MISSING: no default
                raise InputError(f"{op_class.name} needs '{name}'", where=document.where(here))
            continue
        value, where = item[name], document.where((*here, name))
        if kind == "flag" and not isinstance(value, bool):
            raise InputError(f"{name}: found {shorten(value)}, expected true or false", where=where)
        if kind == "choice" and value not in attribute.metadata["choices"]:
            raise InputError(
                f"{name}: found {shorten(value)}",
                where=where,
                mend=f"one of {', '.join(attribute.metadata['choices'])}",
            )
        lengths = {"size": (), "pair": (2,), "pads": (2, 4)}.get(kind, range(1, 17))
        if kind in ("size", "pair", "pads", "sizes"):
            ok = len(value) in lengths if isinstance(value, list) else kind != "sizes"
            for part in value if isinstance(value, list) else [value]:
                ok = ok and isinstance(part, int | str) and not isinstance(part, bool)
            if not ok:
                expected = {
                    "size": "a whole number or an expression",
                    "pair": "a size, or [height, width]",
                    "pads": "a size, [vertical, horizontal] or [top, left, bottom, right]",
                }.get(kind, "a list of sizes")
                raise InputError(
                    f"{name}: found {shorten(value)}, expected {expected}", where=where
                )


def _inputs_of(name: str, nodes: _Nodes, inputs: tuple[str, ...]) -> list[str]:
    """Return a node's inputs: as written, else the node before it, else the scope's inputs."""
    given = nodes[name].get("inputs")
    if isinstance(given, str):
        return [given]
    if given is not None:
        return list(given)
    names = list(nodes)
    position = names.index(name)
    return [names[position - 1]] if position else list(inputs)


def _in_order(nodes: _Nodes, inputs: tuple[str, ...]) -> Iterator[tuple[str, list[str]]]:
    """Yield nodes with their inputs, as written but producers first; InputError names a cycle."""
    needs = {name: _inputs_of(name, nodes, inputs) for name in nodes}
    done: set[str] = set()
    for name in nodes:
        trail = [name]
        while trail:
            missing = [w for w in needs[trail[-1]] if w in needs and w not in done]
            if missing:
                if missing[0] in trail:
                    circle = [*trail[trail.index(missing[0]) :], missing[0]]
                    raise InputError(f"the nodes form a cycle: {' -> '.join(circle)}")
                trail.append(missing[0])
                continue
            ready = trail.pop()
            if ready not in done:
                done.add(ready)
                yield ready, needs[ready]
