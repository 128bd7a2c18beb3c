"""Elementwise arithmetic: of one tensor, and of two that broadcast.

Costs are operations an element on the vector engine (add, multiply, compare,
negate) and on the special engine (exp, log, sqrt, power, divide), as the naive
kernel of the same name performs them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from perfmodel.core import (
    REQUIRED,
    Bound,
    Gradient,
    Inferred,
    Operator,
    Precision,
    Tensor,
    WorkBuilder,
    gradient_of,
)
from perfmodel.core.dims import same, where
from perfmodel.core.elementwise import Elementwise, broadcast_shape, count_each, passed_on
from perfmodel.errors import InputError


class Exp(Elementwise):
    """Exponential: ``y = exp(x)``. Backward from the output: ``dx = dy y``."""

    name = "exp"
    example = "exp:elements=16777216"
    special_ops = 1
    backward_vector_ops = 1
    saves = "output"


class Log(Elementwise):
    """Natural logarithm: ``y = log(x)``. Backward: ``dx = dy / x``."""

    name = "log"
    example = "log:elements=16777216"
    special_ops = 1
    backward_special_ops = 1


class Sqrt(Elementwise):
    """Square root: ``y = sqrt(x)``. Backward from the output: ``dx = 0.5 dy / y``."""

    name = "sqrt"
    example = "sqrt:elements=16777216"
    special_ops = 1
    backward_vector_ops = 1
    backward_special_ops = 1
    saves = "output"


class Abs(Elementwise):
    """Absolute value: ``y = max(x, -x)``. Backward: ``dx = dy`` or ``-dy`` by the sign of x."""

    name = "abs"
    example = "abs:elements=16777216"
    vector_ops = 2
    backward_vector_ops = 2


class Neg(Elementwise):
    """Negation: ``y = -x``. Backward: ``dx = -dy``."""

    name = "neg"
    example = "neg:elements=16777216"
    vector_ops = 1
    backward_vector_ops = 1
    saves = "nothing"


@dataclass(frozen=True)
class Pullback:
    """How one operand's gradient is made from the output's, element by element.

    Parameters
    ----------
    vector_ops, special_ops : operations an element.
    saves : what it reads of the operands ``a``, ``b`` and the output ``y``.
    """

    vector_ops: int = 0
    special_ops: int = 0
    saves: str = ""

    @property
    def passes_on(self) -> bool:
        """Whether the gradient is the output's as it is."""
        return not (self.vector_ops or self.special_ops)


class Binary(Elementwise):
    """Base of arithmetic with two operands, broadcast as NumPy does.

    ``a[...], b[...] -> y[...]``; with one input the other operand is a scalar.
    The gradient of a broadcast operand is a sum over the places it was used at.

    Class attributes
    ----------------
    to_a, to_b : how the gradients of two operands are made.
    to_only : how that of the first is, where the other is a scalar.
    """

    arity = (1, 2)
    sizes = {"elements": REQUIRED, "inputs": 2}
    small = ({"elements": 1}, {"elements": 6, "inputs": 1}, {"elements": 13})
    fixed = frozenset({"inputs"})

    to_a: ClassVar[Pullback]
    to_b: ClassVar[Pullback]
    to_only: ClassVar[Pullback]

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        return Inferred((inputs[0].like(*broadcast_shape(self.name, [t.shape for t in inputs])),))

    def gradients(self, t: Bound) -> list[Gradient]:
        if len(t.inputs) == 1:
            return [_pull_back("a", t.x, t, self.to_only)]
        a, b = t.inputs
        return [_pull_back("a", a, t, self.to_a), _pull_back("b", b, t, self.to_b)]

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
    """Sum of two tensors, as in a residual connection: ``y = a + b``.

    Backward passes dy on to an operand that was not broadcast, and moves nothing.
    """

    name = "add"
    example = "add:elements=16777216"
    vector_ops = 1
    to_a = to_b = to_only = Pullback()


class Sub(Binary):
    """Difference of two tensors: ``y = a - b``. Backward: ``da = dy``, ``db = -dy``."""

    name = "sub"
    example = "sub:elements=16777216"
    vector_ops = 1
    to_a = to_only = Pullback()
    to_b = Pullback(vector_ops=1)


class Mul(Binary):
    """Product of two tensors, element by element: ``y = a b``.

    Backward: ``da = dy b``, ``db = dy a``.
    """

    name = "mul"
    example = "mul:elements=16777216"
    vector_ops = 1
    to_a = Pullback(vector_ops=1, saves="b")
    to_b = Pullback(vector_ops=1, saves="a")
    to_only = Pullback(vector_ops=1)


class Div(Binary):
    """Quotient of two tensors, element by element: ``y = a / b``.

    Backward: ``da = dy / b``, ``db = -dy y / b``.
    """

    name = "div"
    example = "div:elements=16777216"
    special_ops = 1
    to_a = Pullback(special_ops=1, saves="b")
    to_b = Pullback(vector_ops=2, special_ops=1, saves="by")
    to_only = Pullback(special_ops=1)


class Pow(Binary):
    """Power: ``y = a ** b``, one special function an element.

    Backward: ``da = dy b a ** (b - 1)``, ``db = dy y log(a)``.
    """

    name = "pow"
    host_work = 1.03
    example = "pow:elements=16777216"
    special_ops = 1
    to_a = Pullback(vector_ops=3, special_ops=1, saves="ab")
    to_b = Pullback(vector_ops=2, special_ops=1, saves="ay")
    to_only = Pullback(vector_ops=2, special_ops=1, saves="a")


class Extremum(Binary):
    """Base of the larger and the smaller of two: the chosen operand takes the gradient."""

    # Two operands of these sizes never tie in the tests' values, where no gradient is defined.
    small = ({"elements": 1, "inputs": 1}, {"elements": 17}, {"elements": 18})
    vector_ops = 1
    to_a = to_b = Pullback(vector_ops=1, saves="ab")
    to_only = Pullback(vector_ops=1, saves="a")


class Maximum(Extremum):
    """The larger of two tensors, element by element: ``y = max(a, b)``."""

    name = "maximum"
    example = "maximum:elements=16777216"


class Minimum(Extremum):
    """The smaller of two tensors, element by element: ``y = min(a, b)``."""

    name = "minimum"
    example = "minimum:elements=16777216"


def _pull_back(part: str, operand: Tensor, t: Bound, rule: Pullback) -> Gradient:
    if rule.passes_on and same(operand.elements, t.y.elements):
        return passed_on(part, operand)
    named = dict(zip("ab", t.inputs, strict=False)) | {"y": t.y}
    saved = tuple(named[n] for n in rule.saves)
    dy, made = gradient_of(t.y), gradient_of(operand)
    summed = t.y.elements - operand.elements
    if rule.passes_on:
        # In a sweep some points may be broadcast and others not: those pass dy on.
        moves = where(summed > 0, 1, 0)
        builder = WorkBuilder().access(dy.name, "read", dy.bytes * moves)
        builder.access(made.name, "write", made.bytes * moves)
        work = builder.count("vector", t.x.dtype, summed).build(launches=moves)
        return Gradient(part, (operand,), (), work)
    builder = WorkBuilder().read(dy, *saved).write(made)
    count_each(builder, t.x.dtype, t.y.elements, rule.vector_ops, rule.special_ops)
    if not same(summed, 0):
        builder.count("vector", t.x.dtype, summed)
    return Gradient(part, (operand,), saved, builder.build())
