"""Batch, group, instance and local response normalization."""

from __future__ import annotations

from typing import Any

from perfmodel.kernels.fast._blocks import ranges
from perfmodel.kernels.fast.normalization import EPSILON, inverse_root
from perfmodel.kernels.registry import kernel

#: how far a batch moves the stored statistics
MOMENTUM = 0.1
#: of local response normalization
K, ALPHA, BETA = 2.0, 1e-4, 0.75


def _image(op: Any, x: Any) -> tuple[Any, int]:
    """Return x as [N, C, places] or [N, places, C], and the axis of its channels."""
    if op.layout == "nhwc":
        return x.reshape(x.shape[0], -1, x.shape[-1]), 2
    return x.reshape(x.shape[0], x.shape[1], -1), 1


def _vector(v: Any, axis: int) -> Any:
    return v.reshape(-1, 1) if axis == 1 else v.reshape(1, -1)


def _scaled(xp: Any, x: Any, y: Any, axis: int, scale: Any, shift: Any) -> None:
    """Set y to scale x + shift by channels, block by block in cache."""
    for n in range(x.shape[0]):
        for block in ranges(xp, x.shape[1], x.shape[2] * y.itemsize):
            factor, more = _vector(scale, axis), _vector(shift, axis)
            if axis == 1:
                factor, more = factor[block], more[block]
            xp.multiply(x[n, block], factor, out=y[n, block])
            xp.add(y[n, block], more, out=y[n, block])


def _moved(xp: Any, stored: Any, batch: Any, correction: float = 1.0) -> None:
    xp.multiply(stored, 1.0 - MOMENTUM, out=stored)
    xp.add(stored, batch * (MOMENTUM * correction), out=stored)


def _statistics(xp: Any, ws: Any, x: Any, axis: int) -> tuple[Any, Any]:
    """Return mean and variance by channel from one pass over blocks, squares in cache."""
    C = x.shape[axis]
    total, square = (ws.buffer(("sum", i), (C,), x.dtype) for i in range(2))
    part = ws.buffer("part", (C,), x.dtype)
    blocks = list(ranges(xp, x.shape[1], x.shape[2] * x.itemsize))
    t = ws.buffer("squares", (blocks[0].stop, x.shape[2]), x.dtype)
    xp.copyto(total, 0.0)
    xp.copyto(square, 0.0)
    for n in range(x.shape[0]):
        for block in blocks:
            rows, room = x[n, block], t[: block.stop - block.start]
            kept = block if axis == 1 else slice(None)
            for values, into in ((rows, total), (xp.multiply(rows, rows, out=room), square)):
                xp.sum(values, axis=1 if axis == 1 else 0, out=part[kept])
                xp.add(into[kept], part[kept], out=into[kept])
    share = C / x.size
    xp.multiply(total, share, out=total)
    xp.multiply(square, share, out=square)
    xp.subtract(square, xp.multiply(total, total, out=part), out=square)
    return total, square


