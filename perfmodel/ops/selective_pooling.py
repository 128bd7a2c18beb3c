"""Pooling that chooses by chance, and unpooling to where maxima were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from perfmodel.core import (
    LAYOUTS,
    REQUIRED,
    Bound,
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
    in_layout,
    pads,
    pair,
    split_layout,
    window_outputs,
)


@dataclass(frozen=True)
class StochasticPool2d(Operator):
    """Stochastic pooling, in training: one value of each window, drawn by its size.

    ``x[N,C,H,W], random[N,C,P,Q] -> y[N,C,P,Q]``; x is not negative, ``random``
    holds 32 random bits an output.

    ``p_i = x_i / sum_j x_j``; y is the first value whose cumulative probability
    exceeds ``random / 2^32`` (the last, where rounding leaves none). A window of
    V values takes V - 1 additions, a division and V multiplications to normalise,
    one multiplication of the random bits, V - 1 additions to cumulate and V - 1
    comparisons. Training keeps the place drawn; backward is one addition there.
    Source: Zeiler and Fergus, "Stochastic pooling for regularization of deep
    convolutional neural networks", arXiv:1301.3557.
    """

    name = "stochastic_pool2d"
    category = "reduction"
    arity = 2
    sizes = {
        "n": REQUIRED,
        "c": REQUIRED,
        "h": REQUIRED,
        "w": REQUIRED,
        "r": REQUIRED,
        "s": REQUIRED,
        "stride": "r",
        "pad": 0,
        "layout": "nchw",
    }
    example = "stochastic_pool2d:n=32,c=64,h=56,w=56,r=3,s=3,stride=2"
    small = (
        {"n": 1, "c": 2, "h": 4, "w": 6, "r": 2, "s": 2},
        {"n": 2, "c": 1, "h": 7, "w": 9, "r": 3, "s": 2, "stride": 3},
        {"n": 1, "c": 3, "h": 5, "w": 5, "r": 3, "s": 3, "stride": 2, "pad": 1},
        {"n": 2, "c": 3, "h": 3, "w": 5, "r": 2, "s": 3, "layout": "nhwc"},
    )

    kernel: Any = pair(doc="window height and width, R and S")
    stride: Any = pair(1, doc="step between windows")
    padding: Any = pads(0, doc="zeros added at each border, which are never drawn")
    layout: str = choice("nchw", LAYOUTS, doc="activations with channels first or last")

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        x, random = inputs
        last = self.layout == "nhwc"
        self.need_rank(x, 4, "x[N,H,W,C]" if last else "x[N,C,H,W]")
        self.need_rank(random, 4, "random[N,P,Q,C]" if last else "random[N,C,P,Q]")
        n, c, image = split_layout(x.shape, self.layout)
        positions = window_outputs(self.name, image, self.kernel, self.stride, self.padding)
        shape = in_layout(n, c, positions, self.layout)
        for found, expected in zip(random.shape, shape, strict=True):
            self.need_same(found, expected, "random against the windows of x")
        drawn = Tensor(shape, "int32", "index", "drawn")
        return Inferred((x.like(*shape),), kept=(drawn,))

    def work(self, t: Bound) -> Work:
        r, s = both(self.kernel)
        windows = t.y.elements
        builder = WorkBuilder().read(*t.inputs).write(t.y)
        builder.count("vector", t.x.dtype, windows * (4 * r * s - 2))
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
        n, c, *image = (sizes[d] for d in "nchw")
        kernel, layout = (sizes["r"], sizes["s"]), sizes["layout"]
        windows = window_outputs(cls.name, image, kernel, sizes["stride"], sizes["pad"])
        random = Tensor(in_layout(n, c, windows, layout), "int32", "index", "random")
        op, inputs = cls.with_input(
            (n, c, *image), sizes, precision, kernel=kernel, padding=sizes["pad"]
        )
        return op, [*inputs, random]


@dataclass(frozen=True)
class MaxUnpool2d(Operator):
    """Max unpooling: ``x[N,C,P,Q], indices[N,C,P,Q] -> y[N,C,H,W]``.

    ``y = 0`` but for ``y[indices] = x``, indices counted through the whole of y,
    channel by channel in either layout.
    Computes nothing: reads x and the indices, writes all of y; backward gathers
    dy at the indices.
    Source: Zeiler, Taylor and Fergus, "Adaptive deconvolutional networks", ICCV
    2011; the operator MaxUnpool of ONNX.
    """

    name = "max_unpool2d"
    category = "movement"
    arity = 2
    sizes = {"n": REQUIRED, "c": REQUIRED, "p": REQUIRED, "q": REQUIRED, "r": 2, "s": "r",
             "layout": "nchw"}  # fmt: skip
    example = "max_unpool2d:n=32,c=64,p=56,q=56"
    small = (
        {"n": 1, "c": 2, "p": 2, "q": 3},
        {"n": 2, "c": 1, "p": 1, "q": 3, "r": 3, "s": 1},
        {"n": 1, "c": 3, "p": 2, "q": 1, "r": 2, "s": 3},
        {"n": 2, "c": 3, "p": 1, "q": 2, "layout": "nhwc"},
    )

    size: Any = pair(doc="size of the output, H and W")
    layout: str = choice("nchw", LAYOUTS, doc="activations with channels first or last")

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        x, indices = inputs
        last = self.layout == "nhwc"
        self.need_rank(x, 4, "x[N,P,Q,C]" if last else "x[N,C,P,Q]")
        self.need_rank(indices, 4, "indices[N,P,Q,C]" if last else "indices[N,C,P,Q]")
        for found, expected in zip(indices.shape, x.shape, strict=True):
            self.need_same(found, expected, "indices against x")
        n, c, _ = split_layout(x.shape, self.layout)
        return Inferred((x.like(*in_layout(n, c, both(self.size), self.layout)),))

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
        made = (sizes["p"] * sizes["r"], sizes["q"] * sizes["s"])
        shape = [sizes[d] for d in "ncpq"]
        op, (x,) = cls.with_input(shape, sizes, precision, size=made)
        return op, [x, Tensor(x.shape, precision.of("index"), "index", "indices")]
