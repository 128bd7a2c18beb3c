"""Operator: the base of every building block.

An operator is a frozen dataclass whose fields are its attributes. It says its
shape rule (`infer`), its cost (`work` or `algorithms`), its backward kernels
(`gradients`), and how the inline form `name:size=value,...` builds one (`sizes`,
`from_sizes`). Defining the class in a module of `perfmodel/ops/` is all it takes:
readers, reports, tests and the catalogue find it in `perfmodel.ops.registry()`.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from perfmodel.core.dims import Dim, same, show_shape, smallest
from perfmodel.core.formats import Precision
from perfmodel.core.gradient import Gradient
from perfmodel.core.layouts import in_layout, split_layout
from perfmodel.core.tensor import Tensor
from perfmodel.core.work import Algorithm, Work, WorkBuilder
from perfmodel.errors import InputError

Category = Literal[
    "dense",
    "elementwise",
    "reduction",
    "normalization",
    "attention",
    "recurrent",
    "embedding",
    "movement",
    "transform",
    "loss",
    "optimizer",
]

#: how well an operator's cost is known: counted, its bytes only, or not what it does
Coverage = Literal["modelled", "bounded", "unknown"]

REQUIRED: Any = None  # a size without a default


@dataclass(frozen=True, eq=False)
class Inferred:
    """What an operator makes of its inputs.

    Outputs, its own weights, the KV cache it reads, and what it appends to the cache.
    ``kept`` are temporaries that only training stores, for the backward pass: the
    forward pass writes them then, besides what its Work writes under the same name.
    """

    outputs: tuple[Tensor, ...]
    weights: tuple[Tensor, ...] = ()
    caches: tuple[Tensor, ...] = ()
    appended: tuple[Tensor, ...] = ()
    kept: tuple[Tensor, ...] = ()


@dataclass(frozen=True, eq=False)
class Bound:
    """An operator's tensors, by role; what `work` and `algorithms` count on.

    ``given`` are those of its weights that another node computes, by the weight's name;
    they stand among ``weights`` as that node's output.
    """

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    weights: tuple[Tensor, ...] = ()
    caches: tuple[Tensor, ...] = ()
    appended: tuple[Tensor, ...] = ()
    kept: tuple[Tensor, ...] = ()
    given: Mapping[str, Tensor] = dataclasses.field(default_factory=dict)

    @property
    def x(self) -> Tensor:
        """The first input."""
        return self.inputs[0]

    @property
    def y(self) -> Tensor:
        """The first output."""
        return self.outputs[0]

    def weight(self, name: str) -> Tensor:
        """Return the weight called ``name``."""
        if name in self.given:
            return self.given[name]
        return next(w for w in self.weights if w.name == name)

    @property
    def own_weights(self) -> tuple[Tensor, ...]:
        """The weights that are stored with the operator."""
        if not self.given:
            return self.weights
        computed = {id(t) for t in self.given.values()}
        return tuple(w for w in self.weights if id(w) not in computed)

    @property
    def sources(self) -> tuple[Tensor, ...]:
        """The tensors it takes from other nodes: its inputs, then weights that are computed."""
        return (*self.inputs, *self.given.values())


def moving(tensors: Bound, launches: int) -> Work:
    """Return the Work of an operator on nothing, which computes nothing: what is there moves."""
    builder = WorkBuilder().read(*tensors.inputs, *tensors.given.values())
    return builder.write(*tensors.outputs).build(launches=launches)


@dataclass(frozen=True)
class Operator(ABC):
    """A building block of networks. See the module's first lines for the contract.

    Class attributes
    ----------------
    name : the operator's name in workloads and inline.
    category : its class in reports.
    arity : number of inputs, or (least, most).
    sizes : inline sizes with defaults; REQUIRED where there is none, another
        size's name where it takes that one's value.
    example : an inline operator of a typical size.
    small : inline sizes, small enough for the counting oracle, a ragged one among them.
    fixed : inline sizes that are one whole number, never swept.
    input_sizes : inline sizes that are the shape of the one input, channels second;
        what reads its inline sizes otherwise defines `from_sizes`.
    is_view : the output is the input's memory under another shape.
    host_work : what the host does for an eager launch, over that of a sum of two tensors.
    """

    name: ClassVar[str]
    category: ClassVar[Category]
    arity: ClassVar[int | tuple[int, int]] = 1
    sizes: ClassVar[Mapping[str, Any]]
    example: ClassVar[str]
    small: ClassVar[tuple[Mapping[str, Any], ...]]
    fixed: ClassVar[frozenset[str]] = frozenset()
    input_sizes: ClassVar[tuple[str, ...]]
    is_view: ClassVar[bool] = False
    host_work: ClassVar[float] = 1.0

    @abstractmethod
    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        """Return outputs and weights for ``inputs``; InputError where shapes do not fit."""

    @abstractmethod
    def work(self, t: Bound) -> Work:
        """Return the cost of one execution."""

    def algorithms(self, t: Bound) -> list[Algorithm]:
        """Return the ways to compute the operator; by default one."""
        return [Algorithm("default", self.work(t))]

    def gradients(self, t: Bound) -> list[Gradient]:
        """Return the kernels of the backward pass; none where there is no gradient."""
        return []

    @property
    def coverage(self) -> Coverage:
        """How well the operator's cost is known."""
        return "modelled"

    def is_a_view(self) -> bool:
        """Tell whether the output is the input's memory under another shape."""
        return self.is_view

    def for_training(self) -> Operator:
        """Return the operator as training runs it (batch norm takes batch statistics, ...).

        Attributes that differ declare it: ``flag(False, doc=..., in_training=True)``.
        """
        changed = {
            f.name: f.metadata["in_training"]
            for f in dataclasses.fields(self)
            if f.metadata.get("in_training") is not None
        }
        return dataclasses.replace(self, **changed) if changed else self

    @classmethod
    def has_gradient(cls) -> bool:
        """Tell whether the operator has a backward pass."""
        return cls.gradients is not Operator.gradients

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        """Return the operator and its inputs for the inline form: by default one input, x."""
        return cls.with_input([sizes[name] for name in cls.input_sizes], sizes, precision)

    @classmethod
    def with_input(
        cls, shape: Sequence[Dim], sizes: Mapping[str, Any], precision: Precision, **attributes: Any
    ) -> tuple[Operator, list[Tensor]]:
        """Return the operator, and the one input of ``shape`` in its layout.

        ``shape`` has channels second. An attribute that is not given takes the
        inline size of its name, and its default where there is none.
        """
        named = {f.name: sizes[f.name] for f in cls.attributes() if f.name in sizes}
        op: Operator = cls(**{**named, **attributes})
        if layout := getattr(op, "layout", None):
            shape = in_layout(*split_layout(shape, "nchw"), layout)
        return op, [Tensor(tuple(shape), precision.activation, name="x")]

    @classmethod
    def attributes(cls) -> list[dataclasses.Field[Any]]:
        """Return the operator's attributes in order."""
        return list(dataclasses.fields(cls))

    def check_arity(self, inputs: Sequence[Tensor]) -> None:
        """Raise InputError where the number of inputs is wrong."""
        low, high = (self.arity, self.arity) if isinstance(self.arity, int) else self.arity
        if not low <= len(inputs) <= high:
            want = str(low) if low == high else f"{low} to {high}"
            raise InputError(f"{self.name} takes {want} inputs, found {len(inputs)}")

    def need_rank(self, tensor: Tensor, rank: int, layout: str) -> None:
        """Raise InputError unless ``tensor`` has ``rank`` dims, written as ``layout``."""
        if len(tensor.shape) != rank:
            raise InputError(
                f"{self.name} expects {layout}, found a tensor of shape {show_shape(tensor.shape)}"
            )

    def need_same(self, found: Dim, expected: Dim, what: str) -> None:
        """Raise InputError unless the two sizes are equal."""
        if not same(found, expected):
            raise InputError(
                f"{self.name}: {what}: found {show_shape([found])[1:-1]},"
                f" expected {show_shape([expected])[1:-1]}"
            )

    def need_positive(self, size: Dim, what: str) -> None:
        """Raise InputError where a size is under 1."""
        if smallest(size) < 1:
            raise InputError(
                f"{self.name}: {what} is {show_shape([size])[1:-1]}, expected at least 1"
            )


