"""Operators, a file a family; discovered here, never listed.

A file defines `Operator` classes and imports nothing from its neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from perfmodel.core import Operator
from perfmodel.errors import InputError, did_you_mean, shorten


@cache
def registry() -> Mapping[str, type[Operator]]:
    """Return every operator by name, found in the modules of `perfmodel.ops`."""
    for module in sorted(m.name for m in iter_modules(__path__)):
        import_module(f"perfmodel.ops.{module}")
    found: dict[str, type[Operator]] = {}
    pending = list(Operator.__subclasses__())
    while pending:
        cls = pending.pop()
        pending += cls.__subclasses__()
        if "name" in vars(cls) and cls.__module__.startswith("perfmodel.ops."):
            if cls.name in found:
                raise RuntimeError(f"two operators are called {cls.name!r}")
            found[cls.name] = cls
    return dict(sorted(found.items()))


def make_operator(name: str, **attributes: Any) -> Operator:
    """Return the operator called ``name`` with these attributes."""
    cls: Any = get_operator(name)
    made: Operator = cls(**attributes)
    return made


def get_operator(name: str) -> type[Operator]:
    """Return the operator called ``name``; InputError with near misses for an unknown one."""
    try:
        return registry()[name]
    except KeyError:
        raise InputError(
            f"unknown operator {shorten(name)}",
            mend=f"{did_you_mean(name, registry())} (perfmodel list operators)",
        ) from None
