"""Affine layer with a sparse weight: what sparsity saves in bytes and in work, apart."""

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
    choice,
    gemm_extra_traffic,
    gradient_of,
    size,
)
from perfmodel.core.dims import product


@dataclass(frozen=True)
class SparseAffine(Operator):
    """Affine layer that stores ``kept`` of every ``of`` weights: ``x[..., I] -> y[..., O]``.

    ``values[O, J]`` and ``indices[O, J]`` with ``J = I kept / of``;
    ``y_o = sum_j values_oj x_column(o, j)``.

    - ``structured`` (2:4 by default): an index says with 2 bits where in its group
      of four a weight stands; a matrix engine that knows the pattern does O J MACs
      a sample.
    - ``unstructured``: an index is a 32-bit column; only the vector engine can
      skip at will: O J multiplications and additions a sample, no dense MACs.

    With ``compute: dense`` the zeros are multiplied as well, on the matrix
    engine: bytes are saved and work is not. So it is on a device whose matrix
    engine does not know the pattern; no device file says yet which does.
    Backward: both gradients take as much work as the forward pass.
    Source: Mishra et al., "Accelerating sparse deep neural networks",
    arXiv:2104.08378 (2:4); Gale et al., "Sparse GPU kernels for deep learning",
    arXiv:2006.10901 (unstructured).
    """

    name = "sparse_affine"
    category = "dense"
    sizes = {
        "m": REQUIRED,
        "n": REQUIRED,
        "k": REQUIRED,
        "kept": 2,
        "of": 4,
        "pattern": "structured",
        "compute": "sparse",
    }
    example = "sparse_affine:m=1024,n=4096,k=4096"
    small = (
        {"m": 3, "n": 2, "k": 8},
        {"m": 1, "n": 5, "k": 4, "kept": 1},
        {"m": 2, "n": 3, "k": 10, "kept": 1, "of": 5, "pattern": "unstructured"},
        {"m": 5, "n": 1, "k": 7, "kept": 3, "of": 7, "pattern": "unstructured"},
    )
    fixed = frozenset({"kept", "of"})

    units: Dim = size(doc="number of outputs")
    kept: Dim = size(2, doc="weights kept of a group")
    of: Dim = size(4, doc="weights of a group; 4 where the pattern is structured")
    pattern: str = choice("structured", ("structured", "unstructured"), doc="where they may stand")
    compute: str = choice("sparse", ("sparse", "dense"), doc="whether zeros are skipped")

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (x,) = inputs
        self.need_same(x.shape[-1] * self.kept % self.of, 0, "inputs times kept, modulo of")
        self.need_positive(self.of - self.kept + 1, "of less kept")
        if self.pattern == "structured":
            self.need_same(self.of, 4, "of in a structured pattern")
        shape = (self.units, x.shape[-1] * self.kept // self.of)
        index = "int2" if self.pattern == "structured" else "int32"
        weights = (
            Tensor(shape, precision.weight, "weight", "values"),
            Tensor(shape, index, "index", "indices"),
        )
        return Inferred((x.like(*x.shape[:-1], self.units),), weights)

    def work(self, t: Bound) -> Work:
        builder = WorkBuilder().read(t.x, *t.weights).write(t.y)
        return self._product(t, builder, t.x, t.weight("values"), t.y)

    def gradients(self, t: Bound) -> list[Gradient]:
        # dx gathers dy over the weights there are; a weight's own gradient is a dot
        # product of dy and x at its place.
        x, values, indices = t.x, t.weight("values"), t.weight("indices")
        dy, dx, dw = gradient_of(t.y), gradient_of(x), gradient_of(values)
        to_x = WorkBuilder().read(dy, values, indices).write(dx)
        to_w = WorkBuilder().read(dy, x, indices).write(dw)
        return [
            Gradient("input", (x,), (values, indices), self._product(t, to_x, dy, values, dx)),
            Gradient("weight", (values,), (x, indices), self._product(t, to_w, x, dy, dw)),
        ]

    def _product(self, t: Bound, builder: WorkBuilder, a: Tensor, b: Tensor, c: Tensor) -> Work:
        rows = product(t.x.shape[:-1])
        sparse = self.compute == "sparse"
        depth = t.weight("values").shape[-1] if sparse else t.x.shape[-1]
        products = rows * self.units * depth
        on_vector = sparse and self.pattern == "unstructured"
        builder.count("vector" if on_vector else "matrix", a.dtype, 2 * products)

        def extra(capacity: Dim) -> Dim:
            return gemm_extra_traffic(rows, self.units, depth, a.bytes, b.bytes, c.bytes, capacity)

        return builder.build(macs=0 if on_vector else products, extra_traffic=extra)

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        op = cls(
            units=sizes["n"],
            kept=sizes["kept"],
            of=sizes["of"],
            pattern=sizes["pattern"],
            compute=sizes["compute"],
        )
        return op, [Tensor((sizes["m"], sizes["k"]), precision.activation, name="x")]
