"""Scale: a learned factor for each channel."""

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
    gradient_of,
    size,
)
from perfmodel.core.axes import axis_of


@dataclass(frozen=True)
class Scale(Operator):
    """Learned factor for each channel: ``x[.., C, ..] -> y[.., C, ..]``, weight ``factor[C]``.

    ``y = factor x``, one multiplication a value. Backward: ``dx = factor dy``, and a
    factor's is the sum of ``dy x`` over its channel.
    Source: Touvron et al., "Going deeper with image transformers" (LayerScale),
    arXiv:2103.17239, section 2.
    """

    name = "scale"
    category = "elementwise"
    sizes = {"rows": REQUIRED, "cols": REQUIRED}
    example = "scale:rows=100352,cols=96"
    small = ({"rows": 2, "cols": 3}, {"rows": 1, "cols": 7}, {"rows": 5, "cols": 1})

    axis: Dim = size(-1, doc="the axis of the channels", least=-16)

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (x,) = inputs
        channels = x.shape[axis_of(self.name, self.axis, len(x.shape))]
        factor = Tensor((channels,), precision.weight, "weight", "factor")
        return Inferred((x.like(*x.shape),), (factor,))

    def work(self, t: Bound) -> Work:
        builder = WorkBuilder().read(t.x, *t.weights).write(t.y)
        return builder.count("vector", t.x.dtype, t.x.elements).build()

    def gradients(self, t: Bound) -> list[Gradient]:
        x, (factor,), dy = t.x, t.weights, gradient_of(t.y)
        to_x = WorkBuilder().read(dy, factor).write(gradient_of(x))
        to_x.count("vector", x.dtype, x.elements)
        to_factor = WorkBuilder().read(dy, x).write(gradient_of(factor))
        to_factor.count("vector", x.dtype, 2 * x.elements - factor.elements)
        return [
            Gradient("input", (x,), (factor,), to_x.build()),
            Gradient("factor", (factor,), (x,), to_factor.build()),
        ]

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        return cls(), [Tensor((sizes["rows"], sizes["cols"]), precision.activation, name="x")]
