"""Optimizers: one step over one parameter tensor, fused into as few kernels as its norms allow.

State and arithmetic are fp32 whatever the formats of parameter and gradient. Step
sizes, decay rates and bias corrections are numbers that the host computes once a step.

Parameters narrower than fp32 are stepped on an fp32 master copy, and written in their
own format besides (Micikevicius et al., arXiv:1710.03740, section 3.1). Where a gradient
holds only some rows of a table, optimizers that treat every parameter alike step those
rows and their state, as SparseAdam and lazy momentum do; those with norms or factors
over the whole tensor, or a decay of every parameter, step all of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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
    flag,
    missed_share,
)
from perfmodel.core.dims import largest, maximum
from perfmodel.core.elementwise import count_each

STATE = "fp32"


@dataclass(frozen=True)
class Optimizer(Operator):
    """Base of optimizers: ``p[...], g[...], state... -> p[...], state...``, new for old.

    Class attributes
    ----------------
    state_tensors : fp32 tensors of the parameter's size that it keeps.
    vector_ops, special_ops : operations a parameter.
    """

    category = "optimizer"
    sizes: ClassVar[Mapping[str, Any]] = {"elements": REQUIRED, "master": False, "clear": False}
    small: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"elements": 1},
        {"elements": 6, "master": True},
        {"elements": 13, "clear": True},
        {"elements": 5, "master": True, "clear": True},
    )

    state_tensors: ClassVar[int]
    vector_ops: ClassVar[int]
    special_ops: ClassVar[int] = 0

    master: bool = flag(
        False, doc="p is an fp32 master copy; the parameter in its own format is written too"
    )
    clear: bool = flag(
        False, doc="zeros are written over g, where the next step adds up a gradient in place"
    )

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        parameter, gradient, *rest = inputs
        states = [tensor for tensor in rest if tensor.role != "index"]
        for tensor in (gradient, *states):
            self._need_shape(tensor, parameter.shape)
        return self._made(parameter, gradient, states, precision)

    def work(self, t: Bound) -> Work:
        builder = WorkBuilder().read(*t.inputs).write(*t.outputs)
        count_each(builder, STATE, t.x.elements, self.vector_ops, self.special_ops)
        return builder.build()

    def _made(
        self, parameter: Tensor, gradient: Tensor, states: Sequence[Tensor], precision: Precision
    ) -> Inferred:
        made = [replace(parameter), *(replace(s) for s in states)]
        if self.master:
            made.append(Tensor(parameter.shape, precision.weight, "weight"))
        if self.clear:
            made.append(replace(gradient))
        return Inferred(tuple(made))

    def _need_shape(self, tensor: Tensor, shape: tuple[Dim, ...]) -> None:
        self.need_rank(tensor, len(shape), f"{tensor.name or 'a tensor'} with {len(shape)} axes")
        for i, (found, expected) in enumerate(zip(tensor.shape, shape, strict=True)):
            self.need_same(found, expected, f"axis {i} of {tensor.name or 'a tensor'}")

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        shape = (sizes["elements"],)
        states = [Tensor(shape, STATE, "state", f"state {i}") for i in range(cls.state_tensors)]
        op = cls(master=sizes["master"], clear=sizes["clear"])
        return op, [*op._parameter_and_gradient(shape, precision), *states]

    def _parameter_and_gradient(
        self, shape: tuple[Dim, ...], precision: Precision
    ) -> tuple[Tensor, Tensor]:
        gradient = Tensor(shape, precision.weight, "weight", "gradient")
        if self.master:
            return Tensor(shape, STATE, "state", "master"), gradient
        return Tensor(shape, precision.weight, "weight", "parameter"), gradient


class RowOptimizer(Optimizer):
    """Base of optimizers that can step some rows: ``p[...], g[...], state..., rows[R] -> p, ...``.

    With ``rows``, p and the state are R rows of larger tensors, and row i of g steps
    row ``rows[i]``; the numbers of the rows are read too.
    """

    sizes = {**Optimizer.sizes, "rows": 0}
    small = (
        *Optimizer.small,
        {"elements": 12, "rows": 3},
        {"elements": 7, "rows": 7},
        {"elements": 10, "rows": 2, "master": True},
    )

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        for rows in (tensor for tensor in inputs if tensor.role == "index"):
            self.need_rank(rows, 1, "rows[R]")
            count = maximum(rows.shape[0], 1)
            self.need_same(inputs[0].elements % count, 0, "parameters modulo rows")
        return super().infer(inputs, precision)

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        op, inputs = super().from_sizes(sizes, precision)
        if largest(sizes["rows"]) > 0:
            inputs.append(Tensor((sizes["rows"],), precision.of("index"), "index", "rows"))
        return op, inputs


class Sgd(RowOptimizer):
    """Stochastic gradient descent: ``p[...], g[...] -> p[...]``.

    ``p = p - r g`` with step r: one multiplication, one subtraction.
    Source: Robbins and Monro, Ann. Math. Statist. 22 (1951).
    """

    name = "sgd"
    arity = (2, 3)
    example = "sgd:elements=16777216"
    state_tensors = 0
    vector_ops = 2


class Momentum(RowOptimizer):
    """Gradient descent with momentum: ``p[...], g[...], v[...] -> p[...], v[...]``.

    ``v = m v + g``, ``p = p - r v``: two multiplications, two additions.
    Source: Polyak, USSR Comput. Math. Math. Phys. 4 (1964).
    """

    name = "momentum"
    arity = (3, 4)
    example = "momentum:elements=16777216"
    state_tensors = 1
    vector_ops = 4


class Adagrad(RowOptimizer):
    """Steps shrinking with the sum of squares: ``p[...], g[...], s[...] -> p[...], s[...]``.

    ``s = s + g^2``, ``p = p - r g / (sqrt(s) + e)``: two multiplications, three
    additions, a square root and a division.
    Source: Duchi, Hazan and Singer, J. Mach. Learn. Res. 12 (2011), figure 1.
    """

    name = "adagrad"
    arity = (3, 4)
    example = "adagrad:elements=16777216"
    state_tensors = 1
    vector_ops = 5
    special_ops = 2


class Adam(RowOptimizer):
    """Adam: ``p[...], g[...], m[...], v[...] -> p[...], m[...], v[...]``.

    ``m = b1 m + (1 - b1) g``, ``v = b2 v + (1 - b2) g^2``,
    ``p = p - r' m / (c sqrt(v) + e)`` with the bias corrections in r' and c: seven
    multiplications, four additions, a square root and a division.
    Source: Kingma and Ba, arXiv:1412.6980, algorithm 1 and section 2.
    """

    name = "adam"
    arity = (4, 5)
    example = "adam:elements=16777216"
    state_tensors = 2
    vector_ops = 11
    special_ops = 2


class Adamw(Optimizer):
    """Adam with decoupled weight decay: ``p[...], g[...], m[...], v[...] -> p[...], ...``.

    As Adam, from ``(1 - r d) p`` instead of p: one multiplication more.
    Source: Loshchilov and Hutter, arXiv:1711.05101, algorithm 2.
    """

    name = "adamw"
    arity = 4
    example = "adamw:elements=16777216"
    state_tensors = 2
    vector_ops = 12
    special_ops = 2


class Lamb(Optimizer):
    """Adam's step scaled by norms: ``p[...], g[...], m[...], v[...] -> p[...], m[...], v[...]``.

    With Adam's m and v, ``u = c1 m / (c2 sqrt(v) + e) + d p`` and
    ``p = p - r (norm p / norm u) u``. A parameter takes eleven multiplications and
    additions, a square root and a division for u, two multiplications and two additions
    for the norms, two operations for the step; the tensor two square roots, a
    division and a multiplication. Two kernels: the norms are whole before the step,
    and u goes through memory between them, as does p where it does not stay.
    Source: You et al., arXiv:1904.00962, algorithm 2.
    """

    name = "lamb"
    arity = 4
    example = "lamb:elements=16777216"
    state_tensors = 2
    vector_ops = 18
    special_ops = 2

    def work(self, t: Bound) -> Work:
        parameter = t.x
        builder = WorkBuilder().read(*t.inputs).write(*t.outputs)
        # Sums of two norms start at their first term; then the ratio times the step.
        builder.count("vector", STATE, self.vector_ops * parameter.elements - 2 + 1)
        builder.count("special", STATE, self.special_ops * parameter.elements + 3)
        update = Tensor(parameter.shape, STATE).bytes
        builder.access("update", "write", update).access("update", "read", update)

        def extra(capacity: Dim) -> Dim:
            return parameter.bytes * missed_share(parameter.bytes, capacity)

        return builder.build(launches=2, extra_traffic=extra, workspace=update)


@dataclass(frozen=True)
class Adafactor(Optimizer):
    """Adam's second moment from row and column sums: ``p[R,C], g[R,C], r[R], c[C] -> p, r, c``.

    ``r = b r + (1 - b) rowsum(g^2 + e1)``, ``c`` likewise over columns;
    ``u = g / sqrt(r c / sum r)``, clipped to a root mean square of 1;
    ``p = p - s max(e2, rms p) u / max(1, rms u)``. It keeps R + C numbers, no tensor of
    the parameter's size, so ``state_tensors`` is 0; the step factor s is the host's.

    A parameter takes four operations for the sums, two for the mean square of p, six
    for u (two multiplications by ``1 / sqrt(r_i / sum r)`` and ``1 / sqrt(c_j)``, made
    again by the last kernel, and its mean square), two for the step. Three kernels:
    sums, mean square of u, step; g is read three times and p twice where they do not stay.
    Source: Shazeer and Stern, arXiv:1804.04235, algorithm 4.
    """

    name = "adafactor"
    arity = 4
    sizes = {"rows": REQUIRED, "cols": REQUIRED, "master": False, "clear": False}
    example = "adafactor:rows=4096,cols=4096"
    small = (
        {"rows": 1, "cols": 1},
        {"rows": 3, "cols": 7, "master": True},
        {"rows": 5, "cols": 2, "clear": True},
    )
    state_tensors = 0

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        parameter, gradient, of_rows, of_cols = inputs
        self.need_rank(parameter, 2, "p[R,C]")
        self._need_shape(gradient, parameter.shape)
        self._need_shape(of_rows, parameter.shape[:1])
        self._need_shape(of_cols, parameter.shape[1:])
        return self._made(parameter, gradient, (of_rows, of_cols), precision)

    def work(self, t: Bound) -> Work:
        parameter, gradient = t.inputs[:2]
        rows, cols = parameter.shape
        # Sums over rows, columns and all start at their first term.
        vector = 14 * parameter.elements + 4 * rows + 2 * cols + 2
        builder = WorkBuilder().read(*t.inputs).write(*t.outputs)
        builder.count("vector", STATE, vector)
        builder.count("special", STATE, 2 * (rows + cols) + 4)

        def extra(capacity: Dim) -> Dim:
            share = missed_share(parameter.bytes + gradient.bytes, capacity)
            return (parameter.bytes + 2 * gradient.bytes) * share

        return builder.build(launches=3, extra_traffic=extra)

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        rows, cols = sizes["rows"], sizes["cols"]
        states = [
            Tensor((rows,), STATE, "state", "row sums"),
            Tensor((cols,), STATE, "state", "column sums"),
        ]
        op = cls(master=sizes["master"], clear=sizes["clear"])
        return op, [*op._parameter_and_gradient((rows, cols), precision), *states]
