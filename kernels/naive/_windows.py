"""Windows that slide over images of any rank: sizes an axis, padding made real, places."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ._numbers import Array, constant

Place = tuple[int, ...]
Borders = tuple[Place, Place]


def per_axis(value: Any, rank: int = 2) -> Place:
    """Return a size that may be given once for all axes as one an axis."""
    return tuple(value) if isinstance(value, tuple | list) else (value,) * rank


def borders(padding: Any, rank: int) -> Borders:
    """Return what is added before and after each axis."""
    if isinstance(padding, tuple | list) and len(padding) == 2 * rank:
        return tuple(padding[:rank]), tuple(padding[rank:])
    return per_axis(padding, rank), per_axis(padding, rank)


def same_borders(image: Place, taps: Place, steps: Place, gaps: Place) -> Borders:
    """Return the borders that leave as many positions as there are steps in the image."""
    before, after = [], []
    for size, tap, step, gap in zip(image, taps, steps, gaps, strict=True):
        positions = len(range(0, size, step))
        added = max(0, (positions - 1) * step + gap * (tap - 1) + 1 - size)
        before.append(added // 2)
        after.append(added - added // 2)
    return tuple(before), tuple(after)


def pad(x: Array, added: Borders, fill: float) -> Array:
    """Return x[N,C,...] inside a border of ``fill``."""
    before, after = added
    image = x.shape[2:]
    padded = [b + size + a for b, size, a in zip(before, image, after, strict=True)]
    out = np.full((*x.shape[:2], *padded), constant(x.flat[0], fill), dtype=x.dtype)
    out[inside(before, image)] = x
    return out


def inside(before: Place, image: Place) -> tuple[slice, ...]:
    """Return where the image lies in its padded one."""
    return (
        slice(None),
        slice(None),
        *(slice(b, b + size) for b, size in zip(before, image, strict=True)),
    )


def channels_first(x: Array, layout: str) -> Array:
    """Return x[N,C,...] whatever its layout."""
    return np.moveaxis(x, -1, 1) if layout == "nhwc" else x


def in_layout(x: Array, layout: str) -> Array:
    """Return x[N,C,...] in ``layout``."""
    return np.moveaxis(x, 1, -1) if layout == "nhwc" else x


def filters_first(weight: Array, layout: str) -> Array:
    """Return weight[K,C,...] whatever its layout."""
    return np.moveaxis(weight, (-1, -2), (0, 1)) if layout == "rsck" else weight


def in_filter_layout(weight: Array, layout: str) -> Array:
    """Return weight[K,C,...] in ``layout``."""
    return np.moveaxis(weight, (0, 1), (-1, -2)) if layout == "rsck" else weight


def positions(image: Place, taps: Place, steps: Place, gaps: Place) -> list[range]:
    """Return the first places of the windows along each axis."""
    return [
        range(0, size - gap * (tap - 1), step)
        for size, tap, step, gap in zip(image, taps, steps, gaps, strict=True)
    ]


class Windows:
    """The windows of x[N,C,...], padded until the last of them fits."""

    def __init__(
        self,
        x: Array,
        fill: float,
        kernel: Any,
        stride: Any,
        padding: Any,
        dilation: Any = 1,
        ceil_mode: bool = False,
    ) -> None:
        self.image = x.shape[2:]
        rank = len(self.image)
        self.taps, steps = per_axis(kernel, rank), per_axis(stride, rank)
        self.gaps = per_axis(dilation, rank)
        self.before, after = borders(padding, rank)
        self.starts: list[list[int]] = []
        ends = []
        for size, tap, gap, step, b, a in zip(
            self.image, self.taps, self.gaps, steps, self.before, after, strict=True
        ):
            span = gap * (tap - 1) + 1
            starts = list(range(0, b + size + a - span + 1, step))
            over = starts[-1] + step
            if ceil_mode and starts[-1] + span < b + size + a and over < b + size:
                starts.append(over)
            self.starts.append(starts)
            ends.append(max(a, starts[-1] + span - b - size))
        self.x = pad(x, (self.before, tuple(ends)), fill)
        self.outputs = (*x.shape[:2], *(len(s) for s in self.starts))

    def __iter__(self) -> Iterator[tuple[Place, list[Place]]]:
        """Yield each output's place and the places of its window."""
        for at in np.ndindex(*self.outputs):
            corner = [s[i] for s, i in zip(self.starts, at[2:], strict=True)]
            yield (
                at,
                [
                    (*at[:2], *(c + t * g for c, t, g in zip(corner, tap, self.gaps, strict=True)))
                    for tap in np.ndindex(*self.taps)
                ],
            )

    def inside(self, padded: Array) -> Array:
        """Return the image of a padded one."""
        return padded[inside(self.before, self.image)]

    def unpadded(self, place: Place) -> int:
        """Return a place of the padded image as a number through the whole input."""
        n, c, *at = place
        image = tuple(i - b for i, b in zip(at, self.before, strict=True))
        return int(np.ravel_multi_index((n, c, *image), (*self.outputs[:2], *self.image)))


def products(
    x: Place, weight: Place, steps: Place, gaps: Place, groups: int
) -> Iterator[tuple[Place, Place, Place]]:
    """Yield the places in y, weight and padded x of every product of a convolution.

    ``x`` and ``weight`` are shapes [N,C,...] and [K,C/groups,...].
    """
    N, (K, C, *taps) = x[0], weight
    starts = positions(x[2:], tuple(taps), steps, gaps)
    for n in range(N):
        for k in range(K):
            first = k // (K // groups) * C
            for at in np.ndindex(*(len(s) for s in starts)):
                for c, *tap in np.ndindex(C, *taps):
                    source = (
                        s[i] + t * g for s, i, t, g in zip(starts, at, tap, gaps, strict=True)
                    )
                    yield (n, k, *at), (k, c, *tap), (n, first + c, *source)


def channel_sums(x: Array) -> Array:
    """Return the sum of each channel of x[N,C,...], started at its first value."""
    rows = np.moveaxis(x, 1, 0).reshape(x.shape[1], -1)
    sums = rows[:, 0].copy()
    for values in rows[:, 1:].T:
        for c, value in enumerate(values):
            sums[c] = sums[c] + value
    return sums
