"""Fits a device's efficiency to measured kernels: robust least squares with priors.

The residual of a row is ln(predicted / measured), under a pseudo-Huber loss, so that a
row that is wrong by a factor 10 pulls no harder than one that is 20 % off. The prior of
a parameter is its value before, with a width; a parameter whose posterior is hardly
narrower than that is not told by the rows, and stays as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np

from perfmodel.core.dims import Array
from perfmodel.machine import PARAMETERS, Efficiency, Machine, efficiency_of
from perfmodel.machine.efficiency import Estimate, Spread
from perfmodel.measure.predict import predict
from perfmodel.model import family_of
from perfmodel.readers.kernel_table import KernelTable

#: log ratio at which a row begins to count less
OUTLIER = 0.05
#: a parameter is told where the rows make its prior narrower than this share
TOLD = 0.8
STEPS, STEP = 25, 0.02
#: rows below which a family's interval stays that of the rules
FEW = 10
#: measurements that the same code takes again differ by so much (4 to 8 %)
REPEAT = 0.04


def fit(machine: Machine, table: KernelTable) -> Efficiency:
    """Return the efficiency of ``machine`` that predicts ``table`` best.

    Parameters and spreads that the rows do not tell are those of before.
    """
    start = efficiency_of(machine)
    problem = _Problem(machine, table, start)
    free, values = list(PARAMETERS), _at(start, list(PARAMETERS))
    values, told = problem.solve(free, values)
    free = [name for name, yes in zip(free, told, strict=True) if yes]
    values, _ = problem.solve(free, _at(start, free))
    return problem.result(free, values)


def _floor(name: str) -> float:
    """Return what is added before the logarithm of a parameter that may be 0."""
    known = PARAMETERS[name]
    return known.most * 1e-3 if known.least == 0 else 0.0


def _at(efficiency: Efficiency, names: Sequence[str]) -> Array:
    return np.array([np.log(efficiency[name] + _floor(name)) for name in names])


class _Problem:
    """The rows, and what they say about parameters in logarithms."""

    def __init__(self, machine: Machine, table: KernelTable, start: Efficiency) -> None:
        self.machine, self.table, self.start = machine, table, start
        self.measured = np.log(table.measured)
        self.families = np.array([family_of(c) for c in table.column("class")])

    def _values(self, names: Sequence[str], logs: Array) -> dict[str, float]:
        return {
            name: float(np.clip(np.exp(log) - _floor(name), known.least, known.most))
            for name, log in zip(names, logs, strict=True)
            for known in [PARAMETERS[name]]
        }

    def _machine(self, names: Sequence[str], logs: Array) -> Machine:
        changed = {name: Estimate(v) for name, v in self._values(names, logs).items()}
        efficiency = replace(self.start, parameters={**self.start.parameters, **changed})
        return replace(self.machine, efficiency=efficiency)

    def residuals(self, names: Sequence[str], logs: Array) -> Array:
        """Return ln(predicted / measured) by row."""
        found = predict(self.table, self._machine(names, logs)).time
        return np.log(np.maximum(found, 1e-30)) - self.measured

    def noise(self, rest: Array) -> Array:
        """Return by row the standard deviation of its family's rows that are no outliers."""
        found = np.empty(len(rest))
        for family in set(self.families):
            rows = self.families == family
            found[rows] = np.clip(1.4826 * np.median(np.abs(rest[rows])), REPEAT, 0.5)
        return found

    def jacobian(self, names: Sequence[str], logs: Array, at: Array) -> Array:
        """Return the change of every residual with every parameter's logarithm."""
        columns = []
        for index, name in enumerate(names):
            known = PARAMETERS[name]
            # At its upper bound a parameter is looked at from below.
            up = np.exp(logs[index] + STEP) - _floor(name) <= known.most
            moved = logs.copy()
            moved[index] += STEP if up else -STEP
            columns.append((self.residuals(names, moved) - at) / (STEP if up else -STEP))
        return np.stack(columns, axis=1) if columns else np.zeros((len(at), 0))

    def solve(self, names: Sequence[str], start: Array) -> tuple[Array, Sequence[bool]]:
        """Return the best logarithms, and which of them the rows tell."""
        if not names:
            return start, []
        widths = _widths(names)
        low = np.array([np.log(PARAMETERS[n].least + _floor(n)) for n in names])
        high = np.array([np.log(PARAMETERS[n].most + _floor(n)) for n in names])
        logs, damping = np.clip(start, low, high), 1e-2
        rest = self.residuals(names, logs)
        for _ in range(STEPS):
            slope = self.jacobian(names, logs, rest)
            noise = self.noise(rest)
            weight = 1 / (noise**2 * np.sqrt(1 + (rest / OUTLIER) ** 2))
            gradient = slope.T @ (weight * rest) + (logs - start) / widths**2
            curvature = (slope.T * weight) @ slope + np.diag(1 / widths**2)
            before = _loss(rest, noise, (logs - start) / widths)
            moved = False
            for _ in range(6):
                step = np.linalg.solve(curvature + damping * np.diag(np.diag(curvature)), gradient)
                trial = np.clip(logs - step, low, high)
                found = self.residuals(names, trial)
                if _loss(found, noise, (trial - start) / widths) < before:
                    moved = bool(np.max(np.abs(trial - logs)) > 1e-4)
                    logs, rest, damping = trial, found, damping / 4
                    break
                damping *= 6
            if not moved:
                break
        posterior, _ = _posterior(self.jacobian(names, logs, rest), rest, self.noise(rest), widths)
        return logs, list(np.sqrt(np.diag(posterior)) < TOLD * widths)

    def result(self, names: Sequence[str], logs: Array) -> Efficiency:
        """Return the efficiency with the rows that told each parameter."""
        rest = self.residuals(names, logs)
        jacobian = self.jacobian(names, logs, rest)
        _, leverage = _posterior(jacobian, rest, self.noise(rest), _widths(names))
        # A row that the fit leaned on is closer to it than a new one would be.
        off = np.abs(rest) / np.sqrt(np.maximum(1 - leverage, 0.25))
        slope = np.abs(jacobian)
        error = np.abs(np.exp(rest) - 1)
        today, source = date.today().isoformat(), Path(self.table.source).name
        parameters = dict(self.start.parameters)
        for index, (name, value) in enumerate(self._values(names, logs).items()):
            tells = slope[:, index] > 0.1 * np.max(slope[:, index])
            parameters[name] = Estimate(
                value, "fitted", int(np.sum(tells)), float(np.mean(error[tells])), today, source
            )
        spreads = dict(self.start.spreads)
        for family in sorted(set(self.families)):
            rows = self.families == family
            count = int(np.sum(rows))
            if count >= FEW:
                factor = _factor(off[rows])
                residual = float(np.mean(error[rows]))
                spreads[family] = Spread(factor, "fitted", count, residual, today, source)
        return Efficiency(parameters, spreads)


