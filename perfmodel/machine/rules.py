"""What a device that nobody measured is taken to reach, by rules on its datasheet.

A GPU takes the parameters of the devices that were measured, as a geometric mean: near
ones count more, by the years between the releases and by the memory's technology. A
launch carries over as clock cycles. CPUs and other accelerators take guesses, and their
spreads say so. docs/accuracy.md says how well it carries over.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from perfmodel.machine.efficiency import FAMILIES, PARAMETERS, Efficiency, Estimate, Spread

if TYPE_CHECKING:
    from perfmodel.machine.device import Machine

#: years between two releases over which a device's word loses a factor e
YEARS = 1.5
#: what a device's word counts where its memory is of another technology
OTHER_MEMORY = 0.4
#: parameters in seconds that carry over as clock cycles
CYCLES = frozenset({"launch_graph"})


@dataclass(frozen=True)
class Donor:
    """A measured device: its release as a year, its memory, clock (Hz) and fitted parameters."""

    name: str
    year: float
    memory: str
    clock: float
    values: Mapping[str, float]


#: fits to public kernel timings, as in the devices' files (`benchmarks/accuracy.py --write`)
DONORS: tuple[Donor, ...] = ()

#: a GPU without any donor's word
_GPU = {
    "compute_share": 0.87,
    "memory_share": 0.90,
    "cache_gain": 1.5,
    "step": 4500.0,
    "latency": 2.0e-6,
    "norm_launch": 1.75,
    "throttle": 0.15,
    "row_share": 0.90,
}
#: an engine without a menu of tiles: its cores keep busy on any block
_OTHER = {
    "compute_share": 0.87,
    "memory_share": 0.80,
    "cache_gain": 1.0,
    "step": 0.0,
    "latency": 0.0,
    "norm_launch": 1.0,
    "throttle": 0.0,
    "row_share": 1.0,
}

#: factor within which 90 % of kernels lie on either side, on a device never measured
_SPREAD_GPU = {"product": 1.45, "attention": 2.0, "rows": 1.5, "stream": 1.3}
_SPREAD_OTHER = dict.fromkeys(FAMILIES, 2.0)


def year_of(machine: Machine) -> float | None:
    """Return the device's release as a year, 2022.5 for '2022-07'; None where it is unknown."""
    if not machine.released:
        return None
    year, _, month = machine.released.partition("-")
    return int(year) + (int(month[:2]) - 1) / 12 if month else float(year)


def memory_of(machine: Machine) -> str:
    """Return the technology of the device's memory, 'hbm' of hbm2e."""
    return machine.last_level.name.rstrip("0123456789exw_").lower()


def clock_of(machine: Machine) -> float:
    """Return the device's fastest clock in Hz; 1.5 GHz where its file states none."""
    return max(machine.clocks.values(), default=1.5e9)


def carried_over(machine: Machine, donors: Sequence[Donor] | None = None) -> dict[str, float]:
    """Return the parameters that ``donors`` (by default DONORS) tell about a GPU.

    ``v = exp(sum w ln v_i / sum w)``, ``w = exp(-|years| / YEARS)``, times OTHER_MEMORY
    where the memory is of another technology.
    """
    year, memory = year_of(machine), memory_of(machine)
    sums: dict[str, tuple[float, float]] = {}
    for donor in DONORS if donors is None else donors:
        weight = 1.0 if donor.memory == memory else OTHER_MEMORY
        if year is not None:
            weight *= math.exp(-abs(year - donor.year) / YEARS)
        for name, value in donor.values.items():
            carried = value * donor.clock if name in CYCLES else value
            before, total = sums.get(name, (0.0, 0.0))
            sums[name] = before + weight * math.log(max(carried, 1e-12)), total + weight
    found = {name: math.exp(logs / total) for name, (logs, total) in sums.items()}
    return {n: v / clock_of(machine) if n in CYCLES else v for n, v in found.items()}


def default_efficiency(machine: Machine, donors: Sequence[Donor] | None = None) -> Efficiency:
    """Return the efficiency of a device by rules.

    Launches are those that its file states; a GPU's graph takes the donors' cycles
    where it states none.
    """
    gpu = machine.kind == "gpu"
    values = dict(_GPU if gpu else _OTHER)
    for mode in ("eager", "graph"):
        values[f"launch_{mode}"] = machine.overhead.get(mode) or 0.0
    carried = carried_over(machine, donors) if gpu else {}
    if machine.overhead.get("graph") is not None and donors is None:
        carried.pop("launch_graph", None)
    near = ", ".join(donor.name for donor in (DONORS if donors is None else donors))
    spread = _SPREAD_GPU if gpu else _SPREAD_OTHER
    return Efficiency(
        {
            name: Estimate(carried[name], "carried over", source=near)
            if name in carried
            else Estimate(values[name])
            for name in PARAMETERS
        },
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
