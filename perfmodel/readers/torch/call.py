"""Call: one operator of an exported program as its handler sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from perfmodel.core import Dim, Tensor
from perfmodel.core.dims import product, same
from perfmodel.errors import InputError
from perfmodel.ops import make_operator
from perfmodel.readers.tracing.network import Network
from perfmodel.readers.tracing.step import Step
from perfmodel.readers.tracing.values import Value

if TYPE_CHECKING:
    from perfmodel.readers.torch.walk import Walker


@dataclass
class Call(Step):
    """An operator: its arguments by the names of its schema, and what it makes.

    Tensors among the arguments are Values, sizes are Dims; ``made`` are shape and
    format of each output; ``raw`` is the node's own value, with sizes as torch has them.
    """

    walker: Walker
    name: str
    domain: str
    op: str
    arguments: Mapping[str, Any]
    made: Sequence[tuple[tuple[Dim, ...], str]]
    used: frozenset[int]
    raw: Any = None
    readers: Sequence[str] = ()
    layer: str = ""

    @property
    def net(self) -> Network:
        """The network under construction."""
        return self.walker.net

    @property
    def kind(self) -> str:
        """The operator's name with its namespace."""
        return f"{self.domain}::{self.op}"

    def operands(self) -> list[Value]:
        """Return the tensors among the arguments."""
        out: list[Value] = []
        for value in self.arguments.values():
            items = value if isinstance(value, list | tuple) else [value]
            out += [v for v in items if isinstance(v, Value)]
        return out

    def only_quantized(self) -> bool:
        """Tell whether the output is only read to be quantized again."""
        return bool(self.readers) and all(r.startswith("quantize_") for r in self.readers)

    def arg(self, name: str, default: Any = None) -> Any:
        """Return an argument: a number, Dim, text, list or Value; the default where None."""
        value = self.arguments.get(name)
        return default if value is None else value

    def x(self, name: str = "") -> Value:
        """Return a tensor among the arguments: by name, or the first."""
        value = self.arguments.get(name) if name else next(iter(self.operands()), None)
        if not isinstance(value, Value):
            raise InputError(f"{self.kind} has no tensor '{name or 'first argument'}'")
        return value

    def maybe(self, name: str) -> Value | None:
        """Return a tensor among the arguments, or None where it is left out."""
        value = self.arguments.get(name)
        return value if isinstance(value, Value) else None

    def wants(self, i: int) -> bool:
        """Tell whether anything reads output ``i``."""
        return i in self.used

    @property
    def shape(self) -> tuple[Dim, ...]:
        """The shape of the first output."""
        return self.made[0][0]

    @property
    def dtype(self) -> str:
        """The format of the first output."""
        return self.made[0][1]

    def axis(self, value: Value, name: str = "dim", default: int = 0) -> int:
        """Return an axis among the arguments, counted from the front."""
        return int(self.arg(name, default)) % max(value.rank, 1)

    def axes(self, value: Value, name: str = "dim") -> tuple[int, ...]:
        """Return axes among the arguments, counted from the front; all where none are named."""
        given = self.arguments.get(name)
        if isinstance(given, int):
            given = [given]
        return tuple(sorted(int(a) % max(value.rank, 1) for a in given or range(value.rank)))

    def bytes_only(self, read: Sequence[Value] | None = None, known: bool = True) -> list[Value]:
        """Put a node into the graph that reads its operands and writes its outputs."""
        formats = [dtype for _, dtype in self.made]
        shapes = [shape for shape, _ in self.made]
        return list(self.opaque(*shapes, formats=formats, read=read, known=known))

    def view(self, value: Value, shape: Sequence[Dim]) -> Value:
        """Return ``value`` under another shape; the node that says so waits for a reader."""
        target = tuple(shape)
        if len(target) == value.rank and all(map(same, target, value.shape)):
            return value
        if value.whole is not None and value.tensor is None:
            return super().view(value, target)
        if value.is_constant and value.tensor is None:
            return super().view(value, target)
        source = value
        while source.seen is not None and source.axes is None and source.tensor is None:
            source = source.seen
        if len(target) == source.rank and all(map(same, target, source.shape)):
            return source
        return self.lazily(source, target, "reshape", shape=target)

    def turned(self, value: Value, axes: Sequence[int]) -> Value:
        """Return ``value`` with its axes in another order, which moves nothing."""
        shape = tuple(value.shape[a] for a in axes)
        if list(axes) == list(range(value.rank)):
            return value
        if value.is_constant and value.tensor is None:
            return replace(value, shape=shape, data=None)
        before = value.axes
        if before is not None and value.seen is not None and value.tensor is None:
            # One order after another is one order; the old one back is no view at all.
            return self.turned(value.seen, [before[a] for a in axes])
        moved = [a for a in axes if not same(value.shape[a], 1)]
        if moved == sorted(moved):
            return self.view(value, shape)
        made = self.lazily(value, shape, "transpose", axes=tuple(axes), strided=True)
        made.axes = tuple(axes)
        return made

    def cut(self, value: Value, axis: int, start: Dim, length: Dim) -> Value:
        """Return a run of places along an axis, which moves nothing."""
        if same(length, value.shape[axis]):
            return value
        shape = (*value.shape[:axis], length, *value.shape[axis + 1 :])
        made = self.lazily(
            value, shape, "slice", axis=axis, start=start, length=length, strided=True
        )
        made.seen = None
        return made

    def lazily_expanded(self, value: Value, shape: Sequence[Dim]) -> Value:
        """Return ``value`` with axes repeated by steps of zero."""
        made = self.lazily(value, shape, "expand", shape=tuple(shape))
        made.seen = None
        return made

    def lazily(self, source: Value, shape: Sequence[Dim], op: str, /, **attributes: Any) -> Value:
        """Return a view of ``source`` whose node is put in when somebody reads it."""
        net, count, name = self.net, self.net.count, self.name

        def make() -> Tensor:
            with net.counting(count):
                return net.add(name, make_operator(op, **attributes), [net.tensor(source)])[0]

        return Value(self.name, source.dtype, tuple(shape), make=make, seen=source)

    def some(self, value: Value, shape: Sequence[Dim]) -> Value:
        """Return a view of some of ``value``: as many places as ``shape`` has, by steps."""
        flat = self.view(value, (1, value.elements))
        return self.view(self.cut(flat, 1, 0, product(shape)), shape)
