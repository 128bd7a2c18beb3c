"""Reuse distances: how many bytes were touched since an array was, as an LRU cache sees it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field


class _Sums:
    """Running sums over call numbers, a Fenwick tree that grows."""

    def __init__(self) -> None:
        self.tree = [0.0] * 1025
        self.values = [0.0] * 1025
        self.total = 0.0

    def add(self, at: int, value: float) -> None:
        while at >= len(self.tree):
            self._grow()
        self.values[at] += value
        self.total += value
        i, size = at + 1, len(self.tree)
        while i < size:
            self.tree[i] += value
            i += i & -i

    def since(self, at: int) -> float:
        """Return the sum of the values at ``at`` and later."""
        before, i = 0.0, at
        while i > 0:
            before += self.tree[i]
            i -= i & -i
        return self.total - before

    def _grow(self) -> None:
        old = self.values
        size = 2 * (len(self.tree) - 1) + 1
        self.tree, self.values, self.total = [0.0] * size, [0.0] * size, 0.0
        for at, value in enumerate(old):
            if value:
                self.add(at, value)


@dataclass
class _Segments:
    """Disjoint stretches of one buffer, in order, with their bytes and last call."""

    low: list[int] = field(default_factory=list)
    high: list[int] = field(default_factory=list)
    bytes: list[float] = field(default_factory=list)
    call: list[int] = field(default_factory=list)


class Reuse:
    """When each stretch of memory was last touched."""

    def __init__(self) -> None:
        self.now = 0
        self._sums = _Sums()
        self._buffers: dict[int, _Segments] = {}

    def next_call(self) -> None:
        """Begin a library call: what it touches counts as touched at the same time."""
        self.now += 1

    def distance(self, buffer: int, low: int, high: int, size: float) -> float:
        """Return the reuse distance in bytes of ``size`` bytes within ``low`` to ``high``.

        What was never touched counts as touched before everything else. A mean,
        where parts were touched at different times. Nothing is changed.
        """
        s = self._buffers.get(buffer)
        spread = high - low
        covered = reused = 0.0
        if s is not None:
            for i in range(bisect_right(s.high, low), bisect_left(s.low, high)):
                part = min(s.high[i], high) - max(s.low[i], low)
                covered += part
                reused += part * max(self._sums.since(s.call[i]), size)
        reused += (spread - covered) * (self._sums.total + size)
        return reused / spread if spread else size

    def touch(self, buffer: int, low: int, high: int, size: float) -> None:
        """Mark ``size`` bytes within ``low`` to ``high`` of ``buffer`` as touched by this call."""
        if high <= low:
            return
        s = self._buffers.setdefault(buffer, _Segments())
        at = bisect_left(s.low, low)
        if at < len(s.low) and s.low[at] == low and s.high[at] == high:
            # The usual case: the same stretch as last time.
            if s.call[at] != self.now:
                self._sums.add(s.call[at], -s.bytes[at])
                self._sums.add(self.now, size)
                s.bytes[at], s.call[at] = size, self.now
            return
        first, last = bisect_right(s.high, low), bisect_left(s.low, high)
        kept: list[tuple[int, int, float, int]] = []
        for i in range(first, last):
            a, b, held, call = s.low[i], s.high[i], s.bytes[i], s.call[i]
            self._sums.add(call, -held)
            for part in ((a, min(b, low)), (max(a, high), b)):
                if part[1] > part[0]:
                    share = held * (part[1] - part[0]) / (b - a)
                    kept.append((*part, share, call))
                    self._sums.add(call, share)
        kept.append((low, high, size, self.now))
        self._sums.add(self.now, size)
        kept.sort()
        s.low[first:last] = [k[0] for k in kept]
        s.high[first:last] = [k[1] for k in kept]
        s.bytes[first:last] = [k[2] for k in kept]
        s.call[first:last] = [k[3] for k in kept]