@kernel("batch_norm")
def batch_norm(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """Scale and shift by channel; in training from the batch's own statistics."""
    if op.folded:
        return a.x
    out = ws.output(a)
    (x, axis), (y, _) = _image(op, a.x), _image(op, out)
    w = a.weights
    scale = ws.like("scale", w["gamma"])
    mean, variance = w["mean"], w["variance"]
    if op.training:
        mean, variance = _statistics(xp, ws, x, axis)
        count = x.size // x.shape[axis]
        _moved(xp, w["mean"], mean)
        _moved(xp, w["variance"], variance, count / (count - 1))
    xp.copyto(scale, variance)
    xp.multiply(inverse_root(xp, scale), w["gamma"], out=scale)
    shift = ws.like("shift", scale)
    xp.subtract(w["beta"], xp.multiply(mean, scale, out=shift), out=shift)
    _scaled(xp, x, y, axis, scale, shift)
    return out


@kernel("batch_renorm")
def batch_renorm(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """Scale and shift by channel from the batch's statistics, corrected by the stored ones."""
    out = ws.output(a)
    (x, axis), (y, _) = _image(op, a.x), _image(op, out)
    w = a.weights
    mean, sigma = _statistics(xp, ws, x, axis)
    xp.sqrt(xp.add(sigma, EPSILON, out=sigma), out=sigma)
    r = xp.clip(sigma / w["deviation"], 1.0 / op.r_max, float(op.r_max))
    d = xp.clip((mean - w["mean"]) / w["deviation"], -float(op.d_max), float(op.d_max))
    scale = w["gamma"] * r / sigma
    shift = w["gamma"] * d + w["beta"] - mean * scale
    _moved(xp, w["mean"], mean)
    _moved(xp, w["deviation"], sigma)
    _scaled(xp, x, y, axis, scale, shift)
    return out


@kernel("group_norm", "instance_norm")
def group_norm(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """Mean, difference, mean square, factor, scale and shift of each group, group by group."""
    out = ws.output(a)
    x, y = a.x, out
    if op.layout == "nhwc":
        x, y = xp.moveaxis(x, -1, 1), ws.buffer("channels first", (1, *a.x.shape[-1:],
                                                *a.x.shape[1:-1]), out.dtype)  # fmt: skip
    N, C = x.shape[:2]
    groups = C if op.name == "instance_norm" else op.groups
    each = C // groups
    places = a.x.size // (N * C)
    gamma, beta = (
        None if v is None else v.reshape(groups, each, 1)
        for v in (a.weights.get("gamma"), a.weights.get("beta"))
    )
    blocks = list(ranges(xp, groups, each * places * out.itemsize))
    t = ws.buffer("square", (blocks[0].stop, each, places), out.dtype)
    s = ws.buffer("statistic", (blocks[0].stop, 1, 1), out.dtype)
    for n in range(N):
        source, target = x[n], y[n if op.layout == "nchw" else 0]
        if op.layout == "nhwc":
            xp.copyto(target, source)
            source = target
        rows, made = (v.reshape(groups, each, places) for v in (source, target))
        for block in blocks:
            wide = block.stop - block.start
            part, to, square, one = rows[block], made[block], t[:wide], s[:wide]
            xp.sum(part, axis=(1, 2), keepdims=True, out=one)
            xp.multiply(one, 1.0 / (each * places), out=one)
            xp.subtract(part, one, out=to)
            xp.multiply(to, to, out=square)
            xp.sum(square, axis=(1, 2), keepdims=True, out=one)
            xp.multiply(one, 1.0 / (each * places), out=one)
            xp.multiply(to, inverse_root(xp, one), out=to)
            if gamma is not None:
                xp.multiply(to, gamma[block], out=to)
            if beta is not None:
                xp.add(to, beta[block], out=to)
        if op.layout == "nhwc":
            xp.copyto(xp.moveaxis(out, -1, 1)[n], target)
    return out


@kernel("local_response_norm")
def local_response_norm(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """Squares, their sum over neighbouring channels by shifted views, a power, a product.

    The power -3/4 is taken as a reciprocal of two roots' product: x^(3/4) = sqrt(x) x^(1/4).
    """
    out = ws.output(a)
    (x, axis), (y, _) = _image(op, a.x), _image(op, out)
    first, C = op.size // 2, x.shape[axis]
    padded = list(x.shape[1:])
    padded[axis - 1] = C + op.size - 1
    squares = ws.once("squares", lambda: xp.zeros(tuple(padded), dtype=out.dtype))
    total = ws.buffer("total", x.shape[1:], out.dtype)

    def shifted(by: int) -> Any:
        at = slice(by, by + C)
        return squares[at] if axis == 1 else squares[:, at]

    for n in range(x.shape[0]):
        xp.multiply(x[n], x[n], out=shifted(first))
        if op.size == 1:
            xp.copyto(total, shifted(0))
        for by in range(1, op.size):
            xp.add(shifted(0) if by == 1 else total, shifted(by), out=total)
        xp.multiply(total, ALPHA / op.size, out=total)
        xp.add(total, K, out=total)
        xp.sqrt(total, out=total)
        root = xp.sqrt(total, out=y[n])
        xp.multiply(total, root, out=total)
        xp.divide(x[n], total, out=y[n])
    return out
