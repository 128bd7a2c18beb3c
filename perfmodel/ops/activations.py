"""Activation functions of one element, and the learned slope of PReLU.

Costs are operations an element on the vector engine (add, multiply, compare,
negate) and on the special engine (exp, log, tanh, erf, divide), as the naive
kernel of the same name performs them. What the backward kernel reads is what
frameworks keep: the output where the slope follows from it, else the input.
"""

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
)
from perfmodel.core.elementwise import Elementwise
from perfmodel.errors import InputError


class Relu(Elementwise):
    """Rectified linear unit: ``y = max(x, 0)``. Source: Nair and Hinton, ICML 2010.

    Backward selects dy where y > 0, one comparison.
    """

    name = "relu"
    host_work = 1.03
    example = "relu:elements=16777216"
    vector_ops = 1
    backward_vector_ops = 1
    saves = "output"


class Relu6(Elementwise):
    """Rectified linear unit that saturates: ``y = min(max(x, 0), 6)``.

    Backward selects dy where 0 < y < 6, two comparisons.
    Source: Howard et al., "MobileNets", arXiv:1704.04861.
    """

    name = "relu6"
    example = "relu6:elements=16777216"
    vector_ops = 2
    backward_vector_ops = 2
    saves = "output"


class LeakyRelu(Elementwise):
    """Rectified linear unit with a small slope s below 0: ``y = max(x, s x)``.

    One multiplication and one comparison, backward too: dy times 1 or s by y's sign.
    Source: Maas, Hannun and Ng, ICML 2013.
    """

    name = "leaky_relu"
    example = "leaky_relu:elements=16777216"
    vector_ops = 2
    backward_vector_ops = 2
    saves = "output"


class Elu(Elementwise):
    """Exponential linear unit: ``y = x`` where x > 0, else ``a (exp(x) - 1)``.

    Subtract, multiply, compare and exp; backward from the output, ``dy`` times 1 or
    ``y + a``: add, compare, multiply.
    Source: Clevert, Unterthiner and Hochreiter, arXiv:1511.07289.
    """

    name = "elu"
    example = "elu:elements=16777216"
    vector_ops = 3
    special_ops = 1
    backward_vector_ops = 3
    saves = "output"


class Selu(Elementwise):
    """Self-normalizing linear unit: ``y = l x`` where x > 0, else ``l a (exp(x) - 1)``.

    Both branches are computed: subtract, two multiplications, compare and exp.
    Source: Klambauer et al., arXiv:1706.02515.
    """

    name = "selu"
    example = "selu:elements=16777216"
    vector_ops = 4
    special_ops = 1
    backward_vector_ops = 3
    saves = "output"


class Sigmoid(Elementwise):
    """Logistic function: ``y = 1 / (1 + exp(-x))``: negate, exp, add, divide.

    Backward: ``dx = dy y (1 - y)``.
    """

    name = "sigmoid"
    example = "sigmoid:elements=16777216"
    vector_ops = 2
    special_ops = 2
    backward_vector_ops = 3
    saves = "output"


class HardSigmoid(Elementwise):
    """Piecewise linear sigmoid: ``y = min(max(x + 3, 0), 6) / 6``.

    Add, two comparisons, multiply by 1/6. Backward: dy / 6 where 0 < y < 1.
    Source: Howard et al., "Searching for MobileNetV3", arXiv:1905.02244.
    """

    name = "hard_sigmoid"
    example = "hard_sigmoid:elements=16777216"
    vector_ops = 4
    backward_vector_ops = 3
    saves = "output"


class HardSwish(Elementwise):
    """Piecewise SiLU: ``y = x min(max(x + 3, 0), 6) / 6``.

    Add, two comparisons, two multiplications. Backward: dy times 0 up to -3, 1 from 3
    on, and ``x/3 + 1/2`` between: two comparisons, two multiplications, add.
    Source: Howard et al., "Searching for MobileNetV3", arXiv:1905.02244.
    """

    name = "hard_swish"
    example = "hard_swish:elements=16777216"
    vector_ops = 5
    backward_vector_ops = 5


class Tanh(Elementwise):
    """Hyperbolic tangent: ``y = tanh(x)``. Backward: ``dx = dy (1 - y^2)``."""

    name = "tanh"
    # Called as a function, the others as a module.
    host_work = 0.84
    example = "tanh:elements=16777216"
    special_ops = 1
    backward_vector_ops = 3
    saves = "output"


