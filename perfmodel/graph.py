"""Graph: a network with every size bound, and Workload: the same before binding.

A Workload knows its dims and phases and binds them to a Graph; a bound size may
be an array, so that one Graph stands for a whole sweep.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from perfmodel.core import (
    Access,
    Algorithm,
    Bound,
    Dim,
    Gradient,
    Operator,
    Pattern,
    Precision,
    Tensor,
    gradient_of,
    moving,
    parse_precision,
)
from perfmodel.core.dims import check_size, maximum, same, show_shape, total
from perfmodel.errors import InputError, did_you_mean

#: what a node is run for; everything is 'forward' outside training
NodeRole = Literal["forward", "backward", "recompute", "optimizer"]


@dataclass(frozen=True, eq=False)
class Node:
    """One kernel of a network, executed ``count`` times with tensors of the same shapes.

    ``gradient`` is set where the node runs a backward kernel of ``op``; ``keeps``
    are temporaries that the forward pass stores for training; ``precision`` is the
    node's own where it differs from the network's.
    """

    name: str
    op: Operator
    tensors: Bound
    count: Dim = 1
    role: NodeRole = "forward"
    gradient: Gradient | None = None
    keeps: tuple[Tensor, ...] = ()
    precision: Precision | None = None

    @property
    def output(self) -> Tensor:
        """The first output."""
        return self.tensors.outputs[0]

    @property
    def kind(self) -> str:
        """The operator's name, with ``_grad`` for its backward kernels."""
        return f"{self.op.name}_grad" if self.gradient else self.op.name

    @property
    def is_view(self) -> bool:
        """Whether the output is the input's memory under another shape."""
        return self.op.is_a_view() and self.gradient is None

    def algorithms(self) -> list[Algorithm]:
        """Return the ways to compute the node."""
        if self.gradient is not None:
            return [Algorithm("default", self.gradient.work)]
        if any(same(t.elements, 0) for t in (*self.tensors.sources, *self.tensors.outputs)):
            return [Algorithm("default", moving(self.tensors, 0 if self.op.is_a_view() else 1))]
        algorithms = self.op.algorithms(self.tensors)
        return [self._keeping(a) for a in algorithms] if self.keeps else algorithms

    def _keeping(self, algorithm: Algorithm) -> Algorithm:
        """Return ``algorithm`` writing what is kept, besides what of it it writes anyway."""
        work = algorithm.work
        extra = tuple(
            Access(kept.name, "write", maximum(0, kept.bytes - work.written(own.name)))
            for kept, own in zip(self.keeps, self.tensors.kept, strict=True)
        )
        return replace(algorithm, work=replace(work, accesses=(*work.accesses, *extra)))

    def reads(self) -> tuple[Tensor, ...]:
        """Return the activations that the node reads."""
        if self.role == "optimizer":
            return ()
        if self.gradient is None:
            return self.tensors.sources
        own = {id(w) for w in self.tensors.own_weights}
        saved = [t for t in self.gradient.saved if id(t) not in own]
        passed = [t for t in self.tensors.outputs if t.role != "index" and t.dtype != "bool"]
        return (*saved, *(gradient_of(t) for t in passed))

    def writes(self) -> tuple[Tensor, ...]:
        """Return the activations, or gradients of activations, that the node makes."""
        if self.role == "optimizer":
            return ()  # weights and their state change in place
        if self.gradient is None:
            return (*self.tensors.outputs, *self.keeps)
        own = {id(w) for w in self.tensors.own_weights}
        return tuple(gradient_of(t) for t in self.gradient.makes if id(t) not in own)


def bind_operator(
    name: str,
    op: Operator,
    inputs: Sequence[Tensor],
    precision: Precision,
    count: Dim = 1,
    given: Sequence[str] = (),
) -> Node:
    """Return ``op`` applied to ``inputs``; InputError where the shapes do not fit.

    The last inputs are the weights that ``given`` names, one each.
    """
    last = len(inputs) - len(given)
    computed = dict(zip(given, inputs[last:], strict=True)) if last >= 0 else {}
    inputs = tuple(inputs[: max(last, 0)])
    op.check_arity(inputs)
    made = op.infer(inputs, precision)
    outputs = tuple(t.named(name if i == 0 else f"{name}:{i}") for i, t in enumerate(made.outputs))
    weights = _with_given(op, made.weights, computed) if computed else made.weights
    tensors = Bound(inputs, outputs, weights, made.caches, made.appended, made.kept, computed)
    return Node(name, op, tensors, count)


def _with_given(
    op: Operator, weights: Sequence[Tensor], given: Mapping[str, Tensor]
) -> tuple[Tensor, ...]:
    """Return the weights, those that are computed as the tensors that they are."""
    names = {w.name for w in weights}
    for name in given:
        if name not in names:
            raise InputError(f"{op.name} has no weight '{name}'", mend=did_you_mean(name, names))
    out = []
    for weight in weights:
        tensor = given.get(weight.name, weight)
        if not same(tensor.elements, weight.elements):
            raise InputError(
                f"{op.name}: weight '{weight.name}' {show_shape(weight.shape)}"
                f" is given as {show_shape(tensor.shape)}"
            )
        out.append(tensor)
    return tuple(out)


