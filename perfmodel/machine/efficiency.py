"""Efficiency: how far a device stays behind its datasheet, in ten numbers with a meaning.

The numbers are never folded into the peaks. A hardware file states those that were
fitted to measured kernels, under `efficiency`; the others come from the rules of
`perfmodel.machine.rules`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Method = Literal["measured", "fitted", "default"]


@dataclass(frozen=True)
class Parameter:
    """One number of a device: its unit ('s', 'products' or '' for a share), meaning, bounds."""

    unit: str
    meaning: str
    least: float
    most: float


PARAMETERS: Mapping[str, Parameter] = {
    "launch_graph": Parameter("s", "from one kernel of a graph to the next", 0.0, 1e-3),
    "launch_eager": Parameter("s", "a kernel launched by itself, as its timer sees it", 0.0, 1e-2),
    "compute_share": Parameter("", "share of an engine's peak that long products reach", 0.05, 1.0),
    "memory_share": Parameter("", "share of the last level's bandwidth in streams", 0.05, 1.0),
    "cache_gain": Parameter(
        "", "bandwidth of the last-level cache over that of memory", 1.0, 20.0
    ),
    "step": Parameter(
        "products", "products that a step of the depth is worth at the least", 0.0, 1e5
    ),
    "latency": Parameter("s", "lost by a split of the depth; 0.3 of it by a wave", 0.0, 1e-4),
    "block": Parameter("s", "least time of a block of queries in attention", 0.0, 1e-4),
    "throttle": Parameter("", "slow-down of kernels far over 0.5 ms by the power limit", 0.0, 2.0),
    "row_share": Parameter(
        "", "softmax and normalizations: share of the bandwidth of streams", 0.05, 1.0
    ),
}

#: kinds of kernels whose predictions have an interval of their own
FAMILIES = ("product", "attention", "rows", "stream")


@dataclass(frozen=True)
class Efficiency:
    """The parameters of a device, where each comes from, and how far predictions are off.

    ``values`` are in SI; ``spread`` is by family the factor, above 1, within which 90 % of
    measurements lie on either side; ``methods`` say 'fitted' or 'default' by parameter;
    ``residual`` is by family the mean absolute error of the fit, ``rows`` its kernels.
    """

    values: Mapping[str, float]
    spread: Mapping[str, float]
    methods: Mapping[str, Method]
    residual: Mapping[str, float] = field(default_factory=dict)
    rows: Mapping[str, int] = field(default_factory=dict)
    source: str | None = None
    date: str | None = None

    def __getitem__(self, name: str) -> float:
        return self.values[name]
