"""Network: the graph that an import puts together, node by node."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from perfmodel.core import Dim, Operator, Precision, Tensor
from perfmodel.core.dims import same
from perfmodel.core.formats import FORMATS
from perfmodel.errors import InputError
from perfmodel.graph import Node, bind_operator
from perfmodel.ops import make_operator
from perfmodel.readers.tracing.values import Value

MAX_NODES = 200_000


@dataclass
class Aside:
    """Nodes put aside, and what else an import of them changed."""

    nodes: list[Node]
    state: tuple[Any, ...] = ()
    filled: list[tuple[Value, Tensor | None]] = field(default_factory=list)

    @property
    def learned(self) -> dict[str, Value]:
        """The stored tensors that were parameters of nodes by then."""
        return dict(self.state[-1])


@dataclass
class Network:
    """What has been imported so far.

    Parameters
    ----------
    precision : the network's formats; a node's own is kept where it differs.
    main : the float format of the file that ``precision`` stands for.
    notes : what was assumed on the way, for the coverage line.
    training : operators are added as training runs them.
    learned : the stored tensors that are parameters of nodes, by name.
    """

    precision: Precision
    main: str
    nodes: list[Node] = field(default_factory=list)
    notes: dict[str, int] = field(default_factory=dict)
    count: Dim = 1
    training: bool = False
    learned: dict[str, Value] = field(default_factory=dict)
    _names: set[str] = field(default_factory=set)
    _parameters: dict[Any, Tensor] = field(default_factory=dict)
    _uses: dict[str, list[tuple[str, Dim, Dim]]] = field(default_factory=dict)
    _filled: list[Value] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Remember an assumption; equal ones are counted."""
        self.notes[text] = self.notes.get(text, 0) + 1

    def name(self, wanted: str) -> str:
        """Return a name of the workload grammar that no node has yet."""
        plain = re.sub(r"[^A-Za-z0-9_.\-]+", ".", wanted).strip(".-") or "node"
        if not (plain[0].isalpha() or plain[0] == "_"):
            plain = f"n{plain}"
        plain, name, i = plain[:120], plain[:120], 1
        while name in self._names:
            i += 1
            name = f"{plain}_{i}"
        self._names.add(name)
        return name

    def format(self, dtype: str, role: str = "activation") -> str:
        """Return the format that the network has where the file has ``dtype``."""
        if dtype != self.main:
            return dtype
        return self.precision.weight if role == "weight" else self.precision.activation

    def add(
        self,
        wanted: str,
        op: Operator,
        inputs: Sequence[Tensor],
        precision: Precision | None = None,
        stored: Mapping[str, Value] | None = None,
        given: Sequence[str] = (),
    ) -> tuple[Tensor, ...]:
        """Add a node and return its outputs.

        ``stored`` says which stored tensors of the file the operator's weights are,
        ``given`` which weights the last inputs are.
        """
        if len(self.nodes) >= MAX_NODES:
            raise InputError(f"over {MAX_NODES:,} nodes")
        name = self.name(wanted)
        if self.training:
            op = op.for_training()
        node = bind_operator(name, op, inputs, precision or self.precision, self.count, given)
        if precision is not None and precision != self.precision:
            node = Node(node.name, op, node.tensors, self.count, precision=precision)
        self.nodes.append(node)
        for weight in node.tensors.own_weights:
            value = (stored or {}).get(weight.name)
            if value is not None and value.stored is not None:
                if weight.is_parameter:
                    self.learned.setdefault(value.stored, value)
                uses = self._uses.setdefault(value.stored, [])
                uses.append((f"{name}.{weight.name}", weight.elements, self.count))
        return node.tensors.outputs

    def parameter(self, value: Value) -> Tensor:
        """Return the graph's tensor for a stored one, made by a node of its own once.

        Where the model does not say, floating-point tensors of more than one value are
        learned; integers, masks and single numbers are constants.
        """
        key = (value.stored or value.name, tuple(map(str, value.shape)), value.dtype)
        if key not in self._parameters:
            real = value.is_float or value.whole is not None
            learned = value.stored is not None and real and not same(value.elements, 1)
            if value.learned is not None:
                learned = value.learned
            dtype = self.format(value.dtype, "weight")
            shown = "" if dtype == self.precision.weight else dtype
            op = make_operator("parameter", shape=value.shape, constant=not learned, format=shown)
            with self.once():
                (tensor,) = self.add(value.stored or value.name, op, [],
                                     stored={"weight": value})  # fmt: skip
            self._parameters[key] = tensor
        return self._parameters[key]

    def tensor(self, value: Value) -> Tensor:
        """Return the graph's tensor of ``value``, putting its maker in if need be."""
        if value.tensor is None:
            if value.make is not None:
                value.tensor = value.make()
            elif value.whole is not None:
                value.tensor = self.dequantized(value)
            else:
                value.tensor = self.parameter(value)
            self._filled.append(value)
        return value.tensor

    def dequantized(self, value: Value) -> Tensor:
        """Return the real numbers of codes that are stored, put in by a node of its own."""
        op = make_operator("dequantize", zero_point=False)
        return self.add(f"{value.name}.dequantized", op, [self.parameter(value)])[0]

    @contextmanager
    def counting(self, count: Dim) -> Any:
        """Add nodes that are executed ``count`` times, whatever surrounds them."""
        before, self.count = self.count, count
        try:
            yield
        finally:
            self.count = before

    @contextmanager
    def once(self) -> Any:
        """Add nodes that are executed once, whatever surrounds them."""
        before, self.count = self.count, 1
        try:
            yield
        finally:
            self.count = before

    @contextmanager
    def times(self, trips: Dim) -> Any:
        """Add nodes that are executed ``trips`` times."""
        before, self.count = self.count, self.count * trips
        try:
            yield
        finally:
            self.count = before

    @contextmanager
    def aside(self) -> Iterator[Aside]:
        """Add nodes to a list of their own, which is thrown away unless it is adopted."""
        before, filled = self._state(), len(self._filled)
        self.nodes, self._parameters = [], dict(self._parameters)
        self._uses = {k: list(v) for k, v in self._uses.items()}
        self.notes, self._names = dict(self.notes), set(self._names)
        self.learned = dict(self.learned)
        kept = Aside(self.nodes)
        try:
            yield kept
        finally:
            kept.state = self._state()
            kept.filled = [(v, v.tensor) for v in self._filled[filled:]]
            self._restore(before)
            # Their makers are gone with the list.
            for value, _ in kept.filled:
                value.tensor = None
            del self._filled[filled:]

    def undo(self, kept: int) -> None:
        """Take out the nodes after the first ``kept``, with all that follows from them."""
        gone = {t.name for n in self.nodes[kept:] for t in n.tensors.outputs}
        makers = {n.name for n in self.nodes[kept:]}
        del self.nodes[kept:]
        self._parameters = {k: t for k, t in self._parameters.items() if t.name not in gone}
        self._uses = {
            stored: [u for u in uses if u[0].rpartition(".")[0] not in makers]
            for stored, uses in self._uses.items()
        }
        for value in self._filled:
            if value.tensor is not None and value.tensor.name in gone:
                value.tensor = None

    def uses(self, stored: str) -> bool:
        """Tell whether a stored tensor is a weight of some node."""
        return bool(self._uses.get(stored))

    def adopt(self, kept: Aside) -> None:
        """Add the nodes that were put aside, if nothing else was added since."""
        nodes = self.nodes
        self._restore(kept.state)
        self.nodes = [*nodes, *kept.nodes]
        for value, tensor in kept.filled:
            value.tensor = tensor
            self._filled.append(value)

    def _state(self) -> tuple[Any, ...]:
        return self.nodes, self._parameters, self._uses, self.notes, self._names, self.learned

    def _restore(self, state: tuple[Any, ...]) -> None:
        self.nodes, self._parameters, self._uses, self.notes, self._names, self.learned = state

    def shared(self) -> dict[str, str]:
        """Return which weights are one stored tensor: those of one name and size.

        A weight that a loop reads in every execution is one tensor, too.
        """
        out: dict[str, str] = {}
        for stored, uses in self._uses.items():
            alike: dict[str, list[str]] = {}
            looped = set()
            for weight, elements, count in uses:
                alike.setdefault(str(elements), []).append(weight)
                if not same(count, 1):
                    looped.add(weight)
            for group in alike.values():
                if len(group) > 1 or looped & set(group):
                    out.update(dict.fromkeys(group, stored))
        return out


def role_of(dtype: str) -> str:
    """Return the role of a computed tensor of that format."""
    return "index" if FORMATS[dtype].integer else "activation"
