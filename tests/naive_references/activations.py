"""References of activations, gated linear units, arithmetic, log-softmax and k winners."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

erf = np.vectorize(math.erf)
RAGGED = [(2, 3, 5)]
EVEN = [(2, 3, 10)]
SELU = 1.0507009873554805, 1.6732632423543772  # scale and alpha


def sigmoid(x: Any) -> Any:
    return np.reciprocal(1 + np.exp(-x))


def halves(x: Any) -> Any:
    return np.split(x, 2, axis=-1)


def winners(x: Any, k: int) -> Any:
    threshold = np.sort(x, axis=-1)[..., -k][..., None]
    return np.where(x >= threshold, x, 0)


def prelu(x: Any, slope: Any) -> Any:
    return np.where(x > 0, x, slope * x)


CASES: dict[str, Any] = {
    "relu6": [({}, RAGGED, {}, lambda x, w: np.clip(x, 0, 6))],
    "leaky_relu": [({}, RAGGED, {}, lambda x, w: np.where(x > 0, x, x / 100))],
    "prelu": [
        ({"shared": False}, RAGGED, {"slope": (3,)},
         lambda x, w: prelu(x, w["slope"][:, None])),
        ({"shared": True}, [(7,)], {"slope": (1,)}, lambda x, w: prelu(x, w["slope"])),
    ],
    "elu": [({}, RAGGED, {}, lambda x, w: np.where(x > 0, x, np.expm1(x)))],
    "selu": [({}, RAGGED, {}, lambda x, w: SELU[0] * np.where(
        x > 0, x, SELU[1] * np.expm1(x)))],
    "softplus": [({}, RAGGED, {}, lambda x, w: np.logaddexp(0, x))],
    "mish": [({}, RAGGED, {}, lambda x, w: x * np.tanh(np.log1p(np.exp(x))))],
    "hard_sigmoid": [({}, RAGGED, {}, lambda x, w: np.clip(x / 6 + 0.5, 0, 1))],
    "hard_swish": [({}, RAGGED, {}, lambda x, w: x * np.clip(x / 6 + 0.5, 0, 1))],
    "glu": [({}, EVEN, {}, lambda x, w: halves(x)[0] * sigmoid(halves(x)[1]))],
    "swiglu": [({}, EVEN, {}, lambda x, w: np.prod(
        [halves(x)[0], sigmoid(halves(x)[0]), halves(x)[1]], axis=0))],
    "geglu": [({}, EVEN, {}, lambda x, w: halves(x)[1] * halves(x)[0] * (
        erf(halves(x)[0] / np.sqrt(2)) + 1) / 2)],
    "exp": [({}, RAGGED, {}, lambda x, w: np.exp(x))],
    "abs": [({}, RAGGED, {}, lambda x, w: np.abs(x))],
    "neg": [({}, RAGGED, {}, lambda x, w: np.negative(x))],
    "maximum": [({}, [(2, 3, 5), (3, 1)], {}, lambda a, b, w: np.maximum(a, b))],
    "minimum": [({}, [(3, 1), (2, 3, 5)], {}, lambda a, b, w: np.minimum(a, b))],
    "log_softmax": [({"algorithm": a}, RAGGED, {}, lambda x, w: x - np.logaddexp.reduce(
        x, axis=-1, keepdims=True)) for a in ("two_pass", "online")],
    "k_winners_take_all": [
        ({"k": k}, RAGGED, {}, lambda x, w, k=k: winners(x, k)) for k in (1, 3, 5)],
}  # fmt: skip

#: their inputs are positive
APART = {"log", "sqrt", "pow"}
