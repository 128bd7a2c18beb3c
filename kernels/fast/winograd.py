"""Winograd's minimal filtering F(m x m, 3 x 3): fewer products, transforms around them.

Lavin and Gray, "Fast algorithms for convolutional neural networks", arXiv:1509.09308.
The transforms of a tile are one small matrix over all tiles' places: B^T d B is
(B kron B)^T times the tile as a vector, so BLAS runs them too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from perfmodel.kernels.fast._windows import Images, Outputs, filters, slid, slide_of
from perfmodel.kernels.registry import kernel

#: bytes of transformed tiles that wait in cache for their products
TILES_BYTES = 1 << 21

_B2 = [[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]]
_G2 = [[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]]
_A2 = [[1, 1, 1, 0], [0, 1, -1, -1]]
_B4 = [
    [4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0],
    [0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1],
]  # fmt: skip
_G4 = [
    [1 / 4, 0, 0], [-1 / 6, -1 / 6, -1 / 6], [-1 / 6, 1 / 6, -1 / 6],
    [1 / 24, 1 / 12, 1 / 6], [1 / 24, -1 / 12, 1 / 6], [0, 0, 1],
]  # fmt: skip
_A4 = [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]]


def _refuses(op: Any, t: Any) -> str | None:
    s = slide_of(op, t)
    if s.kernel != (3, 3):
        return f"Winograd runs 3x3 filters, found {'x'.join(map(str, s.kernel))}"
    if s.stride != (1, 1) or s.dilation != (1, 1):
        return "Winograd runs stride 1 and dilation 1"
    return "Winograd runs no groups" if op.groups != 1 else None


def _winograd(m: int, input_form: Any, filter_form: Any, output_form: Any) -> Callable[..., Any]:
    size = m + 2

    def run(xp: Any, op: Any, ws: Any, a: Any) -> Any:
        import numpy as np

        def matrix(form: Any) -> Any:
            doubled = np.kron(np.array(form, dtype=float), np.array(form, dtype=float))
            return xp.asarray(doubled.astype(str(a.x.dtype)))

        s, out = slid(op, ws, a), Outputs(xp, ws, a, op.layout)
        weight = filters(xp, ws, a.weights["weight"], op)
        K, C = weight.shape[:2]
        U = ws.once(
            "filters in the transform", lambda: _filters(xp, ws, weight, matrix(filter_form))
        )
        to_tiles = ws.once("B", lambda: matrix(input_form))
        to_outputs = ws.once("A", lambda: matrix(output_form))
        down, across = (-(-p // m) for p in s.outputs)
        images = Images(xp, ws, a.x, _covered(s, m))
        high = max(1, min(down, TILES_BYTES // (size * size * C * across * a.x.itemsize)))
        bias = a.weights.get("bias")
        for n in range(s.batch):
            image = images[n]
            y = out[n]
            for first in range(0, down, high):
                rows = min(high, down - first)
                tiles = rows * across
                d = ws.buffer("tiles", (size, size, C, rows, across), a.x.dtype)
                xp.copyto(d, _tiles(xp, image, m, size, first, rows, across))
                V = ws.buffer("V", (size * size, C, tiles), a.x.dtype)
                flat = d.reshape(size * size, C * tiles)
                xp.matmul(to_tiles, flat, out=V.reshape(size * size, C * tiles))
                M = ws.buffer("M", (size * size, K, tiles), a.x.dtype)
                xp.matmul(U, V, out=M)
                Y = ws.buffer("Y", (m * m, K * tiles), a.x.dtype)
                xp.matmul(to_outputs, M.reshape(size * size, K * tiles), out=Y)
                if bias is not None:
                    shaped = Y.reshape(m * m, K, tiles)
                    xp.add(shaped, bias.reshape(K, 1), out=shaped)
                _put(xp, y, Y.reshape(m, m, K, rows, across), first * m)
            out.done(n)
        return out.out

    return run


def _covered(s: Any, m: int) -> Any:
    """Return the window's sizes with a border wide enough for whole tiles."""
    from dataclasses import replace

    return replace(s, outputs=tuple(-(-p // m) * m for p in s.outputs))


def _filters(xp: Any, ws: Any, weight: Any, form: Any) -> Any:
    """Return G g G^T of every filter, as [places, K, C]."""
    K, C = weight.shape[:2]
    taps = ws.buffer("tap major", (9, K * C), weight.dtype)
    xp.copyto(taps, weight.reshape(K * C, 9).T)
    made = ws.buffer("U", (form.shape[0], K, C), weight.dtype)
    xp.matmul(form, taps, out=made.reshape(form.shape[0], K * C))
    return made


def _tiles(xp: Any, image: Any, m: int, size: int, first: int, rows: int, across: int) -> Any:
    """Return a view of a padded image as [size, size, C, rows, across]."""
    part = image[:, first * m :]
    channel, down, right = part.strides
    return xp.lib.stride_tricks.as_strided(
        part,
        (size, size, image.shape[0], rows, across),
        (down, right, channel, m * down, m * right),
    )


def _put(xp: Any, y: Any, made: Any, top: int) -> None:
    """Write tiles [m, m, K, rows, across] to y[K, P, Q], places beyond the image dropped."""
    m = made.shape[0]
    for i in range(m):
        for j in range(m):
            to = y[:, top + i : top + m * made.shape[3] : m, j::m]
            xp.copyto(to, made[i, j, :, : to.shape[1], : to.shape[2]])


kernel("conv2d", algorithm="winograd2", refuses=_refuses)(_winograd(2, _B2, _G2, _A2))
kernel("conv2d", algorithm="winograd4", refuses=_refuses)(_winograd(4, _B4, _G4, _A4))
