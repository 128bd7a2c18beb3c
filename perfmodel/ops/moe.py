"""Mixture of experts: a router sends each token to a few of many feed-forward networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
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
    choice,
    flag,
    gemm_extra_traffic,
    gradient_of,
    size,
    text,
)
from perfmodel.core.dims import ceil_div, minimum, product, smallest
from perfmodel.errors import InputError, shorten

#: bytes of an expert's number in the list of choices
CHOICE_BYTES = 4


@dataclass(frozen=True)
class Moe(Operator):
    """Mixture of experts: ``x[..., D] -> y[..., D]``, E experts of I hidden units, k a token.

    ``router[E,D]``, and for each expert ``up_weight[I,D]``, ``down_weight[D,I]``,
    with swiglu ``gate_weight[I,D]`` too; no biases.

        p = softmax(router x),  y = sum over the k largest p of p_e down_e h_e,
        h = silu(gate x) (up x),  or relu(up x).

    A token takes ``E D`` MACs, a softmax of E, ``k E - k (k+1) / 2`` comparisons,
    ``3 k D I`` MACs in its experts (relu: 2), and ``(2 k - 1) D`` operations to
    combine. Tokens are gathered by expert, and outputs gathered back: both pass
    through memory. Weights are read of as many experts as balanced tokens reach:
    ``min(E, k tokens)``.

    With ``routed`` the scores ``router x`` come from outside, as a second input
    ``[tokens, E]``, and there is no router here.

    ``imbalance``, the largest expert's load over the mean, makes all experts as
    slow as the fullest: they run as one batched product, padded to its load.
    Source: Shazeer et al., arXiv:1701.06538; Fedus et al., arXiv:2101.03961
    (padding: their capacity factor); Jiang et al., arXiv:2401.04088 (swiglu).
    """

    name = "moe"
    category = "dense"
    arity = (1, 2)
    sizes = {
        "tokens": REQUIRED,
        "hidden": REQUIRED,
        "intermediate": REQUIRED,
        "experts": REQUIRED,
        "top_k": 2,
        "activation": "swiglu",
        "imbalance": "1",
        "routed": False,
    }
    example = "moe:tokens=4096,hidden=4096,intermediate=14336,experts=8"
    small = (
        {"tokens": 1, "hidden": 3, "intermediate": 2, "experts": 4},
        {"tokens": 3, "hidden": 2, "intermediate": 5, "experts": 2, "activation": "relu"},
        {"tokens": 4, "hidden": 3, "intermediate": 1, "experts": 1, "top_k": 1,
         "imbalance": "1.5"},
        {"tokens": 2, "hidden": 1, "intermediate": 3, "experts": 3, "top_k": 3,
         "imbalance": "2", "activation": "relu"},
        {"tokens": 1, "hidden": 2, "intermediate": 3, "experts": 5, "top_k": 1},
        {"tokens": 3, "hidden": 2, "intermediate": 3, "experts": 4, "routed": True},
    )  # fmt: skip

    intermediate: Dim = size(doc="hidden units of an expert, I")
    experts: Dim = size(doc="number of experts, E")
    top_k: Dim = size(2, doc="experts a token goes to, k")
    activation: str = choice("swiglu", ("swiglu", "relu"), doc="an expert's activation")
    imbalance: str = text("1", doc="load of the fullest expert over the mean, such as 1.25")
    routed: bool = flag(False, doc="scores of the experts are a second input")

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        x = inputs[0]
        if not x.shape:
            raise InputError("moe expects x[..., D], found a scalar")
        if len(inputs) != 1 + self.routed:
            raise InputError("moe takes x, and scores with routed: true only")
        for scores in inputs[1:]:
            expected = product(x.shape[:-1]) * self.experts
            self.need_same(scores.elements, expected, "scores of all tokens")
        if smallest(self.experts - self.top_k) < 0:
            raise InputError("moe: top_k is over the number of experts")
        D, rows = x.shape[-1], self.experts

        def weight(name: str, *shape: Dim) -> Tensor:
            return Tensor(shape, precision.weight, "weight", name)

        into = [weight(n, rows, self.intermediate, D) for n in self._into()]
        down = weight("down_weight", rows, D, self.intermediate)
        router = () if self.routed else (weight("router", rows, D),)
        weights = (*router, *into, down)
        tokens, slots = product(x.shape[:-1]), self.slots(x)
        values = ("gate", "up") if self.activation == "swiglu" else ("expert_hidden",)
        kept = (
            x.like(tokens, self.experts).named("probabilities"),
            Tensor((tokens, self.top_k), precision.of("index"), "index", "choice"),
            *(x.like(slots, self.intermediate).named(name) for name in values),
            x.like(slots, D).named("expert_output"),
        )
        return Inferred((x.like(*x.shape),), weights, kept=kept)

    def _into(self) -> tuple[str, ...]:
        return ("gate_weight", "up_weight") if self.activation == "swiglu" else ("up_weight",)

    def slots(self, x: Tensor) -> Dim:
        """Return the rows that the experts compute, padding among them."""
        try:
            load = Fraction(self.imbalance)
        except (ValueError, ZeroDivisionError):
            load = Fraction(0)
        if load < 1:
            found = shorten(self.imbalance)
            raise InputError(f"moe: imbalance: found {found}, expected a number from 1 on")
        assigned = product(x.shape[:-1]) * self.top_k
        return ceil_div(assigned * load.numerator, load.denominator)

    def work(self, t: Bound) -> Work:
        x, D, inner, into = t.x, t.x.shape[-1], self.intermediate, len(self._into())
        tokens, slots, k, experts = product(x.shape[:-1]), self.slots(x), self.top_k, self.experts
        macs = self._router_macs(x) + slots * (into + 1) * D * inner
        per_unit = (4, 2) if self.activation == "swiglu" else (1, 0)
        selected = k * experts - k * (k + 1) // 2
        builder = WorkBuilder().read(*t.inputs).write(t.y).count("matrix", x.dtype, 2 * macs)
        vector = tokens * (4 * experts - 2 + selected + (2 * k - 1) * D)
        builder.count("vector", x.dtype, vector + slots * inner * per_unit[0])
        builder.count("special", x.dtype, tokens * (experts + 1) + slots * inner * per_unit[1])
        active = self._read_weights(builder, t, tokens * k)
        for name, elements in (
            ("probabilities", tokens * experts),
            ("dispatched", slots * D),
            *((name, slots * inner) for name in self._values()),
            ("expert_output", slots * D),
        ):
            moved = x.like(elements).bytes
            builder.access(name, "write", moved).access(name, "read", moved)
        chosen = tokens * k * CHOICE_BYTES
        builder.access("choice", "write", chosen).access("choice", "read", 2 * chosen)

        def extra(capacity: Dim) -> Dim:
            m = slots / active
            a, b, c = (x.like(*s).bytes for s in ((m, D), (D, inner), (m, inner)))
            return active * (
                into * gemm_extra_traffic(m, inner, D, a, b, c, capacity)
                + gemm_extra_traffic(m, D, inner, c, b, a, capacity)
            )

        return builder.build(macs=macs, launches=7, extra_traffic=extra)

    def _values(self) -> tuple[str, ...]:
        return ("gate", "up", "expert_hidden") if self.activation == "swiglu" else (
            "expert_hidden",
        )  # fmt: skip

    def _router_macs(self, x: Tensor) -> Dim:
        return 0 if self.routed else x.elements * self.experts

    def _read_weights(self, builder: WorkBuilder, t: Bound, assigned: Dim) -> Dim:
        """Read the router and the experts that tokens reach, and return how many those are."""
        active = minimum(self.experts, assigned)
        first = 0 if self.routed else 1
        builder.read(*t.weights[:first])
        for weight in t.weights[first:]:
            part = Tensor((active, *weight.shape[1:]), weight.dtype)
            builder.access(weight.name, "read", part.bytes)
        return active

    def gradients(self, t: Bound) -> list[Gradient]:
        # An assignment: dy times p, dy along the output, its part of dx. A unit of
        # swiglu: its activation again (4 and 2 special), and 7 for the derivatives.
        x, D, inner, into = t.x, t.x.shape[-1], self.intermediate, len(self._into())
        tokens, slots, k = product(x.shape[:-1]), self.slots(x), self.top_k
        macs = 2 * (self._router_macs(x) + slots * (into + 1) * D * inner)
        per_unit = (11, 2) if self.activation == "swiglu" else (1, 0)
        builder = WorkBuilder().read(gradient_of(t.y), x, *t.kept)
        builder.write(*(gradient_of(i) for i in t.inputs), *(gradient_of(w) for w in t.weights))
        builder.count("matrix", x.dtype, 2 * macs)
        vector = tokens * k * (4 * D - 1) + tokens * (2 * k - 1 + 2 * self.experts)
        builder.count("vector", x.dtype, vector + slots * inner * per_unit[0])
        builder.count("special", x.dtype, slots * inner * per_unit[1])
        active = self._read_weights(builder, t, tokens * k)
        for name, elements in (
            *([] if self.routed else [("logits.grad", tokens * self.experts)]),
            ("expert_output.grad", slots * D),
            ("expert_hidden.grad", slots * inner),
            *((f"{name}.grad", slots * inner) for name in self._values()[:-1]),
            ("dispatched.grad", slots * D),
        ):
            moved = x.like(elements).bytes
            # Read by the kernels for the weights and for what comes before.
            builder.access(name, "write", moved).access(name, "read", 2 * moved)

        def extra(capacity: Dim) -> Dim:
            m = slots / active
            a, b, c = (x.like(*s).bytes for s in ((m, D), (D, inner), (m, inner)))
            data = gemm_extra_traffic(m, inner, D, a, b, c, capacity)
            back = gemm_extra_traffic(m, D, inner, c, b, a, capacity)
            weight = gemm_extra_traffic(inner, D, m, c, a, b, capacity)
            return active * (data + into * back + (into + 1) * weight)

        saved = (x, *t.weights, *t.kept)
        work = builder.build(macs=macs, launches=8 + into, extra_traffic=extra)
        return [Gradient("inputs", (*t.inputs, *t.weights), saved, work)]

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        x = Tensor((sizes["tokens"], sizes["hidden"]), precision.activation, name="x")
        inputs = [x]
        if sizes["routed"]:
            scores = (sizes["tokens"], sizes["experts"])
            inputs.append(Tensor(scores, precision.activation, name="scores"))
        return cls(**{f.name: sizes[f.name] for f in cls.attributes()}), inputs