def _loss(rest: Array, noise: Array, prior: Array) -> float:
    rows = 2 * (OUTLIER / noise) ** 2 * (np.sqrt(1 + (rest / OUTLIER) ** 2) - 1)
    return float(np.sum(rows) + np.sum(prior**2))


def _widths(names: Sequence[str]) -> Array:
    return np.array([PARAMETERS[name].width for name in names])


def _posterior(slope: Array, rest: Array, noise: Array, widths: Array) -> tuple[Array, Array]:
    """Return the covariance of the parameters given the rows, and each row's leverage."""
    weight = 1 / (noise**2 * np.sqrt(1 + (rest / OUTLIER) ** 2))
    precision = (slope.T * weight) @ slope + np.diag(1 / widths**2)
    covariance: Array = np.linalg.inv(precision).astype(np.float64)
    return covariance, weight * np.einsum("ij,jk,ik->i", slope, covariance, slope)


def _factor(off: Array) -> float:
    """Return the factor that holds 90 % of rows to come.

    The quantile of as many rows as there are and one more that is far off, as in
    conformal prediction.
    """
    count = len(off)
    level = min(1.0, np.ceil(0.9 * (count + 1)) / count)
    return float(np.exp(max(np.quantile(off, level, method="inverted_cdf"), REPEAT)))
