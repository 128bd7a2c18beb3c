"""The structure of a workload file's nodes, before any size is known.

`check_nodes` refuses unknown operators, blocks, attributes and tensors, missing
attributes, cycles and blocks that contain themselves, each with its place;
`in_order` puts producers before consumers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from perfmodel.catalog import Document
from perfmodel.core import Operator
from perfmodel.errors import InputError, did_you_mean, shorten
from perfmodel.ops import get_operator

Place = tuple[Any, ...]
Nodes = Mapping[str, Mapping[str, Any]]

#: keys of a node that are not attributes of its operator
_NODE_KEYS = ("op", "block", "inputs", "repeat", "share")


def check_nodes(
    document: Document, blocks: Mapping[str, Any], nodes: Nodes, inputs: tuple[str, ...]
) -> None:
    """Raise InputError for anything wrong with nodes that does not depend on sizes."""
    _check_recursion(document, blocks)
    for name, block in blocks.items():
        _check_scope(document, blocks, block.nodes, tuple(block.inputs), ("blocks", name, "nodes"))
        if block.output is not None and block.output not in block.nodes:
            raise InputError(
                f"output '{block.output}' is no node of the block",
                where=document.where(("blocks", name, "output")),
                mend=did_you_mean(block.output, block.nodes),
            )
    _check_scope(document, blocks, nodes, inputs, ("nodes",))
    for i, output in enumerate(document.data.get("outputs") or ()):
        if output not in nodes:
            raise InputError(
                f"output '{output}' is no node",
                where=document.where(("outputs", i)),
                mend=did_you_mean(output, nodes),
            )


def _check_recursion(document: Document, blocks: Mapping[str, Any]) -> None:
    uses = {
        name: [n["block"] for n in block.nodes.values() if isinstance(n.get("block"), str)]
        for name, block in blocks.items()
    }
    for start in uses:
        seen, pending = set[str](), list(uses[start])
        while pending:
            name = pending.pop()
            if name == start:
                raise InputError(
                    f"block '{start}' contains itself", where=document.where(("blocks", start))
                )
            if name not in seen:
                seen.add(name)
                pending += uses.get(name, [])


def _check_scope(
    document: Document,
    blocks: Mapping[str, Any],
    nodes: Nodes,
    inputs: tuple[str, ...],
    place: Place,
) -> None:
    for name, item in nodes.items():
        here = (*place, name)
        if name in inputs:
            raise InputError(f"'{name}' is an input already", where=document.where(here, key=True))
        if ("op" in item) == ("block" in item):
            raise InputError(
                f"node '{name}' needs either 'op' or 'block'", where=document.where(here)
            )
        _check_node(document, blocks, item, here)
        _check_node_keys(document, item, here)
        for i, tensor in enumerate(inputs_of(name, nodes, inputs)):
            if tensor not in nodes and tensor not in inputs:
                written = (
                    (*here, "inputs", i)
                    if isinstance(item.get("inputs"), list)
                    else (*here, "inputs")
                )
                raise InputError(
                    f"unknown tensor {shorten(tensor)}",
                    where=document.where(written),
                    mend=did_you_mean(str(tensor), {*nodes, *inputs}),
                )
    try:
        list(in_order(nodes, inputs))
    except InputError as error:
        raise InputError(error.message, where=document.where(place)) from None


def _check_node(
    document: Document, blocks: Mapping[str, Any], item: Mapping[str, Any], here: Place
) -> None:
    kind = "op" if "op" in item else "block"
    if not isinstance(item[kind], str):
        raise InputError(
            f"found {shorten(item[kind])}, expected a name", where=document.where((*here, kind))
        )
    if kind == "op":
        try:
            op_class = get_operator(item["op"])
        except InputError as error:
            raise InputError(
                error.message, where=document.where((*here, "op")), mend=error.mend
            ) from None
        known = {f.name for f in op_class.attributes()}
    else:
        if item["block"] not in blocks:
            raise InputError(
                f"unknown block {shorten(item['block'])}",
                where=document.where((*here, "block")),
                mend=did_you_mean(item["block"], blocks),
            )
        block = blocks[item["block"]]
        known = set(block.parameters)
        missing = [p for p, d in block.parameters.items() if d is None and p not in item]
        if missing:
            raise InputError(
                f"block '{item['block']}' needs {', '.join(missing)}", where=document.where(here)
            )
    for key in item:
        if key not in known and key not in _NODE_KEYS:
            raise InputError(
                f"unknown attribute '{key}' of {item[kind]}",
                where=document.where((*here, key), key=True),
                mend=did_you_mean(key, {*known, *_NODE_KEYS}),
            )
    if kind == "op":
        _check_attributes(document, op_class, item, here)


def _check_node_keys(document: Document, item: Mapping[str, Any], here: Place) -> None:
    share, repeat, given = item.get("share", {}), item.get("repeat", 1), item.get("inputs", [])
    names = [given] if isinstance(given, str) else given
    problems = {
        "inputs": not isinstance(names, list) or not all(isinstance(n, str) for n in names),
        "share": not isinstance(share, dict) or not all(isinstance(v, str) for v in share.values()),
        "repeat": isinstance(repeat, bool) or not isinstance(repeat, int | str),
    }
    expected = {
        "inputs": "a tensor's name, or a list of them",
        "share": "a mapping of the operator's weights to names",
        "repeat": "a whole number or an expression",
    }
    for key, wrong in problems.items():
        if wrong:
            raise InputError(
                f"{key}: found {shorten(item[key])}, expected {expected[key]}",
                where=document.where((*here, key)),
            )


def _check_attributes(
    document: Document, op_class: type[Operator], item: Mapping[str, Any], here: Place
) -> None:
    for attribute in op_class.attributes():
        name, kind = attribute.name, attribute.metadata["kind"]
        if name not in item:
            if attribute.default is attribute.default_factory:  # both MISSING: no default
                raise InputError(f"{op_class.name} needs '{name}'", where=document.where(here))
            continue
        value, where = item[name], document.where((*here, name))
        if kind == "flag" and not isinstance(value, bool):
            raise InputError(f"{name}: found {shorten(value)}, expected true or false", where=where)
        if kind == "choice" and value not in attribute.metadata["choices"]:
            raise InputError(
                f"{name}: found {shorten(value)}",
                where=where,
                mend=f"one of {', '.join(attribute.metadata['choices'])}",
            )
        lengths = {"size": (), "pair": (2,), "pads": (2, 4)}.get(kind, range(1, 17))
        if kind in ("size", "pair", "pads", "sizes"):
            ok = len(value) in lengths if isinstance(value, list) else kind != "sizes"
            for part in value if isinstance(value, list) else [value]:
                ok = ok and isinstance(part, int | str) and not isinstance(part, bool)
            if not ok:
                expected = {
                    "size": "a whole number or an expression",
                    "pair": "a size, or [height, width]",
                    "pads": "a size, [vertical, horizontal] or [top, left, bottom, right]",
                }.get(kind, "a list of sizes")
                raise InputError(
                    f"{name}: found {shorten(value)}, expected {expected}", where=where
                )


def inputs_of(name: str, nodes: Nodes, inputs: tuple[str, ...]) -> list[str]:
    """Return a node's inputs: as written, else the node before it, else the scope's inputs."""
    given = nodes[name].get("inputs")
    if isinstance(given, str):
        return [given]
    if given is not None:
        return list(given)
    names = list(nodes)
    position = names.index(name)
    return [names[position - 1]] if position else list(inputs)


def in_order(nodes: Nodes, inputs: tuple[str, ...]) -> Iterator[tuple[str, list[str]]]:
    """Yield nodes with their inputs, as written but producers first; InputError names a cycle."""
    needs = {name: inputs_of(name, nodes, inputs) for name in nodes}
    done: set[str] = set()
    for name in nodes:
        trail = [name]
        while trail:
            missing = [w for w in needs[trail[-1]] if w in needs and w not in done]
            if missing:
                if missing[0] in trail:
                    circle = [*trail[trail.index(missing[0]) :], missing[0]]
                    raise InputError(f"the nodes form a cycle: {' -> '.join(circle)}")
                trail.append(missing[0])
                continue
            ready = trail.pop()
            if ready not in done:
                done.add(ready)
                yield ready, needs[ready]
