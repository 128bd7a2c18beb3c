"""Activation functions: chains of library calls over blocks in cache; one fused kernel on a GPU.

A body is ``body(xp, x, y, *scratch)``; it may use y as scratch too. NumPy has no erf:
here it is Abramowitz and Stegun's 7.1.26, within 1.5e-7 in every format.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from perfmodel.kernels import cuda
from perfmodel.kernels.fast._blocks import each, one_call, ranges
from perfmodel.kernels.registry import kernel

FORMATS = ("fp32", "fp64", "fp16")
SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
_ERF = (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592)
_ERF_P = 0.3275911


def activation(name: str, scratch: int, expression: str) -> Callable[..., Any]:
    """Register a body as the kernel of an activation; ``expression`` is it in CUDA C++."""

    def register(body: Callable[..., Any]) -> Callable[..., Any]:
        def run(xp: Any, op: Any, ws: Any, a: Any) -> Any:
            out = ws.output(a)
            if cuda.on_gpu(xp):
                cuda.elementwise(xp, expression, a.x, out)
                return out
            return each(xp, ws, body, (a.x,), out, scratch)

        kernel(name, native=FORMATS)(run)
        return body

    return register


@activation("relu", 0, "max(a, C(0))")
@one_call
def relu(xp: Any, x: Any, y: Any) -> None:
    xp.maximum(x, 0.0, out=y)


@activation("relu6", 0, "min(max(a, C(0)), C(6))")
@one_call
def relu6(xp: Any, x: Any, y: Any) -> None:
    xp.clip(x, 0.0, 6.0, out=y)


@activation("leaky_relu", 0, "max(a, C(0.01) * a)")
def leaky_relu(xp: Any, x: Any, y: Any) -> None:
    xp.multiply(x, 0.01, out=y)
    xp.maximum(x, y, out=y)


@activation("elu", 1, "a > C(0) ? a : C(expm1(a))")
def elu(xp: Any, x: Any, y: Any, t: Any) -> None:
    xp.minimum(x, 0.0, out=t)
    xp.exp(t, out=t)
    xp.subtract(t, 1.0, out=t)
    xp.maximum(x, 0.0, out=y)
    xp.add(y, t, out=y)


@activation("selu", 1, "C(1.0507009873554805) * (a > C(0) ? a : C(1.6732632423543772 * expm1(a)))")
def selu(xp: Any, x: Any, y: Any, t: Any) -> None:
    xp.minimum(x, 0.0, out=t)
    xp.exp(t, out=t)
    xp.subtract(t, 1.0, out=t)
    xp.multiply(t, SELU_SCALE * SELU_ALPHA, out=t)
    xp.maximum(x, 0.0, out=y)
    xp.multiply(y, SELU_SCALE, out=y)
    xp.add(y, t, out=y)


@activation("sigmoid", 0, "C(1) / (C(1) + exp(-a))")
def sigmoid(xp: Any, x: Any, y: Any) -> None:
    # By tanh: no exponential overflows, and tanh is as fast.
    xp.multiply(x, 0.5, out=y)
    xp.tanh(y, out=y)
    xp.multiply(y, 0.5, out=y)
    xp.add(y, 0.5, out=y)


@activation("silu", 1, "a / (C(1) + exp(-a))")
def silu(xp: Any, x: Any, y: Any, t: Any) -> None:
    sigmoid(xp, x, t)
    xp.multiply(x, t, out=y)


@activation("hard_sigmoid", 0, "min(max(a + C(3), C(0)), C(6)) / C(6)")
def hard_sigmoid(xp: Any, x: Any, y: Any) -> None:
    xp.add(x, 3.0, out=y)
    xp.clip(y, 0.0, 6.0, out=y)
    xp.multiply(y, 1.0 / 6.0, out=y)


@activation("hard_swish", 1, "a * min(max(a + C(3), C(0)), C(6)) / C(6)")
def hard_swish(xp: Any, x: Any, y: Any, t: Any) -> None:
    hard_sigmoid(xp, x, t)
    xp.multiply(x, t, out=y)


@activation("tanh", 0, "tanh(a)")
@one_call
def tanh(xp: Any, x: Any, y: Any) -> None:
    xp.tanh(x, out=y)


def erf(xp: Any, x: Any, y: Any, t: Any, p: Any) -> None:
    """Set y to erf(x); x, y and the scratch t and p are four arrays."""
    xp.absolute(x, out=t)
    xp.multiply(t, _ERF_P, out=t)
    xp.add(t, 1.0, out=t)
    xp.reciprocal(t, out=t)
    xp.multiply(x, x, out=y)
    xp.negative(y, out=y)
    xp.exp(y, out=y)
    xp.multiply(t, _ERF[0], out=p)
    for coefficient in _ERF[1:]:
        xp.add(p, coefficient, out=p)
        xp.multiply(p, t, out=p)
    xp.multiply(y, p, out=y)
    xp.subtract(1.0, y, out=y)
    xp.copysign(y, x, out=y)


@activation("gelu", 3, "a * normcdf(a)")
def gelu(xp: Any, x: Any, y: Any, z: Any, t: Any, p: Any) -> None:
    xp.multiply(x, 1.0 / math.sqrt(2.0), out=z)
    erf(xp, z, y, t, p)
    xp.add(y, 1.0, out=y)
    xp.multiply(y, x, out=y)
    xp.multiply(y, 0.5, out=y)


@activation(
    "gelu_tanh",
    0,
    "C(0.5) * a * (C(1) + tanh(C(0.7978845608028654) * (a + C(0.044715) * a * a * a)))",
)
def gelu_tanh(xp: Any, x: Any, y: Any) -> None:
    xp.multiply(x, x, out=y)
    xp.multiply(y, 0.044715, out=y)
    xp.add(y, 1.0, out=y)
    xp.multiply(y, x, out=y)
    xp.multiply(y, math.sqrt(2.0 / math.pi), out=y)
    xp.tanh(y, out=y)
    xp.add(y, 1.0, out=y)
    xp.multiply(y, x, out=y)
    xp.multiply(y, 0.5, out=y)


@activation("softplus", 1, "max(a, C(0)) + log1p(exp(-abs(a)))")
def softplus(xp: Any, x: Any, y: Any, t: Any) -> None:
    xp.absolute(x, out=t)
    xp.negative(t, out=t)
    xp.exp(t, out=t)
    xp.add(t, 1.0, out=t)
    xp.log(t, out=t)
    xp.maximum(x, 0.0, out=y)
    xp.add(y, t, out=y)


@activation("mish", 1, "a * tanh(max(a, C(0)) + log1p(exp(-abs(a))))")
def mish(xp: Any, x: Any, y: Any, t: Any) -> None:
    # tanh(log(1 + e)) = n / (n + 2) with n = e (e + 2); beyond 20 it is 1 in every format.
    xp.minimum(x, 20.0, out=y)
    xp.exp(y, out=y)
    xp.add(y, 2.0, out=t)
    xp.multiply(y, t, out=t)
    xp.add(t, 2.0, out=y)
    xp.divide(t, y, out=y)
    xp.multiply(y, x, out=y)


@kernel("prelu")
def prelu(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """max(x, 0) + slope min(x, 0), channels second; blocks of channels."""
    x, out = a.x, ws.output(a)
    slope = a.weights["slope"]
    channels = 1 if x.ndim < 2 or slope.shape[0] == 1 else x.shape[1]
    rows, made = (v.reshape(-1, channels, max(1, v.size // _outer(x, channels))) for v in (x, out))
    factors = slope.reshape(-1, 1)
    t = ws.buffer("t", rows.shape[1:], out.dtype)
    for n in range(rows.shape[0]):
        for block in ranges(xp, channels, rows.shape[2] * out.itemsize):
            part, y = rows[n, block], made[n, block]
            xp.minimum(part, 0.0, out=t[block])
            xp.multiply(t[block], factors[block] if channels > 1 else factors, out=t[block])
            xp.maximum(part, 0.0, out=y)
            xp.add(y, t[block], out=y)
    return out


def _outer(x: Any, channels: int) -> int:
    return int(x.shape[0] * channels) if x.ndim > 1 and channels > 1 else 1
