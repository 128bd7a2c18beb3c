"""NumPy's sorts for selections; random values are all different, so order is unique."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def ordered(x: Array, axis: int, descending: bool, k: int | None = None) -> tuple[Array, Array]:
    order = np.argsort(-x if descending else x, axis=axis)
    chosen = np.take(order, range(x.shape[axis] if k is None else k), axis=axis)
    return np.take_along_axis(x, chosen, axis), chosen


CASES: dict[str, Any] = {
    "argmax": [
        ({"axis": -1, "keep": False}, [(2, 3, 5)], {}, lambda x, w: x.argmax(axis=-1)),
        ({"axis": 1, "keep": True}, [(2, 3, 5)], {}, lambda x, w: x.argmax(axis=1, keepdims=True)),
    ],
    "topk": [
        ({"axis": axis, "k": k}, [shape], {}, lambda x, w, a=axis, k=k: ordered(x, a, True, k))
        for axis, k, shape in ((-1, 3, (2, 3, 5)), (1, 4, (2, 9, 2)), (0, 1, (1,)), (0, 16, (16,)))
    ],
    "sort": [
        ({"axis": axis, "descending": falling}, [shape], {},
         lambda x, w, a=axis, d=falling: ordered(x, a, d))
        for axis, falling, shape in ((-1, False, (2, 3, 5)), (1, True, (2, 9, 2)), (0, True, (33,)))
    ],
}  # fmt: skip

APART: set[str] = set()
