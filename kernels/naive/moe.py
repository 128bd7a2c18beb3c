"""Naive mixture of experts, forward and backward."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from operator import index
from typing import Any

import numpy as np

from ._attending import accumulate, dot, sum_in_order
from ._numbers import Array, Gradients, Number, Weights, constant, exp, softmax_row

Row = Sequence[Number]


def moe(x: Array, *scores: Array, weights: Weights, **a: Any) -> Array:
    return _run(x, scores, weights, a, {})


def moe_kept(x: Array, *scores: Array, weights: Weights, **a: Any) -> Gradients:
    kept: dict[str, list[Any]] = {}
    _run(x, scores, weights, a, kept)
    names = ("gate", "up") if a["activation"] == "swiglu" else ("expert_hidden",)
    return {n: np.array(kept[n]) for n in ("probabilities", "choice", *names, "expert_output")}


def _padding(tokens: int, a: dict[str, Any]) -> int:
    assigned = tokens * a["top_k"]
    return math.ceil(assigned * Fraction(a["imbalance"])) - assigned


def _run(
    x: Array,
    scores: Sequence[Array],
    weights: Weights,
    a: dict[str, Any],
    kept: dict[str, list[Any]],
) -> Array:
    D = x.shape[-1]
    places = list(np.ndindex(*x.shape[:-1]))
    y = np.empty_like(x)
    chosen: list[int] = []
    for token, at in enumerate(places):
        logits = (
            list(scores[0][token]) if scores else [dot(row, x[at]) for row in weights["router"]]
        )
        p = softmax_row(logits)
        chosen = _largest(p, a["top_k"])
        outputs = [_expert(x[at], e, weights, a["activation"], kept) for e in chosen]
        for d in range(D):
            y[(*at, d)] = sum_in_order(
                [p[e] * out[d] for e, out in zip(chosen, outputs, strict=True)]
            )
        kept.setdefault("probabilities", []).append(p)
        kept.setdefault("choice", []).append(chosen)
    for _ in range(_padding(len(places), a)):
        _expert([0.0] * D, chosen[0], weights, a["activation"], kept)
    return y


def _largest(values: Row, count: int) -> list[int]:
    left = list(range(len(values)))
    found = []
    for _ in range(count):
        best = left[0]
        for e in left[1:]:
            if values[e] > values[best]:
                best = e
        left.remove(best)
        found.append(best)
    return found


def _expert(
    x: Row, e: int, weights: Weights, activation: str, kept: dict[str, list[Any]]
) -> list[Number]:
    up = [dot(row, x) for row in weights["up_weight"][e]]
    values = {"up": up}
    if activation == "swiglu":
        gate = [dot(row, x) for row in weights["gate_weight"][e]]
        hidden = [g * (1.0 / (1.0 + exp(-g))) * u for g, u in zip(gate, up, strict=True)]
        values["gate"] = gate
    else:
        hidden = [max(u, 0.0) for u in up]
    out = [dot(row, hidden) for row in weights["down_weight"][e]]
    for name, value in {**values, "expert_hidden": hidden, "expert_output": out}.items():
        kept.setdefault(name, []).append(value)
    return out


def moe_grad(
    part: str,
    dy: Array,
    x: Array,
    *scores: Array,
    output: Array,
    weights: Weights,
    kept: Weights,
    **a: Any,
) -> Gradients:
    made = {name: np.full_like(weight, 0.0) for name, weight in weights.items()}
    dx = np.full_like(x, 0.0)
    dscores = [np.full_like(s, 0.0) for s in scores]
    D, k = x.shape[-1], a["top_k"]
    places = list(np.ndindex(*x.shape[:-1]))
    chosen: list[int] = []
    for token, at in enumerate(places):
        p = kept["probabilities"][token]
        chosen = [index(e) for e in kept["choice"][token]]
        dp: dict[int, Number] = {}
        parts = []
        for i, e in enumerate(chosen):
            row = token * k + i
            along = zip(dy[at], kept["expert_output"][row], strict=True)
            dp[e] = sum_in_order([g * o for g, o in along])
            dout = [g * p[e] for g in dy[at]]
            parts.append(_expert_grad(x[at], dout, e, row, weights, kept, made))
        mean = sum_in_order([p[e] * dp[e] for e in chosen])
        for e in range(a["experts"]):
            dlogit = (dp.get(e, 0.0) - mean) * p[e]
            if scores:
                dscores[0][token, e] = dlogit
                continue
            accumulate(made["router"][e], dlogit, x[at])
            accumulate(dx[at], dlogit, weights["router"][e])
        for of_expert in parts:
            for d in range(D):
                dx[(*at, d)] = dx[(*at, d)] + of_expert[d]
    first = len(places) * k
    for row in range(first, first + _padding(len(places), a)):
        nothing = [constant(dy.flat[0], 0.0)] * D
        _expert_grad(nothing, nothing, chosen[0], row, weights, kept, made)
    return {**{f"input {i}": d for i, d in enumerate((dx, *dscores))}, **made}


def _expert_grad(
    x: Row, dout: Row, e: int, row: int, weights: Weights, kept: Weights, made: Gradients
) -> Array:
    down = weights["down_weight"][e]
    dhidden = [dot(dout, down[:, i]) for i in range(down.shape[1])]
    into: dict[str, list[Number]] = {"up_weight": []}
    if "gate_weight" in weights:
        hidden, into["gate_weight"] = [], []
        for i, (g, u) in enumerate(zip(kept["gate"][row], kept["up"][row], strict=True)):
            s = 1.0 / (1.0 + exp(-g))
            silu = g * s
            hidden.append(silu * u)
            into["up_weight"].append(dhidden[i] * silu)
            into["gate_weight"].append(dhidden[i] * u * (s * (g * (1.0 - s) + 1.0)))
    else:
        hidden = list(kept["expert_hidden"][row])
        into["up_weight"] = [g if h > 0.0 else 0.0 for g, h in zip(dhidden, hidden, strict=True)]
    for d, value in enumerate(dout):
        accumulate(made["down_weight"][e, d], value, hidden)
    dx = np.full(len(x), 0.0, dtype=down.dtype)
    for name, gradients in into.items():
        for i, value in enumerate(gradients):
            accumulate(made[name][e, i], value, x)
            accumulate(dx, value, weights[name][e, i])
    return dx
