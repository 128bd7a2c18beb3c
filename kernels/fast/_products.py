"""Matrix products by the library's fast path, whatever their shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from perfmodel.kernels.cuda import on_gpu
from perfmodel.kernels.fast._blocks import ranges

#: a row block of a product is at least so high that packing the other operand is cheap
LEAST_ROWS = 256
#: and at most so large that its output is in cache when the epilogue comes
OUTPUT_BYTES = 1 << 20


def product(xp: Any, a: Any, b: Any, out: Any) -> Any:
    """Set out[..., M, N] to a[..., M, K] b[..., K, N].

    NumPy hands no product of depth 1 to BLAS; as a broadcast multiplication it is fast.
    """
    if a.shape[-1] == 1:
        return xp.multiply(a, b, out=out)
    return xp.matmul(a, b, out=out)


def affine(
    xp: Any, x: Any, weight: Any, out: Any, epilogue: Callable[[Any], Any] | None = None
) -> Any:
    """Set out[M, O] to x[M, I] weight[O, I]^T, the epilogue run on each block of rows in cache."""
    if epilogue is None or on_gpu(xp):
        product(xp, x, weight.T, out)
        if epilogue is not None:
            epilogue(out)
        return out
    row = out.shape[1] * out.itemsize
    target = max(OUTPUT_BYTES, LEAST_ROWS * row)
    for block in ranges(xp, out.shape[0], row, target):
        product(xp, x[block], weight.T, out[block])
        epilogue(out[block])
    return out