class Silu(Elementwise):
    """Sigmoid linear unit (swish): ``y = x / (1 + exp(-x))``.

    Backward with s the sigmoid of x, computed again: ``dx = dy (s + x s (1 - s))``.
    Source: Elfwing, Uchibe and Doya, arXiv:1702.03118.
    """

    name = "silu"
    example = "silu:elements=16777216"
    vector_ops = 2
    special_ops = 2
    backward_vector_ops = 7
    backward_special_ops = 2


class Gelu(Elementwise):
    """Gaussian error linear unit: ``y = x/2 (1 + erf(x / sqrt 2))``.

    Three multiplications, one addition and one erf an element. Backward:
    ``dx = dy (cdf(x) + x pdf(x))`` of the normal distribution, with erf and exp.
    Source: Hendrycks and Gimpel, arXiv:1606.08415.
    """

    name = "gelu"
    host_work = 0.95
    example = "gelu:elements=16777216"
    vector_ops = 4
    special_ops = 1
    backward_vector_ops = 9
    backward_special_ops = 2


class GeluTanh(Elementwise):
    """GELU by tanh: ``y = x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))``.

    Six multiplications, two additions and one tanh an element. Backward, with t the
    tanh and u its argument: ``dx = dy ((1 + t)/2 + x/2 (1 - t^2) u'(x))``.
    Source: Hendrycks and Gimpel, arXiv:1606.08415, section 2.
    """

    name = "gelu_tanh"
    example = "gelu_tanh:elements=16777216"
    vector_ops = 8
    special_ops = 1
    backward_vector_ops = 16
    backward_special_ops = 1


class Softplus(Elementwise):
    """Smooth rectifier: ``y = max(x, 0) + log(1 + exp(-|x|))``, without overflow.

    Two comparisons, negate, two additions, exp and log. Backward: ``dx = dy sigmoid(x)``.
    Source: Glorot, Bordes and Bengio, AISTATS 2011.
    """

    name = "softplus"
    example = "softplus:elements=16777216"
    vector_ops = 5
    special_ops = 2
    backward_vector_ops = 2
    backward_special_ops = 2


class Mish(Elementwise):
    """Mish: ``y = x tanh(log(1 + exp(x)))``.

    Backward with t the tanh and s the sigmoid of x: ``dx = dy (t + x s (1 - t^2))``.
    Source: Misra, arXiv:1908.08681.
    """

    name = "mish"
    example = "mish:elements=16777216"
    vector_ops = 2
    special_ops = 3
    backward_vector_ops = 7
    backward_special_ops = 4


@dataclass(frozen=True)
class Prelu(Operator):
    """Rectified linear unit with a learned slope: ``x[N,C,...] -> y[N,C,...]``, ``slope[C]``.

    ``y = x`` where x > 0, else ``slope x``: one multiplication and one comparison an
    element. One backward kernel makes ``dx`` and ``dslope = sum of dy x`` over the
    elements up to 0: a comparison, two multiplications, and an addition an element
    but the first of each slope.
    Source: He et al., arXiv:1502.01852.
    """

    name = "prelu"
    category = "elementwise"
    sizes = {"elements": REQUIRED, "channels": 1}
    example = "prelu:elements=16777216,channels=256"
    small = (
        {"elements": 1},
        {"elements": 6, "channels": 3},
        {"elements": 35, "channels": 5},
        {"elements": 13},
    )

    shared: bool = flag(False, doc="one slope for all channels")

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (x,) = inputs
        if len(x.shape) < 2 and not self.shared:
            raise InputError(f"prelu expects x[N,C,...], found {x}")
        slopes = 1 if self.shared else x.shape[1]
        slope = Tensor((slopes,), precision.weight, "weight", "slope")
        return Inferred((x.like(*x.shape),), (slope,))

    def work(self, t: Bound) -> Work:
        builder = WorkBuilder().read(t.x, *t.weights).write(t.y)
        return builder.count("vector", t.x.dtype, 2 * t.x.elements).build()

    def gradients(self, t: Bound) -> list[Gradient]:
        slope, dy = t.weight("slope"), gradient_of(t.y)
        builder = WorkBuilder().read(dy, t.x, slope).write(gradient_of(t.x), gradient_of(slope))
        builder.count("vector", dy.dtype, 4 * t.x.elements - slope.elements)
        return [Gradient("input_and_slope", (t.x, slope), (t.x, slope), builder.build())]

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        elements, channels = sizes["elements"], sizes["channels"]
        cls().need_same(elements % channels, 0, "elements modulo channels")
        x = Tensor((elements // channels, channels), precision.activation, name="x")
        return cls(), [x]
