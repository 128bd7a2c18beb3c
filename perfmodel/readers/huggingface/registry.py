"""The architectures that are known, found in the modules of this package."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from perfmodel.readers.huggingface.facts import Facts

#: makes of the facts the sections of a workload file: phases, dims, inputs, blocks, nodes
Reader = Callable[[Facts], dict[str, Any]]

_KNOWN: dict[str, Reader] = {}


def architecture(*model_types: str) -> Callable[[Reader], Reader]:
    """Register a reader of configurations of these ``model_type``."""

    def register(reader: Reader) -> Reader:
        _KNOWN.update(dict.fromkeys(model_types, reader))
        return reader

    return register


@cache
def architectures() -> Mapping[str, Reader]:
    """Return the readers by ``model_type``."""
    package = __name__.rpartition(".")[0]
    folder = importlib.import_module(package).__path__
    for module in pkgutil.iter_modules(folder):
        importlib.import_module(f"{package}.{module.name}")
    return dict(sorted(_KNOWN.items()))
