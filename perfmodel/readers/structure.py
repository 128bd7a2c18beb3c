"""The structure of a workload file's nodes, before any size is known.

`check_nodes` refuses unknown operators, blocks, attributes, phases and tensors,
missing attributes, cycles and blocks that contain themselves, each with its place;
`present` leaves out what is not there in a phase, `in_order` puts producers before
consumers.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from perfmodel.catalog import Document
from perfmodel.core import Operator
from perfmodel.core.formats import get_format
from perfmodel.errors import InputError, did_you_mean, shorten
from perfmodel.ops import get_operator

Place = tuple[Any, ...]
Nodes = Mapping[str, Mapping[str, Any]]

#: keys of a node that are not attributes of its operator or parameters of its block
NODE_KEYS = ("op", "block", "inputs", "repeat", "share", "given", "phases", "trained", "formats")
#: what a node's `formats` may set apart from the network's number format
FORMAT_ROLES = ("weight", "activation", "kv")

#: kind of an attribute -> lengths of a list it may be, and what it is called
_SHAPES: dict[str, tuple[Sequence[int], str]] = {
    "size": ((), "a whole number or an expression"),
    "pair": ((1, 2, 3), "a size, or one for each axis, as [height, width]"),
    "pads": ((1, 2, 3, 4, 6), "a size, one for each axis, or [top, left, bottom, right]"),
    "sizes": (range(17), "a list of sizes"),
}


def check_nodes(
    document: Document,
    blocks: Mapping[str, Any],
    nodes: Nodes,
    inputs: tuple[str, ...],
    phases: Sequence[str],
) -> None:
    """Raise InputError for anything wrong with nodes that does not depend on sizes."""
    checker = _Checker(document, blocks, phases)
    checker.recursion()
    for name, block in blocks.items():
        checker.scope(block.nodes, tuple(block.inputs), ("blocks", name, "nodes"))
        if block.output is not None:
            place = ("blocks", name, "output")
            checker.known(block.output, block.nodes, "output", place)
            checker.always_there([block.output], block.nodes, place)
    checker.scope(nodes, inputs, ("nodes",))
    checker.always_there(nodes, nodes, ("nodes",))
    outputs = document.data.get("outputs") or ()
    for i, output in enumerate(outputs):
        made = maker_of(output) if isinstance(output, str) else output
        checker.known(made, (*nodes, *inputs), "output", ("outputs", i))
    if outputs and not set(outputs) & set(inputs):
        checker.always_there(map(maker_of, outputs), nodes, ("outputs",))


@dataclass(frozen=True)
class _Checker:
    document: Document
    blocks: Mapping[str, Any]
    phases: Sequence[str]

    def _fail(
        self, message: str, place: Place, mend: str | None = None, *, key: bool = False
    ) -> InputError:
        return InputError(message, where=self.document.where(place, key=key), mend=mend)

    def known(self, name: object, names: Any, what: str, place: Place) -> None:
        """Raise InputError unless ``name`` is one of ``names``."""
        if not isinstance(name, str) or name not in names:
            raise self._fail(
                f"unknown {what} {shorten(name)}", place, did_you_mean(str(name), names)
            )

    def recursion(self) -> None:
        """Raise InputError where a block contains itself."""
        uses = {
            name: [n["block"] for n in block.nodes.values() if isinstance(n.get("block"), str)]
            for name, block in self.blocks.items()
        }
        for start in uses:
            seen: set[str] = set()
            pending = list(uses[start])
            while pending:
                name = pending.pop()
                if name == start:
                    raise self._fail(f"block '{start}' contains itself", ("blocks", start))
                if name not in seen:
                    seen.add(name)
                    pending += uses.get(name, [])

    def scope(self, nodes: Nodes, inputs: tuple[str, ...], place: Place) -> None:
        """Check a list of nodes that sees ``inputs``."""
        for name, item in nodes.items():
            here = (*place, name)
            if name in inputs:
                raise self._fail(f"'{name}' is an input already", here, key=True)
            self._node_keys(name, item, here)
            if "op" in item:
                self._operator(item, here)
            else:
                self._block(item, here)
        for phase in self.phases:
            self._tensors(present(nodes, phase), nodes, inputs, place, phase)

    def _tensors(
        self, there: Nodes, nodes: Nodes, inputs: tuple[str, ...], place: Place, phase: str
    ) -> None:
        names = {*there, *inputs}
        for name, tensors in inputs_of(there, inputs).items():
            listed = isinstance(nodes[name].get("inputs"), list)
            for i, tensor in enumerate(tensors):
                written = (*place, name, "inputs", i) if listed else (*place, name, "inputs")
                maker = maker_of(tensor)
                if maker in nodes and maker not in names:
                    raise self._fail(
                        f"'{name}' reads '{maker}', which is not there in phase '{phase}'",
                        written,
                        f"phases on '{name}' too, or another input",
                    )
                if maker not in names:
                    self.known(tensor, names, "tensor", written)
        try:
            list(in_order(there, inputs))
        except InputError as error:
            raise self._fail(error.message, place) from None

    def always_there(self, names: Iterable[str], nodes: Nodes, place: Place) -> None:
        """Raise InputError where a phase has none of the nodes called ``names``."""
        listed = list(names)
        for phase in self.phases:
            if not set(listed) & set(present(nodes, phase)):
                what = f"'{listed[0]}' is not" if len(listed) == 1 else "none of them is"
                raise self._fail(f"{what} there in phase '{phase}'", place)

    def _node_keys(self, name: str, item: Mapping[str, Any], here: Place) -> None:
        if ("op" in item) == ("block" in item):
            raise self._fail(f"node '{name}' needs either 'op' or 'block'", here)
        given, share, repeat = item.get("inputs", []), item.get("share", {}), item.get("repeat", 1)
        phases = item.get("phases", list(self.phases))
        rules = {
            "inputs": (_is_names([given] if isinstance(given, str) else given), "tensors' names"),
            "share": (
                isinstance(share, dict) and _is_names(list(share.values())),
                "a mapping of the operator's weights to names",
            ),
            "repeat": (_is_size(repeat), "a whole number or an expression"),
            "given": (
                _is_names(item.get("given", [])),
                "a list of the operator's weights, which the last inputs are",
            ),
            "phases": (
                _is_names(phases) and bool(phases) and set(phases) <= set(self.phases),
                f"a list of the workload's phases: {', '.join(self.phases)}",
            ),
            "trained": (isinstance(item.get("trained", True), bool), "true or false"),
        }
        if "formats" in item:
            self._formats(item["formats"], (*here, "formats"))
        for key, (right, expected) in rules.items():
            if not right:
                found = shorten(item[key])
                raise self._fail(f"{key}: found {found}, expected {expected}", (*here, key))

    def _formats(self, formats: object, here: Place) -> None:
        if not isinstance(formats, dict):
            found = shorten(formats)
            raise self._fail(f"formats: found {found}, expected a mapping of roles", here)
        for role, name in formats.items():
            self.known(role, FORMAT_ROLES, "role", (*here, role))
            try:
                get_format(str(name))
            except InputError as error:
                raise self._fail(error.message, (*here, role), error.mend) from None

    def _operator(self, item: Mapping[str, Any], here: Place) -> None:
        try:
            op_class = get_operator(item["op"])
        except InputError as error:
            raise self._fail(error.message, (*here, "op"), error.mend) from None
        self._keys(item, {f.name for f in op_class.attributes()}, here, item["op"])
        for attribute in op_class.attributes():
            self._attribute(op_class, attribute, item, here)

    def _block(self, item: Mapping[str, Any], here: Place) -> None:
        self.known(item["block"], self.blocks, "block", (*here, "block"))
        parameters = self.blocks[item["block"]].parameters
        self._keys(item, set(parameters), here, f"block {item['block']}")
        missing = [p for p, default in parameters.items() if default is None and p not in item]
        if missing:
            raise self._fail(f"block '{item['block']}' needs {', '.join(missing)}", here)

    def _keys(self, item: Mapping[str, Any], known: set[str], here: Place, owner: object) -> None:
        for key in item:
            if key not in known and key not in NODE_KEYS:
                mend = did_you_mean(key, {*known, *NODE_KEYS})
                message = f"unknown attribute '{key}' of {owner}"
                raise self._fail(message, (*here, key), mend, key=True)

    def _attribute(
        self,
        op_class: type[Operator],
        attribute: dataclasses.Field[Any],
        item: Mapping[str, Any],
        here: Place,
    ) -> None:
        name, kind = attribute.name, attribute.metadata["kind"]
        if name not in item:
            if attribute.default is dataclasses.MISSING:
                raise self._fail(f"{op_class.name} needs '{name}'", here)
            return
        value = item[name]
        if kind == "flag":
            right, expected = isinstance(value, bool), "true or false"
        elif kind == "choice":
            choices = attribute.metadata["choices"]
            right, expected = value in choices, f"one of {', '.join(choices)}"
        elif kind == "text":
            right = isinstance(value, str | int | float) and not isinstance(value, bool)
            expected = "a text or a number"
        else:
            lengths, expected = _SHAPES[kind]
            listed = isinstance(value, list)
            some = listed and (value or attribute.metadata.get("empty", False))
            right = some and len(value) in lengths if listed else kind != "sizes"
            right = right and all(_is_size(part) for part in (value if listed else [value]))
        if not right:
            found = shorten(value)
            raise self._fail(f"{name}: found {found}, expected {expected}", (*here, name))


def _is_size(value: object) -> bool:
    return isinstance(value, int | str) and not isinstance(value, bool)


def _is_names(values: object) -> bool:
    return isinstance(values, list) and all(isinstance(v, str) for v in values)


def present(nodes: Nodes, phase: str) -> Nodes:
    """Return the nodes that are there in ``phase``; the others are as if not written."""
    return {name: item for name, item in nodes.items() if phase in item.get("phases", (phase,))}


def maker_of(tensor: str) -> str:
    """Return the node that makes ``tensor``: ``split:1`` is the second output of ``split``."""
    return tensor.partition(":")[0]


def inputs_of(nodes: Nodes, inputs: tuple[str, ...]) -> dict[str, list[str]]:
    """Return each node's inputs: as written, else the node before it, else the scope's inputs."""
    needs: dict[str, list[str]] = {}
    before = list(inputs)
    for name, item in nodes.items():
        given = item.get("inputs", before)
        needs[name] = [given] if isinstance(given, str) else list(given)
        before = [name]
    return needs


def in_order(nodes: Nodes, inputs: tuple[str, ...]) -> Iterator[tuple[str, list[str]]]:
    """Yield nodes with their inputs, as written but producers first; InputError names a cycle."""
    needs = inputs_of(nodes, inputs)
    done: set[str] = set()
    for name in nodes:
        trail = [name]
        while trail:
            makers = [maker_of(w) for w in needs[trail[-1]]]
            missing = [w for w in makers if w in needs and w not in done]
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
