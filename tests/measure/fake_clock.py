"""A clock and a backend without time: a call says how long it takes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from perfmodel.measure.clocks import Call
from perfmodel.measure.conditions import Disturbance


class FakeClock:
    def __init__(self) -> None:
        self.now = self.used = 0.0
        self.steal = self.switches = 0

    def wall(self) -> float:
        return self.now

    def cpu(self) -> float:
        return self.used

    def disturbance(self) -> Disturbance:
        return Disturbance(self.steal, 0, self.switches)

    def lasting(self, seconds: float | Callable[[], float], share: float = 1.0) -> Call:
        """Return a call of so many seconds of wall time, ``share`` of it on the CPU."""

        def call() -> None:
            spent = seconds() if callable(seconds) else seconds
            self.now += spent
            self.used += share * spent

        return call


class FakeBackend:
    name = "fake"
    on_cpu = True

    def __init__(self) -> None:
        self.clock = FakeClock()

    def arrays(self) -> Any:
        return None

    def run(self, call: Call, times: int) -> None:
        for _ in range(times):
            call()

    def synchronize(self) -> None:
        return None

    def threads(self, count: int) -> Any:
        return nullcontext()
