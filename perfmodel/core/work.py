"""Work: what an operator does, as counts that cannot be added by accident.

Operations are keyed by (engine, number format); bytes by tensor and direction.
FLOP counts a fused multiply-add as 2; MACs are kept apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol, runtime_checkable

from perfmodel.core.dims import Dim, total
from perfmodel.core.formats import FORMATS
from perfmodel.core.tensor import Tensor

#: matrix: multiply-accumulate arrays; vector: add, multiply, compare;
#: special: exp, tanh, erf, sqrt, divide.
Engine = Literal["matrix", "vector", "special"]
ENGINES: tuple[Engine, ...] = ("matrix", "vector", "special")
Direction = Literal["read", "write"]

Ops = Mapping[tuple[Engine, str], Dim]
#: bytes that pass a memory level whose inner neighbour holds `capacity` bytes
Traffic = Callable[[Dim], Dim]


@runtime_checkable
class Summing(Protocol):
    """A Traffic that depends on how many bytes a partial sum takes."""

    def summing_in(self, accumulator_bytes: float) -> Traffic:
        """Return the traffic where a partial sum takes so many bytes."""


@dataclass(frozen=True, eq=False)
class Access:
    """Bytes of one tensor that move in one direction, counted once."""

    tensor: str
    direction: Direction
    bytes: Dim


@dataclass(frozen=True, eq=False)
class AttentionSizes:
    """What one attention kernel computes: the sizes that its blocks are cut from.

    ``groups`` key heads of all samples, each with ``rows`` queries (those of all its
    query heads), which see at most ``keys`` keys and ``pairs`` (query, key) pairs; a pair
    takes ``width`` multiply-adds. ``key_bytes`` are those of a key and its value.
    ``causal``: a query sees about half of the keys that the last one sees.
    """

    groups: Dim
    rows: Dim
    keys: Dim
    pairs: Dim
    width: Dim
    key_bytes: Dim
    causal: bool


@dataclass(frozen=True, eq=False)
class Work:
    """What one execution of an operator does.

    Parameters
    ----------
    ops : operations by (engine, number format), FMA as 2.
    accesses : compulsory bytes, by tensor and direction.
    macs : multiply-accumulates of dense linear algebra (0 for elementwise and pooling).
    launches : kernels started one after the other.
    extra_traffic : bytes beyond the compulsory ones as a function of the
        capacity of the next level in; None where every tensor is streamed once.
    workspace : bytes of temporary memory.
    sparsity : the pattern of zeros, '2:4', that its matrix operations skip; only an
        engine that knows it can.
    attention : the sizes of an attention kernel, where the work is one.
    rows : of work that treats every row alike (softmax, norms), how many there are.
    """

    ops: Ops
    accesses: tuple[Access, ...]
    macs: Dim = 0
    launches: Dim = 1
    extra_traffic: Traffic | None = None
    workspace: Dim = 0
    sparsity: str | None = None
    attention: AttentionSizes | None = None
    rows: Dim | None = None

    @property
    def flops(self) -> Dim:
        """Operations of all engines (OP where the format is an integer)."""
        return total(self.ops.values())

    @property
    def bytes_read(self) -> Dim:
        """Compulsory bytes read."""
        return total(a.bytes for a in self.accesses if a.direction == "read")

    @property
    def bytes_written(self) -> Dim:
        """Compulsory bytes written."""
        return total(a.bytes for a in self.accesses if a.direction == "write")

    @property
    def unit(self) -> str:
        """OP where all arithmetic is on integers, else FLOP."""
        formats = {FORMATS[dtype] for _, dtype in self.ops}
        return "OP" if formats and all(f.integer for f in formats) else "FLOP"

    def written(self, tensor: str) -> Dim:
        """Return compulsory bytes written to the tensor of that name."""
        return total(a.bytes for a in self.accesses if (a.tensor, a.direction) == (tensor, "write"))

    def summing_in(self, accumulate: str) -> Work:
        """Return the work where partial sums are held in that format."""
        if not isinstance(self.extra_traffic, Summing):
            return self
        return replace(self, extra_traffic=self.extra_traffic.summing_in(FORMATS[accumulate].bytes))

    def traffic(self, capacity: Dim | None) -> Dim:
        """Return bytes through a level whose inner neighbour holds ``capacity`` bytes."""
        compulsory = self.bytes_read + self.bytes_written
        if self.extra_traffic is None or capacity is None:
            return compulsory
        return compulsory + self.extra_traffic(capacity)


@dataclass(frozen=True, eq=False)
class Algorithm:
    """One way to compute an operator; the model takes the fastest that applies."""

    name: str
    work: Work


@dataclass
class WorkBuilder:
    """Collects operations and accesses while an operator counts itself."""

    ops: dict[tuple[Engine, str], Dim] = field(default_factory=dict)
    accesses: list[Access] = field(default_factory=list)

    def count(self, engine: Engine, dtype: str, operations: Dim) -> WorkBuilder:
        """Add ``operations`` on ``engine`` in ``dtype``."""
        key = (engine, dtype)
        self.ops[key] = self.ops[key] + operations if key in self.ops else operations
        return self

    def read(self, *tensors: Tensor) -> WorkBuilder:
        """Read each tensor once, a tensor that is given twice too."""
        unique = {id(t): t for t in tensors}.values()
        self.accesses += [Access(t.name, "read", t.bytes) for t in unique]
        return self

    def write(self, *tensors: Tensor) -> WorkBuilder:
        """Write each tensor once."""
        self.accesses += [Access(t.name, "write", t.bytes) for t in tensors]
        return self

    def access(self, tensor: str, direction: Direction, bytes: Dim) -> WorkBuilder:
        """Move some bytes of a tensor."""
        self.accesses.append(Access(tensor, direction, bytes))
        return self

    def build(
        self,
        *,
        macs: Dim = 0,
        launches: Dim = 1,
        extra_traffic: Traffic | None = None,
        workspace: Dim = 0,
        sparsity: str | None = None,
        attention: AttentionSizes | None = None,
        rows: Dim | None = None,
    ) -> Work:
        """Return the Work."""
        ops, accesses = dict(self.ops), tuple(self.accesses)
        return Work(
            ops,
            accesses,
            macs,
            launches,
            extra_traffic,
            workspace,
            sparsity,
            attention,
            rows,
        )
