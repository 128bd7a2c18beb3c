"""Matrix products and affine layers: BLAS, and an epilogue block by block."""

from __future__ import annotations

from typing import Any

from perfmodel.kernels.fast._blocks import rows_of
from perfmodel.kernels.fast._products import affine as affine_rows
from perfmodel.kernels.fast._products import product
from perfmodel.kernels.registry import kernel


@kernel("matmul")
def matmul(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """One call; a shared b is one tall product."""
    x, b = a.inputs
    out = ws.output(a)
    if b.ndim == 2 and x.ndim > 2:
        product(xp, rows_of(x), b, rows_of(out))
        return out
    if x.ndim > 2 and all(n == 1 for n in x.shape[:-2]):
        product(xp, x.reshape(x.shape[-2:]), b.reshape(b.shape[-2:]), out.reshape(out.shape[-2:]))
        return out
    return product(xp, x, b, out)


def adding(xp: Any, bias: Any) -> Any:
    """Return an epilogue that adds a vector to each row, None without a vector."""
    if bias is None:
        return None
    return lambda block: xp.add(block, bias, out=block)


@kernel("affine")
def affine(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """x W^T, the bias added while a block of rows is in cache."""
    out = ws.output(a)
    epilogue = adding(xp, a.weights.get("bias"))
    affine_rows(xp, rows_of(a.x), a.weights["weight"], rows_of(out), epilogue)
    return out


@kernel("low_rank_affine")
def low_rank_affine(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """Two products; the narrow one between stays in a buffer."""
    x, out = rows_of(a.x), ws.output(a)
    down, up = a.weights["down"], a.weights["up"]
    latent = ws.buffer("latent", (x.shape[0], down.shape[0]), out.dtype)
    affine_rows(xp, x, down, latent)
    affine_rows(xp, latent, up, rows_of(out), adding(xp, a.weights.get("bias")))
    return out
