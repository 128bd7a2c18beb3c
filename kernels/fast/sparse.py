"""Sparse layers as NumPy runs them best: stored weights spread out once, then dense products.

No array library skips zeros at the speed of BLAS below a density of some per cent.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from perfmodel.kernels.arrays import Arrays, values_of
from perfmodel.kernels.cuda import is_dry
from perfmodel.kernels.fast.convolution import im2col
from perfmodel.kernels.fast.dense import affine
from perfmodel.kernels.registry import kernel


def _refuses(op: Any, t: Any) -> str | None:
    return "zeros are to be skipped" if op.algorithm == "sparse" else None


def _spread(xp: Any, op: Any, a: Arrays, depth: int) -> Any:
    """Return the weights with their zeros, [K, depth]; a taken column means the next free one."""
    import numpy as np

    values, indices = a.weights["values"], a.weights["indices"]
    if is_dry(xp):
        return xp.empty((values.shape[0], depth), values.dtype)
    host = [v.get() if hasattr(v, "get") else v for v in (values, indices)]
    dense = np.zeros((values.shape[0], depth), dtype=host[0].dtype)
    for row, (stored, places) in enumerate(zip(*host, strict=True)):
        taken: set[int] = set()
        for j, index in enumerate(places):
            structured = op.pattern == "structured"
            first, length = (j // op.kept * op.of, op.of) if structured else (0, depth)
            place = int(index) % length
            while first + place in taken:
                place = (place + 1) % length
            taken.add(first + place)
            dense[row, first + place] = stored[j]
    return xp.asarray(dense)


@kernel("sparse_affine", algorithm="dense", refuses=_refuses)
def sparse_affine(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """The dense layer's product."""
    weight = ws.once("dense", lambda: _spread(xp, op, a, a.x.shape[-1]))
    return affine(xp, op, ws, Arrays(a.inputs, {"weight": weight}, {}, a.tensors))


@kernel("sparse_conv2d", algorithm="dense", refuses=_refuses)
def sparse_conv2d(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """The dense layer's product, filters turned from taps first to channels first once."""
    channels = a.x.shape[1 if op.layout == "nchw" else -1] // op.groups
    taps = op.kernel if isinstance(op.kernel, tuple | list) else (op.kernel,) * 2
    depth = channels * taps[0] * taps[1]

    def turned() -> Any:
        dense = _spread(xp, op, a, depth)
        view = xp.moveaxis(dense.reshape(-1, *taps, channels), -1, 1)
        made = ws.buffer("turned", view.shape, dense.dtype)
        xp.copyto(made, view)
        return made

    names = ("kernel", "stride", "padding", "dilation", "groups", "layout")
    dense = SimpleNamespace(**{n: getattr(op, n) for n in names}, pad_mode="explicit")
    weight = ws.once("dense", turned)
    return im2col(xp, dense, ws, Arrays(a.inputs, {"weight": weight}, {}, a.tensors))


@values_of("sparse_affine", "indices")
@values_of("sparse_conv2d", "indices")
def _columns(op: Any, t: Any, shape: tuple[int, ...], rng: Any) -> Any:
    return rng.integers(0, 4 if op.pattern == "structured" else 1 << 20, shape)
