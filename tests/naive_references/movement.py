"""NumPy's own functions for what moves values."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def to_depth(x: Array, f: int) -> Array:
    N, C, H, W = x.shape
    split = x.reshape(N, C, H // f, f, W // f, f)
    return split.transpose(0, 1, 3, 5, 2, 4).reshape(N, C * f * f, H // f, W // f)


def to_space(x: Array, f: int) -> Array:
    N, C, H, W = x.shape
    split = x.reshape(N, C // (f * f), f, f, H, W)
    return split.transpose(0, 1, 4, 2, 5, 3).reshape(N, C // (f * f), H * f, W * f)


def shuffled(x: Array, groups: int) -> Array:
    N, C, H, W = x.shape
    return x.reshape(N, groups, C // groups, H, W).swapaxes(1, 2).reshape(x.shape)


BORDER = {"before": (0, 1, 3), "after": (1, 2, 0)}
WIDTHS = [(0, 1), (1, 2), (3, 0)]
EQUAL = {"parts": 3, "lengths": (), "axis": -1}
GIVEN = {"parts": 2, "lengths": (1, 3), "axis": 1}

CASES: dict[str, Any] = {
    "squeeze": [({"axes": (1, -1)}, [(2, 1, 3, 1)], {}, lambda x, w: x.squeeze((1, 3)))],
    "unsqueeze": [({"axes": (-1, 1)}, [(2, 3)], {}, lambda x, w: x[:, None, :, None])],
    "expand": [
        ({"shape": (4, -1, 5)}, [(3, 1)], {}, lambda x, w: np.broadcast_to(x, (4, 3, 5))),
        ({"shape": (2, 3)}, [(2, 3)], {}, lambda x, w: x),
    ],
    "split": [
        (EQUAL, [(2, 6)], {}, lambda x, w: tuple(np.split(x, 3, axis=-1))),
        (GIVEN, [(2, 4, 3)], {}, lambda x, w: (x[:, :1], x[:, 1:])),
    ],
    "pad": [
        ({**BORDER, "mode": "constant"}, [(2, 3, 4)], {}, lambda x, w: np.pad(x, WIDTHS)),
        ({**BORDER, "mode": "reflect"}, [(2, 3, 4)], {},
         lambda x, w: np.pad(x, WIDTHS, mode="reflect")),
        ({"before": (2,), "after": (), "mode": "reflect"}, [(3,)], {},
         lambda x, w: np.pad(x, 2, mode="reflect")),
        *(({**BORDER, "mode": mode}, [(2, 3, 4)], {},
           lambda x, w, m=mode: np.pad(x, WIDTHS, mode=m)) for mode in ("edge", "wrap")),
    ],
    "tile": [({"repeats": (2, 1, 3)}, [(2, 3, 4)], {}, lambda x, w: np.tile(x, (2, 1, 3)))],
    "pixel_shuffle": [
        ({"factor": 2}, [(2, 12, 3, 5)], {}, lambda x, w: to_space(x, 2)),
        ({"factor": 3}, [(1, 9, 2, 1)], {}, lambda x, w: to_space(x, 3)),
    ],
    "pixel_unshuffle": [({"factor": 2}, [(2, 3, 4, 6)], {}, lambda x, w: to_depth(x, 2))],
    "channel_shuffle": [({"groups": 3}, [(2, 12, 2, 3)], {}, lambda x, w: shuffled(x, 3))],
}  # fmt: skip

#: with indices, in test_movement_kernels
APART: set[str] = {"gather", "scatter"}