def size(
    default: Any = dataclasses.MISSING, *, doc: str, least: int = 1, in_training: int | None = None
) -> Any:
    """Declare an attribute that is a Dim of at least ``least``."""
    metadata = {"kind": "size", "doc": doc, "least": least, "in_training": in_training}
    return dataclasses.field(default=default, metadata=metadata)


def pair(default: Any = dataclasses.MISSING, *, doc: str, least: int = 1) -> Any:
    """Declare an attribute that is one size for both axes, or ``[height, width]``."""
    return dataclasses.field(default=default, metadata={"kind": "pair", "doc": doc, "least": least})


def size_list(
    default: Any = dataclasses.MISSING, *, doc: str, least: int = -1, empty: bool = False
) -> Any:
    """Declare an attribute that is a list of sizes, which may be ``empty``."""
    metadata = {"kind": "sizes", "doc": doc, "least": least, "empty": empty}
    return dataclasses.field(default=default, metadata=metadata)


def flag(default: bool, *, doc: str, in_training: bool | None = None) -> Any:
    """Declare an attribute that is true or false; ``in_training`` is its value there."""
    metadata = {"kind": "flag", "doc": doc, "in_training": in_training}
    return dataclasses.field(default=default, metadata=metadata)


def choice(default: str, choices: tuple[str, ...], *, doc: str) -> Any:
    """Declare an attribute that is one of ``choices``."""
    return dataclasses.field(
        default=default, metadata={"kind": "choice", "doc": doc, "choices": choices}
    )


def text(default: Any = dataclasses.MISSING, *, doc: str) -> Any:
    """Declare an attribute that is a text, such as an equation or a fraction."""
    return dataclasses.field(default=default, metadata={"kind": "text", "doc": doc})


def pads(default: Any = dataclasses.MISSING, *, doc: str) -> Any:
    """Declare an attribute that is one padding, ``[vertical, horizontal]``, or all four borders."""
    return dataclasses.field(default=default, metadata={"kind": "pads", "doc": doc, "least": 0})
