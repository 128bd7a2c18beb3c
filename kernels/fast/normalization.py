"""Layer norm and RMS norm: rows in blocks that stay in cache."""

from __future__ import annotations

from typing import Any

from perfmodel.kernels import cuda
from perfmodel.kernels.fast._blocks import ranges, rows_of
from perfmodel.kernels.registry import kernel

EPSILON = 1e-5


def inverse_root(xp: Any, mean_square: Any, epsilon: float = EPSILON) -> Any:
    """Turn variances into factors, in place."""
    xp.add(mean_square, epsilon, out=mean_square)
    xp.sqrt(mean_square, out=mean_square)
    return xp.reciprocal(mean_square, out=mean_square)


@kernel("layer_norm", "rms_norm")
def norm(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """Mean, difference, mean square, factor, scale and shift: eight passes in cache."""
    x, out, centre = rows_of(a.x), ws.output(a), op.name == "layer_norm"
    y, columns = rows_of(out), a.x.shape[-1]
    gamma, beta = a.weights["gamma"], a.weights.get("beta")
    if cuda.on_gpu(xp):
        cuda.norm(xp, x, gamma, beta, y, centre)
        return out
    blocks = list(ranges(xp, x.shape[0], columns * out.itemsize))
    high = blocks[0].stop
    statistic = ws.buffer("statistic", (high, 1), out.dtype)
    square = ws.buffer("square", (high, columns), out.dtype)
    for block in blocks:
        n = block.stop - block.start
        rows, made, s, t = x[block], y[block], statistic[:n], square[:n]
        if centre:
            xp.sum(rows, axis=1, keepdims=True, out=s)
            xp.multiply(s, 1.0 / columns, out=s)
            rows = xp.subtract(rows, s, out=made)
        xp.multiply(rows, rows, out=t)
        xp.sum(t, axis=1, keepdims=True, out=s)
        xp.multiply(s, 1.0 / columns, out=s)
        xp.multiply(rows, inverse_root(xp, s), out=made)
        xp.multiply(made, gamma, out=made)
        if beta is not None:
            xp.add(made, beta, out=made)
    return out
