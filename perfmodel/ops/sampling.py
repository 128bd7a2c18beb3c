"""Values of an image between its places: resizing, and sampling at places that are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from perfmodel.core import (
    REQUIRED,
    Bound,
    Dim,
    Gradient,
    Inferred,
    Operator,
    Precision,
    Tensor,
    Work,
    WorkBuilder,
    both,
    choice,
    gradient_of,
    pair,
)
from perfmodel.core.dims import minimum

#: places along an axis that one value is made of
TAPS = {"nearest": 1, "bilinear": 2, "cubic": 4}


@dataclass(frozen=True)
class Resize(Operator):
    """An image of another size: ``x[N,C,H,W] -> y[N,C,P,Q]``, nearest, bilinear or cubic.

    Nearest takes ``x[floor(p H / P), floor(q W / Q)]`` and computes nothing.
    Bilinear and cubic weigh T = 2 or 4 places along each axis around
    ``(p + 1/2) H / P - 1/2``, the border repeated: T rows of T multiplications
    and T - 1 additions, then the same over the rows, so ``(T + 1) (2 T - 1)`` an
    output (9 or 35); weights depend on the sizes alone and are not counted.
    Reads the rows and columns that it weighs, which is all of x unless it shrinks.

    The gradient of nearest adds up the outputs of each place: an addition for
    each output but the first of a place. That of the others takes T
    multiplications and then ``T^2`` multiplications and additions an output.
    Source: Keys, "Cubic convolution interpolation for digital image processing",
    IEEE Trans. ASSP 29 (1981).
    """

    name = "resize"
    category = "movement"
    sizes = {
        "n": 1, "c": REQUIRED, "h": REQUIRED, "w": REQUIRED, "p": REQUIRED, "q": REQUIRED,
        "mode": "bilinear",
    }  # fmt: skip
    example = "resize:n=32,c=64,h=56,w=56,p=112,q=112"
    small = (
        {"c": 2, "h": 3, "w": 2, "p": 6, "q": 4, "mode": "nearest"},
        {"n": 2, "c": 1, "h": 7, "w": 5, "p": 3, "q": 8, "mode": "nearest"},
        {"c": 2, "h": 3, "w": 4, "p": 5, "q": 7},
        {"c": 1, "h": 9, "w": 5, "p": 4, "q": 2},
        {"c": 2, "h": 3, "w": 2, "p": 4, "q": 5, "mode": "cubic"},
        {"c": 1, "h": 9, "w": 11, "p": 2, "q": 3, "mode": "cubic"},
    )

    target: Any = pair(doc="height and width of the output, P and Q")
    mode: str = choice("bilinear", tuple(TAPS), doc="how places are weighed")

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (x,) = inputs
        self.need_rank(x, 4, "x[N,C,H,W]")
        return Inferred((x.like(*x.shape[:2], *both(self.target)),))

    def _seen(self, t: Bound) -> Tensor:
        """Return the part of x that is read: T rows and columns an output, at most all."""
        n, c, h, w = t.x.shape
        p, q = both(self.target)
        taps = TAPS[self.mode]
        return t.x.like(n, c, minimum(h, taps * p), minimum(w, taps * q))

    def work(self, t: Bound) -> Work:
        builder = WorkBuilder().access(t.x.name, "read", self._seen(t).bytes).write(t.y)
        if self.mode != "nearest":
            taps = TAPS[self.mode]
            builder.count("vector", t.x.dtype, t.y.elements * ((taps + 1) * (2 * taps - 1)))
        return builder.build()

    def gradients(self, t: Bound) -> list[Gradient]:
        builder = WorkBuilder().read(gradient_of(t.y)).write(gradient_of(t.x))
        taps = TAPS[self.mode]
        if self.mode == "nearest":
            operations = t.y.elements - self._seen(t).elements
        else:
            operations = t.y.elements * (2 * taps * taps + taps)
        builder.count("vector", t.x.dtype, operations)
        return [Gradient("input", (t.x,), (), builder.build())]

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        x = Tensor(tuple(sizes[d] for d in "nchw"), precision.activation, name="x")
        return cls(target=(sizes["p"], sizes["q"]), mode=sizes["mode"]), [x]


@dataclass(frozen=True)
class GridSample(Operator):
    """Bilinear samples at given places: ``x[N,C,H,W], grid[N,P,Q,2] -> y[N,C,P,Q]``.

    The grid holds (horizontal, vertical) from -1, the middle of the first
    column or row, to 1, the middle of the last; places outside take the
    border's values. A place costs an addition and a multiplication a coordinate
    to find it, two subtractions a coordinate for the weights, and four products
    of weights, so 12; each channel there four multiplications and three
    additions. Finding the cell is addressing and is not counted.

    One backward kernel makes both gradients: the same 12 a place, four products
    and four additions a channel into x's; and of each corner's sum over the
    channels (a product and an addition each, the first without) the slopes
    along both axes, 12 a place.
    Source: Jaderberg et al., "Spatial transformer networks", arXiv:1506.02025, equation 5.
    """

    name = "grid_sample"
    category = "movement"
    arity = 2
    sizes = {
        "n": 1, "c": REQUIRED, "h": REQUIRED, "w": REQUIRED, "p": REQUIRED, "q": REQUIRED,
    }  # fmt: skip
    example = "grid_sample:n=32,c=64,h=56,w=56,p=56,q=56"
    # Images so small that some place reads each value: which values are read depends on the grid.
    small = (
        {"c": 3, "h": 2, "w": 2, "p": 3, "q": 4},
        {"n": 2, "c": 1, "h": 2, "w": 1, "p": 2, "q": 5},
        {"c": 2, "h": 1, "w": 2, "p": 5, "q": 3},
    )

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        x, grid = inputs
        self.need_rank(x, 4, "x[N,C,H,W]")
        self.need_rank(grid, 4, "grid[N,P,Q,2]")
        self.need_same(grid.shape[0], x.shape[0], "batch of the grid against x")
        self.need_same(grid.shape[3], 2, "coordinates of a place")
        return Inferred((x.like(*x.shape[:2], *grid.shape[1:3]),))

    def _sampled(self, t: Bound) -> Dim:
        """Return the bytes of x that are read: four corners an output, at most all."""
        return minimum(t.x.bytes, t.x.like(4, *t.y.shape).bytes)

    def work(self, t: Bound) -> Work:
        x, grid = t.inputs
        places, channels = grid.elements // 2, x.shape[1]
        builder = WorkBuilder().access(x.name, "read", self._sampled(t)).read(grid).write(t.y)
        return builder.count("vector", x.dtype, places * (12 + 7 * channels)).build()

    def gradients(self, t: Bound) -> list[Gradient]:
        x, grid = t.inputs
        places, channels = grid.elements // 2, x.shape[1]
        builder = WorkBuilder().access(x.name, "read", self._sampled(t))
        builder.read(gradient_of(t.y), grid).write(gradient_of(x), gradient_of(grid))
        builder.count("vector", x.dtype, places * (20 + 16 * channels))
        return [Gradient("input", (x, grid), (x, grid), builder.build())]

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        x = Tensor(tuple(sizes[d] for d in "nchw"), precision.activation, name="x")
        shape = (sizes["n"], sizes["p"], sizes["q"], 2)
        return cls(), [x, Tensor(shape, precision.activation, name="grid")]