@dataclass(frozen=True)
class Graph:
    """A network with bound sizes, its nodes in an order of execution.

    ``shared`` maps ``node.weight`` to the tensor it shares, so that tied
    parameters count once. ``gradient_bytes`` is what training keeps of the weights'
    gradients, ``optimizer_bytes`` what it keeps besides; ``carried`` names the
    tensors that a repeated block hands from one execution to the next (their
    gradients are wanted even where they come from the network's inputs), ``held`` the
    others that it reads, each with the block's last node; ``loss``
    is the operator that training puts behind each output, ``loss_axis`` the axis of
    its classes; ``notes`` say what a reader assumed, ``patterns`` what was recognised.
    """

    name: str
    phase: str
    precision: Precision
    dims: Mapping[str, Dim]
    nodes: tuple[Node, ...]
    inputs: tuple[Tensor, ...]
    outputs: tuple[str, ...]
    shared: Mapping[str, str] = field(default_factory=dict)
    optimizer_bytes: Dim = 0
    gradient_bytes: Dim = 0
    carried: frozenset[str] = frozenset()
    held: Mapping[str, str] = field(default_factory=dict)
    loss: str | None = None
    loss_axis: Dim = -1
    notes: tuple[str, ...] = ()
    patterns: tuple[Pattern, ...] = ()

    @property
    def forward(self) -> tuple[Node, ...]:
        """The nodes of the forward pass."""
        return tuple(n for n in self.nodes if n.role == "forward")

    def parameters(self) -> Dim:
        """Return the number of parameters, frozen ones too; tied ones count once."""
        return total(count * w.elements for w, count in self.stored() if w.is_parameter)

    def weight_bytes(self) -> Dim:
        """Return the bytes of parameters and of stored statistics."""
        return total(count * w.bytes for w, count in self.stored())

    def stored(self) -> Iterator[tuple[Tensor, Dim]]:
        """Yield weights and stored statistics with how often they exist; tied ones once."""
        seen: set[str] = set()
        for node in self.forward:
            for weight in node.tensors.own_weights:
                tied = self.shared.get(f"{node.name}.{weight.name}")
                if tied is not None:
                    if tied in seen:
                        continue
                    seen.add(tied)
                    yield weight, 1
                else:
                    yield weight, node.count

    def kv_cache_bytes(self) -> Dim:
        """Return the bytes of the KV cache: what decode reads, or what prefill leaves behind.

        ``context`` tokens in decode; in other phases the new tokens too.
        """
        held = total(n.count * c.bytes for n in self.forward for c in n.tensors.caches)
        return held if self.phase == "decode" else held + self.appended_bytes()

    def appended_bytes(self) -> Dim:
        """Return the bytes that this pass adds to the KV cache."""
        return total(n.count * c.bytes for n in self.forward for c in n.tensors.appended)


@dataclass(frozen=True)
class Workload(ABC):
    """A network before its sizes are bound.

    Parameters
    ----------
    name : its name in reports.
    phases : the phases it has, the first the default.
    precision : its default number format.
    about : title, source and the like, for reports.
    """

    name: str
    phases: tuple[str, ...]
    precision: Precision
    about: Mapping[str, Any]

    @abstractmethod
    def dims(self, phase: str) -> Mapping[str, Dim | str]:
        """Return the dims of ``phase`` and their defaults (numbers or expressions)."""

    @abstractmethod
    def build(self, dims: Mapping[str, Dim], phase: str, precision: Precision) -> Graph:
        """Return the graph for checked ``dims``."""

    def with_inputs(
        self, shapes: Mapping[str, tuple[int, ...]], values: Mapping[str, tuple[int, ...]]
    ) -> Workload:
        """Return the workload with inputs of these shapes, and integer inputs of these values.

        Raises InputError for an unknown input, or another number of axes.
        """
        name = next(iter({**shapes, **values}), None)
        if name is not None:
            raise InputError(f"{self.name} has no input '{name}' that can be set")
        return self

    def with_patterns(self, wanted: bool) -> Workload:
        """Return the workload with operators recognised in primitive nodes, or left written out."""
        return self

    def with_dims(self, dims: Mapping[str, Dim]) -> Workload:
        """Return the workload with other defaults."""
        return _Rebound(self.name, self.phases, self.precision, self.about, self, dict(dims))

    def check_phase(self, phase: str | None) -> str:
        """Return ``phase``, or the default; InputError names the phases there are."""
        if phase is None:
            return self.phases[0]
        if phase not in self.phases:
            raise InputError(
                f"{self.name} has no phase '{phase}'", mend=f"it has {', '.join(self.phases)}"
            )
        return phase

    def bind(
        self,
        dims: Mapping[str, Dim] | None = None,
        *,
        phase: str | None = None,
        dtype: str | Precision | None = None,
    ) -> Graph:
        """Return the graph with ``dims`` set; a size may be a float64 array.

        Raises InputError for an unknown dim, a size under its least, or shapes
        that do not fit.
        """
        phase = self.check_phase(phase)
        known = self.dims(phase)
        for name, value in (dims or {}).items():
            if name not in known:
                raise InputError(f"{self.name} has no dim '{name}'", mend=did_you_mean(name, known))
            check_size(name, value, least=0 if name in ("context", "window") else 1)
        precision = self.precision
        if dtype is not None:
            precision = dtype if isinstance(dtype, Precision) else parse_precision(dtype)
        return self.build(dict(dims or {}), phase, precision)


@dataclass(frozen=True)
class _Rebound(Workload):
    """A workload whose dims were set by its user."""

    inner: Workload
    chosen: Mapping[str, Dim]

    def dims(self, phase: str) -> Mapping[str, Dim | str]:
        inner = self.inner.dims(phase)
        return {**inner, **{k: v for k, v in self.chosen.items() if k in inner}}

    def build(self, dims: Mapping[str, Dim], phase: str, precision: Precision) -> Graph:
        return self.inner.build({**self.chosen, **dims}, phase, precision)

    def with_inputs(
        self, shapes: Mapping[str, tuple[int, ...]], values: Mapping[str, tuple[int, ...]]
    ) -> Workload:
        return replace(self, inner=self.inner.with_inputs(shapes, values))

    def with_patterns(self, wanted: bool) -> Workload:
        return replace(self, inner=self.inner.with_patterns(wanted))
