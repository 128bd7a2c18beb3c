"""Network: the graph that an import puts together, node by node."""

from __future__ import annotations

import re
from collections import Counter
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
from perfmodel.readers.tracing.values import Value, is_learned

MAX_NODES = 200_000


@dataclass
class Trial:
    """What was added to a Network and taken out again; `Network.adopt` puts it back."""

    nodes: list[Node] = field(default_factory=list)
    noted: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    parameters: list[tuple[Any, Tensor]] = field(default_factory=list)
    uses: list[_Use] = field(default_factory=list)
    filled: list[tuple[Value, Tensor | None]] = field(default_factory=list)


@dataclass(frozen=True)
class _Use:
    """A stored tensor as the weight of a node, called ``node.weight``."""

    stored: str
    weight: str
    tensor: Tensor
    repeated: bool


@dataclass
class Network:
    """What has been imported so far. All of it is only ever added to, so that `aside` is cheap.

    Parameters
    ----------
    precision : the network's formats; a node's own is kept where it differs.
    main : the float format of the file that ``precision`` stands for.
    count : how often nodes are executed that are added now.
    training : operators are added as training runs them.
    """

    precision: Precision
    main: str
    nodes: list[Node] = field(default_factory=list)
    count: Dim = 1
    training: bool = False
    _noted: list[str] = field(default_factory=list)
    #: each name, with the number to try next where it is wanted again
    _names: dict[str, int] = field(default_factory=dict)
    _parameters: dict[Any, Tensor] = field(default_factory=dict)
    _uses: list[_Use] = field(default_factory=list)
    _filled: list[Value] = field(default_factory=list)
    _spare: dict[str, Tensor] = field(default_factory=dict)

    @property
    def notes(self) -> Mapping[str, int]:
        """What was assumed on the way, for the coverage line, with how often."""
        return Counter(self._noted)

    def note(self, text: str) -> None:
        """Remember an assumption; equal ones are counted."""
        self._noted.append(text)

    def name(self, wanted: str) -> str:
        """Return a name of the workload grammar that no node has yet."""
        plain = re.sub(r"[^A-Za-z0-9_.\-]+", ".", wanted).strip(".-") or "node"
        if not (plain[0].isalpha() or plain[0] == "_"):
            plain = f"n{plain}"
        plain = name = plain[:120]
        i = self._names.get(plain, 1)
        while name in self._names:
            i += 1
            name = f"{plain}_{i}"
        self._names[name] = 1
        self._names[plain] = i
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
                place = f"{name}.{weight.name}"
                repeated = not same(self.count, 1)
                self._uses.append(_Use(value.stored, place, weight, repeated))
        return node.tensors.outputs

    def parameter(self, value: Value) -> Tensor:
        """Return the graph's tensor for a stored one, made by a node of its own once."""
        key = (value.stored or value.name, tuple(map(str, value.shape)), value.dtype)
        if key not in self._parameters:
            dtype = self.format(value.dtype, "weight")
            shown = "" if dtype == self.precision.weight else dtype
            op = make_operator(
                "parameter", shape=value.shape, constant=not is_learned(value), format=shown
            )
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
    def aside(self) -> Iterator[Trial]:
        """Add nodes that are taken out at the end, into the Trial that this yields."""
        trial = Trial()
        marks = [len(part) for part in self._journals()]
        try:
            yield trial
        finally:
            nodes, noted, names, parameters, uses, filled = marks
            trial.nodes, self.nodes[nodes:] = self.nodes[nodes:], []
            trial.noted, self._noted[noted:] = self._noted[noted:], []
            trial.uses, self._uses[uses:] = self._uses[uses:], []
            trial.names = [self._names.popitem()[0] for _ in range(len(self._names) - names)]
            added = len(self._parameters) - parameters
            trial.parameters = [self._parameters.popitem() for _ in range(added)]
            trial.filled = [(v, v.tensor) for v in self._filled[filled:]]
            del self._filled[filled:]
            # Their makers are gone.
            for value, _ in trial.filled:
                value.tensor = None

    def adopt(self, trial: Trial) -> None:
        """Put back what a trial added."""
        self.nodes += trial.nodes
        self._noted += trial.noted
        self._names.update(dict.fromkeys(reversed(trial.names), 1))
        self._parameters.update(reversed(trial.parameters))
        self._uses += trial.uses
        for value, tensor in trial.filled:
            value.tensor = tensor
            self._filled.append(value)

    def _journals(self) -> tuple[Any, ...]:
        return self.nodes, self._noted, self._names, self._parameters, self._uses, self._filled

    def weights(self) -> set[str]:
        """Return the stored tensors that are weights of nodes."""
        return {use.stored for use in self._uses}

    def spare(self, trial: Trial) -> None:
        """Keep the parameters of a trial, which are stored though it is not executed."""
        for use in trial.uses:
            if use.tensor.is_parameter:
                self._spare.setdefault(use.stored, use.tensor)

    def finish(self) -> None:
        """Put in the parameters that are stored though nothing that is executed reads them."""
        used = self.weights()
        for stored, tensor in self._spare.items():
            if stored not in used:
                value = Value(stored, self.main, tensor.shape, stored=stored)
                shown = "" if tensor.dtype == self.precision.weight else tensor.dtype
                op = make_operator("parameter", shape=tensor.shape, format=shown)
                self.add(stored, op, [], stored={"weight": value})

    def shared(self) -> dict[str, str]:
        """Return which weights are one stored tensor: those of one name and size.

        A weight of a node that is executed several times is one, too.
        """
        alike: dict[tuple[str, str], list[_Use]] = {}
        for use in self._uses:
            alike.setdefault((use.stored, str(use.tensor.elements)), []).append(use)
        return {
            use.weight: stored
            for (stored, _), group in alike.items()
            if len(group) > 1 or group[0].repeated
            for use in group
        }


def role_of(dtype: str) -> str:
    """Return the role of a computed tensor of that format."""
    return "index" if FORMATS[dtype].integer else "activation"
