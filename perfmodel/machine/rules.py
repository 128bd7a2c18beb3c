"""What a device that nobody measured is taken to reach, by rules on its datasheet.

The shares are rounded means of fits to public kernel timings of seven NVIDIA devices,
P100 to H200 (docs/accuracy.md says how well they carry over); for CPUs and other
accelerators they are guesses of the same order, and their spreads say so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perfmodel.machine.efficiency import FAMILIES, PARAMETERS, Efficiency, Estimate, Spread

if TYPE_CHECKING:
    from perfmodel.machine.device import Machine

_GPU = {
    "compute_share": 0.87,
    "memory_share": 0.80,
    "cache_gain": 1.5,
    "step": 4500.0,
    "latency": 2.0e-6,
    "block": 4.0e-6,
    "throttle": 0.20,
    "row_share": 0.70,
}
#: an engine without a menu of tiles: its cores keep busy on any block
_OTHER = {**_GPU, "step": 0.0, "latency": 0.0, "block": 0.0, "throttle": 0.0, "cache_gain": 1.0}

#: factor within which 90 % of kernels lie on either side, on a device never measured
_SPREAD_GPU = {"product": 1.45, "attention": 2.0, "rows": 1.5, "stream": 1.3}
_SPREAD_OTHER = dict.fromkeys(FAMILIES, 2.0)


def default_efficiency(machine: Machine) -> Efficiency:
    """Return the efficiency of a device by rules: its launches are those that its file states."""
    values = dict(_GPU if machine.kind == "gpu" else _OTHER)
    for mode in ("eager", "graph"):
        values[f"launch_{mode}"] = machine.overhead.get(mode) or 0.0
    spread = _SPREAD_GPU if machine.kind == "gpu" else _SPREAD_OTHER
    return Efficiency(
        {name: Estimate(values[name]) for name in PARAMETERS},
        {family: Spread(factor) for family, factor in spread.items()},
    )


def efficiency_of(machine: Machine) -> Efficiency:
    """Return what the device's file states, completed by the rules."""
    rules, stated = default_efficiency(machine), machine.efficiency
    if stated is None:
        return rules
    return Efficiency(
        {**rules.parameters, **stated.parameters}, {**rules.spreads, **stated.spreads}
    )
