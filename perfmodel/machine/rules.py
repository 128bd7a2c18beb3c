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
#: parameters that carry over between memories of one technology only
TECHNOLOGY = frozenset({"cache_gain"})


@dataclass(frozen=True)
class Donor:
    """A measured device: its release as a year, its memory, clock (Hz) and fitted parameters."""

    name: str
    year: float
    memory: str
    clock: float
    values: Mapping[str, float]


#: fits to public kernel timings, as in the devices' files (`benchmarks/accuracy.py --write`)
DONORS: tuple[Donor, ...] = (
    Donor(
        "a100-80gb-sxm",
        2020.83,
        "hbm",
        1410000000.0,
        {
            "launch_graph": 3.178e-06,
            "compute_share": 0.8893,
            "memory_share": 0.7759,
            "cache_gain": 1.0,
            "step": 4993.0,
            "latency": 1.925e-06,
            "throttle": 0.09047,
        },
    ),
    Donor(
        "h200-sxm",
        2023.83,
        "hbm",
        1980000000.0,
        {
            "launch_graph": 2.035e-06,
            "compute_share": 0.9051,
            "memory_share": 1.0,
            "step": 5092.0,
            "latency": 3.598e-06,
            "throttle": 0.2865,
        },
    ),
    Donor(
        "l40s",
        2023.58,
        "gddr",
        2520000000.0,
        {
            "launch_graph": 2.203e-06,
            "compute_share": 0.7618,
            "memory_share": 0.9704,
            "cache_gain": 2.624,
            "step": 3335.0,
            "latency": 1.119e-06,
            "throttle": 0.3981,
        },
    ),
    Donor(
        "a100-40gb-pcie",
        2020.42,
        "hbm",
        1410000000.0,
        {
            "launch_eager": 2.666e-05,
            "memory_share": 0.9276,
            "cache_gain": 1.329,
            "norm_launch": 1.803,
            "row_share": 0.7862,
        },
    ),
    Donor(
        "p100-pcie-16gb",
        2016.42,
        "hbm",
        1303000000.0,
        {
            "launch_eager": 4.501e-05,
            "memory_share": 0.7941,
            "norm_launch": 1.114,
            "row_share": 0.7694,
        },
    ),
    Donor(
        "t4",
        2018.67,
        "gddr",
        1590000000.0,
        {
            "launch_eager": 2.599e-05,
            "memory_share": 0.7938,
            "cache_gain": 1.728,
            "norm_launch": 2.367,
            "row_share": 0.9085,
        },
    ),
    Donor(
        "v100-pcie-32gb",
        2018.17,
        "hbm",
        1380000000.0,
        {
            "launch_eager": 3.202e-05,
            "memory_share": 0.9685,
            "norm_launch": 1.552,
            "row_share": 0.8359,
        },
    ),
)

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

#: factor within which 90 % of kernels lie on either side, on a device never measured: of
#: a GPU near a measured one, and of one whose memory is of another technology
SPREADS = {
    "product": (1.32, 1.70),
    "attention": (1.45, 1.60),
    "reduction": (1.50, 1.50),
    "normalization": (1.35, 1.35),
    "stream": (1.33, 1.33),
}
#: the same of whatever is no GPU of the donors' maker
GUESSED = 2.0
#: a donor is near from this weight on
NEAR = 0.1
#: the maker of all donors
MAKER = "NVIDIA"


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
    sums: dict[str, tuple[float, float]] = {}
    for donor in DONORS if donors is None else donors:
        weight = _weight(machine, donor)
        for name, value in donor.values.items():
            if not _tells(donor, name, machine):
                continue
            carried = value * donor.clock if name in CYCLES else value
            before, total = sums.get(name, (0.0, 0.0))
            sums[name] = before + weight * math.log(max(carried, 1e-12)), total + weight
    found = {name: math.exp(logs / total) for name, (logs, total) in sums.items()}
    return {n: v / clock_of(machine) if n in CYCLES else v for n, v in found.items()}


def _tells(donor: Donor, name: str, machine: Machine) -> bool:
    alike = donor.memory == memory_of(machine)
    return name in donor.values and (alike or name not in TECHNOLOGY)


def _weight(machine: Machine, donor: Donor) -> float:
    year, same = year_of(machine), donor.memory == memory_of(machine)
    near = 1.0 if year is None else math.exp(-abs(year - donor.year) / YEARS)
    return near * (1.0 if same else OTHER_MEMORY)


def default_efficiency(machine: Machine, donors: Sequence[Donor] | None = None) -> Efficiency:
    """Return the efficiency of a device by rules.

    Launches are those that its file states, where it does.
    """
    gpu = machine.kind == "gpu"
    values = dict(_GPU if gpu else _OTHER)
    for mode in ("eager", "graph"):
        values[f"launch_{mode}"] = machine.overhead.get(mode) or 0.0
    carried = carried_over(machine, donors) if gpu else {}
    for mode in ("eager", "graph"):
        if machine.overhead.get(mode) is not None:
            carried.pop(f"launch_{mode}", None)
    donors = DONORS if donors is None else donors
    nearest = sorted(donors, key=lambda donor: -_weight(machine, donor))
    told = {
        name: ", ".join(d.name for d in nearest if _tells(d, name, machine)) for name in carried
    }
    spread = dict.fromkeys(FAMILIES, GUESSED)
    if gpu and machine.vendor == MAKER:
        memory = memory_of(machine)
        near = any(d.memory == memory and _weight(machine, d) >= NEAR for d in donors)
        spread = {family: pair[not near] for family, pair in SPREADS.items()}
    return Efficiency(
        {
            name: Estimate(carried[name], "carried over", source=told[name])
            if name in carried
            else Estimate(values[name])
            for name in PARAMETERS
        },
        {family: Spread(factor) for family, factor in spread.items()},
    )


def efficiency_of(machine: Machine) -> Efficiency:
    """Return what the device's file states, completed by the rules; found once a device."""
    return machine.reached


def completed(machine: Machine) -> Efficiency:
    """Return what the device's file states, completed by the rules."""
    rules, stated = default_efficiency(machine), machine.efficiency
    if stated is None:
        return rules
    return Efficiency(
        {**rules.parameters, **stated.parameters}, {**rules.spreads, **stated.spreads}
    )
