"""Naive stored tensor: the network's own memory."""

from __future__ import annotations

from collections.abc import Sequence

from ._numbers import Array, Gradients, Weights


def parameter(
    *, weights: Weights, shape: Sequence[int], constant: bool = False, format: str = ""
) -> Array:
    return weights["weight"]


def parameter_grad(
    part: str,
    dy: Array,
    *,
    output: Array,
    weights: Weights,
    shape: Sequence[int],
    constant: bool = False,
    format: str = "",
) -> Gradients:
    return {"weight": dy}
