"""The clock that a timer reads, and the backend that calls run on."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol

from perfmodel.errors import InputError
from perfmodel.measure.conditions import Disturbance, read_disturbance

Call = Callable[[], object]


class Clock(Protocol):
    """Seconds of wall and CPU time, and what disturbed us. Tests bring one of their own."""

    def wall(self) -> float:
        """Return seconds since some moment."""

    def cpu(self) -> float:
        """Return the process's CPU seconds, of all its threads."""

    def disturbance(self) -> Disturbance:
        """Return the running counts."""


class SystemClock:
    """The operating system's clocks."""

    def wall(self) -> float:
        """Return seconds since some moment."""
        return time.perf_counter()

    def cpu(self) -> float:
        """Return the process's CPU seconds, of all its threads."""
        return time.process_time()

    def disturbance(self) -> Disturbance:
        """Return the running counts."""
        return read_disturbance()


class Backend(Protocol):
    """Where kernels run: an array namespace, a clock, a way to wait, a thread count."""

    name: str
    clock: Clock
    #: whether CPU time is the time of the kernels (one host thread, nothing offloaded)
    on_cpu: bool

    def arrays(self) -> Any:
        """Return the array namespace (numpy, cupy)."""

    def run(self, call: Call, times: int) -> None:
        """Run ``call`` so often and wait until its results are there."""

    def synchronize(self) -> None:
        """Wait for what was started."""

    def threads(self, count: int) -> AbstractContextManager[object]:
        """Return a context in which the libraries use ``count`` threads."""


class NumpyBackend:
    """NumPy on the CPU: calls return when they are done."""

    name = "numpy"
    on_cpu = True

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock: Clock = clock or SystemClock()

    def arrays(self) -> Any:
        """Return numpy."""
        import numpy

        return numpy

    def run(self, call: Call, times: int) -> None:
        """Run ``call`` so often."""
        for _ in range(times):
            call()

    def synchronize(self) -> None:
        """Nothing is ever left to wait for."""

    def threads(self, count: int) -> AbstractContextManager[object]:
        """Limit BLAS and OpenMP to ``count`` threads.

        Raises InputError for fewer than one.
        """
        from threadpoolctl import threadpool_limits

        if count < 1:
            raise InputError(f"found {count} threads, expected at least 1")
        limits: AbstractContextManager[object] = threadpool_limits(count)
        return limits
