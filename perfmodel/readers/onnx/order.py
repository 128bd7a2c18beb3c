"""The order in which a model's nodes run, and small things about nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from perfmodel.errors import InputError, shorten
from perfmodel.readers.tracing.values import Value


def called(node: Any) -> str:
    return f"{node.op_type} '{node.name or (node.output[0] if node.output else '')}'"


def in_order(nodes: Sequence[Any], scope: Mapping[str, Value], wanted: Sequence[str]) -> list[Any]:
    """Return the nodes that lead to ``wanted``, producers first; InputError names a cycle.

    A runtime drops what leads to no output. Nodes without outputs are dropped too.
    """
    makers: dict[str, int] = {}
    for i, node in enumerate(nodes):
        for name in node.output:
            if name:
                if name in makers:
                    raise InputError(f"two nodes make {shorten(name)}")
                makers[name] = i
    done: list[int] = []
    state = [0] * len(nodes)  # 1 on the way, 2 done
    for name in wanted:
        if name not in makers:
            continue
        stack = [(makers[name], iter(reads_of(nodes[makers[name]])))]
        if state[makers[name]]:
            continue
        state[makers[name]] = 1
        while stack:
            i, needs = stack[-1]
            for need in needs:
                maker = makers.get(need)
                if maker is None:
                    continue
                if state[maker] == 1:
                    raise InputError(
                        f"the nodes form a cycle through {shorten(need)}",
                        mend="an ONNX graph must be acyclic",
                    )
                if not state[maker]:
                    state[maker] = 1
                    stack.append((maker, iter(reads_of(nodes[maker]))))
                    break
            else:
                state[i] = 2
                done.append(i)
                stack.pop()
    # The file's own order where it is one.
    if all(_ready(nodes, sorted(done), makers)):
        done = sorted(done)
    return [nodes[i] for i in done]


def _ready(nodes: Sequence[Any], order: Sequence[int], makers: Mapping[str, int]) -> Any:
    seen: set[int] = set()
    for i in order:
        yield all(makers[n] in seen for n in reads_of(nodes[i]) if n in makers)
        seen.add(i)


def reads_of(node: Any) -> list[str]:
    """Return the tensors that a node reads, those that its subgraphs take from outside too."""
    reads = [name for name in node.input if name]
    for attribute in node.attribute:
        if attribute.type in (5, 10):
            for graph in (attribute.g, *attribute.graphs):
                own = {n for inner in graph.node for n in inner.output}
                own |= {i.name for i in graph.input} | {t.name for t in graph.initializer}
                reads += [n for inner in graph.node for n in reads_of(inner) if n not in own]
    return reads


def readers_of(proto: Any) -> dict[str, list[str]]:
    """Return the operators that read each tensor; '' for the graph's own output."""
    readers: dict[str, list[str]] = {}
    for node in proto.node:
        for name in reads_of(node):
            readers.setdefault(name, []).append(node.op_type)
    for output in proto.output:
        readers.setdefault(getattr(output, "name", output), []).append("")
    return readers
