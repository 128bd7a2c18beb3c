"""Times: how long a piece of work takes, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from perfmodel.core import Dim
from perfmodel.core.dims import maximum, where


@dataclass(frozen=True, eq=False)
class Times:
    """How long one execution takes, in seconds, and why.

    ``engines`` and ``levels`` hold each resource's own time; ``time`` is the prediction,
    ``low`` to ``high`` its 90 % interval, ``ideal`` the hard roofline: theoretical peaks,
    compulsory bytes and no overhead. ``peak`` is the busiest engine's time at its peak.
    """

    engines: Mapping[str, Dim]
    levels: Mapping[str, Dim]
    bytes_by_level: Mapping[str, Dim]
    overhead: Dim
    time: Dim
    low: Dim
    high: Dim
    ideal: Dim
    peak: Dim

    @property
    def compute(self) -> Dim:
        """The slowest engine's time."""
        return maximum(0.0, *self.engines.values())

    @property
    def bandwidth(self) -> Dim:
        """The slowest memory level's time."""
        return maximum(0.0, *self.levels.values())

    def split(self) -> dict[str, Dim]:
        """Return the time by what it is spent on; the parts add up to it."""
        by_compute = self.compute >= self.bandwidth
        busy = self.time - self.overhead
        return {
            "compute": where(by_compute, busy, 0.0),
            "bandwidth": where(by_compute, 0.0, busy),
            "overhead": self.overhead,
        }
