"""Finds what a chain of nodes does over and over, so that a workload file can say it once.

A repeat is a run of N equal stretches of nodes: same operators and attributes, the
same wiring inside, one tensor handed from each stretch to the next, and whatever else
they read the same tensor for all.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

#: nodes that a repeat must save to be worth a block
LEAST_SAVED = 3


@dataclass(frozen=True)
class Entry:
    """A node, as far as repeats are concerned.

    Parameters
    ----------
    kind : everything but its name and inputs.
    reads : the tensors it reads: (index of the node that makes it, which output), or
        (-1, name) for one from outside.
    """

    kind: Hashable
    reads: tuple[tuple[int, Hashable], ...]


@dataclass(frozen=True)
class Repeat:
    """``times`` stretches of ``length`` nodes from ``start``.

    Parameters
    ----------
    carried : (offset in the stretch, output) of the tensor handed on.
    first : what the first stretch takes in its place.
    others : tensors from outside that every stretch reads.
    """

    start: int
    length: int
    times: int
    carried: tuple[int, Hashable]
    first: tuple[int, Hashable]
    others: tuple[tuple[int, Hashable], ...]

    @property
    def end(self) -> int:
        """The index after the last node."""
        return self.start + self.length * self.times


def find_repeats(entries: Sequence[Entry], outputs: Sequence[tuple[int, Hashable]]) -> list[Repeat]:
    """Return repeats that do not overlap, in order; longest savings first when choosing."""
    readers: dict[int, set[int]] = {}
    for i, entry in enumerate(entries):
        for maker, _ in entry.reads:
            readers.setdefault(maker, set()).add(i)
    for maker, _ in outputs:
        readers.setdefault(maker, set()).add(len(entries))
    numbers: dict[Hashable, int] = {}
    kinds = np.array([numbers.setdefault(e.kind, len(numbers)) for e in entries], dtype=np.int64)
    found: list[Repeat] = []
    pending = [(0, len(entries))]
    while pending:
        low, high = pending.pop()
        best = _best(entries, kinds, readers, low, high)
        if best is not None:
            found.append(best)
            pending += [(low, best.start), (best.end, high)]
    return sorted(found, key=lambda r: r.start)


def _best(
    entries: Sequence[Entry],
    kinds: np.ndarray,
    readers: Mapping[int, set[int]],
    low: int,
    high: int,
) -> Repeat | None:
    candidates: list[tuple[int, int, int, int]] = []
    part = kinds[low:high]
    for length in range(1, (high - low) // 2 + 1):
        same = np.concatenate(([0], (part[:-length] == part[length:]).astype(np.int8), [0]))
        edges = np.flatnonzero(np.diff(same))
        for begin, end in zip(edges[::2], edges[1::2], strict=True):
            run = int(end - begin)
            if run >= length:
                times = run // length + 1
                candidates.append(((times - 1) * length, -length, low + int(begin), run))
    # Rotations of one stretch save the same; the earliest that is wired right is taken.
    for saved, negative, begin, run in sorted(candidates, reverse=True)[:40]:
        if saved < LEAST_SAVED:
            break
        length = -negative
        for shift in range(length):
            times = (run - shift) // length + 1
            while times > 1:
                repeat = _wired(entries, readers, begin + shift, length, times)
                if repeat is not None:
                    return repeat
                times -= 1
                if (times - 1) * length < max(LEAST_SAVED, saved // 2):
                    break
    return None


def _wired(
    entries: Sequence[Entry],
    readers: Mapping[int, set[int]],
    start: int,
    length: int,
    times: int,
) -> Repeat | None:
    """Return the repeat, if its stretches are wired alike and hand on one tensor."""
    if times < 2 or (times - 1) * length < LEAST_SAVED:
        return None
    carried: tuple[int, Hashable] | None = None
    first: tuple[int, Hashable] | None = None
    others: dict[tuple[int, Hashable], None] = {}
    end = start + length * times
    for offset in range(length):
        for place, (maker, output) in enumerate(entries[start + offset].reads):
            inside = maker >= start
            for turn in range(1, times):
                here = start + turn * length
                reads = entries[here + offset].reads
                if len(reads) != len(entries[start + offset].reads):
                    return None
                other, other_output = reads[place]
                if inside:
                    if (other - here, other_output) != (maker - start, output):
                        return None
                elif other < start:
                    if (other, other_output) != (maker, output):
                        return None
                elif here - length <= other < here:
                    handed = (other - (here - length), other_output)
                    if carried not in (None, handed) or first not in (None, (maker, output)):
                        return None
                    carried, first = handed, (maker, output)
                else:
                    return None
            later = entries[start + length + offset].reads[place][0]
            if not inside and later < start:
                others[maker, output] = None
    if carried is None or first is None or first in others:
        return None
    for i in range(start, end):
        turn, offset = divmod(i - start, length)
        beyond = {r for r in readers.get(i, ()) if r >= start + (turn + 1) * length}
        if not beyond:
            continue
        if offset != carried[0] or (
            turn < times - 1 and max(beyond) >= start + (turn + 2) * length
        ):
            return None
    return Repeat(start, length, times, carried, first, tuple(others))
