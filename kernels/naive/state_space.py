"""Naive selective scan of a state-space layer."""

from __future__ import annotations

import numpy as np

from ._attending import sum_in_order
from ._numbers import Array, Gradients, Number, Weights, exp

Values = list[Number]


def ssm_scan(x: Array, delta: Array, b: Array, c: Array, *, weights: Weights, state: int) -> Array:
    y = np.empty_like(x)
    B, _, D = x.shape
    for i, d in np.ndindex(B, D):
        states, _, _ = _scan(x[i, :, d], delta[i, :, d], b[i], weights["decay"][d])
        for t, h in enumerate(states):
            along = sum_in_order([c[i, t, n] * h[n] for n in range(state)])
            y[i, t, d] = along + weights["skip"][d] * x[i, t, d]
    return y


def _scan(
    x: Array, delta: Array, b: Array, decay: Array
) -> tuple[list[Values], list[Values], Values]:
    h: Values = [0.0] * len(decay)
    states, factors, steps = [], [], []
    for t in range(len(x)):
        into = delta[t] * x[t]
        factor = [exp(delta[t] * a) for a in decay]
        h = [factor[n] * h[n] + into * b[t, n] for n in range(len(decay))]
        states.append(h)
        factors.append(factor)
        steps.append(into)
    return states, factors, steps


def ssm_scan_grad(
    part: str, dy: Array, x: Array, delta: Array, b: Array, c: Array, *, output: Array,
    weights: Weights, state: int,
) -> Gradients:  # fmt: skip
    dx, ddelta, db, dc = (np.full_like(tensor, 0.0) for tensor in (x, delta, b, c))
    ddecay, dskip = (np.full_like(weights[name], 0.0) for name in ("decay", "skip"))
    B, T, D = x.shape
    for i, d in np.ndindex(B, D):
        decay, skip = weights["decay"][d], weights["skip"][d]
        states, factors, steps = _scan(x[i, :, d], delta[i, :, d], b[i], decay)
        carried: Values = [0.0] * state
        for t in reversed(range(T)):
            g, before = dy[i, t, d], states[t - 1] if t else [0.0] * state
            to_step, to_delta = [], []
            for n in range(state):
                dh = carried[n] + g * c[i, t, n]
                dc[i, t, n] = dc[i, t, n] + g * states[t][n]
                db[i, t, n] = db[i, t, n] + dh * steps[t]
                to_step.append(dh * b[i, t, n])
                exponent = dh * before[n] * factors[t][n]
                ddecay[d, n] = ddecay[d, n] + exponent * delta[i, t, d]
                to_delta.append(exponent * decay[n])
                carried[n] = dh * factors[t][n]
            dstep = sum_in_order(to_step)
            dx[i, t, d] = dstep * delta[i, t, d] + g * skip
            ddelta[i, t, d] = sum_in_order(to_delta) + dstep * x[i, t, d]
            dskip[d] = dskip[d] + g * x[i, t, d]
    made = {f"input {i}": gradient for i, gradient in enumerate((dx, ddelta, db, dc))}
    return {**made, "decay": ddecay, "skip": dskip}
