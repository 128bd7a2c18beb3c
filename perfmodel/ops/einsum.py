"""Einstein summation: any product of tensors with sums over shared indices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from perfmodel.core import (
    Bound,
    Dim,
    Gradient,
    Inferred,
    Operator,
    Precision,
    Tensor,
    Work,
    WorkBuilder,
    gradient_of,
    text,
)
from perfmodel.core.dims import largest, product
from perfmodel.core.gemms import Gemm, gemms_work
from perfmodel.errors import InputError, shorten

#: operands at most
MOST = 8


@dataclass(frozen=True)
class Einsum(Operator):
    """Einstein summation of two to eight tensors, such as ``ab,bc->ac``.

    Contracted pair by pair, in the order that opt_einsum finds for the largest
    sizes: a pair costs the product of the sizes of all its indices in MACs, also
    where it sums over none. What a pair makes passes through memory to the next.
    An index occurs once in an operand; the inline form writes ``;`` for the
    comma, and takes sizes of the indices a to h.

    Backward, each pair costs two contractions of the same MACs.
    Source: Smith and Gray, "opt_einsum", Journal of Open Source Software 3 (2018).
    """

    name = "einsum"
    category = "dense"
    arity = (2, MOST)
    sizes = {"equation": "ab;bc->ac", **dict.fromkeys("abcdefgh", 1)}
    example = "einsum:equation=abc;abd->acd,a=16,b=512,c=128,d=128"
    small = (
        {"equation": "ab;bc->ac", "a": 2, "b": 3, "c": 4},
        {"equation": "abc;acd->abd", "a": 2, "b": 3, "c": 2, "d": 5},
        {"equation": "ab;bc;cd->ad", "a": 3, "b": 4, "c": 2, "d": 5},
        {"equation": "ab;ac;ad->bcd", "a": 4, "b": 2, "c": 3, "d": 1},
        {"equation": "a;b->ba", "a": 3, "b": 5},
        {"equation": "abc;b->c", "a": 2, "b": 3, "c": 4},
    )

    equation: str = text(doc="operands' indices, comma between them, -> and the output's")

    def _terms(self, inputs: Sequence[Tensor]) -> tuple[list[str], str]:
        left, arrow, output = self.equation.replace(" ", "").replace(";", ",").partition("->")
        terms = left.split(",")
        known = set("".join(terms))
        if not arrow or not all(i.isalpha() for i in known | set(output)) or set(output) - known:
            found = shorten(self.equation)
            raise InputError(f"einsum: equation: found {found}, expected one such as ab,bc->ac")
        if any(len(set(term)) < len(term) for term in (*terms, output)):
            raise InputError("einsum: an index occurs twice in a tensor")
        self.need_same(len(inputs), len(terms), "operands against the equation")
        return terms, output

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        plan = self._plan(inputs)
        x = inputs[0]
        made = [x.like(*(plan.extent[i] for i in pair.output)) for pair in plan.pairs]
        kept = tuple(t.named(f"product_{i}") for i, t in enumerate(made[:-1], 1))
        return Inferred((made[-1],), kept=kept)

    def _plan(self, inputs: Sequence[Tensor]) -> _Plan:
        terms, output = self._terms(inputs)
        extent: dict[str, Dim] = {}
        for term, tensor in zip(terms, inputs, strict=True):
            self.need_rank(tensor, len(term), f"an operand {term}")
            for index, dim in zip(term, tensor.shape, strict=True):
                self.need_same(dim, extent.setdefault(index, dim), f"size of index {index}")
        return _Plan(extent, _pairs(terms, output, extent))

    def work(self, t: Bound) -> Work:
        plan, tensors = self._plan(t.inputs), [*t.inputs]
        made = [*t.kept, t.y]
        builder = WorkBuilder().read(*t.inputs, *t.kept).write(*made)
        gemms = []
        for pair, result in zip(plan.pairs, made, strict=True):
            a, b = (tensors[i] for i in pair.operands)
            gemms.append(pair.gemm(plan.extent, a, b, result))
            tensors = [t for i, t in enumerate(tensors) if i not in pair.operands] + [result]
        return gemms_work(builder, gemms, launches=len(gemms))

    def gradients(self, t: Bound) -> list[Gradient]:
        plan, tensors = self._plan(t.inputs), [*t.inputs]
        builder = WorkBuilder().read(gradient_of(t.y), *t.inputs, *t.kept)
        builder.write(*(gradient_of(x) for x in t.inputs))
        for product_ in t.kept:
            name = gradient_of(product_).name
            builder.access(name, "write", product_.bytes)
            builder.access(name, "read", 2 * product_.bytes)
        gemms = []
        for pair, result in zip(plan.pairs, [*t.kept, t.y], strict=True):
            a, b = (tensors[i] for i in pair.operands)
            gemm = pair.gemm(plan.extent, a, b, result)
            gemms.append(Gemm(result, b, a, gemm.m, gemm.k, gemm.n, gemm.groups))
            gemms.append(Gemm(a, result, b, gemm.k, gemm.n, gemm.m, gemm.groups))
            tensors = [t for i, t in enumerate(tensors) if i not in pair.operands] + [result]
        work = gemms_work(builder, gemms, launches=len(gemms))
        return [Gradient("operands", t.inputs, (*t.inputs, *t.kept), work)]

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        op = cls(equation=sizes["equation"].replace(";", ","))
        left = op.equation.partition("->")[0]
        if not set(left) <= set("abcdefgh,"):
            raise InputError("einsum: the inline form takes the indices a to h")
        return op, [
            Tensor(tuple(sizes[i] for i in term), precision.activation, name=f"x{n}")
            for n, term in enumerate(left.split(","))
        ]


@dataclass(frozen=True)
class _Pair:
    """A contraction of two of the tensors at hand; its result is put at their end."""

    operands: tuple[int, int]
    left: str
    right: str
    output: str

    def gemm(self, extent: Mapping[str, Dim], a: Tensor, b: Tensor, c: Tensor) -> Gemm:
        """Return the contraction as products of matrices."""
        left, right, kept = set(self.left), set(self.right), set(self.output)

        def over(indices: set[str]) -> Dim:
            return product(extent[i] for i in sorted(indices))

        m, n = over((left - right) & kept), over((right - left) & kept)
        return Gemm(a, b, c, m, n, over((left | right) - kept), over(left & right & kept))


@dataclass(frozen=True, eq=False)
class _Plan:
    extent: Mapping[str, Dim]
    pairs: Sequence[_Pair] = field(default_factory=list)


def _pairs(terms: list[str], output: str, extent: Mapping[str, Dim]) -> list[_Pair]:
    path: Sequence[Sequence[int]] = [(0, 1)]
    if len(terms) > 2:
        from opt_einsum import contract_path

        shapes = [tuple(int(largest(extent[i])) for i in term) for term in terms]
        equation = f"{','.join(terms)}->{output}"
        path = contract_path(equation, *shapes, shapes=True, optimize="auto")[0]
    pairs, left = [], list(terms)
    for step in path:
        first, second = sorted(step)
        a, b = left[first], left[second]
        left = [term for i, term in enumerate(left) if i not in step]
        needed = set(output).union(*left)
        # The last pair writes the output as asked for.
        made = "".join(i for i in dict.fromkeys(a + b) if i in needed) if left else output
        pairs.append(_Pair((first, second), a, b, made))
        left.append(made)
    return pairs
