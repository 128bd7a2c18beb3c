"""perfmodel: how fast a network can run on a device, what stops it, what would help.

    >>> import perfmodel
    >>> result = perfmodel.analyze("resnet50", "a100-80gb-sxm", batch=8)
    >>> result.totals["macs"]
    32713474048

Public names load on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perfmodel.api import Analysis, analyze
    from perfmodel.errors import InputError, PerfmodelError
    from perfmodel.machine import Machine, load_hardware
    from perfmodel.readers import load_workload
    from perfmodel.readers.torch import from_torch
    from perfmodel.sweeping import sweep

__version__ = "0.1.0"

_PUBLIC = {
    "Analysis": "perfmodel.api",
    "InputError": "perfmodel.errors",
    "Machine": "perfmodel.machine",
    "PerfmodelError": "perfmodel.errors",
    "analyze": "perfmodel.api",
    "from_torch": "perfmodel.readers.torch",
    "load_hardware": "perfmodel.machine",
    "load_workload": "perfmodel.readers",
    "sweep": "perfmodel.sweeping",
}

__all__ = [
    "Analysis",
    "InputError",
    "Machine",
    "PerfmodelError",
    "__version__",
    "analyze",
    "from_torch",
    "load_hardware",
    "load_workload",
    "sweep",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'perfmodel' has no attribute {name!r}")
    value = getattr(import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
