"""What each ONNX operator becomes: a table filled by the modules of `readers/onnx/ops/`.

A handler takes a `Call` (one node: inputs, attributes) and returns its outputs as
Values; on the way it puts operators of `perfmodel.ops` into the graph. Defining it
with ``@handles("Conv")`` in any module of that folder is all it takes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Literal

from perfmodel.readers.tracing.values import Value

if TYPE_CHECKING:
    from perfmodel.readers.onnx.call import Call

#: 'modelled': costs by formula; 'free': moves and computes nothing; 'bounded': bytes only
Treatment = Literal["modelled", "free", "bounded"]
Made = Value | Sequence[Value] | None
Handler = Callable[["Call"], Made]

MICROSOFT = "com.microsoft"
_TABLE: dict[tuple[str, str], tuple[Handler, Treatment]] = {}


def handles(
    *names: str, domain: str = "", treatment: Treatment = "modelled"
) -> Callable[[Handler], Handler]:
    """Register a handler for operators of ``domain``."""

    def register(handler: Handler) -> Handler:
        for name in names:
            if (domain, name) in _TABLE:
                raise RuntimeError(f"{domain}::{name} has two handlers")
            _TABLE[domain, name] = (handler, treatment)
        return handler

    return register


@cache
def _loaded() -> dict[tuple[str, str], tuple[Handler, Treatment]]:
    package = import_module("perfmodel.readers.onnx.ops")
    for module in sorted(m.name for m in iter_modules(package.__path__)):
        import_module(f"perfmodel.readers.onnx.ops.{module}")
    return _TABLE


def handler_of(domain: str, name: str) -> Handler | None:
    """Return the handler of an operator, or None."""
    found = _loaded().get((domain, name))
    return found[0] if found else None


def treatments() -> dict[tuple[str, str], Treatment]:
    """Return how each known operator is treated, by domain and name."""
    return {key: treatment for key, (_, treatment) in _loaded().items()}
