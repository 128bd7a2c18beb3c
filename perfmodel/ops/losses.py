"""Losses: cross-entropy, binary cross-entropy and mean squared error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

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
    gradient_of,
    missed_share,
)


@dataclass(frozen=True)
class Loss(Operator):
    """Base of losses: of a prediction and a target, their mean or one a sample.

    Class attributes
    ----------------
    includes : operators that the loss applies to its logits itself; training does not run
        one at the end of a network.
    of_classes : the loss is over the classes along one axis, not element by element.
    """

    category = "loss"
    arity = 2

    includes: ClassVar[frozenset[str]] = frozenset()
    of_classes: ClassVar[bool] = False

    reduction: str = choice("mean", ("mean", "none"), doc="one mean loss, or one loss a sample")

    @property
    def is_mean(self) -> bool:
        """Whether the output is one number."""
        return self.reduction == "mean"

    def averaging(self, samples: Dim) -> Dim:
        """Return the operations that make one mean of ``samples`` losses."""
        return samples if self.is_mean else 0


@dataclass(frozen=True)
class CrossEntropy(Loss):
    """Cross-entropy of logits and a class: ``x[..., C], target[...] -> y[]`` or ``y[...]``.

    ``y = log(sum_j exp(x_j - max x)) - (x_target - max x)``, the log-softmax and the
    target's entry in one kernel. A row of C takes C-1 comparisons, C subtractions, C-1
    additions, a last subtraction, C exponentials and one logarithm; the mean of R rows
    R-1 additions and one multiplication. A row that does not fit the inner level is
    read twice (maximum, sum).

    Backward computes the softmax again from the logits, so that training keeps nothing
    else: ``dx = dy softmax(x)``, minus dy at the target; a row that does not fit is
    read three times.
    Source: Goodfellow, Bengio and Courville, *Deep Learning*, section 6.2.2.3.
    """

    name = "cross_entropy"
    includes = frozenset({"softmax", "log_softmax"})
    of_classes = True
    sizes = {"rows": REQUIRED, "cols": REQUIRED, "reduction": "mean"}
    example = "cross_entropy:rows=4096,cols=50304"
    small = (
        {"rows": 1, "cols": 4},
        {"rows": 3, "cols": 7},
        {"rows": 1, "cols": 1},
        {"rows": 5, "cols": 6, "reduction": "none"},
    )

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        x, target = inputs
        self.need_rank(target, len(x.shape) - 1, "x[..., C] and target[...]")
        for i, (found, expected) in enumerate(zip(target.shape, x.shape[:-1], strict=True)):
            self.need_same(found, expected, f"axis {i} of the target")
        return Inferred((x.like(*(() if self.is_mean else target.shape)),))

    def work(self, t: Bound) -> Work:
        x, cols = t.x, t.x.shape[-1]
        rows = x.elements // cols
        builder = WorkBuilder().read(*t.inputs).write(t.y)
        builder.count("vector", x.dtype, rows * (3 * cols - 1) + self.averaging(rows))
        builder.count("special", x.dtype, rows * (cols + 1))
        return _reread(builder, x, rows, 1)

    def gradients(self, t: Bound) -> list[Gradient]:
        x, cols = t.x, t.x.shape[-1]
        rows = x.elements // cols
        builder = WorkBuilder().read(gradient_of(t.y), *t.inputs).write(gradient_of(x))
        builder.count("vector", x.dtype, rows * 4 * cols + self.is_mean)
        builder.count("special", x.dtype, rows * (cols + 1))
        return [Gradient("input", (x,), t.inputs, _reread(builder, x, rows, 2))]

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        x = Tensor((sizes["rows"], sizes["cols"]), precision.activation, name="x")
        target = Tensor((sizes["rows"],), precision.of("index"), "index", "target")
        return cls(reduction=sizes["reduction"]), [x, target]


@dataclass(frozen=True)
class PairLoss(Loss):
    """Base of losses of two tensors, element by element: ``x[...], target[...] -> y``."""

    sizes = {"elements": REQUIRED, "reduction": "mean"}
    small = ({"elements": 1}, {"elements": 6, "reduction": "none"}, {"elements": 13})

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        x, target = inputs
        self.need_rank(target, len(x.shape), f"a target with the {len(x.shape)} axes of x")
        for i, (found, expected) in enumerate(zip(target.shape, x.shape, strict=True)):
            self.need_same(found, expected, f"axis {i} of the target")
        return Inferred((x.like(*(() if self.is_mean else x.shape)),))

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        shape = (sizes["elements"],)
        tensors = [Tensor(shape, precision.activation, name=n) for n in ("x", "target")]
        return cls(reduction=sizes["reduction"]), tensors


class BinaryCrossEntropy(PairLoss):
    """Binary cross-entropy of a logit and a share: ``x[...], target[...] -> y[]`` or ``y[...]``.

    ``y = max(x, 0) - x target + log(1 + exp(-|x|))``: two comparisons, a negation, a
    multiplication, a subtraction, two additions, exp and log; the mean adds up and
    multiplies once. Backward: ``dx = dy (sigmoid(x) - target)``, ``dtarget = -dy x``.
    Source: Goodfellow, Bengio and Courville, *Deep Learning*, section 6.2.2.2.
    """

    name = "binary_cross_entropy"
    includes = frozenset({"sigmoid"})
    example = "binary_cross_entropy:elements=16777216"

    def work(self, t: Bound) -> Work:
        x = t.x
        builder = WorkBuilder().read(*t.inputs).write(t.y)
        builder.count("vector", x.dtype, 7 * x.elements + self.averaging(x.elements))
        return builder.count("special", x.dtype, 2 * x.elements).build()

    def gradients(self, t: Bound) -> list[Gradient]:
        x, target = t.inputs
        dy = gradient_of(t.y)
        to_x = WorkBuilder().read(dy, x, target).write(gradient_of(x))
        to_x.count("vector", x.dtype, 4 * x.elements + self.is_mean)
        to_x.count("special", x.dtype, 2 * x.elements)
        to_target = WorkBuilder().read(dy, x).write(gradient_of(target))
        to_target.count("vector", x.dtype, 2 * x.elements + self.is_mean)
        return [
            Gradient("input", (x,), (x, target), to_x.build()),
            Gradient("target", (target,), (x,), to_target.build()),
        ]


class Mse(PairLoss):
    """Mean squared error: ``x[...], target[...] -> y[]``, or ``y[...]`` without the mean.

    ``y = mean (x - target)^2``: subtract, multiply, add an element, and one
    multiplication for the mean. Backward: ``dx = 2 dy (x - target) / n``, and the
    target's is its negative.
    Source: Bishop, *Pattern Recognition and Machine Learning*, section 1.2.5.
    """

    name = "mse"
    example = "mse:elements=16777216"

    def work(self, t: Bound) -> Work:
        x = t.x
        builder = WorkBuilder().read(*t.inputs).write(t.y)
        return builder.count("vector", x.dtype, 2 * x.elements + self.averaging(x.elements)).build()

    def gradients(self, t: Bound) -> list[Gradient]:
        # The factor 2 dy / n is one number for a mean, one an element otherwise.
        made = []
        for name, tensor in zip(("input", "target"), t.inputs, strict=True):
            builder = WorkBuilder().read(gradient_of(t.y), *t.inputs).write(gradient_of(tensor))
            elements = tensor.elements
            operations = 2 * elements + 1 if self.is_mean else 3 * elements
            work = builder.count("vector", t.x.dtype, operations).build()
            made.append(Gradient(name, (tensor,), t.inputs, work))
        return made


def _reread(builder: WorkBuilder, x: Tensor, rows: Dim, times: int) -> Work:
    """Return the Work that reads ``x`` so many times again, as far as a row does not stay."""

    def extra(capacity: Dim) -> Dim:
        return times * x.bytes * missed_share(x.bytes / rows, capacity)

    return builder.build(extra_traffic=extra)


def usual_loss(last: str) -> str:
    """Return the loss of a network whose last operator is ``last``, where none is stated."""
    binary = last in BinaryCrossEntropy.includes
    return BinaryCrossEntropy.name if binary else CrossEntropy.name
