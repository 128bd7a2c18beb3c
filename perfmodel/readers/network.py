"""Turns the nodes and blocks of a workload file into graph nodes, sizes and shapes bound."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from perfmodel.catalog import Document
from perfmodel.core import Dim, Precision, Tensor
from perfmodel.core.dims import check_size, same, show_shape, smallest
from perfmodel.core.expressions import parse_expression
from perfmodel.core.formats import get_format
from perfmodel.errors import InputError, did_you_mean
from perfmodel.graph import Node, bind_operator
from perfmodel.ops import get_operator
from perfmodel.readers.structure import Nodes, Place, in_order, present

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
    """Adds the nodes there in ``phase``; ``nodes`` to ``held`` are what it made."""

    document: Document
    blocks: Mapping[str, Any]
    precision: Precision
    nodes: list[Node] = field(default_factory=list)
    shared: dict[str, str] = field(default_factory=dict)
    carried: set[str] = field(default_factory=set)
    held: dict[str, str] = field(default_factory=dict)
    phase: str = ""
    _shared: dict[str, Tensor] = field(default_factory=dict)
    _depth: int = 0

    def add(
        self,
        written: Nodes,
        scope: Scope,
        place: Place,
        prefix: str,
        count: Dim,
        trained: bool = True,
    ) -> Tensor:
        """Add nodes in order of execution and return the last one's output as written."""
        nodes = present(written, self.phase)
        if not nodes:
            raise InputError(f"none of its nodes is there in phase '{self.phase}'")
        for name, inputs in in_order(nodes, scope.inputs):
            item, here = nodes[name], (*place, name)
            learns = item.get("trained", trained)
            try:
                given = [scope.tensor(i) for i in inputs]
                times = count
                if "repeat" in item:
                    times = count * self.size(item["repeat"], scope.sizes, (*here, "repeat"))
                if "block" in item:
                    output = self._block(item, scope, given, here, prefix + name, times, learns)
                    if "repeat" in item:
                        self._repeatable(given[0], output, times, count)
                else:
                    output = self._operator(item, scope, given, here, prefix + name, times, learns)
            except InputError as error:
                raise self._at(here, error, prefix + name) from None
            scope.tensors[name] = output
            if "op" in item:
                made = self.nodes[-1].tensors.outputs
                scope.tensors.update({f"{name}:{i}": t for i, t in enumerate(made) if i})
        return scope.tensors[list(nodes)[-1]]

    def size(self, value: Any, sizes: Mapping[str, Dim], place: Place, least: int = 1) -> Dim:
        """Return a number or expression of the file as a checked size."""
        try:
            if isinstance(value, str):
                value = parse_expression(value).evaluate(sizes)
            check_size(str(place[-1]), value, least=least)
            return value  # type: ignore[no-any-return]
        except InputError as error:
            raise self._at(place, error) from None

    def _at(self, place: Place, error: InputError, name: str = "") -> InputError:
        if error.where:
            return error
        message = f"{name}: {error.message}" if name else error.message
        return InputError(message, where=self.document.where(place), mend=error.mend)

    def _operator(
        self,
        item: Mapping[str, Any],
        scope: Scope,
        inputs: list[Tensor],
        place: Place,
        name: str,
        count: Dim,
        trained: bool,
    ) -> Tensor:
        if len(self.nodes) >= MAX_NODES:
            raise InputError(f"over {MAX_NODES:,} nodes", mend="repeat blocks instead")
        op_class = get_operator(item["op"])
        attributes = {
            f.name: self._attribute(f.metadata, item[f.name], scope.sizes, (*place, f.name))
            for f in op_class.attributes()
            if f.name in item
        }
        op = op_class(**attributes)
        if self.phase == "training":
            op = op.for_training()
        own = self._precision(item.get("formats", {}))
        node = bind_operator(name, op, inputs, own or self.precision, count, item.get("given", ()))
        if own:
            node = replace(node, precision=own)
        if not trained:
            node = _frozen(node)
        self.nodes.append(node)
        for weight, label in item.get("share", {}).items():
            self._share(node, weight, label)
        return node.output

    def _precision(self, formats: Mapping[str, str]) -> Precision | None:
        """Return the formats of a node that sets its own, else None."""
        if not formats:
            return None
        chosen = {role: get_format(name).name for role, name in formats.items()}
        return replace(self.precision, name="/".join(chosen.values()), **chosen)

    def _attribute(
        self, kind: Mapping[str, Any], value: Any, sizes: Mapping[str, Dim], place: Place
    ) -> Any:
        if kind["kind"] in ("flag", "choice"):
            return value
        if kind["kind"] == "text":
            return str(value)
        if isinstance(value, list):
            return tuple(
                self.size(v, sizes, (*place, i), kind["least"]) for i, v in enumerate(value)
            )
        return self.size(value, sizes, place, kind["least"])

    def _share(self, node: Node, weight: str, label: str) -> None:
        own = {w.name: w for w in node.tensors.own_weights}
        if weight not in own:
            raise InputError(f"no weight '{weight}' to share", mend=did_you_mean(weight, own))
        found = own[weight]
        known = self._shared.setdefault(label, found)
        if not same(known.elements, found.elements):
            raise InputError(
                f"'{weight}' {show_shape(found.shape)} cannot share '{label}'"
                f" {show_shape(known.shape)}"
            )
        if known.role != found.role:
            raise InputError(
                f"'{label}' is trained by one of the nodes that share it and not by another",
                mend="trained: false on all of them or none",
            )
        self.shared[f"{node.name}.{weight}"] = label

    def _block(
        self,
        item: Mapping[str, Any],
        scope: Scope,
        inputs: list[Tensor],
        place: Place,
        name: str,
        count: Dim,
        trained: bool,
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
        before = len(self.nodes)
        last = self.add(block.nodes, inner, inside, f"{name}.", count, trained)
        self._depth -= 1
        if "repeat" in item:
            self.held.update((t.name, self.nodes[-1].name) for t in inputs[1:])
        learned = (
            w for n in self.nodes[before:] for w in n.tensors.own_weights if w.role == "weight"
        )
        if "repeat" in item and any(True for _ in learned):
            self.carried.add(inputs[0].name)
        return inner.tensor(block.output) if block.output else last

    def _repeatable(self, before: Tensor, after: Tensor, times: Dim, count: Dim) -> None:
        alike = len(before.shape) == len(after.shape) and all(map(same, before.shape, after.shape))
        if not alike and smallest(times - count) > 0:
            raise InputError(
                f"a repeated block must keep its first input's shape: {show_shape(before.shape)}"
                f" became {show_shape(after.shape)}"
            )


def _frozen(node: Node) -> Node:
    """Return ``node`` with parameters that training leaves as they are."""
    own = {id(w) for w in node.tensors.own_weights if w.role == "weight"}
    weights = tuple(replace(w, role="frozen") if id(w) in own else w for w in node.tensors.weights)
    return replace(node, tensors=replace(node.tensors, weights=weights))
