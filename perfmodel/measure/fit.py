"""Fits a device's efficiency to measured kernels: robust, in logarithms, held by the rules.

The residual of a kernel is ln(predicted / measured), of a parameter ln(value / rule's
value) over PRIOR, so that what the rows cannot tell stays where the rules put it.
Gauss-Newton steps with a damped diagonal (Levenberg-Marquardt), pseudo-Huber weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from perfmodel.core.dims import Array
from perfmodel.machine import PARAMETERS, Efficiency, Machine, efficiency_of
from perfmodel.measure.predict import predict
from perfmodel.model import family_of
from perfmodel.readers.kernel_table import KernelTable

#: residual, in logarithms, from which a row pulls with its sign only
HUBER = 0.1
#: standard deviation of ln(parameter) about its rule, in units of a row's HUBER
PRIOR = 10.0
MAX_STEPS = 40
#: rows of a family below which its spread is not learned
FEWEST = 8


@dataclass(frozen=True)
class Fit:
    """A fitted device, and by parameter the value by rule and whether the rows told it."""

    machine: Machine
    before: Mapping[str, float]
    told: Mapping[str, bool]


def fit(table: KernelTable, base: Machine, source: str, date: str) -> Fit:
    """Return ``base`` with the efficiency that fits ``table`` best.

    Only parameters that move a prediction by 1 % of their own change are fitted; the
    spread of a family is the factor that holds 90 % of its rows on either side, with an
    allowance for the parameters fitted to few rows.
    """
    start = efficiency_of(base)
    names = [n for n in PARAMETERS if start[n] > 0]
    x0 = np.log([start[n] for n in names])
    low = np.log([max(PARAMETERS[n].least, 1e-12) for n in names])
    high = np.log([PARAMETERS[n].most for n in names])

    def residuals(x: Array) -> Array:
        found = predict(table, _with(base, dict(zip(names, np.exp(x), strict=True)), start))
        return np.log(found.time) - np.log(table.measured)

    x = _levenberg(residuals, x0, low, high)
    moves = np.abs(_jacobian(residuals, x, residuals(x), high)).max(axis=0) > 0.01
    x = np.where(moves, x, x0)
    values = dict(zip(names, (float(v) for v in np.exp(x)), strict=True))
    told = {n: bool(m) for n, m in zip(names, moves, strict=True)}
    fitted = {n: v for n, v in values.items() if told[n]}
    off = residuals(x)
    families = np.array([family_of(c) for c in table.column("class")], dtype=object)
    spread, error, rows = {}, {}, {}
    for family in sorted(set(families)):
        mine = off[families == family]
        rows[family] = len(mine)
        error[family] = float(np.mean(np.abs(np.expm1(mine))))
        if len(mine) >= FEWEST:
            # A fit of p parameters to n rows leaves residuals smaller by sqrt(1 - p/n).
            shrunk = np.sqrt(max(1 - min(sum(told.values()), 5) / len(mine), 0.25))
            spread[family] = float(np.exp(np.quantile(np.abs(mine), 0.9) / shrunk))
    done = Efficiency(
        fitted, spread, dict.fromkeys(fitted, "fitted"), error, rows, source, date
    )
    return Fit(replace(base, efficiency=done), dict(start.values), told)


def _with(base: Machine, values: Mapping[str, float], start: Efficiency) -> Machine:
    return replace(base, efficiency=replace(start, values={**start.values, **values}))


def _levenberg(residuals: object, x0: Array, low: Array, high: Array) -> Array:
    assert callable(residuals)
    x, r, damping = x0, residuals(x0), 1e-2
    cost = _cost(r, x - x0)
    for _ in range(MAX_STEPS):
        jacobian = _jacobian(residuals, x, r, high)
        weight = 1 / np.sqrt(1 + (r / HUBER) ** 2)
        prior = np.full(x.size, PRIOR**-2)
        normal = (jacobian.T * weight) @ jacobian / HUBER**2 + np.diag(prior / HUBER**2 * 1e-2)
        slope = (jacobian.T * weight) @ r / HUBER**2 + prior / HUBER**2 * 1e-2 * (x - x0)
        for _ in range(8):
            step = np.linalg.solve(normal + damping * np.diag(np.diag(normal) + 1e-9), slope)
            tried = np.clip(x - np.clip(step, -1.0, 1.0), low, high)
            r_tried = residuals(tried)
            new = _cost(r_tried, tried - x0)
            if new < cost:
                break
            damping *= 4
        else:
            return x
        gain, x, r, cost, damping = cost - new, tried, r_tried, new, damping / 3
        if gain < 1e-4 * cost:
            return x
    return x


def _cost(r: Array, moved: Array) -> float:
    robust = np.sum(np.sqrt(1 + (r / HUBER) ** 2) - 1)
    return float(robust + 0.5e-2 / (HUBER * PRIOR) ** 2 * np.sum(moved**2))


def _jacobian(residuals: object, x: Array, r: Array, high: Array) -> Array:
    assert callable(residuals)
    out = np.empty((r.size, x.size))
    for i in range(x.size):
        # Steps away from the upper bound, wide enough to cross tiles.
        h = -0.02 if x[i] + 0.02 > high[i] else 0.02
        moved = x.copy()
        moved[i] += h
        out[:, i] = (residuals(moved) - r) / h
    return out
