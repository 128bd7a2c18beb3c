"""The optimizer's step over every learned weight, and the memory it keeps.

Weights of a node that step alike step in one kernel. A weight of which every
gradient holds only some rows steps those rows, where the optimizer can; one that
gradients add to in place is cleared as it is stepped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from perfmodel.core import Dim, Gradient, Operator, Precision, Tensor
from perfmodel.core.dims import largest, minimum, product, same, total
from perfmodel.core.formats import FORMATS
from perfmodel.graph import Graph, Node, bind_operator
from perfmodel.ops import get_operator
from perfmodel.readers.inline import complete_sizes

#: a weight (by the name it shares, or else its own) -> the backward kernels that write its gradient
Written = Mapping[str, Sequence[Gradient]]


@dataclass(frozen=True, eq=False)
class Steps:
    """Optimizer nodes, and the bytes that its state and the gradients take."""

    nodes: tuple[Node, ...]
    state_bytes: Dim
    gradient_bytes: Dim


@dataclass(frozen=True, eq=False)
class _Learned:
    """A learned weight: how often it exists, and what is known of its gradient.

    ``tied``: it exists once, though its node is executed several times.
    """

    weight: Tensor
    count: Dim
    tied: bool
    rows: Dim | None
    clear: bool

    @property
    def stepped(self) -> tuple[Dim, ...]:
        """The shape that one step goes over."""
        return self.weight.shape if self.rows is None else (self.rows, *self.weight.shape[1:])


def optimizer_steps(graph: Graph, optimizer: str, written: Written) -> Steps:
    """Return an optimizer step for each node with learned weights; tied weights step once."""
    cls = get_operator(optimizer)
    by_rows = {"elements", "rows"} <= set(cls.sizes)
    made: list[Node] = []
    state: list[Dim] = []
    gradients: list[Dim] = []
    seen: set[str] = set()
    for node in graph.forward:
        learned = list(_learned(graph, node, written, seen, by_rows))
        for piece, alike in _pieces(cls, learned).items():
            name = ".".join(part for part in (node.name, piece, optimizer) if part)
            made.append(_step(name, cls, alike, graph.precision))
            state.append(alike[0].count * _state_bytes(cls, alike))
        gradients += [item.count * _gradient_bytes(item, graph.precision) for item in learned]
    return Steps(tuple(made), total(state), total(gradients))


def weight_name(graph: Graph, node: Node, weight: Tensor) -> str:
    """Return the name that a weight shares with others, or else its own."""
    own = f"{node.name}.{weight.name}"
    return graph.shared.get(own, own)


def _learned(
    graph: Graph, node: Node, written: Written, seen: set[str], by_rows: bool
) -> Iterator[_Learned]:
    for weight in node.tensors.own_weights:
        name = weight_name(graph, node, weight)
        if weight.role != "weight" or name in seen or not largest(weight.elements) > 0:
            continue
        seen.add(name)
        gradients = written.get(name, ())
        sparse = bool(gradients) and all(g.sparse for g in gradients)
        counts = [g.rows for g in gradients if g.rows is not None]
        rows = None
        if sparse and by_rows and len(counts) == len(gradients):
            rows = minimum(total(counts), weight.shape[0])
        tied = f"{node.name}.{weight.name}" in graph.shared and not same(node.count, 1)
        count = 1 if tied else node.count
        yield _Learned(weight, count, tied, rows, sparse and rows is None)


def _pieces(cls: type[Operator], learned: Sequence[_Learned]) -> dict[str, list[_Learned]]:
    """Return what steps at once, by the name of its weight where there are several."""
    # Factored statistics and some rows belong to one weight each.
    alone = "elements" not in cls.sizes
    groups: dict[Any, list[_Learned]] = {}
    for item in learned:
        own = alone or item.rows is not None
        key = id(item) if own else (item.weight.dtype, item.tied, item.clear)
        groups.setdefault(key, []).append(item)
    if len(groups) == 1 and not alone:
        return {"": list(learned)}
    return {group[0].weight.name: group for group in groups.values()}


def _step(name: str, cls: type[Operator], alike: Sequence[_Learned], precision: Precision) -> Node:
    first = alike[0]
    sizes = _sizes(cls, [item.stepped for item in alike])
    sizes["master"] = _narrow(first.weight)
    sizes["clear"] = first.clear
    if first.rows is not None:
        sizes["rows"] = first.rows
    weight = first.weight.dtype
    formats = replace(precision, weight=weight, activation=weight, kv=weight)
    op, inputs = cls.from_sizes(complete_sizes(cls, sizes), formats)
    named = [t.named(f"{name}.{t.name}") for t in inputs]
    return replace(bind_operator(name, op, named, formats, first.count), role="optimizer")


def _state_bytes(cls: type[Operator], alike: Sequence[_Learned]) -> Dim:
    """Return the bytes of state, master copies among it, of whole weights."""
    weight = alike[0].weight
    sizes = _sizes(cls, [item.weight.shape for item in alike])
    sizes["master"] = _narrow(weight)
    formats = Precision(weight.dtype, weight.dtype, weight.dtype, weight.dtype)
    _, inputs = cls.from_sizes(complete_sizes(cls, sizes), formats)
    return total(t.bytes for t in inputs if t.role == "state")


def _sizes(cls: type[Operator], shapes: Sequence[tuple[Dim, ...]]) -> dict[str, Any]:
    if "elements" in cls.sizes:
        return {"elements": total(product(shape) for shape in shapes)}
    # Factored statistics take a weight as rows by columns of its last axis.
    (shape,) = shapes
    return {"rows": product(shape[:-1]), "cols": shape[-1]}


def _narrow(weight: Tensor) -> bool:
    return FORMATS[weight.dtype].bits < 32


def _gradient_bytes(item: _Learned, precision: Precision) -> Dim:
    if item.rows is None:
        return item.weight.bytes
    values = Tensor(item.stepped, item.weight.dtype)
    return values.bytes + Tensor((item.rows,), precision.of("index"), "index").bytes
