"""How far more threads help: products by the library's threads, streams by Python's."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from perfmodel.measure.clocks import Backend, Call
from perfmodel.measure.streams import stream
from perfmodel.measure.tasks import extents

_SIDE = 1024
_SAMPLES = 5
#: seconds of a stream that a thread goes through before it meets the others
_STRETCH = 2e-3


def thread_counts(most: int) -> list[int]:
    """Return 1, 2, 4, ... and ``most``."""
    counts = [1]
    while counts[-1] * 2 < most:
        counts.append(counts[-1] * 2)
    return [*counts, most] if most > 1 else counts


def measure_scaling(backend: Backend, counts: list[int]) -> list[dict[str, Any]]:
    """Return for each number of threads FLOP/s of an fp32 product, and B/s of copies.

    Each thread copies arrays of its own, of half its own caches together (`own`), of an
    equal share of half the last cache (`shared`), and of twice the last cache (`memory`).
    Wall time, best of a few samples.
    """
    import numpy as np

    xp, rng = backend.arrays(), np.random.default_rng(0)
    _, own, last = extents()
    a, b, out = (xp.ones((_SIDE, _SIDE), dtype="float32") for _ in range(3))
    found = []
    for count in counts:
        with backend.threads(count):
            product = _best(backend, lambda: xp.matmul(a, b, out=out))
        row: dict[str, Any] = {"threads": count, "flop_per_s": 2.0 * _SIDE**3 / product}
        sizes = {"own": own / 2, "shared": last / 2 / count, "memory": 2.0 * last / count}
        for level, size in sizes.items():
            elements = max(int(size / 8), 1)
            calls = [stream("copy", "fp32", elements).build(xp, rng) for _ in range(count)]
            row[f"{level}_bytes_per_s"] = _rate(backend, calls, 8.0 * elements)
        found.append(row)
    return found


def _best(backend: Backend, call: Call) -> float:
    times = []
    for _ in range(_SAMPLES + 1):
        start = backend.clock.wall()
        call()
        times.append(backend.clock.wall() - start)
    return min(times[1:])


def _rate(backend: Backend, calls: list[Call], moved: float) -> float:
    once = max(_best(backend, calls[0]), 1e-9)
    times = max(1, round(_STRETCH / once))

    def repeat(call: Call) -> Callable[[], None]:
        def run() -> None:
            for _ in range(times):
                call()

        return run

    with ThreadPoolExecutor(len(calls)) as pool:

        def together() -> None:
            for future in [pool.submit(repeat(call)) for call in calls]:
                future.result()

        seconds = _best(backend, together)
    return len(calls) * times * moved / seconds
