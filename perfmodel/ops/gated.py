"""Gated linear units: one half of a row gates the other half."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from perfmodel.core import Inferred, Operator, Precision, Tensor
from perfmodel.core.elementwise import Elementwise
from perfmodel.errors import InputError


class Gated(Elementwise):
    """Base of gated linear units: ``x[..., 2C] -> y[..., C]``.

    Costs are a pair of values, one of each half; inline ``elements`` are those of y.
    """

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (x,) = inputs
        if not x.shape:
            raise InputError(f"{self.name} expects x[..., 2C], found a scalar")
        self.need_same(x.shape[-1] % 2, 0, "columns of x modulo 2")
        return Inferred((x.like(*x.shape[:-1], x.shape[-1] // 2),))

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        return cls(), [Tensor((2 * sizes["elements"],), precision.activation, name="x")]


class Glu(Gated):
    """Gated linear unit: ``x[..., 2C] -> y[..., C]``, ``y = a sigmoid(b)`` of the halves a, b.

    Negate, exp, add, divide a by the sum. Backward, with s the sigmoid:
    ``da = dy s``, ``db = da a (1 - s)``.
    Source: Dauphin et al., arXiv:1612.08083.
    """

    name = "glu"
    example = "glu:elements=16777216"
    vector_ops = 2
    special_ops = 2
    backward_vector_ops = 6
    backward_special_ops = 2


class Swiglu(Gated):
    """Gated linear unit by SiLU: ``x[..., 2C] -> y[..., C]``, ``y = silu(a) b``.

    The first half of a row is a, the gate. Backward, with s the sigmoid of a:
    ``db = dy silu(a)``, ``da = dy b (s + silu(a) (1 - s))``.
    Source: Shazeer, "GLU variants improve transformer", arXiv:2002.05202.
    """

    name = "swiglu"
    example = "swiglu:elements=16777216"
    vector_ops = 3
    special_ops = 2
    backward_vector_ops = 9
    backward_special_ops = 2


class Geglu(Gated):
    """Gated linear unit by GELU: ``x[..., 2C] -> y[..., C]``, ``y = gelu(a) b``.

    The first half of a row is a, the gate; GELU is the one with erf. Backward:
    ``db = dy gelu(a)``, ``da = dy b (cdf(a) + a pdf(a))`` of the normal distribution.
    Source: Shazeer, "GLU variants improve transformer", arXiv:2002.05202.
    """

    name = "geglu"
    example = "geglu:elements=16777216"
    vector_ops = 5
    special_ops = 1
    backward_vector_ops = 12
    backward_special_ops = 2
