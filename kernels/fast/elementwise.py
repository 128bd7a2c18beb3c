"""Arithmetic of one tensor and of two: one library call each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from perfmodel.kernels.registry import kernel

#: the other operand where only one tensor is given, as the naive kernels take it
SCALAR = 1.5
FORMATS = ("fp32", "fp64", "fp16")

_UNARY = {"exp": "exp", "log": "log", "sqrt": "sqrt", "abs": "absolute", "neg": "negative"}
_BINARY = {
    "add": "add", "sub": "subtract", "mul": "multiply", "div": "divide", "pow": "power",
    "maximum": "maximum", "minimum": "minimum",
}  # fmt: skip


def _unary(call: str) -> Callable[..., Any]:
    def run(xp: Any, op: Any, ws: Any, a: Any) -> Any:
        return getattr(xp, call)(a.x, out=ws.output(a))

    return run


def _binary(call: str) -> Callable[..., Any]:
    def run(xp: Any, op: Any, ws: Any, a: Any) -> Any:
        b = a.inputs[1] if len(a.inputs) == 2 else SCALAR
        return getattr(xp, call)(a.x, b, out=ws.output(a))

    return run


for _name, _call in _UNARY.items():
    kernel(_name, native=FORMATS)(_unary(_call))
for _name, _call in _BINARY.items():
    kernel(_name, native=FORMATS)(_binary(_call))


@kernel("scale")
def scale(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """One product with a factor that is broadcast along the other axes."""
    axis = op.axis % a.x.ndim
    shape = [1] * a.x.ndim
    shape[axis] = -1
    return xp.multiply(a.x, a.weights["factor"].reshape(shape), out=ws.output(a))


@kernel("pointwise", refuses=lambda op, t: _only_floats(op, t))
def pointwise(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """So many additions and so many hyperbolic tangents, each a pass; not blocked."""
    out = ws.output(a)
    values = a.inputs
    if op.vector == 0 and op.special == 0:
        xp.copyto(out, values[0])
        return out
    done = values[0]
    for i in range(op.vector):
        done = xp.add(done, values[(i + 1) % len(values)], out=out)
    for _ in range(op.special):
        done = xp.tanh(done, out=out)
    return done


def _only_floats(op: Any, t: Any) -> str | None:
    if t.y.dtype != t.x.dtype:
        return "a pointwise function that changes the format"
    return None


@kernel("cast")
def cast(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """One converting copy."""
    out = ws.output(a)
    xp.copyto(out, a.x, casting="unsafe")
    return out


@kernel("rope")
def rope(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """Pairs turned by products with a table, sample by sample; six strided passes."""
    batch, steps, columns = a.x.shape
    dim, turned = op.head_dim, op.rotary_dim or op.head_dim
    heads, half = columns // dim, turned // 2
    out = ws.output(a)
    x, y = (v.reshape(batch, steps, heads, dim) for v in (a.x, out))
    table = a.weights["table"]
    cosine, sine = (table[:, i * half : (i + 1) * half].reshape(steps, 1, half) for i in (0, 1))
    t = ws.buffer("t", (steps, heads, half), out.dtype)
    for n in range(batch):
        even, odd = x[n, ..., 0:turned:2], x[n, ..., 1:turned:2]
        for to, one, other, join in (
            (y[n, ..., 0:turned:2], cosine, sine, xp.subtract),
            (y[n, ..., 1:turned:2], sine, cosine, xp.add),
        ):
            xp.multiply(even, one, out=to)
            xp.multiply(odd, other, out=t)
            join(to, t, out=to)
        if turned < dim:
            xp.copyto(y[n, ..., turned:], x[n, ..., turned:])
    return out
