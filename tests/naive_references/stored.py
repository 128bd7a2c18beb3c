"""NumPy references of stored tensors, and of what is not known."""

from __future__ import annotations

from typing import Any

import numpy as np


def _parameter(weights: Any) -> Any:
    return weights["weight"]


def _repeated(*given: Any) -> Any:
    *inputs, _ = given
    return np.resize(np.concatenate([x.ravel() for x in inputs]), (2, 4))


def _function(a: Any, b: Any, weights: Any) -> Any:
    return np.tanh(a + b + a)


CASES = {
    "pointwise": [
        ({"function": "f", "vector": 2, "special": 1, "to": ""}, [(2, 3), (3,)], {}, _function)
    ],
    "parameter": [({"shape": (2, 3)}, [], {"weight": (2, 3)}, _parameter)],
    "opaque": [({"ranks": (2,), "places": (2, 4)}, [(3,), (2, 1)], {}, _repeated)],
}
APART: set[str] = set()
