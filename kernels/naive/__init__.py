"""Naive kernels: each operator's definition as plain loops, one function an operator.

A kernel is called ``kernel(*inputs, weights={name: array}, **attributes)`` and
returns the output array, or a tuple of them. It works on arrays of floats and on
object arrays of numbers that count their own operations. Modules whose name
starts with an underscore hold helpers, not kernels.

The backward pass of ``name`` is ``name_grad(part, dy, *inputs, output=y,
weights=..., **attributes)``, with tuples for dy and y where there are several
outputs: for the gradient kernel called ``part`` it returns the gradients by
tensor, inputs as ``input 0``, ``input 1``, ..., weights by name. Where the backward
pass reads temporaries that training keeps, ``name_kept(*inputs, weights=...,
**attributes)`` returns them by name, and ``name_grad`` takes them as ``kept``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from inspect import getmembers, isfunction
from pkgutil import iter_modules
from typing import Any

import numpy.typing as npt

Kernel = Callable[..., npt.NDArray[Any]]


def naive_kernel(name: str) -> Kernel:
    """Return the naive kernel of the operator called ``name``; KeyError where there is none."""
    return _kernels()[name]


@cache
def _kernels() -> Mapping[str, Kernel]:
    found: dict[str, Kernel] = {}
    for module_name in sorted(m.name for m in iter_modules(__path__)):
        if module_name.startswith("_"):
            continue
        module = import_module(f"{__name__}.{module_name}")
        for name, kernel in getmembers(module, isfunction):
            if kernel.__module__ != module.__name__ or name.startswith("_"):
                continue
            if name in found:
                raise RuntimeError(f"two naive kernels are called {name!r}")
            found[name] = kernel
    return found
