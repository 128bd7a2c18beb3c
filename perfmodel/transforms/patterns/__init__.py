"""Operators that a network writes out in primitive nodes, recognised as what they are.

Recognising keeps parameters and multiply-accumulates; bytes and time become those of
the one kernel. What is read elsewhere, or is a result of the network, stays written out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from perfmodel.core import Pattern
from perfmodel.graph import Graph, Node
from perfmodel.transforms.patterns import attention, gelu, layer_norm, silu
from perfmodel.transforms.patterns.matching import Finder, Match

#: by the operator at which the search begins
PATTERNS: Mapping[str, Sequence[Callable[[Node, Finder], Match | None]]] = {
    attention.START: (attention.find,),
    layer_norm.START: (layer_norm.find,),
    silu.START: (silu.find,),
    "pointwise": (gelu.find_erf, layer_norm.find),
    "tanh": (gelu.find_tanh,),
}


def recognise(graph: Graph) -> Graph:
    """Return the graph with each pattern replaced by the operator that it is.

    Every node is looked at once; a pattern has the name of its last node, and
    `Graph.patterns` says what it stands for.
    """
    finder = Finder(graph)
    gone: set[str] = set()
    made: dict[str, tuple[Node, ...]] = {}
    moved: dict[str, Node] = {}
    found: list[Pattern] = []
    for node in graph.nodes:
        for search in PATTERNS.get(node.op.name, ()):
            match = search(node, finder)
            if match is None or any(n.name in gone or n.name in moved for n in match.gone):
                continue
            gone |= {n.name for n in match.gone}
            made[match.last.name] = match.made
            moved |= match.moved or {}
            names = tuple(n.name for n in match.gone)
            found.append(Pattern(match.name or match.last.name, match.op.name, names))
    if not found:
        return graph
    nodes: list[Node] = []
    for node in graph.nodes:
        if node.name in made:
            nodes += made[node.name]
        elif node.name in moved:
            nodes.append(moved[node.name])
        elif node.name not in gone:
            nodes.append(node)
    return replace(graph, nodes=tuple(nodes), patterns=tuple(found))
