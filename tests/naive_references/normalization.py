"""Normalizations by means and variances over axes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
EPSILON = 1e-5


def standard(x: Array, axes: tuple[int, ...]) -> Array:
    mean, variance = x.mean(axis=axes, keepdims=True), x.var(axis=axes, keepdims=True)
    return (x - mean) / np.sqrt(variance + EPSILON)


def grouped(x: Array, groups: int) -> Array:
    parts = x.reshape(x.shape[0], groups, -1)
    return standard(parts, (2,)).reshape(x.shape)


def scaled(x: Array, w: Any) -> Array:
    shape = (1, -1, *[1] * (x.ndim - 2))
    return x * w["gamma"].reshape(shape) + w["beta"].reshape(shape)


def renormalized(x: Array, w: Any, r_max: float, d_max: float) -> Array:
    mean = x.mean(axis=(0, 2, 3))
    sigma = np.sqrt(x.var(axis=(0, 2, 3)) + EPSILON)
    r = np.clip(sigma / w["deviation"], 1 / r_max, r_max)
    d = np.clip((mean - w["mean"]) / w["deviation"], -d_max, d_max)
    corrected = (x - mean.reshape(1, -1, 1, 1)) * (r / sigma).reshape(1, -1, 1, 1)
    return scaled(corrected + d.reshape(1, -1, 1, 1), w)


def responses(x: Array, size: int) -> Array:
    """PyTorch's and the paper's window: size // 2 channels before, the rest after."""
    before = size // 2
    squares = np.pad(x**2, ((0, 0), (before, size - 1 - before), (0, 0), (0, 0)))
    sums = sum(squares[:, i : i + x.shape[1]] for i in range(size))
    return x * (2.0 + 1e-4 / size * sums) ** -0.75


VECTOR3 = dict.fromkeys(("gamma", "beta"), (3,))
VECTOR6 = dict.fromkeys(("gamma", "beta"), (6,))
STORED = {**VECTOR3, "mean": (3,), "deviation": (3,)}

CASES: dict[str, Any] = {
    "batch_renorm": [
        ({"r_max": r, "d_max": d}, [(2, 3, 5, 2)], STORED,
         lambda x, w, r=r, d=d: renormalized(x, w, r, d)) for r, d in ((1, 0), (3, 5), (2, 1))],
    "group_norm": [
        ({"groups": 2, "affine": True}, [(2, 6, 5, 1)], VECTOR6,
         lambda x, w: scaled(grouped(x, 2), w)),
        ({"groups": 3, "affine": False}, [(2, 6, 5)], {}, lambda x, w: grouped(x, 3)),
    ],
    "instance_norm": [
        ({"affine": True}, [(2, 3, 5, 2)], VECTOR3,
         lambda x, w: scaled(standard(x, (2, 3)), w)),
        ({"affine": False}, [(2, 3, 5, 2)], {}, lambda x, w: standard(x, (2, 3))),
    ],
    "local_response_norm": [
        ({"size": size}, [(2, 7, 3, 2)], {}, lambda x, w, n=size: responses(x, n))
        for size in (1, 4, 5, 9)],
}  # fmt: skip
APART: set[str] = set()
