"""Resizing as a product with a matrix an axis; samples at places by hat functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Size = tuple[int, int]


def hat(d: Array) -> Array:
    return np.maximum(1 - np.abs(d), 0)


def keys(d: Array, a: float = -0.75) -> Array:
    """Keys' cubic convolution kernel."""
    d = np.abs(d)
    near = (a + 2) * d**3 - (a + 3) * d**2 + 1
    far = a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0))


def interpolation(outputs: int, inputs: int, kernel: Callable[[Array], Array]) -> Array:
    """Return the matrix [outputs, inputs] of weights, what lies outside folded on the border."""
    centre = (np.arange(outputs) + 0.5) * inputs / outputs - 0.5
    reach = np.arange(-4, inputs + 4)
    weights = kernel(centre[:, None] - reach[None, :])
    matrix = np.zeros((outputs, inputs))
    np.add.at(matrix, (slice(None), np.clip(reach, 0, inputs - 1)), weights)
    return matrix


def resized(x: Array, size: Size, kernel: Callable[[Array], Array]) -> Array:
    rows, columns = (interpolation(o, i, kernel) for o, i in zip(size, x.shape[2:], strict=True))
    return np.einsum("ph,qw,nchw->ncpq", rows, columns, x)


def nearest(x: Array, size: Size) -> Array:
    rows, columns = (
        np.floor(np.arange(o) * i / o + 1e-9).astype(int)
        for o, i in zip(size, x.shape[2:], strict=True)
    )
    return x[:, :, rows][:, :, :, columns]


def grid_sampled(x: Array, grid: Array) -> Array:
    """Sample at places held inside the image, by the product of two hat functions."""
    H, W = x.shape[2:]
    across, down = ((np.clip(grid[..., i], -1, 1) + 1) / 2 * (d - 1) for i, d in ((0, W), (1, H)))
    columns = hat(across[..., None] - np.arange(W))
    rows = hat(down[..., None] - np.arange(H))
    return np.einsum("npqh,npqw,nchw->ncpq", rows, columns, x)


CASES: dict[str, Any] = {
    "resize": [
        ({"target": size, "mode": mode}, [(2, 3, *image)], {},
         lambda x, w, s=size, f=function: f(x, s))
        for mode, function in (
            ("nearest", nearest),
            ("bilinear", lambda x, size: resized(x, size, hat)),
            ("cubic", lambda x, size: resized(x, size, keys)),
        )
        for image, size in (((4, 5), (8, 15)), ((7, 3), (3, 7)), ((9, 6), (1, 2)), ((1, 1), (2, 3)))
    ],
    "grid_sample": [
        ({}, [(2, 3, *image), (2, *places, 2)], {}, lambda x, grid, w: grid_sampled(x, grid))
        for image, places in (((4, 5), (3, 2)), ((1, 3), (5, 5)), ((7, 2), (1, 9)))
    ],
}  # fmt: skip

APART: set[str] = set()
