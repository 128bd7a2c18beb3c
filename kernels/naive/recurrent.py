"""Naive recurrent units."""

from __future__ import annotations

import numpy as np

from ._numbers import Array, Number, Weights, exp, mac, tanh


def lstm(
    x: Array, *, weights: Weights, hidden: int, layers: int, directions: int, biases: int
) -> Array:
    B, T, _ = x.shape
    H = hidden
    for layer in range(layers):
        y = np.empty((B, T, H * directions), dtype=x.dtype)
        for d in range(directions):
            W = weights["input_weight"][d] if layer == 0 else (
                weights["deeper_input_weight"][layer - 1, d]
            )  # fmt: skip
            U, bias = weights["hidden_weight"][layer, d], weights["bias"][layer, d]
            for b in range(B):
                h: list[Number] = [0.0] * H
                c: list[Number] = [0.0] * H
                for t in range(T) if d == 0 else reversed(range(T)):
                    h, c = _step(x[b, t], h, c, W, U, bias)
                    for j in range(H):
                        y[b, t, d * H + j] = h[j]
        x = y
    return x


def _step(
    x: Array, h: list[Number], c: list[Number], W: Array, U: Array, bias: Array
) -> tuple[list[Number], list[Number]]:
    H = len(h)
    gates: list[Number] = []
    for row in range(4 * H):
        of_input: Number = 0.0
        for i, value in enumerate(x):
            of_input = mac(of_input, W[row, i], value)
        of_hidden: Number = 0.0
        for i, value in enumerate(h):
            of_hidden = mac(of_hidden, U[row, i], value)
        gate = of_input + of_hidden
        for vector in bias:
            gate = gate + vector[row]
        gates.append(gate)
    new_h, new_c = [], []
    for j in range(H):
        i, f, o = (_sigmoid(gates[block * H + j]) for block in (0, 1, 3))
        g = tanh(gates[2 * H + j])
        state = f * c[j] + i * g
        new_c.append(state)
        new_h.append(o * tanh(state))
    return new_h, new_c


def _sigmoid(x: Number) -> Number:
    return 1.0 / (1.0 + exp(-x))
