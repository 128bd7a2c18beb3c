"""Memory that a graph needs: what it stores, and the activations alive at once.

An activation lives from the node that makes it to the last that reads it. One
that the forward pass keeps for the backward pass exists once for every
execution of its maker; all others once at a time. An input that nothing reads (its
shape may be all that counts) takes no memory.
"""

from __future__ import annotations

from collections.abc import Mapping

from perfmodel.core import Dim, Tensor
from perfmodel.core.dims import maximum, total
from perfmodel.graph import Graph

#: the step after which an input is dead that nothing reads
UNREAD = -1


def memory_by_kind(graph: Graph, workspaces: Mapping[str, Dim] | None = None) -> dict[str, Dim]:
    """Return peak bytes by kind.

    Kinds: weights, kv_cache, gradients, optimizer_state, activations, and the
    workspace by which a node's temporary memory raises the activations' peak.
    """
    weights = graph.weight_bytes()
    caches = total(
        n.count * c.bytes for n in graph.forward for c in (*n.tensors.caches, *n.tensors.appended)
    )
    activations, with_workspace = _peak_activations(graph, workspaces or {})
    return {
        "weights": weights,
        "kv_cache": caches,
        "gradients": graph.gradient_bytes,
        "optimizer_state": graph.optimizer_bytes,
        "activations": activations,
        "workspace": with_workspace - activations,
    }


def _peak_activations(graph: Graph, workspaces: Mapping[str, Dim]) -> tuple[Dim, Dim]:
    """Return the most bytes of activations alive at once, without and with workspace."""
    sizes, deaths = _lifetimes(graph)
    ending: dict[int, list[str]] = {}
    for name, step in deaths.items():
        ending.setdefault(step, []).append(name)
    alive = total(sizes.get(t.name, 0) for t in graph.inputs if deaths[t.name] != UNREAD)
    peak = higher = alive
    for step, node in enumerate(graph.nodes):
        alive = alive + total(sizes.get(t.name, 0) for t in node.writes() if t.name in deaths)
        peak = maximum(peak, alive)
        higher = maximum(higher, alive + workspaces.get(node.name, 0))
        alive = alive - total(sizes[name] for name in ending.get(step, ()))
    return peak, higher


def _lifetimes(graph: Graph) -> tuple[dict[str, Dim], dict[str, int]]:
    """Return each activation's bytes and the step after which it is dead, views resolved."""
    holder: dict[str, str] = {}
    tensors: dict[str, Tensor] = {t.name: t for t in graph.inputs}
    copies: dict[str, Dim] = {t.name: 1 for t in graph.inputs}
    born: dict[str, str] = {t.name: "forward" for t in graph.inputs}
    deaths: dict[str, int] = {t.name: UNREAD for t in graph.inputs}
    kept: set[str] = set()
    for step, node in enumerate(graph.nodes):
        for tensor in node.reads():
            name = holder.get(tensor.name, tensor.name)
            if name in deaths:
                deaths[name] = step
                if born[name] == "forward" and node.role in ("backward", "recompute"):
                    kept.add(name)
        for tensor in node.writes():
            if node.is_view and not node.tensors.inputs:
                continue  # a stored tensor, counted as such
            if node.is_view:
                source = node.tensors.x.name
                holder[tensor.name] = holder.get(source, source)
            elif tensor.name not in deaths:
                tensors[tensor.name], copies[tensor.name] = tensor, node.count
                born[tensor.name], deaths[tensor.name] = node.role, step
    # The next execution of a repeated block reads them again.
    last = {node.name: step for step, node in enumerate(graph.nodes)}
    for name, until in graph.held.items():
        held = holder.get(name, name)
        if held in deaths:
            deaths[held] = max(deaths[held], last.get(until, UNREAD))
    for name in graph.outputs:
        held = holder.get(name, name)
        if held in deaths:
            deaths[held] = len(graph.nodes)
    sizes = {
        name: tensor.bytes * (copies[name] if name in kept else 1)
        for name, tensor in tensors.items()
    }
    return sizes, deaths
