"""CallTask: a library call that calibration times, and the pass that it states."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np

from perfmodel.kernels.dry import DryNamespace
from perfmodel.kernels.formats import NUMPY
from perfmodel.kernels.passes import Pass
from perfmodel.measure.clocks import Call

Build = Callable[[Any, Any], Call]
#: numbers drawn for an array; a larger one repeats them, as drawing takes longer than timing
_DRAWN = 1 << 16


@dataclass(frozen=True, eq=False)
class CallTask:
    """A call to time.

    ``build(xp, rng)`` returns it on arrays of ``xp``; without values where ``rng`` is
    None. ``probe`` names the probe that strains the same resource. ``roof`` says which
    roof its best sample may stand for; ``stated`` are its passes where they are known.
    """

    name: str
    probe: str
    build: Build
    roof: str | None = None
    stated: tuple[Pass, ...] | None = None

    def passes(self) -> tuple[Pass, ...]:
        """Return what the call states when it is run again and again."""
        if self.stated is not None:
            return self.stated
        xp = DryNamespace()
        call = self.build(xp, None)
        call()
        xp.recorder.forget()
        call()
        return tuple(xp.passes())


def values(xp: Any, rng: Any, shape: int | Sequence[int], dtype: str, high: int = 0) -> Any:
    """Return an array of numbers from 0.1 up, or of integers below ``high``."""
    sizes = (shape,) if isinstance(shape, int) else tuple(shape)
    if rng is None:
        return xp.empty(sizes, dtype=NUMPY[dtype])
    total = math.prod(sizes)
    drawn = min(total, _DRAWN) if not high else total
    if high:
        block = rng.integers(0, high, drawn)
    elif dtype == "bool":
        block = rng.random(drawn) < 0.5
    else:
        block = np.abs(rng.standard_normal(drawn)) + 0.1
    return xp.asarray(np.resize(block.astype(NUMPY[dtype]), sizes))


def strata(rng: np.random.Generator, low: float, high: float, count: int) -> list[int]:
    """Return ``count`` whole numbers, one in each equal part of ``low`` to ``high`` in logs."""
    edges = np.linspace(np.log(low), np.log(high), count + 1)
    return [round(math.exp(rng.uniform(a, b))) for a, b in pairwise(edges)]


@cache
def extents() -> tuple[int, int, int]:
    """Return the bytes of the first, of a core's last own, and of the last cache."""
    from perfmodel.measure.conditions import read_processor

    caches = read_processor().caches
    if not caches:
        return 32 << 10, 1 << 20, 32 << 20
    own = [c.size for c in caches if c.shared_by == caches[0].shared_by]
    return caches[0].size, own[-1], caches[-1].size


def probe_of(working_set: float) -> str:
    """Return the probe of a call that streams through so many bytes."""
    return "memory" if working_set > extents()[2] / 2 else "calls"
