"""What recurrent units share: layers, directions, the chain of steps, and the way back in time."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from perfmodel.core.blocking import gemm_extra_traffic, missed
from perfmodel.core.dims import Dim, largest, maximum, minimum
from perfmodel.core.formats import Precision
from perfmodel.core.gradient import Gradient, gradient_of
from perfmodel.core.operator import REQUIRED, Bound, Inferred, Operator, size
from perfmodel.core.tensor import Tensor
from perfmodel.core.work import Work, WorkBuilder

#: inline sizes of every recurrent unit
SIZES: Mapping[str, Any] = {
    "steps": REQUIRED,
    "batch": REQUIRED,
    "input": REQUIRED,
    "hidden": REQUIRED,
    "layers": 1,
    "directions": 1,
    "biases": 1,
}


@dataclass(frozen=True)
class Recurrent(Operator):
    """Base of recurrent units: ``x[B,T,I] -> y[B,T,H D]`` with L layers, D directions.

    Per layer and direction ``input_weight[G H,I]``, ``hidden_weight[G H,H]`` and
    ``bias[G H]`` for G gates. ``W x`` of all steps is one GEMM ahead of the
    chain; then every step launches the GEMM ``U h`` and one kernel for the
    gates. U is read again at each step as far as it does not stay in the inner
    memory level.

    Backward through time: every step launches a kernel for the gates and the
    GEMM that passes the gradient through U; the gradients of x, W, U and the
    biases are GEMMs and a sum over all steps, after the chain. Training keeps
    the gates' values and the states.
    """

    category = "recurrent"
    sizes = SIZES
    small: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"steps": 1, "batch": 1, "input": 2, "hidden": 3},
        {"steps": 3, "batch": 2, "input": 3, "hidden": 2, "layers": 2},
        {"steps": 2, "batch": 1, "input": 5, "hidden": 3, "layers": 3, "directions": 2},
        {"steps": 2, "batch": 2, "input": 1, "hidden": 2, "biases": 2},
    )

    #: rows of the GEMMs per hidden unit
    gates: ClassVar[int]
    #: values per hidden unit that training keeps of the gates
    kept_gates: ClassVar[int]
    #: gradients per hidden unit that a step hands to the GEMMs
    gate_gradients: ClassVar[int]
    #: gate gradients per hidden unit that only the second bias has
    own_second_bias: ClassVar[int] = 0
    has_cell_state: ClassVar[bool] = False

    hidden: Dim = size(doc="units a layer and direction, H")
    layers: Dim = size(1, doc="layers stacked, L")
    directions: Dim = size(1, doc="1, or 2 for a bidirectional network")
    biases: Dim = size(1, doc="bias vectors a gate: 0, 1, or 2 as cuDNN keeps them", least=0)

    @abstractmethod
    def unit_ops(self) -> tuple[Dim, Dim]:
        """Return vector and special operations a hidden unit and step, after the gates' sums."""

    @abstractmethod
    def unit_gradient_ops(self) -> tuple[Dim, Dim]:
        """Return the same for the backward pass, after the sum of what flows into a state."""

    def projected(self) -> Dim:
        """Return the width of a projection of the output; 0 for none."""
        return 0

    def peepholes(self) -> Dim:
        """Return the gates of a unit that see its cell state."""
        return 0

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (x,) = inputs
        self.need_rank(x, 3, "x[B,T,I]")
        batch, steps, width = x.shape
        h, d, layers, out = self.hidden, self.directions, self.layers, self._output_width()
        gates = self.gates * h

        def weight(name: str, *shape: Dim) -> Tensor:
            return Tensor(shape, precision.weight, "weight", name)

        weights = [
            weight("input_weight", d, gates, width),
            weight("deeper_input_weight", layers - 1, d, gates, out * d),
            weight("hidden_weight", layers, d, gates, out),
            weight("bias", layers, d, self.biases, gates),
        ]
        if largest(self.peepholes()) > 0:
            weights.append(weight("peephole", layers, d, self.peepholes(), h))
        if largest(self.projected()) > 0:
            weights.append(weight("projection_weight", layers, d, out, h))
        kept = []
        if self.kept_gates:
            kept.append(x.like(layers, d, batch, steps, self.kept_gates * h).named("gates"))
        if self.has_cell_state:
            kept.append(x.like(layers, d, batch, steps, h).named("cell_state"))
        if largest(self.projected()) > 0:
            kept.append(x.like(layers, d, batch, steps, h).named("cell_output"))
        if largest(layers) > 1:
            kept.append(x.like(layers - 1, batch, steps, out * d).named("layer_output"))
        return Inferred((x.like(batch, steps, out * d),), tuple(weights), kept=tuple(kept))

    def _output_width(self) -> Dim:
        return self.projected() + self.hidden * (self.projected() == 0)

    def work(self, t: Bound) -> Work:
        return _Chain(self, t).forward()

    def gradients(self, t: Bound) -> list[Gradient]:
        weights = [w for w in t.weights if w.name != "deeper_input_weight"]
        saved = [t.x, *weights, *t.kept]
        if largest(self.layers) > 1:
            saved.append(t.weight("deeper_input_weight"))
        # A gated unit needs the state before each step, so the first step none.
        if not self.kept_gates or largest(t.x.shape[1]) > 1:
            saved.append(t.y)
        used = tuple(s for s in saved if s.name != "bias")
        return [Gradient("through_time", (t.x, *t.weights), used, _Chain(self, t).backward(used))]

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        shape = (sizes["batch"], sizes["steps"], sizes["input"])
        attributes = {f.name: sizes[f.name] for f in cls.attributes()}
        return cls(**attributes), [Tensor(shape, precision.activation, name="x")]


