"""Elementwise operators: activation functions and arithmetic of two tensors.

Costs are operations an element on the vector engine (add, multiply, compare,
negate) and on the special engine (exp, tanh, erf, sqrt, divide), as the naive
kernel of the same name performs them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, ClassVar

from perfmodel.core import (
    REQUIRED,
    Bound,
    Dim,
    Inferred,
    Operator,
    Precision,
    Tensor,
    Work,
    WorkBuilder,
)
from perfmodel.core.dims import maximum, same, show_shape
from perfmodel.errors import InputError


@dataclass(frozen=True)
class Elementwise(Operator):
    """Base of operators that treat every element alike: ``x[...] -> y[...]``.

    Class attributes
    ----------------
    vector_ops, special_ops : operations an element on each engine.
    """

    category = "elementwise"
    sizes = {"elements": REQUIRED}
    small = ({"elements": 1}, {"elements": 6}, {"elements": 13})

    vector_ops: ClassVar[int] = 0
    special_ops: ClassVar[int] = 0

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        return Inferred((inputs[0].like(*inputs[0].shape),))

    def work(self, t: Bound) -> Work:
        builder = WorkBuilder().read(*t.inputs).write(t.y)
        if self.vector_ops:
            builder.count("vector", t.x.dtype, self.vector_ops * t.y.elements)
        if self.special_ops:
            builder.count("special", t.x.dtype, self.special_ops * t.y.elements)
        return builder.build()

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        return cls(), [Tensor((sizes["elements"],), precision.activation, name="x")]


class Relu(Elementwise):
    """Rectified linear unit: ``y = max(x, 0)``. Source: Nair and Hinton, ICML 2010."""

    name = "relu"
    example = "relu:elements=16777216"
    vector_ops = 1


class Sigmoid(Elementwise):
    """Logistic function: ``y = 1 / (1 + exp(-x))``: negate, exp, add, divide."""

    name = "sigmoid"
    example = "sigmoid:elements=16777216"
    vector_ops = 2
    special_ops = 2


class Tanh(Elementwise):
    """Hyperbolic tangent: ``y = tanh(x)``."""

    name = "tanh"
    example = "tanh:elements=16777216"
    special_ops = 1


class Silu(Elementwise):
    """Sigmoid linear unit (swish): ``y = x / (1 + exp(-x))``.

    Source: Elfwing, Uchibe and Doya, arXiv:1702.03118.
    """

    name = "silu"
    example = "silu:elements=16777216"
    vector_ops = 2
    special_ops = 2


class Gelu(Elementwise):
    """Gaussian error linear unit: ``y = x/2 (1 + erf(x / sqrt 2))``.

    Three multiplications, one addition and one erf an element.
    Source: Hendrycks and Gimpel, arXiv:1606.08415.
    """

    name = "gelu"
    example = "gelu:elements=16777216"
    vector_ops = 4
    special_ops = 1


class GeluTanh(Elementwise):
    """GELU by tanh: ``y = x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))``.

    Six multiplications, two additions and one tanh an element.
    Source: Hendrycks and Gimpel, arXiv:1606.08415, section 2.
    """

    name = "gelu_tanh"
    example = "gelu_tanh:elements=16777216"
    vector_ops = 8
    special_ops = 1


class Binary(Elementwise):
    """Base of arithmetic with two operands, broadcast as NumPy does.

    ``a[...], b[...] -> y[...]``; with one input the other operand is a scalar.
    """

    arity = (1, 2)
    sizes = {"elements": REQUIRED, "inputs": 2}
    small = ({"elements": 1}, {"elements": 6, "inputs": 1}, {"elements": 13})
    fixed = frozenset({"inputs"})

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        return Inferred((inputs[0].like(*_broadcast(self.name, [t.shape for t in inputs])),))

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        if sizes["inputs"] not in (1, 2):
            raise InputError(f"{cls.name}: inputs={sizes['inputs']}, expected 1 or 2")
        shape = (sizes["elements"],)
        names = ("a", "b")[: int(sizes["inputs"])]
        return cls(), [Tensor(shape, precision.activation, name=n) for n in names]


class Add(Binary):
    """Sum of two tensors, as in a residual connection: ``y = a + b``."""

    name = "add"
    example = "add:elements=16777216"
    vector_ops = 1


class Sub(Binary):
    """Difference of two tensors: ``y = a - b``."""

    name = "sub"
    example = "sub:elements=16777216"
    vector_ops = 1


class Mul(Binary):
    """Product of two tensors, element by element: ``y = a b``."""

    name = "mul"
    example = "mul:elements=16777216"
    vector_ops = 1


class Div(Binary):
    """Quotient of two tensors, element by element: ``y = a / b``."""

    name = "div"
    example = "div:elements=16777216"
    special_ops = 1


def _broadcast(name: str, shapes: Sequence[tuple[Dim, ...]]) -> tuple[Dim, ...]:
    out: list[Dim] = []
    for dims in zip_longest(*(reversed(s) for s in shapes), fillvalue=1):
        widest = maximum(*dims) if len(dims) > 1 else dims[0]
        for dim in dims:
            if not (same(dim, widest) or same(dim, 1)):
                listed = " and ".join(show_shape(s) for s in shapes)
                raise InputError(f"{name}: shapes {listed} do not broadcast")
        out.append(widest)
    return tuple(reversed(out))
