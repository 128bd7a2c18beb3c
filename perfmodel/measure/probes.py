"""A probe for each resource that a kernel can be short of: arithmetic, memory, calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perfmodel.measure.clocks import Backend, Call
from perfmodel.measure.conditions import read_processor

#: side of the matrices of the compute probe: they fit a second-level cache in fp32
SIDE = 256
#: bytes of each array of the memory probe where the last cache's size is not known
_LARGE = 64 << 20
_MOST = 256 << 20


def reference_probes(backend: Backend) -> Mapping[str, Call]:
    """Return the probes by resource.

    compute : C[n,n] = A[n,n] B[n,n] in fp32
    memory : c[n] = a[n] + b[n] in fp32, the three together four times the last cache
    calls : the same on 256 elements, which stay in the first cache
    """
    xp = backend.arrays()
    caches = read_processor().caches
    last = caches[-1].size if caches else _LARGE
    large = min(max(4 * last // 3, 8 << 20), _MOST) // 4
    return {
        "compute": _product(xp, SIDE),
        "memory": _addition(xp, large),
        "calls": _addition(xp, 256),
    }


def _product(xp: Any, side: int) -> Call:
    a, b, out = (xp.ones((side, side), dtype="float32") for _ in range(3))
    return lambda: xp.matmul(a, b, out=out)


def _addition(xp: Any, elements: int) -> Call:
    a, b, out = (xp.ones(elements, dtype="float32") for _ in range(3))
    return lambda: xp.add(a, b, out=out)
