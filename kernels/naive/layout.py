"""Naive conversion between layouts of activations."""

from __future__ import annotations

from ._numbers import Array, Gradients, Weights
from ._windows import channels_first, in_layout


def convert_layout(x: Array, *, weights: Weights, to: str) -> Array:
    return in_layout(x, "nhwc") if to == "nhwc" else channels_first(x, "nhwc")


def convert_layout_grad(
    part: str, dy: Array, x: Array, *, output: Array, weights: Weights, to: str
) -> Gradients:
    return {"input 0": channels_first(dy, "nhwc") if to == "nhwc" else in_layout(dy, "nhwc")}
