"""Dense linear algebra: matrix multiplication, and the affine (fully connected) layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from perfmodel.core import (
    REQUIRED,
    Bound,
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
from perfmodel.core.dims import Dim, product
from perfmodel.core.gemms import Gemm, gemms_work
from perfmodel.errors import InputError


@dataclass(frozen=True)
class Matmul(Operator):
    """Batched matrix product of two activations.

    ``a[..., M, K], b[..., K, N] -> y[..., M, N]``; ``b`` may be a single ``[K, N]``.

    ``y = a b``: ``M N K`` MACs a matrix, 2 FLOP each.
    Source: Golub and Van Loan, *Matrix Computations*, 4th ed., section 1.1.
    """

    name = "matmul"
    host_work = 1.4
    category = "dense"
    arity = 2
    sizes = {"m": REQUIRED, "n": REQUIRED, "k": REQUIRED, "batch": 1}
    example = "matmul:m=4096,n=4096,k=4096"
    small = (
        {"m": 2, "n": 3, "k": 4},
        {"m": 1, "n": 5, "k": 1, "batch": 3},
        {"m": 7, "n": 5, "k": 3, "batch": 2},
    )

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        a, b = inputs
        if len(a.shape) < 2 or len(b.shape) not in (2, len(a.shape)):
            raise InputError(
                f"matmul expects a[..., M, K] and b[..., K, N] or b[K, N], found {a} and {b}"
            )
        self.need_same(b.shape[-2], a.shape[-1], "rows of b against columns of a")
        if len(b.shape) > 2:
            for found, expected in zip(b.shape[:-2], a.shape[:-2], strict=True):
                self.need_same(found, expected, "batch of b against batch of a")
        return Inferred((a.like(*a.shape[:-1], b.shape[-1]),))

    def work(self, t: Bound) -> Work:
        a, b = t.inputs
        m, k, n = a.shape[-2], a.shape[-1], b.shape[-1]
        batch = product(a.shape[:-2])
        if len(b.shape) == 2:
            m, batch = m * batch, 1
        return gemms_work(WorkBuilder().read(a, b).write(t.y), [Gemm(a, b, t.y, m, n, k, batch)])

    def gradients(self, t: Bound) -> list[Gradient]:
        # da = dy b^T, db = a^T dy; a shared b sums over the batch as well.
        a, b = t.inputs
        dy, da, db = gradient_of(t.y), gradient_of(a), gradient_of(b)
        m, k, n = a.shape[-2], a.shape[-1], b.shape[-1]
        batch = product(a.shape[:-2])
        if len(b.shape) == 2:
            m, batch = m * batch, 1
        to_a = gemms_work(WorkBuilder().read(dy, b).write(da), [Gemm(dy, b, da, m, k, n, batch)])
        to_b = gemms_work(WorkBuilder().read(a, dy).write(db), [Gemm(a, dy, db, k, n, m, batch)])
        return [Gradient("a", (a,), (b,), to_a), Gradient("b", (b,), (a,), to_b)]

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        batch, dtype = sizes["batch"], precision.activation
        a = Tensor((batch, sizes["m"], sizes["k"]), dtype, name="a")
        b = Tensor((batch, sizes["k"], sizes["n"]), dtype, name="b")
        return cls(), [a, b]


@dataclass(frozen=True)
class Affine(Operator):
    """Affine layer (fully connected, linear): a weighted sum of the inputs plus a bias.

    ``x[..., I] -> y[..., O]``, ``weight[O, I]``, ``bias[O]``.

    ``y_o = sum_i weight_oi x_i + bias_o``: ``O I`` MACs a sample, and one addition
    an output for the bias.
    Source: Goodfellow, Bengio and Courville, *Deep Learning*, section 6.1.
    """

    name = "affine"
    host_work = 2.1
    category = "dense"
    sizes = {"m": REQUIRED, "n": REQUIRED, "k": REQUIRED, "bias": True}
    example = "affine:m=128,n=4096,k=1024"
    small = (
        {"m": 2, "n": 3, "k": 4},
        {"m": 1, "n": 1, "k": 7},
        {"m": 5, "n": 7, "k": 3, "bias": False},
    )

    units: Dim = size(doc="number of outputs")
    bias: bool = flag(True, doc="add a learned bias")

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (x,) = inputs
        if not x.shape:
            raise InputError("affine expects x[..., I], found a scalar")
        weights = [Tensor((self.units, x.shape[-1]), precision.weight, "weight", "weight")]
        if self.bias:
            weights.append(Tensor((self.units,), precision.weight, "weight", "bias"))
        return Inferred((x.like(*x.shape[:-1], self.units),), tuple(weights))

    def work(self, t: Bound) -> Work:
        x, weight = t.x, t.weight("weight")
        m, k, n = product(x.shape[:-1]), x.shape[-1], self.units
        builder = WorkBuilder().read(x, *t.weights).write(t.y)
        if self.bias:
            builder.count("vector", x.dtype, m * n)
        return gemms_work(builder, [Gemm(x, weight, t.y, m, n, k)])

    def gradients(self, t: Bound) -> list[Gradient]:
        # dx = dy W, dW = dy^T x, db = sum of dy over the samples.
        x, weight, dy = t.x, t.weight("weight"), gradient_of(t.y)
        dx, dw = gradient_of(x), gradient_of(weight)
        m, k, n = product(x.shape[:-1]), x.shape[-1], self.units
        to_x = gemms_work(WorkBuilder().read(dy, weight).write(dx), [Gemm(dy, weight, dx, m, k, n)])
        to_w = gemms_work(WorkBuilder().read(dy, x).write(dw), [Gemm(dy, x, dw, n, k, m)])
        made = [Gradient("input", (x,), (weight,), to_x), Gradient("weight", (weight,), (x,), to_w)]
        if self.bias:
            bias = t.weight("bias")
            builder = WorkBuilder().read(dy).write(gradient_of(bias))
            builder.count("vector", dy.dtype, (m - 1) * n)
            made.append(Gradient("bias", (bias,), (), builder.build()))
        return made

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        x = Tensor((sizes["m"], sizes["k"]), precision.activation, name="x")
        return cls(units=sizes["n"], bias=sizes["bias"]), [x]
