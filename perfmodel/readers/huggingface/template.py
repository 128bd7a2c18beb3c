"""A built-in network taken as the pattern of its architecture, and the changes made to it."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

from perfmodel.catalog import load_document, resolve
from perfmodel.readers.huggingface.layers import Nodes
from perfmodel.readers.structure import inputs_of

_SECTIONS = ("phases", "dims", "inputs", "blocks", "nodes", "outputs", "loss", "loss_axis")

Sections = dict[str, Any]


def builtin_sections(name: str) -> Sections:
    """Return the sections of a built-in workload, free to be changed."""
    data = load_document(resolve(name, "workloads")).data
    return {k: copy.deepcopy(data[k]) for k in _SECTIONS if k in data}


def set_activation(nodes: Nodes, old: str, new: str) -> Nodes:
    """Return ``nodes`` with the activation ``old``, under its own name, made ``new``."""
    return {new if k == old else k: {**v, "op": new} if k == old else v for k, v in nodes.items()}


def remove(nodes: Nodes, inputs: Iterable[str], gone: Iterable[str]) -> Nodes:
    """Return ``nodes`` without those of one input in ``gone``; what read them reads that input."""
    needs, left_out = inputs_of(nodes, tuple(inputs)), set(gone)
    source: dict[str, str] = {}
    made: Nodes = {}
    for name, item in nodes.items():
        wired = [source.get(i, i) for i in needs[name]]
        if name in left_out:
            (source[name],) = wired
        else:
            made[name] = {**item, "inputs": wired}
    return made


def set_dropout(sections: Sections, rate: float) -> None:
    """Give every dropout ``rate``; at 0 there are none."""
    for scope in (sections, *sections["blocks"].values()):
        nodes = scope["nodes"]
        drops = [name for name, item in nodes.items() if item.get("op") == "dropout"]
        if rate:
            nodes.update({name: {**nodes[name], "rate": rate} for name in drops})
        elif drops:
            scope["nodes"] = remove(nodes, scope.get("inputs", ("x",)), drops)


def untie(nodes: Nodes, output: str) -> None:
    """Give the output layer weights of its own."""
    nodes[output] = {k: v for k, v in nodes[output].items() if k != "share"}
