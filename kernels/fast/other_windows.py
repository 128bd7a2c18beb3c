"""Partial convolution and stochastic pooling."""

from __future__ import annotations

from typing import Any

from perfmodel.kernels.arrays import values_of
from perfmodel.kernels.fast._blocks import ranges
from perfmodel.kernels.fast._products import product
from perfmodel.kernels.fast._windows import Images, Outputs, filters, slid, windows_of
from perfmodel.kernels.registry import kernel

#: keeps the ratio of an empty window finite
TINY = 1e-8


def _floats(op: Any, t: Any) -> str | None:
    return None if t.inputs[1].dtype == t.x.dtype else "a mask in another format than the image"


@kernel("partial_conv2d", refuses=_floats)
def partial_conv2d(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """The masked image lowered to columns, one product, its rows scaled by what was seen."""
    x, mask = a.inputs
    s, out, seen_out = slid(op, ws, a), Outputs(xp, ws, a, op.layout), ws.output(a, 1)
    weight = filters(xp, ws, a.weights["weight"], op)
    rows = weight.reshape(weight.shape[0], -1)
    image = xp.moveaxis(x, -1, 1) if op.layout == "nhwc" else x
    veil = xp.moveaxis(mask, -1, 1) if op.layout == "nhwc" else mask
    made_mask = xp.moveaxis(seen_out, -1, 1) if op.layout == "nhwc" else seen_out
    border = ws.once("border", lambda: xp.zeros((s.channels, *s.padded), dtype=x.dtype))
    veils = ws.once("veils", lambda: xp.zeros((1, *s.padded), dtype=x.dtype))
    inside = tuple(slice(b, b + i) for b, i in zip(s.before, s.image, strict=True))
    columns = ws.buffer("columns", (s.channels, *s.kernel, *s.outputs), x.dtype)
    total, ratio = (ws.buffer(name, (1, *s.outputs), x.dtype) for name in ("total", "ratio"))
    seen = ws.buffer("seen", (1, *s.outputs), "bool")
    bias = a.weights.get("bias")
    for n in range(s.batch):
        xp.multiply(image[n], veil[n], out=border[(slice(None), *inside)])
        xp.copyto(veils[(slice(None), *inside)], veil[n])
        for number, (_, at) in enumerate(s.at_taps):
            part = veils[(slice(None), *at)]
            if number:
                xp.add(total, part, out=total)
            else:
                xp.copyto(total, part)
        xp.greater(total, 0.0, out=seen)
        shown = ws.buffer("shown", (1, *s.outputs), x.dtype)
        xp.copyto(shown, seen)
        xp.copyto(made_mask[n], shown)
        xp.add(total, TINY, out=ratio)
        xp.divide(float(s.taps), ratio, out=ratio)
        xp.multiply(ratio, shown, out=ratio)
        xp.copyto(columns, windows_of(xp, border, s))
        y = out[n]
        product(xp, rows, columns.reshape(-1, s.places), y.reshape(-1, s.places))
        xp.multiply(y, ratio, out=y)
        if bias is not None:
            xp.add(y, bias.reshape(-1, 1, 1), out=y)
            xp.multiply(y, shown, out=y)
        out.done(n)
    return out.out, seen_out


@kernel("stochastic_pool1d", "stochastic_pool2d", "stochastic_pool3d")
def stochastic_pool(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """Running sums of a window's values against a random share of their total, tap by tap."""
    x, random = a.inputs
    s, out = slid(op, ws, a), Outputs(xp, ws, a, op.layout)
    images = Images(xp, ws, x, s)
    chance = xp.moveaxis(random, -1, 1) if op.layout == "nhwc" else random
    blocks = list(ranges(xp, s.channels, s.places * x.itemsize))
    shape = (blocks[0].stop, *s.outputs)
    total, limit, running = (ws.buffer(n, shape, x.dtype) for n in ("total", "limit", "running"))
    early = ws.buffer("early", shape, "bool")
    for n in range(s.batch):
        image, y = images[n], out[n]
        for block in blocks:
            wide = block.stop - block.start
            views = [image[block][(slice(None), *at)] for _, at in s.at_taps]
            to, sums, bound, run, hit = (v[:wide] for v in (y[block], total, limit, running, early))
            xp.copyto(sums, views[0])
            for view in views[1:]:
                xp.add(sums, view, out=sums)
            xp.copyto(bound, chance[n, block])
            xp.multiply(bound, 2.0**-32, out=bound)
            xp.multiply(bound, sums, out=bound)
            # From the last tap back: the first whose running sum passes stays.
            xp.copyto(to, views[-1])
            xp.copyto(run, sums)
            for number in range(len(views) - 2, -1, -1):
                xp.subtract(run, views[number + 1], out=run)
                xp.greater(run, bound, out=hit)
                xp.copyto(to, views[number], where=hit)
        out.done(n)
    return out.out


@values_of("stochastic_pool1d", 0)
@values_of("stochastic_pool2d", 0)
@values_of("stochastic_pool3d", 0)
def _positive(op: Any, t: Any, shape: tuple[int, ...], rng: Any) -> Any:
    return rng.uniform(0.5, 1.5, shape)


@values_of("stochastic_pool1d", 1)
@values_of("stochastic_pool2d", 1)
@values_of("stochastic_pool3d", 1)
def _words(op: Any, t: Any, shape: tuple[int, ...], rng: Any) -> Any:
    return rng.integers(0, 2**31, shape)


@values_of("partial_conv2d", 1)
def _mask(op: Any, t: Any, shape: tuple[int, ...], rng: Any) -> Any:
    return rng.random(shape) < 0.7
