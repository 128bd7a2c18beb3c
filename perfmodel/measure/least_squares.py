"""Robust least squares in logarithms: parameters stay positive, wrong samples pull little."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from perfmodel.core.dims import Array

#: log ratio at which a sample begins to count less
OUTLIER = 0.1
STEPS, STEP = 40, 1e-3
#: standard deviation of a sample that nothing disturbed
NOISE = 0.05

Predict = Callable[[Array], Array]


def fit_logs(predict: Predict, start: Array, widths: Array, measured: Array) -> Array:
    """Return the logarithms x of positive parameters for which ``predict(x)`` fits best.

    Minimises, over samples i with r_i = ln(predict(x)_i / measured_i) / NOISE, and with
    c = OUTLIER / NOISE,

        sum 2 c^2 (sqrt(1 + (r_i / c)^2) - 1) + sum ((x_j - start_j) / widths_j)^2

    by Levenberg and Marquardt's method. The loss is a square for small residuals and
    straight for large ones (pseudo-Huber); ``widths`` say how far a parameter may lie
    from where it starts when no sample tells it.
    """
    knee, goal = OUTLIER / NOISE, np.log(measured)

    def residuals(x: Array) -> Array:
        rest: Array = (np.log(np.maximum(predict(x), 1e-30)) - goal) / NOISE
        return rest

    def loss(rest: Array, x: Array) -> float:
        rows = 2 * knee**2 * (np.sqrt(1 + (rest / knee) ** 2) - 1)
        return float(np.sum(rows) + np.sum(((x - start) / widths) ** 2))

    x, damping = start.copy(), 1e-2
    rest = residuals(x)
    for _ in range(STEPS):
        slope = np.stack(
            [(residuals(x + STEP * unit) - rest) / STEP for unit in np.eye(len(x))], axis=1
        )
        weight = 1 / np.sqrt(1 + (rest / knee) ** 2)
        gradient = slope.T @ (weight * rest) + (x - start) / widths**2
        curvature = (slope.T * weight) @ slope + np.diag(1 / widths**2)
        before, moved = loss(rest, x), 0.0
        for _ in range(8):
            step = np.linalg.solve(curvature + damping * np.diag(np.diag(curvature)), gradient)
            trial = x - np.clip(step, -2, 2)
            found = residuals(trial)
            if loss(found, trial) < before:
                moved = float(np.max(np.abs(trial - x)))
                x, rest, damping = trial, found, damping / 5
                break
            damping *= 6
        if moved < 1e-4:
            break
    return x
