"""The device: what it is (`device`), and how its YAML is read, checked and sourced."""

from __future__ import annotations

from perfmodel.machine.device import (
    ComputeEngine,
    Launch,
    Link,
    Machine,
    MemoryLevel,
    Rate,
    Source,
)
from perfmodel.machine.efficiency import PARAMETERS, Efficiency
from perfmodel.machine.library import Library
from perfmodel.machine.rules import clock_of, efficiency_of

__all__ = [
    "PARAMETERS",
    "ComputeEngine",
    "Efficiency",
    "Launch",
    "Library",
    "Link",
    "Machine",
    "MemoryLevel",
    "Rate",
    "Source",
    "clock_of",
    "efficiency_of",
    "load_hardware",
]


def load_hardware(name: str | Machine) -> Machine:
    """Return a device by built-in name or YAML path; a Machine passes through.

    Raises InputError with file:line:column and the mend.
    """
    from perfmodel.machine.read import read_machine

    return name if isinstance(name, Machine) else read_machine(name)
