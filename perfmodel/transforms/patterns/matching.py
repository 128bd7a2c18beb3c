"""What the patterns have in common: who makes a tensor, who reads it, and what is replaced.

A graph keeps no constants: ``x + 1`` is an addition with one operand. A pattern is
therefore known by its structure, axes and shapes, not by the numbers in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from perfmodel.core import Operator, Tensor
from perfmodel.core.dims import same
from perfmodel.graph import Graph, Node, bind_operator


@dataclass(frozen=True, eq=False)
class Match:
    """A pattern that was found.

    Parameters
    ----------
    last : the node whose place and name the pattern takes.
    gone : all nodes that it replaces, ``last`` among them.
    made : what stands in their place, in order of execution.
    op : the operator that it is.
    moved : nodes that are written anew where they stand, by name.
    name : the operator's name where it is not the last node's.
    """

    last: Node
    gone: tuple[Node, ...]
    made: tuple[Node, ...]
    op: Operator
    moved: dict[str, Node] | None = None
    name: str = ""


class Finder:
    """Makers and readers of a graph's tensors, by name."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.makers: dict[str, Node] = {}
        self.readers: dict[str, list[Node]] = {}
        for node in graph.nodes:
            for tensor in node.tensors.outputs:
                self.makers[tensor.name] = node
            for tensor in node.tensors.sources:
                self.readers.setdefault(tensor.name, []).append(node)
        self.results = frozenset(graph.outputs)

    def maker(self, tensor: Tensor, *ops: str, inputs: int | None = None) -> Node | None:
        """Return the node that makes ``tensor`` if it is one of ``ops`` with so many inputs."""
        node = self.makers.get(tensor.name)
        if node is None or (ops and node.op.name not in ops):
            return None
        if inputs is not None and len(node.tensors.inputs) != inputs:
            return None
        return node

    def reader(self, node: Node, *ops: str, inputs: int | None = None) -> Node | None:
        """Return the one reader of a node's output if it is one of ``ops``; None for several."""
        found = self.readers_of(node)
        if len(found) != 1 or (ops and found[0].op.name not in ops):
            return None
        if inputs is not None and len(found[0].tensors.inputs) != inputs:
            return None
        return found[0]

    def readers_of(self, node: Node) -> list[Node]:
        """Return the readers of a node, each once a reading; none where it is a result."""
        if len(node.tensors.outputs) != 1 or node.output.name in self.results:
            return []
        return self.readers.get(node.output.name, [])

    def alone(self, node: Node) -> bool:
        """Tell whether one node reads the output, once."""
        return len(self.readers_of(node)) == 1

    def inside(self, gone: Sequence[Node], last: Node) -> bool:
        """Tell whether nothing but ``gone`` reads what they make, the last's output apart."""
        names = {n.name for n in gone}
        if any(n.count is not last.count and not same(n.count, last.count) for n in gone):
            return False
        if any(n.precision != last.precision for n in gone):
            return False
        return all(
            n.name == last.name
            or (bool(self.readers_of(n)) and all(r.name in names for r in self.readers_of(n)))
            for n in gone
        )

    def bind(
        self,
        name: str,
        op: Operator,
        inputs: Sequence[Tensor],
        like: Node,
        given: Sequence[str] = (),
    ) -> Node:
        """Return a node of ``op`` that is executed as ``like`` is."""
        precision = like.precision or self.graph.precision
        made = bind_operator(name, op, inputs, precision, like.count, given)
        return Node(name, op, made.tensors, like.count, precision=like.precision)


def other(node: Node, tensor: Tensor) -> Tensor | None:
    """Return the second operand of a node of two of which ``tensor`` is one, else None."""
    a, b = node.tensors.inputs
    if a.name == b.name:
        return None
    return b if a.name == tensor.name else a if b.name == tensor.name else None


def same_tensor(a: Tensor, b: Tensor) -> bool:
    """Tell whether two tensors have one shape and format."""
    return a.dtype == b.dtype and len(a.shape) == len(b.shape) and all(map(same, a.shape, b.shape))


def is_reciprocal(node: Node | None) -> bool:
    """Tell whether a node is ``1 / x``: a reciprocal, or a division with a number."""
    if node is None:
        return False
    function = getattr(node.op, "function", "")
    return function == "reciprocal" or (node.op.name == "div" and len(node.tensors.inputs) == 1)
