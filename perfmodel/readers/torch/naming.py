"""Names of a program's inputs and of its open sizes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

#: what the first axis of the inputs is called where nothing names it
BATCH = "batch"


def input_names(program: Any) -> list[tuple[str, Any]]:
    """Return the inputs that the user feeds, in order, with what they are."""
    fed = set(program.graph_signature.user_inputs)
    return [
        (n.name, n.meta.get("val"))
        for n in program.graph.nodes
        if n.op == "placeholder" and n.name in fed
    ]


def named_sizes(program: Any, dynamic_shapes: Any) -> tuple[dict[str, str], dict[str, int]]:
    """Return each open size's name, and the value that it was exported with.

    The name is that of the torch.export.Dim that the user gave; else the first axis
    of the inputs is the batch, and others are called after their input and axis.
    """
    inputs = [(n, v) for n, v in input_names(program) if hasattr(v, "shape")]
    names: dict[str, str] = {}
    hints: dict[str, int] = {}
    places: dict[str, list[tuple[str, int]]] = {}
    for name, value in inputs:
        for axis, size in enumerate(value.shape):
            node = getattr(size, "node", None)
            if node is None:
                continue
            for symbol in node.expr.free_symbols:
                places.setdefault(symbol.name, []).append((name, axis))
                hint = _hint(node, symbol)
                hints.setdefault(symbol.name, hint)
    given = _given_names(input_names(program), dynamic_shapes)
    first = [s for s, where in places.items() if any(axis == 0 for _, axis in where)]
    for symbol, where in places.items():
        wanted = given.get(symbol)
        if wanted is None and [symbol] == first:
            wanted = BATCH
        if wanted is None or wanted in names.values():
            wanted = f"{where[0][0]}_{where[0][1]}"
        names[symbol] = re.sub(r"[^A-Za-z0-9_]", "_", wanted)
    return names, hints


def _hint(node: Any, symbol: Any) -> int:
    """Return the size that a symbol had when the program was exported."""
    found = getattr(node.shape_env, "backed_var_to_val", None)
    if found is None:
        found = getattr(node.shape_env, "var_to_val", {})
    try:
        return int(found[symbol])
    except (KeyError, TypeError, ValueError):
        return 2


def _name(dim: Any) -> str | None:
    root = getattr(dim, "root", dim)
    name = getattr(root, "__name__", None)
    return name if isinstance(name, str) and name.isidentifier() else None


def _given_names(inputs: Sequence[tuple[str, Any]], spec: Any) -> dict[str, str]:
    """Return the names that the user gave to symbols, by input and axis."""
    names: dict[str, str] = {}
    for (_, value), axes in _matched(inputs, spec):
        for axis, dim in axes.items():
            name = _name(dim)
            shape = getattr(value, "shape", ())
            node = getattr(shape[axis], "node", None) if -len(shape) <= axis < len(shape) else None
            symbols = list(node.expr.free_symbols) if node is not None else []
            if name and len(symbols) == 1:
                names.setdefault(symbols[0].name, name)
    return names


def _matched(
    inputs: Sequence[tuple[str, Any]], spec: Any
) -> list[tuple[tuple[str, Any], Mapping[int, Any]]]:
    """Return inputs with the axes that the user named; nothing where they do not fit."""
    if isinstance(spec, Mapping) and all(isinstance(k, str) for k in spec):
        found = []
        for key, part in spec.items():
            own = [i for i in inputs if i[0] == key or i[0].startswith(f"{key}_")]
            found += _matched(own, [part])
        return found
    leaves = list(_leaves(spec))
    if len(leaves) != len(inputs):
        return []
    return list(zip(inputs, leaves, strict=True))


def _leaves(spec: Any) -> Iterator[Mapping[int, Any]]:
    """Yield the axes of each tensor that the user named."""
    if isinstance(spec, Mapping):
        if all(isinstance(k, int) for k in spec):
            yield spec
        else:
            for part in spec.values():
                yield from _leaves(part)
    elif isinstance(spec, list | tuple):
        if any(_name(d) for d in spec):
            yield dict(enumerate(spec))
        else:
            for part in spec:
                yield from _leaves(part)
    else:
        yield {}
