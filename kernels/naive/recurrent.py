"""Naive recurrent units."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ._numbers import Array, Gradients, Number, Weights, exp, mac, tanh

Values = list[Number]
#: a step: (input part, hidden part, state before, layer, direction) -> (state, kept)
Step = Callable[[Values, Values, list[Values], int, int], tuple[list[Values], Gradients]]


def rnn(x: Array, *, weights: Weights, **a: Any) -> Array:
    return _run(x, weights, a, _rnn_step(weights, a["nonlinearity"]), [a["hidden"]])


def gru(x: Array, *, weights: Weights, **a: Any) -> Array:
    return _run(x, weights, a, _gru_step(weights), [a["hidden"]])


def lstm(x: Array, *, weights: Weights, projection: int = 0, **a: Any) -> Array:
    return _run(x, weights, a, _lstm_step(weights), [projection or a["hidden"], a["hidden"]])


def rnn_kept(x: Array, *, weights: Weights, **a: Any) -> Gradients:
    kept: Gradients = {}
    _run(x, weights, a, _rnn_step(weights, a["nonlinearity"]), [a["hidden"]], kept)
    return kept


def gru_kept(x: Array, *, weights: Weights, **a: Any) -> Gradients:
    kept: Gradients = {}
    _run(x, weights, a, _gru_step(weights), [a["hidden"]], kept)
    return kept


def lstm_kept(x: Array, *, weights: Weights, projection: int = 0, **a: Any) -> Gradients:
    kept: Gradients = {}
    widths = [projection or a["hidden"], a["hidden"]]
    _run(x, weights, a, _lstm_step(weights), widths, kept)
    return kept


def _run(
    x: Array,
    weights: Weights,
    a: dict[str, Any],
    step: Step,
    state_widths: list[int],
    kept: Gradients | None = None,
) -> Array:
    B, T, _ = x.shape
    layers, directions, width = a["layers"], a["directions"], state_widths[0]
    for layer in range(layers):
        y = np.empty((B, T, width * directions), dtype=x.dtype)
        for d in range(directions):
            W, U = _input_weight(weights, layer, d), weights["hidden_weight"][layer, d]
            for b in range(B):
                state: list[Values] = [[0.0] * w for w in state_widths]
                for t in _order(T, d):
                    of_input, of_hidden = _product(W, x[b, t]), _product(U, state[0])
                    state, values = step(of_input, of_hidden, state, layer, d)
                    for j in range(width):
                        y[b, t, d * width + j] = state[0][j]
                    _keep(kept, values, (layers, directions, B, T), (layer, d, b, t))
        x = y
        if layer < layers - 1:
            _keep(kept, {"layer_output": y}, (layers - 1,), (layer,))
    return x


def _keep(
    kept: Gradients | None, values: Gradients, places: tuple[int, ...], at: tuple[int, ...]
) -> None:
    if kept is not None:
        for name, value in values.items():
            array = np.asarray(value)
            kept.setdefault(name, np.empty((*places, *array.shape)))[at] = array


def _order(steps: int, direction: int) -> Iterable[int]:
    return range(steps) if direction == 0 else reversed(range(steps))


def _input_weight(weights: Weights, layer: int, d: int) -> Array:
    return weights["deeper_input_weight"][layer - 1, d] if layer else weights["input_weight"][d]


def _product(matrix: Array, vector: Any) -> Values:
    out: Values = []
    for row in range(len(matrix)):
        acc: Number = 0.0
        for i, value in enumerate(vector):
            acc = mac(acc, matrix[row, i], value)
        out.append(acc)
    return out


def _gate_sums(of_input: Values, of_hidden: Values, bias: Array) -> Values:
    out = []
    for row, (one, other) in enumerate(zip(of_input, of_hidden, strict=True)):
        gate = one + other
        for vector in bias:
            gate = gate + vector[row]
        out.append(gate)
    return out


def _sigmoid(x: Number) -> Number:
    return 1.0 / (1.0 + exp(-x))


def _rnn_step(weights: Weights, nonlinearity: str) -> Step:
    def step(
        of_input: Values, of_hidden: Values, state: list[Values], layer: int, d: int
    ) -> tuple[list[Values], Gradients]:
        sums = _gate_sums(of_input, of_hidden, weights["bias"][layer, d])
        if nonlinearity == "tanh":
            return [[tanh(value) for value in sums]], {}
        return [[max(value, 0.0) for value in sums]], {}

    return step


def _gru_step(weights: Weights) -> Step:
    def step(
        of_input: Values, of_hidden: Values, state: list[Values], layer: int, d: int
    ) -> tuple[list[Values], Any]:
        bias, (h,) = weights["bias"][layer, d], state
        H = len(h)
        for vector in bias[:1]:
            of_input = [value + vector[row] for row, value in enumerate(of_input)]
        for vector in bias[1:]:
            of_hidden = [value + vector[row] for row, value in enumerate(of_hidden)]
        r = [_sigmoid(of_input[j] + of_hidden[j]) for j in range(H)]
        z = [_sigmoid(of_input[H + j] + of_hidden[H + j]) for j in range(H)]
        n = [tanh(of_input[2 * H + j] + r[j] * of_hidden[2 * H + j]) for j in range(H)]
        new = [n[j] + z[j] * (h[j] - n[j]) for j in range(H)]
        return [new], {"gates": [*r, *z, *n, *of_hidden[2 * H :]]}

    return step


def _lstm_step(weights: Weights) -> Step:
    def step(
        of_input: Values, of_hidden: Values, state: list[Values], layer: int, d: int
    ) -> tuple[list[Values], Any]:
        _, c = state
        H = len(c)
        gates = _gate_sums(of_input, of_hidden, weights["bias"][layer, d])
        peephole = weights["peephole"][layer, d] if "peephole" in weights else None
        values: dict[str, Values] = {"i": [], "f": [], "g": [], "o": []}
        new_c, h = [], []
        for j in range(H):
            of_i, of_f, of_g, of_o = (gates[block * H + j] for block in range(4))
            if peephole is not None:
                of_i, of_f = of_i + peephole[0, j] * c[j], of_f + peephole[1, j] * c[j]
            i, f, g = _sigmoid(of_i), _sigmoid(of_f), tanh(of_g)
            new = f * c[j] + i * g
            if peephole is not None:
                of_o = of_o + peephole[2, j] * new
            o = _sigmoid(of_o)
            new_c.append(new)
            h.append(o * tanh(new))
            for name, value in zip("ifgo", (i, f, g, o), strict=True):
                values[name].append(value)
        kept: dict[str, Any] = {
            "gates": [v for name in "ifgo" for v in values[name]],
            "cell_state": new_c,
        }
        if "projection_weight" in weights:
            kept["cell_output"] = h
            return [_product(weights["projection_weight"][layer, d], h), new_c], kept
        return [h, new_c], kept

    return step
