"""Pooling that chooses by chance, and unpooling to where maxima were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from perfmodel.core import (
    IMAGE_AXES,
    LAYOUTS,
    OUTPUT_AXES,
    REQUIRED,
    TAP_AXES,
    Bound,
    Gradient,
    Inferred,
    Operator,
    Precision,
    Tensor,
    Work,
    WorkBuilder,
    axes_text,
    choice,
    gradient_of,
    in_layout,
    pads,
    pair,
    per_axis,
    split_layout,
    window_outputs,
)
from perfmodel.core.dims import product


def _windowed(rank: int) -> dict[str, Any]:
    first, *_ = taps = TAP_AXES[-rank:]
    names = ("n", "c", *IMAGE_AXES[-rank:], *taps)
    return {**dict.fromkeys(names, REQUIRED), "stride": first, "pad": 0, "layout": "nchw"}


def _grown(rank: int) -> dict[str, Any]:
    first, *more = TAP_AXES[-rank:]
    names = ("n", "c", *OUTPUT_AXES[-rank:])
    growth = {first: 2, **dict.fromkeys(more, first)}
    return {**dict.fromkeys(names, REQUIRED), **growth, "layout": "nchw"}


@dataclass(frozen=True)
class StochasticPool(Operator):
    """Base of stochastic pooling of images with ``rank`` axes, in training.

    ``x[N,C,...], random[N,C,...] -> y[N,C,...]``; x is not negative, ``random``
    holds 32 random bits an output.

    ``p_i = x_i / sum_j x_j``; y is the first value whose cumulative probability
    exceeds ``random / 2^32`` (the last, where rounding leaves none). A window of
    V values takes V - 1 additions, a division and V multiplications to normalise,
    one multiplication of the random bits, V - 1 additions to cumulate and V - 1
    comparisons. Training keeps the place drawn; backward is one addition there.
    """

    category = "reduction"
    arity = 2
    rank: ClassVar[int]

    kernel: Any = pair(doc="size of a window along each axis")
    stride: Any = pair(1, doc="step between windows")
    padding: Any = pads(0, doc="zeros added at each border, which are never drawn")
    layout: str = choice("nchw", LAYOUTS, doc="activations with channels first or last")

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        x, random = inputs
        rank, layout = self.rank, self.layout
        self.need_rank(x, rank + 2, axes_text("x", rank, layout))
        self.need_rank(random, rank + 2, axes_text("random", rank, layout, OUTPUT_AXES))
        n, c, image = split_layout(x.shape, layout)
        positions = window_outputs(self.name, image, self.kernel, self.stride, self.padding)
        shape = in_layout(n, c, positions, layout)
        for found, expected in zip(random.shape, shape, strict=True):
            self.need_same(found, expected, "random against the windows of x")
        drawn = Tensor(shape, "int32", "index", "drawn")
        return Inferred((x.like(*shape),), kept=(drawn,))

    def work(self, t: Bound) -> Work:
        taps = product(per_axis(self.kernel, self.rank))
        windows = t.y.elements
        builder = WorkBuilder().read(*t.inputs).write(t.y)
        builder.count("vector", t.x.dtype, windows * (4 * taps - 2))
        return builder.count("special", t.x.dtype, windows).build()

    def gradients(self, t: Bound) -> list[Gradient]:
        dy, drawn = gradient_of(t.y), t.kept
        builder = WorkBuilder().read(dy, *drawn).write(gradient_of(t.x))
        builder.count("vector", dy.dtype, dy.elements)
        return [Gradient("input", (t.x,), drawn, builder.build())]

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        n, c, *image = shape = [sizes[d] for d in ("n", "c", *IMAGE_AXES[-cls.rank :])]
        kernel, layout = tuple(sizes[d] for d in TAP_AXES[-cls.rank :]), sizes["layout"]
        windows = window_outputs(cls.name, image, kernel, sizes["stride"], sizes["pad"])
        random = Tensor(in_layout(n, c, windows, layout), "int32", "index", "random")
        op, inputs = cls.with_input(shape, sizes, precision, kernel=kernel, padding=sizes["pad"])
        return op, [*inputs, random]


@dataclass(frozen=True)
class StochasticPool1d(StochasticPool):
    """Stochastic pooling, in training: one value of each window, drawn by its size.

    ``x[N,C,W], random[N,C,Q] -> y[N,C,Q]``: for a window of V values
    4 V - 2 operations and a division, backward one addition.
    Source: Zeiler and Fergus, "Stochastic pooling for regularization of deep
    convolutional neural networks", arXiv:1301.3557.
    """

    name = "stochastic_pool1d"
    rank = 1
    sizes = _windowed(1)
    example = "stochastic_pool1d:n=32,c=64,w=4096,s=3,stride=2"
    small = (
        {"n": 1, "c": 2, "w": 6, "s": 2},
        {"n": 2, "c": 1, "w": 9, "s": 2, "stride": 3, "layout": "nhwc"},
        {"n": 1, "c": 3, "w": 5, "s": 3, "stride": 2, "pad": 1},
    )


@dataclass(frozen=True)
class StochasticPool2d(StochasticPool):
    """Stochastic pooling, in training: one value of each window, drawn by its size.

    ``x[N,C,H,W], random[N,C,P,Q] -> y[N,C,P,Q]``: for a window of V values
    4 V - 2 operations and a division, backward one addition.
    Source: Zeiler and Fergus, "Stochastic pooling for regularization of deep
    convolutional neural networks", arXiv:1301.3557.
    """

    name = "stochastic_pool2d"
    rank = 2
    sizes = _windowed(2)
    example = "stochastic_pool2d:n=32,c=64,h=56,w=56,r=3,s=3,stride=2"
    small = (
        {"n": 1, "c": 2, "h": 4, "w": 6, "r": 2, "s": 2},
        {"n": 2, "c": 1, "h": 7, "w": 9, "r": 3, "s": 2, "stride": 3},
        {"n": 1, "c": 3, "h": 5, "w": 5, "r": 3, "s": 3, "stride": 2, "pad": 1},
        {"n": 2, "c": 3, "h": 3, "w": 5, "r": 2, "s": 3, "layout": "nhwc"},
    )


@dataclass(frozen=True)
class StochasticPool3d(StochasticPool):
    """Stochastic pooling, in training: one value of each window, drawn by its size.

    ``x[N,C,D,H,W], random[N,C,O,P,Q] -> y[N,C,O,P,Q]``: for a window of V values
    4 V - 2 operations and a division, backward one addition.
    Source: Zeiler and Fergus, "Stochastic pooling for regularization of deep
    convolutional neural networks", arXiv:1301.3557.
    """

    name = "stochastic_pool3d"
    rank = 3
    sizes = _windowed(3)
    example = "stochastic_pool3d:n=4,c=64,d=16,h=28,w=28,t=2,r=2,s=2"
    small = (
        {"n": 1, "c": 2, "d": 2, "h": 4, "w": 2, "t": 2, "r": 2, "s": 2},
        {"n": 2, "c": 1, "d": 3, "h": 4, "w": 5, "t": 1, "r": 3, "s": 2, "stride": 3},
        {"n": 1, "c": 2, "d": 3, "h": 2, "w": 2, "t": 2, "r": 1, "s": 2, "layout": "nhwc"},
    )


@dataclass(frozen=True)
class MaxUnpool(Operator):
    """Base of max unpooling to images with ``rank`` axes.

    Computes nothing: reads x and the indices, which count through the whole of y,
    channel by channel in either layout, and writes all of y; backward gathers dy
    at the indices.
    """

    category = "movement"
    arity = 2
    rank: ClassVar[int]

    size: Any = pair(doc="size of the output along each axis")
    layout: str = choice("nchw", LAYOUTS, doc="activations with channels first or last")

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        x, indices = inputs
        rank, layout = self.rank, self.layout
        self.need_rank(x, rank + 2, axes_text("x", rank, layout, OUTPUT_AXES))
        self.need_rank(indices, rank + 2, axes_text("indices", rank, layout, OUTPUT_AXES))
        for found, expected in zip(indices.shape, x.shape, strict=True):
            self.need_same(found, expected, "indices against x")
        n, c, _ = split_layout(x.shape, layout)
        return Inferred((x.like(*in_layout(n, c, per_axis(self.size, rank), layout)),))

    def work(self, t: Bound) -> Work:
        return WorkBuilder().read(*t.inputs).write(t.y).build()

    def gradients(self, t: Bound) -> list[Gradient]:
        x, indices = t.inputs
        dy, dx = gradient_of(t.y), gradient_of(x)
        builder = WorkBuilder().access(dy.name, "read", dx.bytes).read(indices).write(dx)
        return [Gradient("input", (x,), (indices,), builder.build())]

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        outputs, taps = OUTPUT_AXES[-cls.rank :], TAP_AXES[-cls.rank :]
        made = tuple(sizes[p] * sizes[r] for p, r in zip(outputs, taps, strict=True))
        shape = [sizes[d] for d in ("n", "c", *outputs)]
        op, (x,) = cls.with_input(shape, sizes, precision, size=made)
        return op, [x, Tensor(x.shape, precision.of("index"), "index", "indices")]


@dataclass(frozen=True)
class MaxUnpool1d(MaxUnpool):
    """Max unpooling: ``x[N,C,Q], indices[N,C,Q] -> y[N,C,W]``.

    ``y = 0`` but for ``y[indices] = x``; computes nothing.
    Source: Zeiler, Taylor and Fergus, "Adaptive deconvolutional networks", ICCV
    2011; the operator MaxUnpool of ONNX.
    """

    name = "max_unpool1d"
    rank = 1
    sizes = _grown(1)
    example = "max_unpool1d:n=32,c=64,q=2048"
    small = (
        {"n": 1, "c": 2, "q": 3},
        {"n": 2, "c": 1, "q": 2, "s": 3},
        {"n": 2, "c": 3, "q": 2, "layout": "nhwc"},
    )


@dataclass(frozen=True)
class MaxUnpool2d(MaxUnpool):
    """Max unpooling: ``x[N,C,P,Q], indices[N,C,P,Q] -> y[N,C,H,W]``.

    ``y = 0`` but for ``y[indices] = x``; computes nothing.
    Source: Zeiler, Taylor and Fergus, "Adaptive deconvolutional networks", ICCV
    2011; the operator MaxUnpool of ONNX.
    """

    name = "max_unpool2d"
    rank = 2
    sizes = _grown(2)
    example = "max_unpool2d:n=32,c=64,p=56,q=56"
    small = (
        {"n": 1, "c": 2, "p": 2, "q": 3},
        {"n": 2, "c": 1, "p": 1, "q": 3, "r": 3, "s": 1},
        {"n": 1, "c": 3, "p": 2, "q": 1, "r": 2, "s": 3},
        {"n": 2, "c": 3, "p": 1, "q": 2, "layout": "nhwc"},
    )


@dataclass(frozen=True)
class MaxUnpool3d(MaxUnpool):
    """Max unpooling: ``x[N,C,O,P,Q], indices[N,C,O,P,Q] -> y[N,C,D,H,W]``.

    ``y = 0`` but for ``y[indices] = x``; computes nothing.
    Source: Zeiler, Taylor and Fergus, "Adaptive deconvolutional networks", ICCV
    2011; the operator MaxUnpool of ONNX.
    """

    name = "max_unpool3d"
    rank = 3
    sizes = _grown(3)
    example = "max_unpool3d:n=4,c=64,o=8,p=28,q=28"
    small = (
        {"n": 1, "c": 2, "o": 2, "p": 1, "q": 3},
        {"n": 2, "c": 1, "o": 1, "p": 2, "q": 1, "t": 1, "r": 3, "s": 2},
        {"n": 1, "c": 3, "o": 1, "p": 1, "q": 2, "layout": "nhwc"},
    )
