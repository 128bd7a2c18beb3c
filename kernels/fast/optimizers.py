"""Optimizer steps: chains of passes over blocks in cache, new tensors beside the old ones."""

from __future__ import annotations

from typing import Any

from perfmodel.kernels.arrays import values_of
from perfmodel.kernels.fast._blocks import BLOCK_BYTES, ranges
from perfmodel.kernels.fast.normalization import inverse_root
from perfmodel.kernels.registry import kernel

STEP_SIZE, DECAY, MOMENTUM = 0.1, 0.01, 0.9
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
#: 1 / (1 - beta) for the first moment, its root for the second: the first step's corrections
FIRST, SECOND = 1.0 / (1.0 - BETA1), (1.0 / (1.0 - BETA2)) ** 0.5
FACTOR_BETA, SQUARE_EPSILON, LEAST_SCALE = 0.8, 1e-30, 1e-3


def _refuses(op: Any, t: Any) -> str | None:
    if any(x.role == "index" for x in t.inputs):
        return "only some rows are stepped"
    found = {x.dtype for x in t.inputs} - {"fp16"}
    return f"{' and '.join(sorted(found))} side by side" if len(found) > 1 else None


class Parts:
    """Old and new tensors of an optimizer, flat, block by block."""

    def __init__(self, xp: Any, op: Any, ws: Any, a: Any, scratch: int = 1) -> None:
        self.xp, self.op = xp, op
        self.old = [x.reshape(-1) for x in a.inputs]
        self.outputs = tuple(ws.output(a, i) for i in range(len(a.tensors.outputs)))
        self.states = len(a.inputs) - 1
        self.new = [y.reshape(-1) for y in self.outputs[: self.states]]
        item = self.old[0].itemsize
        self.blocks = list(ranges(xp, self.old[0].shape[0], item))
        size = min(self.old[0].shape[0], BLOCK_BYTES // item)
        self.scratch = [ws.buffer(("t", i), (size,), self.old[0].dtype) for i in range(scratch)]

    def each(self) -> Any:
        """Yield old parts, new parts and scratch of each block."""
        for block in self.blocks:
            n = block.stop - block.start
            yield (
                [x[block] for x in self.old],
                [y[block] for y in self.new],
                [t[:n] for t in self.scratch],
            )

    def finish(self) -> Any:
        """Return all outputs: the parameter's copy and the cleared gradient written too."""
        rest = list(self.outputs[self.states :])
        if self.op.master:
            self.xp.copyto(rest.pop(0), self.outputs[0])
        if self.op.clear:
            self.xp.copyto(rest.pop(0), 0.0)
        return self.outputs


@kernel("sgd", refuses=_refuses)
def sgd(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """p - s g."""
    parts = Parts(xp, op, ws, a)
    for (p, g), (new,), _ in parts.each():
        xp.multiply(g, STEP_SIZE, out=new)
        xp.subtract(p, new, out=new)
    return parts.finish()


@kernel("momentum", refuses=_refuses)
def momentum(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """v' = m v + g, p - s v'."""
    parts = Parts(xp, op, ws, a)
    for (p, g, v), (new, speed), _ in parts.each():
        xp.multiply(v, MOMENTUM, out=speed)
        xp.add(speed, g, out=speed)
        xp.multiply(speed, STEP_SIZE, out=new)
        xp.subtract(p, new, out=new)
    return parts.finish()


@kernel("adagrad", refuses=_refuses)
def adagrad(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """s' = s + g^2, p - s g / (sqrt(s') + e)."""
    parts = Parts(xp, op, ws, a)
    for (p, g, s), (new, squares), (t,) in parts.each():
        xp.multiply(g, g, out=t)
        xp.add(s, t, out=squares)
        xp.sqrt(squares, out=t)
        xp.add(t, EPSILON, out=t)
        xp.divide(g, t, out=t)
        xp.multiply(t, STEP_SIZE, out=t)
        xp.subtract(p, t, out=new)
    return parts.finish()


def _adapted(xp: Any, g: Any, m: Any, v: Any, first: Any, second: Any, t: Any) -> None:
    """Set the new moments, and t to the corrected first over the root of the second."""
    xp.multiply(m, BETA1, out=first)
    xp.multiply(g, 1.0 - BETA1, out=t)
    xp.add(first, t, out=first)
    xp.multiply(g, g, out=t)
    xp.multiply(t, 1.0 - BETA2, out=t)
    xp.multiply(v, BETA2, out=second)
    xp.add(second, t, out=second)
    xp.sqrt(second, out=t)
    xp.multiply(t, SECOND / FIRST, out=t)
    xp.add(t, EPSILON / FIRST, out=t)
    xp.divide(first, t, out=t)


@kernel("adam", "adamw", refuses=_refuses)
def adam(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """Both moments, their quotient, the step; adamw shrinks the parameter too."""
    parts = Parts(xp, op, ws, a)
    for (p, g, m, v), (new, first, second), (t,) in parts.each():
        _adapted(xp, g, m, v, first, second, t)
        xp.multiply(t, STEP_SIZE, out=t)
        if op.name == "adamw":
            xp.multiply(p, 1.0 - STEP_SIZE * DECAY, out=new)
            xp.subtract(new, t, out=new)
        else:
            xp.subtract(p, t, out=new)
    return parts.finish()


def _square_sum(xp: Any, x: Any, t: Any, out: Any) -> None:
    xp.multiply(x, x, out=t)
    xp.sum(t, axis=0, keepdims=True, out=out)


@kernel("lamb", refuses=_refuses)
def lamb(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """The update and both norms in one sweep of blocks, the step in a second."""
    parts = Parts(xp, op, ws, a, scratch=2)
    update = ws.like("update", parts.old[0])
    sums = ws.buffer("sums", (2, len(parts.blocks)), update.dtype)
    for number, ((p, g, m, v), (_, first, second), (t, square)) in enumerate(parts.each()):
        _adapted(xp, g, m, v, first, second, t)
        change = update[parts.blocks[number]]
        xp.multiply(p, DECAY, out=change)
        xp.add(change, t, out=change)
        _square_sum(xp, p, square, sums[0, number : number + 1])
        _square_sum(xp, change, square, sums[1, number : number + 1])
    norms = xp.sqrt(xp.sum(sums, axis=1, keepdims=True))
    step = xp.multiply(xp.divide(norms[0], norms[1]), STEP_SIZE)
    for number, ((p, *_), (new, *_), (t, _)) in enumerate(parts.each()):
        xp.multiply(update[parts.blocks[number]], step, out=t)
        xp.subtract(p, t, out=new)
    return parts.finish()


@kernel("adafactor", refuses=_refuses)
def adafactor(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """Row and column sums of squares in one sweep of rows, updates and step in two more."""
    parts = Parts(xp, op, ws, a)
    p, g, of_rows, of_cols = a.inputs
    new, rows, cols = parts.outputs[:3]
    R, C = p.shape
    blocks = list(ranges(xp, R, C * p.itemsize))
    square = ws.buffer("square", (blocks[0].stop, C), p.dtype)
    part = ws.buffer("part", (C,), p.dtype)
    sums = ws.buffer("sums", (2, len(blocks)), p.dtype)
    xp.multiply(of_cols, FACTOR_BETA, out=cols)
    for number, block in enumerate(blocks):
        t = square[: block.stop - block.start]
        _mean_square(xp, p[block], t, sums[0], number)
        xp.multiply(g[block], g[block], out=t)
        xp.add(t, SQUARE_EPSILON, out=t)
        xp.sum(t, axis=1, out=rows[block])
        xp.sum(t, axis=0, out=part)
        xp.multiply(part, 1.0 - FACTOR_BETA, out=part)
        xp.add(cols, part, out=cols)
    xp.multiply(rows, 1.0 - FACTOR_BETA, out=rows)
    xp.add(rows, xp.multiply(of_rows, FACTOR_BETA), out=rows)
    row_factors = inverse_root(xp, xp.divide(rows, xp.sum(rows, axis=0, keepdims=True)), 0.0)
    col_factors = inverse_root(xp, xp.multiply(cols, 1.0), 0.0)
    for number, block in enumerate(blocks):
        t = square[: block.stop - block.start]
        change = new[block]
        xp.multiply(g[block], row_factors[block].reshape(-1, 1), out=change)
        xp.multiply(change, col_factors, out=change)
        _mean_square(xp, change, t, sums[1], number)
    roots = xp.sqrt(xp.multiply(xp.sum(sums, axis=1, keepdims=True), 1.0 / (R * C)))
    scale = xp.multiply(xp.maximum(roots[0], LEAST_SCALE), STEP_SIZE)
    step = xp.divide(scale, xp.maximum(roots[1], 1.0))
    for block in blocks:
        xp.multiply(new[block], step, out=new[block])
        xp.subtract(p[block], new[block], out=new[block])
    return parts.finish()


def _mean_square(xp: Any, x: Any, t: Any, sums: Any, number: int) -> None:
    xp.multiply(x, x, out=t)
    xp.sum(t, axis=(0, 1), keepdims=True, out=sums[number : number + 1].reshape(1, 1))


def _squares(op: Any, t: Any, shape: tuple[int, ...], rng: Any) -> Any:
    return abs(rng.standard_normal(shape)) + 0.1


#: second moments, and sums of squares
for _name, *_places in (
    ("adagrad", 2),
    ("adam", 3),
    ("adamw", 3),
    ("lamb", 3),
    ("adafactor", 2, 3),
):
    values_of(_name, *_places)(_squares)