class _Chain:
    """The sizes of a recurrent network that both passes count with."""

    def __init__(self, op: Recurrent, t: Bound) -> None:
        self.op, self.t, self.dtype = op, t, t.x.dtype
        self.batch, self.steps, self.width = t.x.shape
        self.samples = self.batch * self.steps
        self.h, self.gates = op.hidden, op.gates * op.hidden
        self.out = t.y.shape[-1] // op.directions
        self.deep_width = t.y.shape[-1]
        self.chains = op.layers * op.directions
        self.deeper = (op.layers - 1) * op.directions
        self.cells = self.samples * self.chains
        self.projects = largest(op.projected()) > 0
        #: MACs of one cell's serial GEMMs, and of the hoisted ones of all cells
        self.serial = self.gates * self.out + (self.out * self.h if self.projects else 0)
        self.hoisted = (
            self.samples * self.gates * (op.directions * self.width + self.deeper * self.deep_width)
        )
        self.again = _sum_bytes(t, ("hidden_weight", "projection_weight")) / self.chains

    def values(self, per_cell: Dim) -> Dim:
        """Return the bytes of ``per_cell`` values in every cell."""
        return Tensor((self.cells, per_cell), self.dtype).bytes

    def between_layers(self) -> Dim:
        """Return the bytes of the outputs of all layers but the last."""
        return Tensor((self.samples, self.deeper, self.out), self.dtype).bytes

    def forward(self) -> Work:
        op, builder = self.op, WorkBuilder()
        macs = self.cells * self.serial + self.hoisted
        vector, special = op.unit_ops()
        builder.count("matrix", self.dtype, 2 * macs)
        builder.count(
            "vector", self.dtype, self.cells * ((1 + op.biases) * self.gates + vector * self.h)
        )
        builder.count("special", self.dtype, self.cells * special * self.h)
        builder.read(self.t.x, *self.t.weights).write(self.t.y)
        for name in ("input_gates", "hidden_gates"):
            _pass_on(builder, name, self.values(self.gates))
        _pass_on(builder, "layer_output", self.between_layers())
        builder.access("hidden_state", "read", self.values(self.out))
        if op.has_cell_state:
            _pass_on(builder, "cell_state", self.values(self.h))
        if self.projects:
            _pass_on(builder, "cell_output", self.values(self.h))

        def extra(capacity: Dim) -> Dim:
            again = self.chains * (self.steps - 1) * missed(self.again, capacity)
            for count, width in self._inputs():
                again = again + count * self._gemm(self.samples, self.gates, width, capacity)
            return again

        step = 3 if self.projects else 2
        launches = self.chains * (1 + step * self.steps)
        return builder.build(macs=macs, launches=launches, extra_traffic=extra)

    def backward(self, saved: Sequence[Tensor]) -> Work:
        op, t, builder = self.op, self.t, WorkBuilder()
        macs = 2 * (self.cells * self.serial + self.hoisted)
        biased = minimum(op.biases, 1)
        sums = biased * self.gates + maximum(op.biases - 1, 0) * op.own_second_bias * self.h
        vector, special = op.unit_gradient_ops()
        builder.count("matrix", self.dtype, 2 * macs)
        builder.count(
            "vector",
            self.dtype,
            self.cells * (self.out + vector * self.h)
            + (self.samples - 1) * self.chains * sums
            + (2 * self.samples - 1) * self.chains * op.peepholes() * self.h,
        )
        builder.count("special", self.dtype, self.cells * special * self.h)
        builder.read(gradient_of(t.y), *saved)
        builder.write(gradient_of(t.x), *(gradient_of(w) for w in t.weights))
        gates = self.values(op.gate_gradients * self.h)
        # Read by the step's own GEMM, and by those for x, W and U and the sum for the bias.
        builder.access("gates.grad", "write", gates)
        builder.access("gates.grad", "read", (4 + biased) * gates)
        _pass_on(builder, "layer_output.grad", self.between_layers())
        _pass_on(builder, "hidden_state.grad", self.values(self.out))
        if op.has_cell_state:
            _pass_on(builder, "cell_state.grad", self.values(self.h))
        if self.projects:
            _pass_on(builder, "cell_output.grad", self.values(self.h))

        def extra(capacity: Dim) -> Dim:
            again = self.chains * (self.steps - 1) * missed(self.again, capacity)
            for count, width in self._inputs():
                again = again + count * self._gemm(self.samples, width, self.gates, capacity)
                again = again + count * self._gemm(self.gates, width, self.samples, capacity)
            return again + self.chains * self._gemm(self.gates, self.out, self.samples, capacity)

        chain, after = (3, 4) if self.projects else (2, 3)
        launches = self.chains * (chain * self.steps + after + biased)
        return builder.build(macs=macs, launches=launches, extra_traffic=extra)

    def _inputs(self) -> tuple[tuple[Dim, Dim], ...]:
        """Return how many chains take an input of which width."""
        return (self.op.directions, self.width), (self.deeper, self.deep_width)

    def _gemm(self, m: Dim, n: Dim, k: Dim, capacity: Dim) -> Dim:
        weight = self.t.weight("hidden_weight").dtype
        a, b, c = (Tensor(s, f) for s, f in (((m, k), self.dtype), ((k, n), weight),
                                             ((m, n), self.dtype)))  # fmt: skip
        return gemm_extra_traffic(m, n, k, a.bytes, b.bytes, c.bytes, capacity)


def _sum_bytes(t: Bound, names: Sequence[str]) -> Dim:
    """Return the bytes of those weights that there are."""
    known = {**{w.name: w for w in t.own_weights}, **t.given}
    out: Dim = 0
    for name in names:
        if name in known:
            out = out + known[name].bytes
    return out


def _pass_on(builder: WorkBuilder, name: str, bytes: Dim) -> None:
    """Write a temporary in one launch and read it in another."""
    builder.access(name, "write", bytes).access(name, "read", bytes)
