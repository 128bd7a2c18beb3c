"""Machine: a device as engines and memory levels, frozen.

Every number is in SI and has a provenance entry in its file. Peaks are
theoretical, dense, at a named clock; `achievable` figures are measured ones
that somebody published. A number that no source states is None.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from perfmodel.core.formats import ACCUMULATE, FORMATS, can_accumulate
from perfmodel.core.work import Engine
from perfmodel.errors import InputError
from perfmodel.machine.efficiency import Efficiency
from perfmodel.machine.library import Library

#: Vector operations charged for one special function (exp, tanh, erf, sqrt,
#: divide) where the device states no rate for them. A default without a source
#: for the device: NVIDIA's special units retire one result for 16 FLOP of the
#: vector lanes, AMD's transcendental rate is a quarter of the lanes (4 to 8).
SPECIAL_AS_VECTOR_OPS = 8

Launch = Literal["eager", "graph"]
#: the pattern of ComputeEngine.sparse_2_4, as Work names it
SPARSITY_2_4 = "2:4"


@dataclass(frozen=True)
class Rate:
    """Operations per second of an engine in one number format (FMA counts as 2).

    ``runs_as`` names the format the engine really computes in, where it
    converts (a TPU multiplies fp32 in bf16). ``on_request`` marks the rate of
    another accumulator than the engine's usual one in that format: only a
    network that names its accumulator runs at it.
    """

    dtype: str
    peak: float
    achievable: float | None = None
    accumulate: str | None = None
    ops_per_cycle: float | None = None
    runs_as: str | None = None
    on_request: bool = False

    @property
    def name(self) -> str:
        """The format, with the accumulator where that has to be asked for."""
        return f"{self.dtype}{ACCUMULATE}{self.accumulate}" if self.on_request else self.dtype

    @property
    def accumulator(self) -> str:
        """The format in which products are summed: their own where none is stated."""
        return self.accumulate or self.dtype

    @property
    def unit(self) -> str:
        """FLOP/s, or OP/s for integer formats."""
        return "OP/s" if FORMATS[self.dtype].integer else "FLOP/s"


@dataclass(frozen=True)
class ComputeEngine:
    """A kind of arithmetic unit: ``count`` of them on the device.

    ``rates`` by format, those on request by ``format-acc-accumulator``.
    ``sparse_2_4`` says by format how much faster the engine multiplies weights of
    which 2 in every 4 are zero, if it knows that pattern.
    """

    name: str
    kind: Engine
    count: int
    rates: Mapping[str, Rate]
    tile: Mapping[str, int] | None = None
    sparse_2_4: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class MemoryLevel:
    """A memory level: capacity per instance, bandwidth of all instances together.

    ``scope``: 'unit' (each core or multiprocessor has one), 'cluster' (shared by
    some), 'device'.
    """

    name: str
    scope: Literal["unit", "cluster", "device"]
    capacity: float | None
    instances: int
    bandwidth: float | None
    achievable: float | None = None


@dataclass(frozen=True)
class Link:
    """An interconnect: bandwidth per direction of all links of the device together."""

    name: str
    bandwidth_per_direction: float | None
    latency: float | None


@dataclass(frozen=True)
class Source:
    """Where a number comes from."""

    field: str
    method: str
    title: str
    url: str | None
    quote: str | None
    date: str | None
    note: str | None
    sparsity: str | None
    clock: str | None


@dataclass(frozen=True)
class Machine:
    """A device. ``memory`` lists levels nearest to the engines first.

    ``based_on`` is the device of the catalogue that a calibrated one was made from;
    ``efficiency`` what its file states of how kernels use it.
    """

    name: str
    title: str
    kind: Literal["cpu", "gpu", "accelerator"]
    engines: tuple[ComputeEngine, ...]
    memory: tuple[MemoryLevel, ...]
    clocks: Mapping[str, float]
    links: tuple[Link, ...]
    overhead: Mapping[str, float | None]
    tdp: float | None
    provenance: tuple[Source, ...] = ()
    vendor: str = ""
    released: str = ""
    based_on: str | None = None
    efficiency: Efficiency | None = None
    library: Library | None = None

    @property
    def names(self) -> frozenset[str]:
        """The names under which kernels of this device are measured: its own, its origin's."""
        return frozenset(filter(None, (self.name, self.based_on)))

    @cached_property
    def reached(self) -> Efficiency:
        """What kernels reach of it: what its file states, completed by the rules."""
        from perfmodel.machine.rules import completed

        return completed(self)

    @property
    def last_level(self) -> MemoryLevel:
        """The largest, farthest memory."""
        return self.memory[-1]

    @property
    def capacity(self) -> float:
        """Bytes of the last memory level."""
        assert self.last_level.capacity is not None
        return self.last_level.capacity

    def launch_overhead(self, launch: Launch) -> float:
        """Seconds per kernel launch; 0 where no source states it."""
        return self.overhead.get(launch) or 0.0

    def rate(
        self, engine: Engine, dtype: str, accumulate: str | None = None, sparsity: str | None = None
    ) -> tuple[ComputeEngine, Rate, float] | None:
        """Return the engine and rate that run ``dtype``, and operations per operation.

        The engine of that kind in that format, else the vector engine for matrix
        work, else the same in the nearest wider format. A special function
        without a rate costs SPECIAL_AS_VECTOR_OPS vector operations. None where
        the device states no rate that could serve for vector or special work.

        Matrix work in a format that ``accumulate`` can hold runs at the fastest
        rate that sums in ``accumulate`` or wider. The operations of ``sparsity``
        2:4 are those on weights that are not zero; an engine that does not know
        the pattern spends as many again on the zeros.

        Raises InputError for matrix work that no engine can do, or only in a
        narrower accumulator.
        """
        if accumulate is not None and not can_accumulate(dtype, accumulate):
            accumulate = None
        for name in (dtype, *FORMATS[dtype].wider):
            if engine != "matrix":
                if found := self._fastest(engine, name):
                    return (*found, 1.0)
                continue
            found = self._fastest("matrix", name, accumulate) or self._fastest(
                "vector", name, accumulate
            )
            if found:
                faster = found[0].sparse_2_4.get(found[1].dtype, 1.0)
                return (*found, 2.0 / faster if sparsity == SPARSITY_2_4 else 1.0)
        if engine == "special" and (vector := self.rate("vector", dtype)):
            return vector[0], vector[1], float(SPECIAL_AS_VECTOR_OPS)
        if engine == "matrix":
            stated = sorted({d for e in self.engines if e.kind == "matrix" for d in e.rates})
            raise InputError(
                f"{self.name} states no rate for {dtype} matrix work",
                mend=f"try --dtype {' or '.join(stated)}",
            )
        return None

    def knows(self, sparsity: str, dtype: str, accumulate: str | None = None) -> bool:
        """Tell whether matrix work in ``dtype`` runs on an engine that skips such zeros."""
        found = self.rate("matrix", dtype, accumulate)
        if found is None or sparsity != SPARSITY_2_4:
            return False
        return found[1].dtype in found[0].sparse_2_4

    def _fastest(
        self, kind: Engine, dtype: str, accumulate: str | None = None
    ) -> tuple[ComputeEngine, Rate] | None:
        found = [(e, e.rates[dtype]) for e in self.engines if e.kind == kind and dtype in e.rates]
        if found and accumulate is not None:
            found = self._summing(found, accumulate)
        return max(found, key=lambda pair: pair[1].peak) if found else None

    def _summing(
        self, usual: list[tuple[ComputeEngine, Rate]], accumulate: str
    ) -> list[tuple[ComputeEngine, Rate]]:
        """Return the rates of the format of ``usual`` that sum in ``accumulate`` or wider."""
        dtype = usual[0][1].dtype
        stated = [(e, r) for e, _ in usual for r in e.rates.values() if r.dtype == dtype]
        found = [(e, r) for e, r in stated if FORMATS[r.accumulator].holds(accumulate)]
        if not found:
            known = sorted({r.accumulator for _, r in stated})
            raise InputError(
                f"{self.name} sums products of {dtype} in {' or '.join(known)},"
                f" asked for {accumulate} or wider",
                mend=f"leave {ACCUMULATE}{accumulate} out, or take another --dtype",
            )
        return found

    def roofs(self) -> Iterator[tuple[ComputeEngine, Rate]]:
        """Yield every compute roof."""
        for engine in self.engines:
            for rate in engine.rates.values():
                yield engine, rate
