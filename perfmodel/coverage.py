"""How much of a network the prediction stands on: what is modelled, bounded, or unknown."""

from __future__ import annotations

from collections import Counter
from typing import Any, get_args

from perfmodel.core.dims import total
from perfmodel.core.operator import Coverage
from perfmodel.errors import InputError
from perfmodel.evaluate import NodeCost
from perfmodel.graph import Graph

#: operators named in a message before the rest is counted
SHOWN = 20


def uncertain_operators(graph: Graph, kind: Coverage) -> Counter[str]:
    """Return the operators that stand for others and are ``kind``, with how often they do."""
    found: Counter[str] = Counter()
    for node in graph.nodes:
        if node.op.coverage == kind:
            found[str(getattr(node.op, "stands_for", node.op.name))] += 1
    return found


def check_coverage(graph: Graph, *, allow_unknown: bool = False, strict: bool = False) -> None:
    """Raise InputError where an operator is unknown, or, with ``strict``, not modelled whole."""
    unknown = uncertain_operators(graph, "unknown")
    if unknown and not allow_unknown:
        raise InputError(
            f"{graph.name} has operators that are not known: {_listed(unknown)}",
            mend="--allow-unknown charges them the bytes they read and write, and says so",
        )
    bounded = uncertain_operators(graph, "bounded")
    if bounded and strict:
        raise InputError(
            f"{graph.name} has operators of which only the bytes are known: {_listed(bounded)}",
            mend="without --strict they are charged their bytes",
        )


def coverage_account(graph: Graph, costs: list[NodeCost]) -> dict[str, Any]:
    """Return, for each kind of coverage, its share of nodes, bytes and time; and the notes.

    Views take part with their nodes; they move and compute nothing.
    """
    nodes = len(costs)
    moved = float(total(c.node.count * c.bytes for c in costs)) or 1.0
    time = float(total(c.node.count * c.time for c in costs)) or 1.0
    account: dict[str, Any] = {}
    for kind in get_args(Coverage):
        own = [c for c in costs if c.node.op.coverage == kind]
        account[kind] = {
            "nodes": len(own),
            "share_of_nodes": len(own) / max(nodes, 1),
            "share_of_bytes": float(total(c.node.count * c.bytes for c in own)) / moved,
            "share_of_time": float(total(c.node.count * c.time for c in own)) / time,
        }
        if kind != "modelled":
            account[kind]["operators"] = dict(uncertain_operators(graph, kind))
    account["notes"] = list(graph.notes)
    account["patterns"] = [
        {"name": p.name, "op": p.op, "nodes": list(p.nodes)} for p in graph.patterns
    ]
    return account


def _listed(operators: Counter[str]) -> str:
    named = [f"{name} ({n} times)" if n > 1 else name for name, n in operators.most_common(SHOWN)]
    rest = len(operators) - len(named)
    return ", ".join(named) + (f" and {rest} more" if rest else "")
