"""Windows that slide over images: borders made real image by image, views of all windows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

from perfmodel.core import per_axis, split_borders, split_layout
from perfmodel.kernels.arrays import shape_of


@dataclass(frozen=True)
class Slide:
    """Sizes of a sliding window, an entry an axis of the image."""

    batch: int
    channels: int
    image: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    before: tuple[int, ...]
    outputs: tuple[int, ...]
    layout: str

    @cached_property
    def padded(self) -> tuple[int, ...]:
        """The image with its borders, as far as any window reaches."""
        reach = (
            (p - 1) * u + d * (r - 1) + 1
            for p, u, d, r in zip(
                self.outputs, self.stride, self.dilation, self.kernel, strict=True
            )
        )
        return tuple(max(n, b + i) for n, b, i in zip(reach, self.before, self.image, strict=True))

    @property
    def places(self) -> int:
        """Number of windows over an image."""
        return math.prod(self.outputs)

    @property
    def taps(self) -> int:
        """Number of values of a window, in a channel."""
        return math.prod(self.kernel)

    @property
    def is_pointwise(self) -> bool:
        """Whether every window is one place, each place in turn."""
        return self.taps == 1 and self.padded == self.image == self.outputs

    @cached_property
    def at_taps(self) -> tuple[tuple[tuple[int, ...], tuple[slice, ...]], ...]:
        """Each tap, and where its values lie in a padded image, a value a window."""
        sizes = (self.dilation, self.outputs, self.stride)
        return tuple(
            (
                tap,
                tuple(
                    slice(t * d, t * d + (p - 1) * u + 1, u)
                    for t, d, p, u in zip(tap, *sizes, strict=True)
                ),
            )
            for tap in product(*map(range, self.kernel))
        )


def slide_of(op: Any, t: Any) -> Slide:
    """Return the window of a convolution or pooling on its tensors."""
    batch, channels, image = split_layout(shape_of(t.x), op.layout)
    _, _, outputs = split_layout(shape_of(t.y), op.layout)
    rank = len(image)
    kernel, stride = per_axis(op.kernel, rank), per_axis(op.stride, rank)
    dilation = per_axis(getattr(op, "dilation", 1), rank)
    mode = getattr(op, "pad_mode", "explicit")
    before = split_borders(op.padding, rank)[0]
    if mode == "same":
        sizes = zip(image, kernel, stride, dilation, outputs, strict=True)
        before = tuple(max(0, (p - 1) * u + d * (r - 1) + 1 - i) // 2 for i, r, u, d, p in sizes)
    return Slide(
        batch, channels, tuple(image), tuple(kernel), tuple(stride), tuple(dilation),
        tuple(before), tuple(outputs), op.layout,
    )  # fmt: skip


def slid(op: Any, ws: Any, a: Any) -> Slide:
    """Return the window of a convolution or pooling, found once."""
    found: Slide = ws.once("slide", lambda: slide_of(op, a.tensors))
    return found


class Images:
    """The images of a batch, channels first, each inside its border; one buffer for all."""

    def __init__(self, xp: Any, ws: Any, x: Any, s: Slide, fill: float = 0.0) -> None:
        self.xp, self.slide, self.first = xp, s, x
        if s.layout == "nhwc":
            self.first = xp.moveaxis(x, -1, 1)
        self.copies = s.padded != s.image or s.layout == "nhwc"
        if self.copies:
            shape = (s.channels, *s.padded)
            self.buffer = ws.once("border", lambda: xp.full(shape, fill, dtype=x.dtype))
            at = (slice(b, b + i) for b, i in zip(s.before, s.image, strict=True))
            self.inside = self.buffer[(slice(None), *at)]

    def __getitem__(self, n: int) -> Any:
        """Return image n as [C, padded]; it is valid until the next one is asked for."""
        if not self.copies:
            return self.first[n]
        self.xp.copyto(self.inside, self.first[n])
        return self.buffer


def windows_of(xp: Any, image: Any, s: Slide) -> Any:
    """Return a view of image[C, ...] as [C, taps..., outputs...]."""
    channel, *steps = image.strides
    taps = tuple(d * b for d, b in zip(s.dilation, steps, strict=True))
    moves = tuple(u * b for u, b in zip(s.stride, steps, strict=True))
    return xp.lib.stride_tricks.as_strided(
        image, (image.shape[0], *s.kernel, *s.outputs), (channel, *taps, *moves)
    )


class Outputs:
    """The outputs of a batch, channels first; written back where channels come last."""

    def __init__(self, xp: Any, ws: Any, a: Any, layout: str, number: int = 0) -> None:
        self.xp, self.out, self.last = xp, ws.output(a, number), layout == "nhwc"
        self.first = self.out
        if self.last:
            turned = xp.moveaxis(self.out, -1, 1)
            self.buffer = ws.buffer(("image", number), turned.shape[1:], self.out.dtype)
            self.first = turned

    def __getitem__(self, n: int) -> Any:
        """Return where image n goes, as [K, outputs...], contiguous."""
        return self.buffer if self.last else self.out[n]

    def done(self, n: int) -> None:
        """Write image n back."""
        if self.last:
            self.xp.copyto(self.first[n], self.buffer)


def filters(xp: Any, ws: Any, weight: Any, op: Any, name: str = "filters") -> Any:
    """Return filters as [K, C, taps...], contiguous; turned once where stored otherwise."""
    if getattr(op, "filter_layout", "kcrs") == "kcrs":
        return weight

    def turned() -> Any:
        view = xp.moveaxis(weight, (-1, -2), (0, 1))
        made = ws.buffer((name, "turned"), view.shape, weight.dtype)
        xp.copyto(made, view)
        return made

    return ws.once(name, turned)
