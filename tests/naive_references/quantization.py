"""NumPy's rounding for quantized codes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def quantized(x: Array, scale: Array, zero: Array | float, low: int, high: int) -> Array:
    return np.clip(np.rint(x * np.reciprocal(scale)) + zero, low, high)


def per(vector: Array, x: Array, axis: int) -> Array:
    return vector.reshape([-1 if i == axis else 1 for i in range(x.ndim)])


WHOLE = {"per_channel": False, "axis": 1, "zero_point": False}
CHANNELS = {"per_channel": True, "axis": 1, "zero_point": False}
SHIFTED = {"per_channel": True, "axis": 0, "zero_point": True}
BOTH = {"scale": (3,), "zero_point": (3,)}

CASES: dict[str, Any] = {
    "cast": [({"to": "fp16"}, [(2, 3, 5)], {}, lambda x, w: x)],
    "quantize": [
        ({**WHOLE, "to": "int8"}, [(2, 3, 5)], {"scale": (1,)},
         lambda x, w: quantized(x, w["scale"], 0.0, -128, 127)),
        ({**CHANNELS, "to": "int4"}, [(2, 3, 5)], {"scale": (3,)},
         lambda x, w: quantized(x, per(w["scale"], x, 1), 0.0, -8, 7)),
        ({**WHOLE, "to": "fp8_e4m3"}, [(2, 3, 5)], {"scale": (1,)},
         lambda x, w: np.clip(x / w["scale"], -448, 448)),
    ],
    "dequantize": [
        ({**WHOLE, "to": "activation"}, [(2, 3, 5)], {"scale": (1,)}, lambda x, w: x * w["scale"]),
        ({**SHIFTED, "to": "fp16"}, [(3, 2, 5)], BOTH,
         lambda x, w: (x - per(w["zero_point"], x, 0)) * per(w["scale"], x, 0)),
    ],
}  # fmt: skip

APART: set[str] = set()
