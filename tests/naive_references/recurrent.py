"""Recurrent units as NumPy formulas over whole batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
#: (input part, hidden part, biases, state) -> state
Step = Callable[[Array, Array, Array, Array], Array]


def sigmoid(x: Array) -> Array:
    return np.reciprocal(1 + np.exp(-x))


def layers(x: Array, w: Mapping[str, Array], count: int, directions: int, step: Step) -> Array:
    for layer in range(count):
        outputs = []
        for d in range(directions):
            W = w["deeper_input_weight"][layer - 1] if layer else w["input_weight"]
            U, bias = w["hidden_weight"][layer, d], w["bias"][layer, d]
            h, rows = np.zeros((x.shape[0], U.shape[1])), []
            for t in range(x.shape[1])[:: -1 if d else 1]:
                h = step(x[:, t] @ W[d].T, h @ U.T, bias, h)
                rows.append(h)
            outputs.append(np.stack(rows[:: -1 if d else 1], axis=1))
        x = np.concatenate(outputs, axis=-1)
    return x


def gru_step(of_input: Array, of_hidden: Array, bias: Array, h: Array) -> Array:
    of_hidden = of_hidden + bias[1:].sum(axis=0)
    of_input = of_input + bias[0]
    (r, z, n), (hr, hz, hn) = np.split(of_input, 3, axis=1), np.split(of_hidden, 3, axis=1)
    z = sigmoid(z + hz)
    return (1 - z) * np.tanh(n + sigmoid(r + hr) * hn) + z * h


def weights(gates: int, inputs: int, hidden: int, biases: int) -> dict[str, tuple[int, ...]]:
    rows = gates * hidden
    return {
        "input_weight": (2, rows, inputs),
        "deeper_input_weight": (2, 2, rows, 2 * hidden),
        "hidden_weight": (3, 2, rows, hidden),
        "bias": (3, 2, biases, rows),
    }


SIZES = {"hidden": 3, "layers": 3, "directions": 2}

CASES = {
    "rnn": [
        ({**SIZES, "biases": 2, "nonlinearity": name}, [(2, 4, 5)], weights(1, 5, 3, 2),
         lambda x, w, f=function: layers(
             x, w, 3, 2, lambda i, h, bias, state: f(i + h + bias.sum(axis=0))))
        for name, function in (("tanh", np.tanh), ("relu", lambda v: np.maximum(v, 0)))
    ],
    "gru": [
        ({**SIZES, "biases": biases}, [(2, 4, 5)], weights(3, 5, 3, biases),
         lambda x, w: layers(x, w, 3, 2, gru_step))
        for biases in (1, 2)
    ],
}  # fmt: skip
APART: set[str] = set()
