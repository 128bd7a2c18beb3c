"""Naive recurrent units, backward through time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._numbers import Array, Gradients, Number, Weights, mac, tanh

Values = list[Number]
Place = tuple[int, int, int, int]


@dataclass
class _StepGradient:
    """What one step passes back: to the input's gates, the hidden part's, and the states."""

    of_input: Values
    of_hidden: Values
    past_gates: Values
    cell: Values


#: (gradient of the output, of the cell, output, output before, place, place before) -> gradients
StepBack = Callable[[Values, Values, Values, Values, Place, Place | None], _StepGradient]


def rnn_grad(
    part: str, dy: Array, x: Array, *, output: Array, weights: Weights,
    kept: Weights | None = None, **a: Any,
) -> Gradients:  # fmt: skip
    def back(
        dh: Values, dc: Values, h: Values, before: Values, at: Place, previous: Place | None
    ) -> _StepGradient:
        if a["nonlinearity"] == "tanh":
            da = [g * (1.0 - v * v) for g, v in zip(dh, h, strict=True)]
        else:
            da = [g if v > 0.0 else 0.0 for g, v in zip(dh, h, strict=True)]
        return _StepGradient(da, da, [0.0] * len(dh), dc)

    return _through_time(dy, x, output, weights, kept or {}, a, back)


def gru_grad(
    part: str, dy: Array, x: Array, *, output: Array, weights: Weights, kept: Weights, **a: Any
) -> Gradients:
    H = a["hidden"]

    def back(
        dh: Values, dc: Values, h: Values, before: Values, at: Place, previous: Place | None
    ) -> _StepGradient:
        gates = kept["gates"][at]
        to_r, to_z, to_n, to_hidden_n, past = ([] for _ in range(5))  # type: ignore[var-annotated]
        for j in range(H):
            r, z, n, of_hidden = (gates[block * H + j] for block in range(4))
            dz = dh[j] * (before[j] - n)
            dn = dh[j] * (1.0 - z)
            past.append(dh[j] * z)
            da = dn * (1.0 - n * n)
            to_n.append(da)
            to_hidden_n.append(da * r)
            to_r.append(da * of_hidden * r * (1.0 - r))
            to_z.append(dz * z * (1.0 - z))
        return _StepGradient([*to_r, *to_z, *to_n], [*to_r, *to_z, *to_hidden_n], past, dc)

    return _through_time(dy, x, output, weights, kept, a, back)


def lstm_grad(
    part: str, dy: Array, x: Array, *, output: Array, weights: Weights, kept: Weights, **a: Any
) -> Gradients:
    H, width = a["hidden"], a["projection"] or a["hidden"]
    terms: dict[tuple[int, int, int, int], Values] = {}
    projected: list[tuple[Place, Values]] = []

    def back(
        dh: Values, dc: Values, h: Values, before: Values, at: Place, previous: Place | None
    ) -> _StepGradient:
        layer, d, _, _ = at
        if a["projection"]:
            projected.append((at, dh))
            R = weights["projection_weight"][layer, d]
            dh = [_column(R, j, dh) for j in range(H)]
        gates, c = kept["gates"][at], kept["cell_state"][at]
        older = kept["cell_state"][previous] if previous else [0.0] * H
        to_i, to_f, to_g, to_o, past = ([] for _ in range(5))  # type: ignore[var-annotated]
        for j in range(H):
            i, f, g, o = (gates[block * H + j] for block in range(4))
            bent = tanh(c[j])
            dao = dh[j] * bent * o * (1.0 - o)
            inner = dc[j] + dh[j] * o * (1.0 - bent * bent)
            if a["peephole"]:
                inner = inner + dao * weights["peephole"][layer, d, 2, j]
            dai = inner * g * i * (1.0 - i)
            daf = inner * older[j] * f * (1.0 - f)
            dag = inner * i * (1.0 - g * g)
            outer = inner * f
            if a["peephole"]:
                p = weights["peephole"][layer, d]
                outer = outer + dai * p[0, j] + daf * p[1, j]
                for row, term in enumerate((dai * older[j], daf * older[j], dao * c[j])):
                    terms.setdefault((layer, d, row, j), []).append(term)
            past.append(outer)
            for values, value in zip((to_i, to_f, to_g, to_o), (dai, daf, dag, dao), strict=True):
                values.append(value)
        into = [*to_i, *to_f, *to_g, *to_o]
        return _StepGradient(into, into, [0.0] * width, past)

    made = _through_time(dy, x, output, weights, kept, a, back)
    if a["peephole"]:
        made["peephole"] = np.empty_like(weights["peephole"])
        for place, values in terms.items():
            made["peephole"][place] = _sum(values)
    if a["projection"]:
        dR = np.full_like(weights["projection_weight"], 0.0)
        for at, dr in projected:
            target, h = dR[at[:2]], kept["cell_output"][at]
            for p in range(width):
                for j in range(H):
                    target[p, j] = mac(target[p, j], dr[p], h[j])
        made["projection_weight"] = dR
    return made


def _through_time(
    dy: Array,
    x: Array,
    output: Array,
    weights: Weights,
    kept: Weights,
    a: dict[str, Any],
    back: StepBack,
) -> Gradients:
    B, T, _ = x.shape
    H, layers, directions = a["hidden"], a["layers"], a["directions"]
    width = output.shape[-1] // directions
    names = ("input_weight", "deeper_input_weight", "hidden_weight", "bias")
    made = {name: np.full_like(weights[name], 0.0) for name in names}
    for layer in reversed(range(layers)):
        source = kept["layer_output"][layer - 1] if layer else x
        out = output if layer == layers - 1 else kept["layer_output"][layer]
        dsource = np.full_like(source, 0.0)
        for d in range(directions):
            W = weights["deeper_input_weight"][layer - 1, d] if layer else (
                weights["input_weight"][d]
            )  # fmt: skip
            dW = made["deeper_input_weight"][layer - 1, d] if layer else made["input_weight"][d]
            U, dU = weights["hidden_weight"][layer, d], made["hidden_weight"][layer, d]
            columns = range(d * width, (d + 1) * width)
            steps: list[tuple[int, int, _StepGradient, Values]] = []
            for b in range(B):
                carried: Values = [0.0] * width
                cell: Values = [0.0] * H
                order = list(range(T) if d == 0 else reversed(range(T)))
                for place in reversed(range(T)):
                    t = order[place]
                    earlier = order[place - 1] if place else None
                    dh = [dy[b, t, at] + carried[j] for j, at in enumerate(columns)]
                    before: Values = [0.0] * width
                    if earlier is not None:
                        before = [out[b, earlier, at] for at in columns]
                    step = back(
                        dh, cell, [out[b, t, at] for at in columns], before, (layer, d, b, t),
                        None if earlier is None else (layer, d, b, earlier),
                    )  # fmt: skip
                    cell = step.cell
                    carried = [
                        _column(U, j, step.of_hidden, step.past_gates[j]) for j in range(width)
                    ]
                    steps.append((b, t, step, before))
            for b, t, step, before in steps:
                for row, value in enumerate(step.of_input):
                    for i in range(source.shape[-1]):
                        dW[row, i] = mac(dW[row, i], value, source[b, t, i])
                        dsource[b, t, i] = mac(dsource[b, t, i], value, W[row, i])
                for row, value in enumerate(step.of_hidden):
                    for j in range(width):
                        dU[row, j] = mac(dU[row, j], value, before[j])
            _biases(made["bias"][layer, d], [step for _, _, step, _ in steps])
        dy = dsource
    made["input 0"] = dy
    return made


def _biases(db: Array, steps: list[_StepGradient]) -> None:
    for row in range(db.shape[-1]):
        db[0, row] = _sum([step.of_input[row] for step in steps])
        for second in db[1:]:
            # Most gates pass the same gradient to both biases: summed once.
            same = steps[0].of_hidden[row] is steps[0].of_input[row]
            second[row] = db[0, row] if same else _sum([step.of_hidden[row] for step in steps])


def _column(matrix: Array, column: int, vector: Values, start: Number = 0.0) -> Number:
    acc = start
    for row, value in enumerate(vector):
        acc = mac(acc, value, matrix[row, column])
    return acc


def _sum(values: Values) -> Number:
    out = values[0]
    for value in values[1:]:
        out = out + value
    return out
