"""Forms of the affine layer: its weight as a product of two narrow matrices."""

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
    flag,
    gradient_of,
    size,
)
from perfmodel.core.dims import product
from perfmodel.core.gemms import Gemm, gemms_work
from perfmodel.errors import InputError


@dataclass(frozen=True)
class LowRankAffine(Operator):
    """Affine layer of low rank: ``x[..., I] -> y[..., O]``.

    Weights ``down[R,I]``, ``up[O,R]``, ``bias[O]``.

    ``y = up (down x) + bias``: ``R (I + O)`` MACs a sample, where `affine` takes
    ``O I``, and one addition an output for the bias. The R values between the
    two products pass through memory, and training keeps them.
    Source: Denil et al., arXiv:1306.0543; Hu et al. (LoRA), arXiv:2106.09685.
    """

    name = "low_rank_affine"
    category = "dense"
    sizes = {"m": REQUIRED, "n": REQUIRED, "k": REQUIRED, "rank": REQUIRED, "bias": True}
    example = "low_rank_affine:m=128,n=4096,k=4096,rank=64"
    small = (
        {"m": 2, "n": 3, "k": 4, "rank": 2},
        {"m": 1, "n": 5, "k": 1, "rank": 3},
        {"m": 5, "n": 2, "k": 7, "rank": 1, "bias": False},
    )

    units: Dim = size(doc="number of outputs, O")
    rank: Dim = size(doc="width between the two products, R")
    bias: bool = flag(True, doc="add a learned bias")

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (x,) = inputs
        if not x.shape:
            raise InputError("low_rank_affine expects x[..., I], found a scalar")
        weights = [
            Tensor((self.rank, x.shape[-1]), precision.weight, "weight", "down"),
            Tensor((self.units, self.rank), precision.weight, "weight", "up"),
        ]
        if self.bias:
            weights.append(Tensor((self.units,), precision.weight, "weight", "bias"))
        kept = (x.like(*x.shape[:-1], self.rank).named("latent"),)
        return Inferred((x.like(*x.shape[:-1], self.units),), tuple(weights), kept=kept)

    def work(self, t: Bound) -> Work:
        x, (latent,) = t.x, t.kept
        m = product(x.shape[:-1])
        builder = WorkBuilder().read(x, latent, *t.weights).write(latent, t.y)
        if self.bias:
            builder.count("vector", x.dtype, m * self.units)
        down, up = t.weight("down"), t.weight("up")
        gemms = [
            Gemm(x, down, latent, m, self.rank, x.shape[-1]),
            Gemm(latent, up, t.y, m, self.units, self.rank),
        ]
        return gemms_work(builder, gemms, launches=2)

    def gradients(self, t: Bound) -> list[Gradient]:
        # dlatent = dy up, dup = dy^T latent, then dx and ddown from dlatent.
        x, (latent,), dy = t.x, t.kept, gradient_of(t.y)
        down, up, dlatent = t.weight("down"), t.weight("up"), gradient_of(latent)
        m, width = product(x.shape[:-1]), x.shape[-1]
        made = [x, down, up]
        builder = WorkBuilder().read(dy, x, latent, down, up).write(dlatent)
        builder.write(*(gradient_of(tensor) for tensor in made))
        builder.access(dlatent.name, "read", 2 * dlatent.bytes)
        gemms = [
            Gemm(dy, up, dlatent, m, self.rank, self.units),
            Gemm(dy, latent, up, self.units, self.rank, m),
            Gemm(dlatent, down, x, m, width, self.rank),
            Gemm(dlatent, x, down, self.rank, width, m),
        ]
        work = gemms_work(builder, gemms, launches=4)
        found = [Gradient("products", tuple(made), (x, latent, down, up), work)]
        if self.bias:
            bias = t.weight("bias")
            builder = WorkBuilder().read(dy).write(gradient_of(bias))
            builder.count("vector", dy.dtype, (m - 1) * self.units)
            found.append(Gradient("bias", (bias,), (), builder.build()))
        return found

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        x = Tensor((sizes["m"], sizes["k"]), precision.activation, name="x")
        return cls(units=sizes["n"], rank=sizes["rank"], bias=sizes["bias"]), [x]
