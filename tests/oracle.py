"""The counting oracle: naive kernels run on numbers that count their own operations.

It shares no formula with `perfmodel.ops`: it knows an operator's shapes, and
everything else from watching the operator's naive kernel compute.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from perfmodel.core import Bound, Operator, Precision, Tensor, Work
from perfmodel.graph import bind_operator
from perfmodel.kernels.naive import naive_kernel

Array = npt.NDArray[Any]

VECTOR_KINDS = ("multiply", "add", "compare", "negate", "bitwise")
DENSE_KINDS = ("dense multiply", "dense add")

#: bytes a value takes, stated here again so that a wrong size in the package shows
ITEM_BYTES = {
    "fp64": 8, "fp32": 4, "tf32": 4, "bf16": 2, "fp16": 2, "fp8_e4m3": 1, "fp8_e5m2": 1,
    "int64": 8, "int32": 4, "int8": 1, "int4": 0.5, "int2": 0.25,
    "bool": 1,
}  # fmt: skip

#: attributes of operators that can step over elements: windows set far apart, keys
#: outside a window, queries before the first key, inputs that no weight multiplies.
#: The whole tensor may count as read.
SKIPPING = ("stride", "window", "causal", "kept")


@dataclass
class Tally:
    """What the counting numbers of one run did: operations by kind, elements touched by tensor."""

    operations: Counter[str] = field(default_factory=Counter)
    touched: dict[str, set[int]] = field(default_factory=dict)


class Counted:
    """A number that counts its operations.

    It has no other operations than these, so that a kernel cannot compute
    anything uncounted. ``source`` is the element of a tensor that it stands for.
    """

    __slots__ = ("source", "tally", "value")
    __hash__ = None  # type: ignore[assignment]
    __eq__ = None  # type: ignore[assignment]

    def __init__(self, value: float, tally: Tally, source: tuple[str, int] | None = None) -> None:
        self.value, self.tally, self.source = value, tally, source

    def touch(self) -> None:
        """Remember that the element was used."""
        if self.source is not None:
            tensor, place = self.source
            self.tally.touched[tensor].add(place)

    def constant(self, value: float) -> Counted:
        """Return a number that counts and comes from no tensor."""
        return Counted(value, self.tally)

    def mac(self, acc: Counted | float, factor: Counted | float) -> Counted:
        """Return ``acc + self * factor``, counted as dense linear algebra."""
        product = self._count("dense multiply", self.value * self._use(factor))
        return product._count("dense add", self._use(acc) + product.value)

    def __add__(self, other: Counted | float) -> Counted:
        return self._count("add", self.value + self._use(other))

    def __sub__(self, other: Counted | float) -> Counted:
        return self._count("add", self.value - self._use(other))

    def __rsub__(self, other: float) -> Counted:
        return self._count("add", other - self.value)

    def __mul__(self, other: Counted | float) -> Counted:
        return self._count("multiply", self.value * self._use(other))

    def __truediv__(self, other: Counted | float) -> Counted:
        return self._count("special", self.value / self._use(other))

    def __rtruediv__(self, other: float) -> Counted:
        return self._count("special", other / self.value)

    def __neg__(self) -> Counted:
        return self._count("negate", -self.value)

    __radd__, __rmul__ = __add__, __mul__

    def __lt__(self, other: Counted | float) -> bool:
        return self._count("compare", self.value).value < self._use(other)

    def __gt__(self, other: Counted | float) -> bool:
        return self._count("compare", self.value).value > self._use(other)

    def exp(self) -> Counted:
        return self._count("special", math.exp(self.value))

    def tanh(self) -> Counted:
        return self._count("special", math.tanh(self.value))

    def erf(self) -> Counted:
        return self._count("special", math.erf(self.value))

    def sqrt(self) -> Counted:
        return self._count("special", math.sqrt(self.value))

    def log(self) -> Counted:
        return self._count("special", math.log(self.value))

    def sin(self) -> Counted:
        return self._count("special", math.sin(self.value))

    def cos(self) -> Counted:
        return self._count("special", math.cos(self.value))

    def power(self, exponent: Counted | float) -> Counted:
        return self._count("special", math.pow(self.value, self._use(exponent)))

    def word_xor(self, other: Counted | int) -> Counted:
        """Return the exclusive or of two 32-bit words."""
        return self._count("bitwise", int(self.value) ^ int(self._use(other)))

    def word_product(self, factor: int) -> tuple[Counted, Counted]:
        """Return the high and the low 32 bits of a product of words, an operation each."""
        high, low = divmod(int(self.value) * factor, 2**32)
        return self._count("multiply", high), self._count("multiply", low)

    def _count(self, kind: str, value: float) -> Counted:
        self.tally.operations[kind] += 1
        self.touch()
        return Counted(value, self.tally)

    @staticmethod
    def _use(other: Counted | float) -> float:
        if not isinstance(other, Counted):
            return other
        other.touch()
        return other.value


class CountedIndex(Counted):
    """An element of a tensor of indices: it chooses an element, which is no operation."""

    __slots__ = ()

    def __index__(self) -> int:
        self.touch()
        return int(self.value)


@dataclass(frozen=True, eq=False)
class Counts:
    """What one run of a naive kernel did; ``touched`` is a number of elements a tensor."""

    outputs: tuple[Array, ...]
    operations: Mapping[str, int]
    touched: Mapping[str, int]


def count(
    op: Operator, inputs: Sequence[Tensor], precision: Precision, algorithm: str | None = None
) -> Counts:
    """Run the naive kernel of ``op`` on counting numbers and return what it did."""
    return _run(op, bind(op, inputs, precision), algorithm)


def check_operator(
    op: Operator, inputs: Sequence[Tensor], precision: Precision, algorithm: str | None = None
) -> None:
    """Assert that shapes, operations and compulsory bytes of ``op`` are those of its naive kernel.

    An operator with an attribute ``algorithm`` is checked for each algorithm it
    offers, or for the one named ``algorithm``.
    """
    tensors = bind(op, inputs, precision)
    works: dict[str | None, Work] = {None: op.work(tensors)}
    if hasattr(op, "algorithm"):
        works = {a.name: a.work for a in op.algorithms(tensors) if algorithm in (None, a.name)}
    assert works, f"{op.name} offers no algorithm {algorithm!r}"
    for name, work in works.items():
        counts = _run(op, tensors, name)
        shapes = tuple(o.shape for o in counts.outputs)
        assert shapes == tuple(t.shape for t in tensors.outputs)
        check_operations(work, counts.operations)
        if op.is_a_view():
            assert (work.accesses, work.launches) == ((), 0), "a view moves nothing"
        else:
            _check_bytes(op, work, tensors, counts)


def bind(op: Operator, inputs: Sequence[Tensor], precision: Precision) -> Bound:
    """Return the tensors of ``op``; its inputs are called 'input 0', ..., its output 'output'."""
    # In a network an input has its maker's name, so no operator may rely on one of its own.
    renamed = [t.named(f"input {i}") for i, t in enumerate(inputs)]
    return bind_operator("output", op, renamed, precision).tensors


def _run(op: Operator, tensors: Bound, algorithm: str | None) -> Counts:
    tally, random = Tally(), np.random.default_rng(0)

    def numbers(tensor: Tensor) -> Array:
        tally.touched[tensor.name] = set()
        out = np.empty(tensor.shape, dtype=object)
        index = tensor.role == "index"
        kind = CountedIndex if index else Counted
        values = random.permutation(out.size) if index else random.uniform(0.5, 1.5, out.size)
        for place, value in enumerate(values.tolist()):
            out.flat[place] = kind(value, tally, (tensor.name, place))
        return out

    attributes = {f.name: getattr(op, f.name) for f in dataclasses.fields(op)}
    if algorithm is not None:
        attributes["algorithm"] = algorithm
    output = naive_kernel(op.name)(
        *(numbers(t) for t in tensors.inputs),
        weights={t.name: numbers(t) for t in tensors.weights},
        **{t.name: numbers(t) for t in tensors.caches},
        **attributes,
    )
    outputs = output if isinstance(output, tuple) else (output,)
    for array in outputs:
        for number in array.flat:
            if isinstance(number, Counted):
                number.touch()
    return Counts(outputs, tally.operations, {k: len(v) for k, v in tally.touched.items()})


def check_operations(work: Work, operations: Mapping[str, int]) -> None:
    """Assert that ``work`` has the operations that counting numbers did."""
    engines: Counter[str] = Counter()
    for (engine, _), number in work.ops.items():
        engines[engine] += number
    products, sums = (operations.get(kind, 0) for kind in DENSE_KINDS)
    expected = {
        "matrix": products + sums,
        "vector": sum(operations.get(kind, 0) for kind in VECTOR_KINDS),
        "special": operations.get("special", 0),
    }
    assert {engine: engines[engine] for engine in expected} == expected
    assert set(engines) <= set(expected)
    assert work.macs == products == sums
    assert work.flops == sum(operations.values())


def _check_bytes(op: Operator, work: Work, tensors: Bound, counts: Counts) -> None:
    moved: Counter[tuple[str, str]] = Counter()
    for access in work.accesses:
        moved[access.tensor, access.direction] += access.bytes
    skipping = any(np.any(getattr(op, name, 0)) for name in SKIPPING)
    for tensor in (*tensors.inputs, *tensors.weights, *tensors.caches):
        item, touched = ITEM_BYTES[tensor.dtype], counts.touched[tensor.name]
        allowed = {touched * item}
        if skipping and tensor not in tensors.weights:
            allowed.add(math.prod(tensor.shape) * item)
        assert moved[tensor.name, "read"] in allowed, f"bytes read of {tensor.name}"
    for tensor in (*tensors.outputs, *tensors.appended):
        expected = math.prod(tensor.shape) * ITEM_BYTES[tensor.dtype]
        assert moved[tensor.name, "write"] == expected, f"bytes written of {tensor.name}"
    # What is neither input, weight, cache nor output is the operator's own temporary.
    own = {t.name for t in (*tensors.inputs, *tensors.weights)}
    assert not [n for n in own if moved[n, "write"]], "an operator writes no input or weight"
    made = {t.name for t in tensors.outputs}
    assert not [n for n in made if moved[n, "read"]], "an operator does not read its output"
