"""Recurrent units. Steps are a chain: each waits for the one before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from perfmodel.core import (
    REQUIRED,
    Bound,
    Dim,
    Inferred,
    Operator,
    Precision,
    Tensor,
    Work,
    WorkBuilder,
    gemm_extra_traffic,
    missed,
    size,
)
from perfmodel.core.dims import maximum


@dataclass(frozen=True)
class Lstm(Operator):
    """Long short-term memory: ``x[B,T,I] -> y[B,T,H D]`` with L layers, D directions.

    Per layer and direction ``input_weight[4H,I]``, ``hidden_weight[4H,H]``,
    ``bias[4H]``; at each step

        i, f, o = sigmoid(W x_t + b + U h_{t-1}),  g = tanh(W x_t + b + U h_{t-1}),
        c_t = f c_{t-1} + i g,  h_t = o tanh(c_t).

    ``4 H (I + H)`` MACs a step. A gate value takes two additions (bias; input
    part plus hidden part), a sigmoid two vector and two special operations, the
    state three vector operations and a tanh, the output one.

    ``W x`` of all steps is one GEMM ahead of the chain; then every step launches
    the GEMM ``U h`` and one kernel for the gates. U is read again at each step
    as far as it does not stay in the inner memory level.
    Source: Hochreiter and Schmidhuber (1997) with the forget gate of Gers,
    Schmidhuber and Cummins (2000); as in Zaremba et al., arXiv:1409.2329, section 3.1.
    """

    name = "lstm"
    category = "recurrent"
    sizes = {
        "steps": REQUIRED,
        "batch": REQUIRED,
        "input": REQUIRED,
        "hidden": REQUIRED,
        "layers": 1,
        "directions": 1,
    }
    example = "lstm:steps=128,batch=32,input=1024,hidden=1024"
    small = (
        {"steps": 1, "batch": 1, "input": 2, "hidden": 3},
        {"steps": 3, "batch": 2, "input": 3, "hidden": 2, "layers": 2},
        {"steps": 2, "batch": 1, "input": 5, "hidden": 3, "layers": 3, "directions": 2},
    )

    hidden: Dim = size(doc="units a layer and direction, H")
    layers: Dim = size(1, doc="layers stacked, L")
    directions: Dim = size(1, doc="1, or 2 for a bidirectional network")
    biases: Dim = size(1, doc="bias vectors a gate: 1, or 2 as cuDNN keeps them")

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (x,) = inputs
        self.need_rank(x, 3, "x[B,T,I]")
        batch, steps, width = x.shape
        h, d = self.hidden, self.directions
        gates = 4 * h

        def weight(name: str, *shape: Dim) -> Tensor:
            return Tensor(shape, precision.weight, "weight", name)

        weights = (
            weight("input_weight", d, gates, width),
            weight("deeper_input_weight", self.layers - 1, d, gates, h * d),
            weight("hidden_weight", self.layers, d, gates, h),
            weight("bias", self.layers, d, self.biases, gates),
        )
        return Inferred((x.like(batch, steps, h * d),), weights)

    def work(self, t: Bound) -> Work:
        x, dtype = t.x, t.x.dtype
        batch, steps, width = x.shape
        h, d, layers = self.hidden, self.directions, self.layers
        gates, chains = 4 * h, layers * d
        cells = batch * steps * chains
        macs = cells * gates * h + batch * steps * d * gates * (width + (layers - 1) * h * d)

        builder = WorkBuilder().count("matrix", dtype, 2 * macs)
        builder.count("vector", dtype, cells * ((1 + self.biases) * gates + 3 * h * 2 + 4 * h))
        builder.count("special", dtype, cells * (3 * h * 2 + 2 * h))

        # Tensors that pass from one launch to the next.
        gate_values = Tensor((cells, gates), dtype).bytes
        states = Tensor((cells, h), dtype).bytes
        between_layers = Tensor((batch, steps, (layers - 1) * d, h), dtype).bytes
        builder.read(x, *t.weights).write(t.y)
        builder.access("layer_output", "write", between_layers)
        builder.access("layer_output", "read", between_layers)
        for name in ("input_gates", "hidden_gates"):
            builder.access(name, "write", gate_values).access(name, "read", gate_values)
        builder.access("hidden_state", "read", states)
        builder.access("cell_state", "read", states).access("cell_state", "write", states)

        recurrent = t.weight("hidden_weight").bytes / chains
        deeper = maximum(layers - 1, 1)
        input_gemms = (  # A bytes, B bytes, depth, how many
            (x.bytes, t.weight("input_weight").bytes / d, width, d),
            (
                between_layers / deeper,
                t.weight("deeper_input_weight").bytes / (deeper * d),
                h * d,
                d * (layers - 1),
            ),
        )

        def extra(capacity: Dim) -> Dim:
            again = chains * (steps - 1) * missed(recurrent, capacity)
            for a, b, depth, count in input_gemms:
                a, b = maximum(a, 1), maximum(b, 1)
                again = again + count * gemm_extra_traffic(
                    batch * steps, gates, depth, a, b, gate_values / chains, capacity
                )
            return again

        return builder.build(macs=macs, launches=chains * (1 + 2 * steps), extra_traffic=extra)

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        shape = (sizes["batch"], sizes["steps"], sizes["input"])
        op = cls(hidden=sizes["hidden"], layers=sizes["layers"], directions=sizes["directions"])
        return op, [Tensor(shape, precision.activation, name="x")]
