"""State-space layers: a linear recurrence over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from perfmodel.core import (
    REQUIRED,
    Bound,
    Dim,
    Gradient,
    Inferred,
    Operator,
    Precision,
    Tensor,
    Work,
    WorkBuilder,
    gradient_of,
    size,
)


@dataclass(frozen=True)
class SsmScan(Operator):
    """Selective scan of a state-space layer (Mamba): ``x, delta[B,T,D], b, c[B,T,N] -> y[B,T,D]``.

    ``decay[D,N]``, ``skip[D]``; for each channel, with N values of state:

        h_t = exp(delta_t decay) h_{t-1} + delta_t x_t b_t,  y_t = c_t . h_t + skip x_t.

    One kernel that walks through time and keeps the state on chip: a step of a
    channel takes ``6 N + 2`` vector operations and N exponentials. Backward it
    computes the states again (4 N + 1 and N exponentials) and takes ``15 N + 5``
    more; nothing but the inputs is kept.
    Source: Gu and Dao, "Mamba", arXiv:2312.00752, algorithm 2 and section 3.3.2.
    """

    name = "ssm_scan"
    category = "recurrent"
    arity = 4
    sizes = {"batch": 1, "steps": REQUIRED, "channels": REQUIRED, "state": 16}
    example = "ssm_scan:batch=1,steps=2048,channels=5120"
    small = (
        {"steps": 1, "channels": 2, "state": 3},
        {"batch": 2, "steps": 3, "channels": 1, "state": 2},
        {"batch": 1, "steps": 4, "channels": 3, "state": 1},
    )

    state: Dim = size(16, doc="values of state a channel, N")

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        x, delta, b, c = inputs
        for tensor, layout in zip(inputs, ("x[B,T,D]", "delta[B,T,D]", "b[B,T,N]", "c[B,T,N]"),
                                  strict=True):  # fmt: skip
            self.need_rank(tensor, 3, layout)
            self.need_same(tensor.shape[0], x.shape[0], "batch")
            self.need_same(tensor.shape[1], x.shape[1], "steps")
        self.need_same(delta.shape[2], x.shape[2], "channels of delta")
        for tensor in (b, c):
            self.need_same(tensor.shape[2], self.state, "state of b and c")
        channels = x.shape[2]
        weights = (
            Tensor((channels, self.state), precision.weight, "weight", "decay"),
            Tensor((channels,), precision.weight, "weight", "skip"),
        )
        return Inferred((x.like(*x.shape),), weights)

    def work(self, t: Bound) -> Work:
        builder = WorkBuilder().read(*t.inputs, *t.weights).write(t.y)
        builder.count("vector", t.x.dtype, t.x.elements * (6 * self.state + 2))
        builder.count("special", t.x.dtype, t.x.elements * self.state)
        return builder.build()

    def gradients(self, t: Bound) -> list[Gradient]:
        made = (*t.inputs, *t.weights)
        builder = WorkBuilder().read(gradient_of(t.y), *made)
        builder.write(*(gradient_of(tensor) for tensor in made))
        builder.count("vector", t.x.dtype, t.x.elements * (19 * self.state + 6))
        builder.count("special", t.x.dtype, t.x.elements * self.state)
        return [Gradient("inputs", made, made, builder.build())]

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        inputs = [
            Tensor((sizes["batch"], sizes["steps"], sizes[width]), precision.activation, name=name)
            for name, width in (("x", "channels"), ("delta", "channels"), ("b", "state"),
                                ("c", "state"))
        ]  # fmt: skip
        return cls(state=sizes["state"]), inputs
