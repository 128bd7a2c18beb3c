"""Efficiency: how far a device stays behind its datasheet, in ten numbers with a meaning.

The numbers are never folded into the peaks. A hardware file states those that were
found for the device, under `efficiency`; the others come from the rules of
`perfmodel.machine.rules`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Method = Literal["measured", "fitted", "carried over", "default"]


@dataclass(frozen=True)
class Parameter:
    """One number of a device: its unit ('s', 'products' or '' for a share), meaning, bounds.

    ``width`` is how far devices lie apart, in the number's logarithm.
    """

    unit: str
    meaning: str
    least: float
    most: float
    width: float


PARAMETERS: Mapping[str, Parameter] = {
    "launch_graph": Parameter("s", "from one kernel of a graph to the next", 0.0, 1e-3, 0.5),
    "launch_eager": Parameter(
        "s", "a sum of two tensors launched by itself, as its timer sees it", 0.0, 1e-2, 1.0
    ),
    "compute_share": Parameter(
        "", "share of an engine's peak that long products reach", 0.05, 1.0, 0.3
    ),
    "memory_share": Parameter("", "share of the last level's bandwidth in streams", 0.05, 1.0, 0.3),
    "cache_gain": Parameter(
        "", "bandwidth of the last-level cache over that of memory", 1.0, 20.0, 0.5
    ),
    "step": Parameter(
        "products", "products that a step of the depth is worth at the least", 0.0, 1e5, 0.5
    ),
    "latency": Parameter("s", "lost by a split of the depth", 0.0, 1e-4, 1.0),
    "norm_launch": Parameter(
        "", "eager launch of a normalization over that of a sum", 0.5, 10.0, 0.6
    ),
    "throttle": Parameter(
        "", "slow-down of kernels far over 0.5 ms by the power limit", 0.0, 3.0, 1.0
    ),
    "row_share": Parameter(
        "", "softmax and normalizations: share of the bandwidth of streams", 0.05, 1.5, 0.3
    ),
}

#: kinds of kernels whose predictions have an interval of their own, and what they are
FAMILIES: Mapping[str, str] = {
    "product": "matrix products",
    "attention": "attention",
    "reduction": "softmax and reductions",
    "normalization": "normalizations",
    "stream": "streams",
}


@dataclass(frozen=True)
class Estimate:
    """A parameter's value in SI, and how it was found.

    ``n`` measured kernels told it; ``residual`` is their mean |predicted / measured - 1|
    after the fit; ``source`` the data, or the device it was carried over from.
    """

    value: float
    method: Method = "default"
    n: int | None = None
    residual: float | None = None
    date: str | None = None
    source: str | None = None


@dataclass(frozen=True)
class Spread:
    """How far off predictions of a family of kernels are.

    ``factor``, above 1: within it 90 % of measurements lie on either side; ``residual``
    is the mean |predicted / measured - 1| of the ``n`` kernels that told it.
    """

    factor: float
    method: Method = "default"
    n: int | None = None
    residual: float | None = None
    date: str | None = None
    source: str | None = None


@dataclass(frozen=True)
class Efficiency:
    """The parameters of a device by name, and how far predictions are off by family."""

    parameters: Mapping[str, Estimate] = field(default_factory=dict)
    spreads: Mapping[str, Spread] = field(default_factory=dict)

    def __getitem__(self, name: str) -> float:
        return self.parameters[name].value

    @property
    def spread(self) -> dict[str, float]:
        """The factor of each family's 90 % interval."""
        return {family: spread.factor for family, spread in self.spreads.items()}
