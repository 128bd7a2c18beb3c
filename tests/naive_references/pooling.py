"""Pooling as reductions over views of windows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def pooled(x: Array, reduce: Any, fill: float, kernel: Any, stride: Any, pads: Any) -> Array:
    """Reduce each window of x[N,C,...]; ``pads`` is (before, after) an axis."""
    rank = x.ndim - 2
    axes = tuple(range(2, 2 + rank))
    padded = np.pad(x, ((0, 0), (0, 0), *pads), constant_values=fill)
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel, axis=axes)
    steps = (slice(None), slice(None), *(slice(None, None, s) for s in stride))
    return reduce(windows[steps], axis=tuple(range(-rank, 0)))


def adaptive(x: Array, reduce: Any, p: int, q: int) -> Array:
    H, W = x.shape[2:]
    rows = [(int(np.floor(i * H / p)), int(np.ceil((i + 1) * H / p))) for i in range(p)]
    columns = [(int(np.floor(i * W / q)), int(np.ceil((i + 1) * W / q))) for i in range(q)]
    return np.stack(
        [
            np.stack([reduce(x[:, :, a:b, c:d], axis=(2, 3)) for c, d in columns], axis=-1)
            for a, b in rows
        ],
        axis=-2,
    )


def adapted(x: Array, reduce: Any, bins: Any) -> Array:
    """Reduce one axis after the other, which reduces boxes."""
    for axis, count in enumerate(bins, 2):
        size = x.shape[axis]
        ends = [(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]
        parts = [reduce(np.take(x, range(a, b), axis), axis=axis) for a, b in ends]
        x = np.stack(parts, axis=axis)
    return x


def pyramid(x: Array, levels: Any) -> Array:
    return np.concatenate(
        [adaptive(x, np.max, n, n).reshape(x.shape[0], -1) for n in levels], axis=1
    )


ONE: dict[str, Any] = {"kernel": 3, "stride": 2, "padding": (1, 0)}
THREE: dict[str, Any] = {"kernel": (2, 1, 3), "stride": (1, 2, 2), "padding": (1, 0, 1)}
THREE_PADS = ((1, 1), (0, 0), (1, 1))

CASES: dict[str, Any] = {
    "max_pool1d": [
        (ONE, [(2, 3, 8)], {}, lambda x, w: pooled(x, np.max, -np.inf, (3,), (2,), ((1, 0),))),
        # Windows hold values 0, 2, 4, then 2, 4, 6, and 4, 6 and one over the end.
        ({"kernel": 3, "stride": 2, "padding": 0, "dilation": 2, "ceil_mode": True}, [(1, 2, 8)],
         {}, lambda x, w: np.stack([x[..., 0:5:2].max(-1), x[..., 2:7:2].max(-1),
                                    x[..., 4:8:2].max(-1)], axis=-1)),
        # Windows start at 0, 2, 4 and, hanging over the end by one, 6.
        ({"kernel": 3, "stride": 2, "padding": 0, "ceil_mode": True}, [(2, 3, 8)], {},
         lambda x, w: pooled(x, np.max, -np.inf, (3,), (2,), ((0, 1),))),
        # The window that would start at 9 starts beyond the image: it is left out.
        ({"kernel": 2, "stride": 3, "padding": (0, 2), "ceil_mode": True}, [(1, 1, 8)], {},
         lambda x, w: pooled(x, np.max, -np.inf, (2,), (3,), ((0, 0),))),
    ],
    "avg_pool1d": [
        (ONE, [(2, 3, 8)], {}, lambda x, w: pooled(x, np.mean, 0.0, (3,), (2,), ((1, 0),))),
        ({**ONE, "layout": "nhwc"}, [(2, 8, 3)], {}, lambda x, w: np.swapaxes(pooled(
            np.swapaxes(x, 1, 2), np.mean, 0.0, (3,), (2,), ((1, 0),)), 1, 2)),
    ],
    "max_pool3d": [(THREE, [(2, 3, 4, 5, 4)], {}, lambda x, w: pooled(
        x, np.max, -np.inf, (2, 1, 3), (1, 2, 2), THREE_PADS))],
    "avg_pool3d": [(THREE, [(2, 3, 4, 5, 4)], {}, lambda x, w: pooled(
        x, np.mean, 0.0, (2, 1, 3), (1, 2, 2), THREE_PADS))],
    "global_max_pool2d": [
        ({}, [(2, 3, 7, 5)], {}, lambda x, w: x.max(axis=(2, 3), keepdims=True)),
        ({"layout": "nhwc"}, [(2, 7, 5, 3)], {}, lambda x, w: x.max(axis=(1, 2), keepdims=True)),
    ],
    **{f"global_{name}_pool{len(shape) - 2}d": [
        ({}, [shape], {}, lambda x, w, f=f: f(x, axis=tuple(range(2, x.ndim)), keepdims=True))]
        for name, f in (("avg", np.mean), ("max", np.max))
        for shape in ((2, 3, 7), (2, 3, 4, 3, 2))},
    **{f"adaptive_{name}_pool{len(bins)}d": [
        ({"bins": bins}, [shape], {}, lambda x, w, f=f, b=bins: adapted(x, f, b))]
        for name, f in (("avg", np.mean), ("max", np.max))
        for bins, shape in (((3,), (2, 3, 7)), ((2, 3, 4), (1, 2, 5, 3, 3)))},
    "adaptive_avg_pool2d": [
        ({"bins": bins}, [(2, 3, 7, 5)], {}, lambda x, w, b=bins: adaptive(x, np.mean, *b))
        for bins in ((3, 2), (7, 1), (9, 4))],
    "adaptive_max_pool2d": [
        ({"bins": bins}, [(2, 3, 7, 6)], {}, lambda x, w, b=bins: adaptive(x, np.max, *b))
        for bins in ((3, 4), (1, 6), (8, 9))],
    "spatial_pyramid_pool2d": [
        ({"levels": levels}, [(2, 3, 7, 5)], {}, lambda x, w, n=levels: pyramid(x, n))
        for levels in ((4, 2, 1), (3,))],
}  # fmt: skip

#: their second inputs are random bits and places
APART = {f"{name}{rank}d" for name in ("stochastic_pool", "max_unpool") for rank in (1, 2, 3)}
