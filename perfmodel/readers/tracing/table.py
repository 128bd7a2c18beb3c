"""Table: what each operation of a format becomes, filled by the modules of a package.

A handler takes one operation of the model and returns its outputs as Values; on the
way it puts operators of `perfmodel.ops` into the graph. Registering it in any module of
the table's package is all it takes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, Literal

from perfmodel.readers.tracing.values import Value

#: 'modelled': costs by formula; 'free': moves and computes nothing; 'bounded': bytes only
Treatment = Literal["modelled", "free", "bounded"]
Made = Value | Sequence[Value] | None
Handler = Callable[[Any], Made]


def as_list(made: Made) -> list[Value]:
    """Return what a handler made as a list."""
    if made is None:
        return []
    return [made] if isinstance(made, Value) else list(made)


@dataclass
class Table:
    """Handlers by domain and name; ``package`` holds the modules that fill it."""

    package: str
    found: dict[tuple[str, str], tuple[Handler, Treatment]] = field(default_factory=dict)
    _loaded: bool = False

    def handles(
        self, *names: str, domain: str, treatment: Treatment = "modelled"
    ) -> Callable[[Handler], Handler]:
        """Register a handler for operations of ``domain``."""

        def register(handler: Handler) -> Handler:
            for name in names:
                if (domain, name) in self.found:
                    raise RuntimeError(f"{domain}::{name} has two handlers")
                self.found[domain, name] = (handler, treatment)
            return handler

        return register

    def handler_of(self, domain: str, name: str) -> Handler | None:
        """Return the handler of an operation, or None."""
        found = self._all().get((domain, name))
        return found[0] if found else None

    def treatments(self) -> dict[tuple[str, str], Treatment]:
        """Return how each known operation is treated, by domain and name."""
        return {key: treatment for key, (_, treatment) in self._all().items()}

    def _all(self) -> dict[tuple[str, str], tuple[Handler, Treatment]]:
        if not self._loaded:
            self._loaded = True
            for module in sorted(
                m.name for m in iter_modules(import_module(self.package).__path__)
            ):
                import_module(f"{self.package}.{module}")
        return self.found
