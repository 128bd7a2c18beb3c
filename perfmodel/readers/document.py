"""A graph written as a workload file: the way back from readers to YAML.

Sizes that are Symbols become dims and expressions; what a chain of nodes repeats
becomes a block. The file reads back into the same graph.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from perfmodel.catalog import Document
from perfmodel.core import Operator, Precision, Tensor
from perfmodel.core.symbols import Symbol
from perfmodel.errors import InputError
from perfmodel.graph import Graph, Node
from perfmodel.readers.repeats import Entry, Repeat, find_repeats
from perfmodel.readers.workload_file import SCHEMA, FileWorkload, workload_from_document

#: characters beyond which a size gets a name of its own
LONG = 60
ROLES = ("weight", "activation", "kv")


def workload_of_graph(
    graph: Graph, about: Mapping[str, Any], phases: Sequence[str] = ("inference", "training")
) -> FileWorkload:
    """Return the graph as the workload that its file describes."""
    data = document_of_graph(graph, about, phases, blocks=False)
    return workload_from_document(Document(str(about.get("file", graph.name)), data))


def document_of_graph(
    graph: Graph,
    about: Mapping[str, Any],
    phases: Sequence[str] = ("inference", "training"),
    *,
    blocks: bool = True,
) -> dict[str, Any]:
    """Return the graph as plain data under the schema perfmodel/workload@1."""
    return _Writer(graph, blocks).document(about, phases)


class _Writer:
    def __init__(self, graph: Graph, blocks: bool) -> None:
        self.graph = graph
        self.dims: dict[str, Any] = {
            k: int(v) for k, v in graph.dims.items() if isinstance(v, Symbol)
        }
        self.blocks: dict[str, Any] = {}
        self.wants_blocks = blocks
        self.makers = {
            t.name: (i, o)
            for i, n in enumerate(graph.nodes)
            for o, t in enumerate(n.tensors.outputs)
        }

    def document(self, about: Mapping[str, Any], phases: Sequence[str]) -> dict[str, Any]:
        graph = self.graph
        inputs = {t.name: self._input(t) for t in graph.inputs}
        if not inputs:
            raise InputError(f"{graph.name} takes no input that is a tensor")
        if not graph.nodes:
            raise InputError(f"{graph.name} has no operator that runs")
        nodes = self._nodes()
        first = next(iter(graph.nodes))
        return {
            "schema": SCHEMA,
            "name": graph.name,
            "title": str(about.get("title") or graph.name),
            "family": about.get("family", "other"),
            "source": str(about.get("source") or "converted"),
            "dtype": graph.precision.name,
            "phases": {phase: {} for phase in phases},
            **({"dims": self.dims} if self.dims else {}),
            "inputs": inputs,
            **({"blocks": self.blocks} if self.blocks else {}),
            "nodes": nodes,
            "outputs": [self.renamed.get(o, o) for o in graph.outputs] or [first.name],
            "loss": graph.loss or "none",
        }

    def _input(self, tensor: Tensor) -> dict[str, Any]:
        item: dict[str, Any] = {"shape": [self._size(d) for d in tensor.shape]}
        role = "index" if tensor.role == "index" else "activation"
        if role == "index":
            item["role"] = role
        if tensor.dtype != self.graph.precision.of(tensor.role):
            item["dtype"] = tensor.dtype
        return item

    def _size(self, value: Any) -> Any:
        if not isinstance(value, Symbol):
            return int(value) if isinstance(value, float) else value
        text = str(value)
        if len(text) <= LONG:
            return text
        named = next((k for k, v in self.dims.items() if v == text), None)
        if named is None:
            named = f"size_{1 + sum(isinstance(v, str) for v in self.dims.values())}"
            self.dims[named] = text
        return named

    def _attributes(self, op: Operator) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for item in op.attributes():
            value = getattr(op, item.name)
            if isinstance(value, tuple | list):
                written: Any = [self._size(v) for v in value]
            else:
                written = value if isinstance(value, bool | str) else self._size(value)
            default = item.default
            default = list(default) if isinstance(default, tuple) else default
            if default is dataclasses.MISSING or written != default:
                out[item.name] = written
        return out

    def _node(self, node: Node) -> dict[str, Any]:
        item = {"op": node.op.name, **self._attributes(node.op)}
        if node.count != 1:
            item["repeat"] = self._size(node.count)
        formats = _own_formats(node, self.graph.precision)
        if formats:
            item["formats"] = formats
        share = {
            w.name: self.graph.shared[f"{node.name}.{w.name}"]
            for w in node.tensors.own_weights
            if f"{node.name}.{w.name}" in self.graph.shared
        }
        if share:
            item["share"] = share
        if node.tensors.given:
            item["given"] = list(node.tensors.given)
        return item

    def _nodes(self) -> dict[str, Any]:
        graph = self.graph
        written = [self._node(n) for n in graph.nodes]
        self.renamed: dict[str, str] = {}
        repeats = self._repeats(written) if self.wants_blocks else []
        starts = {r.start: r for r in repeats}
        nodes: dict[str, Any] = {}
        before = [t.name for t in graph.inputs]
        i = 0
        while i < len(graph.nodes):
            if i in starts:
                repeat = starts[i]
                name = f"{graph.nodes[i].name.split('.')[0]}_x{repeat.times}"
                while name in nodes or any(name == n.name for n in graph.nodes):
                    name += "_"
                block = self._block(repeat, written)
                read = [
                    self._reference(*repeat.first),
                    *(self._reference(*o) for o in repeat.others),
                ]
                nodes[name] = {"block": block, "inputs": read, "repeat": repeat.times}
                last = graph.nodes[repeat.end - repeat.length + repeat.carried[0]]
                self.renamed[last.output.name] = name
                before, i = [name], repeat.end
                continue
            node = graph.nodes[i]
            read = [self.renamed.get(t.name, t.name) for t in node.tensors.sources]
            nodes[node.name] = _with_inputs(written[i], read, before)
            before, i = [node.name], i + 1
        return nodes

    def _repeats(self, written: Sequence[dict[str, Any]]) -> list[Repeat]:
        entries = [
            Entry(
                repr(
                    (
                        item,
                        *(
                            (t.dtype, t.shape)
                            for t in (*node.tensors.sources, *node.tensors.outputs)
                        ),
                    )
                ),
                tuple(self.makers.get(t.name, (-1, t.name)) for t in node.tensors.sources),
            )
            for item, node in zip(written, self.graph.nodes, strict=True)
        ]
        outputs = [self.makers.get(o, (-1, o)) for o in self.graph.outputs]
        # A block hands on its first output only.
        return [r for r in find_repeats(entries, outputs) if r.carried[1] == 0]

    def _reference(self, maker: int, output: Any) -> str:
        name = str(output) if maker < 0 else self.graph.nodes[maker].tensors.outputs[output].name
        return self.renamed.get(name, name)

    def _block(self, repeat: Repeat, written: Sequence[dict[str, Any]]) -> str:
        """Write a repeat's first stretch as a block and return the block's name."""
        stretch = self.graph.nodes[repeat.start : repeat.start + repeat.length]
        short = _short_names([n.name for n in stretch])
        inputs = ["x", *(f"shared_{i + 1}" for i in range(len(repeat.others)))]
        outer = [repeat.first, *repeat.others]
        local = {self._original(*o): name for o, name in zip(outer, inputs, strict=True)}
        for node, name in zip(stretch, short, strict=True):
            for i, t in enumerate(node.tensors.outputs):
                local[t.name] = f"{name}:{i}" if i else name
        nodes: dict[str, Any] = {}
        before = inputs
        for i, (node, name) in enumerate(zip(stretch, short, strict=True)):
            read = [local[t.name] for t in node.tensors.sources]
            nodes[name] = _with_inputs(written[repeat.start + i], read, before)
            before = [name]
        block = f"block_{len(self.blocks) + 1}"
        self.blocks[block] = {
            **({"inputs": inputs} if inputs != ["x"] else {}),
            "nodes": nodes,
            "output": short[repeat.carried[0]],
        }
        return block

    def _original(self, maker: int, output: Any) -> str:
        return str(output) if maker < 0 else self.graph.nodes[maker].tensors.outputs[output].name


def _own_formats(node: Node, network: Precision) -> dict[str, str]:
    own = node.precision
    if own is None:
        return {}
    return {r: getattr(own, r) for r in ROLES if getattr(own, r) != getattr(network, r)}


def _with_inputs(item: dict[str, Any], read: Sequence[str], before: Sequence[str]) -> Any:
    if list(read) == list(before):
        return dict(item)
    rest = {k: v for k, v in item.items() if k != "op"}
    return {"op": item["op"], "inputs": read[0] if len(read) == 1 else list(read), **rest}


def _short_names(names: Sequence[str]) -> list[str]:
    """Return names without the words that all of them begin with, still different."""
    parts = [n.split(".") for n in names]
    common = 0
    while all(len(p) > common + 1 for p in parts) and len({p[common] for p in parts}) == 1:
        common += 1
    short = [".".join(p[common:]) for p in parts]
    return short if all(s[0].isalpha() or s[0] == "_" for s in short) else list(names)
