"""Efficiency: how far a device's kernels stay from its datasheet, in few physical parameters.

Peaks stay theoretical; what kernels reach of them is here, each number with how it was
found: measured, fitted to measured kernels, carried over from another device, or a default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

Method = Literal["measured", "fitted", "carried over", "default"]


@dataclass(frozen=True)
class Parameter:
    """What a parameter is: its unit ('' for a share or a factor), meaning and bounds."""

    unit: Literal["", "s", "B", "Hz"]
    meaning: str
    low: float
    high: float


#: every parameter of the machine model
PARAMETERS: Mapping[str, Parameter] = MappingProxyType(
    {
        "matrix_share": Parameter(
            "", "share of the matrix engine's peak that kernels reach", 0.02, 1
        ),
        "bandwidth_share": Parameter(
            "", "share of the last level's bandwidth that kernels reach", 0.02, 1
        ),
        "overhead_eager": Parameter("s", "fixed time of a kernel launched by itself", 0, 1e-2),
        "overhead_graph": Parameter("s", "fixed time of a kernel in a graph", 0, 1e-2),
    }
)


@dataclass(frozen=True)
class Estimate:
    """A parameter's value and how it was found.

    ``n`` rows told it; ``residual`` is the median |predicted / measured - 1| of those rows.
    """

    value: float
    method: Method = "default"
    n: int | None = None
    residual: float | None = None
    date: str | None = None
    source: str | None = None


@dataclass(frozen=True)
class Spread:
    """How far predictions of an operator family are off: standard deviation of ln(p / m)."""

    spread: float
    method: Method = "default"
    n: int | None = None
    date: str | None = None
    source: str | None = None


@dataclass(frozen=True)
class Efficiency:
    """A device's parameters, and the spread of its residuals by operator family."""

    parameters: Mapping[str, Estimate] = field(default_factory=dict)
    residuals: Mapping[str, Spread] = field(default_factory=dict)

    def __getitem__(self, name: str) -> float:
        return self.parameters[name].value
