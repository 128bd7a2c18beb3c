"""Conversion between layouts of activations."""

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
    choice,
    gradient_of,
    in_layout,
    split_layout,
)
from perfmodel.errors import InputError


@dataclass(frozen=True)
class ConvertLayout(Operator):
    """Channels moved last, or first: ``x[N,C,H,W] -> y[N,H,W,C]``, or back; any rank over 2.

    Computes nothing; each value is read and written once, backward too.
    Source: NVIDIA, *cuDNN Developer Guide*, "Tensor layouts".
    """

    name = "convert_layout"
    category = "movement"
    sizes = {"n": REQUIRED, "c": REQUIRED, "h": REQUIRED, "w": REQUIRED, "to": "nhwc"}
    example = "convert_layout:n=32,c=256,h=56,w=56"
    small = (
        {"n": 1, "c": 2, "h": 3, "w": 1},
        {"n": 2, "c": 3, "h": 1, "w": 5, "to": "nchw"},
        {"n": 3, "c": 1, "h": 2, "w": 3},
    )

    to: str = choice("nhwc", LAYOUTS, doc="the new layout")

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (x,) = inputs
        if len(x.shape) < 3:
            raise InputError(f"convert_layout expects a batch of images, found {x}")
        (given,) = (layout for layout in LAYOUTS if layout != self.to)
        return Inferred((x.like(*in_layout(*split_layout(x.shape, given), self.to)),))

    def work(self, t: Bound) -> Work:
        return WorkBuilder().read(t.x).write(t.y).build()

    def gradients(self, t: Bound) -> list[Gradient]:
        moved = WorkBuilder().read(gradient_of(t.y)).write(gradient_of(t.x)).build()
        return [Gradient("input", (t.x,), (), moved)]

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        (given,) = (layout for layout in LAYOUTS if layout != sizes["to"])
        shape = in_layout(sizes["n"], sizes["c"], (sizes["h"], sizes["w"]), given)
        return cls(to=sizes["to"]), [Tensor(shape, precision.activation, name="x")]
