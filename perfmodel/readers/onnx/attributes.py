"""Attributes of a node: as plain Python, and those of a function's nodes bound to the call's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

_GRAPH, _GRAPHS = 5, 10


def attribute_value(proto: Any, stored: Callable[[Any], Any], sparse: Callable[[Any], Any]) -> Any:
    """Return an attribute's value as plain Python, a Value, or a GraphProto.

    ``stored`` and ``sparse`` make Values of TensorProtos and SparseTensorProtos.
    """
    kind = proto.type
    if kind == 1 or (kind == 0 and proto.HasField("f")):
        return float(proto.f)
    if kind == 2 or (kind == 0 and proto.HasField("i")):
        return int(proto.i)
    if kind == 3:
        return proto.s.decode("utf-8", "replace")
    if kind == 4:
        return stored(proto.t)
    if kind == _GRAPH:
        return proto.g
    if kind == 6:
        return [float(v) for v in proto.floats]
    if kind == 7 or (kind == 0 and proto.ints):
        return [int(v) for v in proto.ints]
    if kind == 8:
        return [s.decode("utf-8", "replace") for s in proto.strings]
    if kind == 11:
        return sparse(proto.sparse_tensor)
    return list(proto.graphs) if kind == _GRAPHS else None


def with_attributes(node: Any, given: Mapping[str, Any]) -> Any:
    """Return a function's node with its references to the function's attributes resolved.

    Those of nodes in its subgraphs, too.
    """
    if not _refers(node):
        return node
    copy = type(node)()
    copy.CopyFrom(node)
    del copy.attribute[:]
    for attribute in node.attribute:
        if not attribute.ref_attr_name:
            added = copy.attribute.add()
            added.CopyFrom(attribute)
            for graph in (added.g, *added.graphs) if added.type in (_GRAPH, _GRAPHS) else ():
                inner = [with_attributes(n, given) for n in graph.node]
                del graph.node[:]
                graph.node.extend(inner)
        elif attribute.ref_attr_name in given:
            bound = copy.attribute.add()
            bound.CopyFrom(given[attribute.ref_attr_name])
            bound.name = attribute.name
    return copy


def _refers(node: Any) -> bool:
    for attribute in node.attribute:
        if attribute.ref_attr_name:
            return True
        if attribute.type in (_GRAPH, _GRAPHS):
            graphs = (attribute.g, *attribute.graphs)
            if any(_refers(inner) for graph in graphs for inner in graph.node):
                return True
    return False
