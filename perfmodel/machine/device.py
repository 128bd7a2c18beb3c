"""Machine: a device as engines and memory levels, frozen.

Every number is in SI and has a provenance entry in its file. Peaks are
theoretical, dense, at a named clock; `achievable` figures are measured ones
that somebody published. A number that no source states is None.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from perfmodel.core.formats import FORMATS
from perfmodel.core.work import Engine
from perfmodel.errors import InputError

#: Vector operations charged for one special function (exp, tanh, erf, sqrt,
#: divide) where the device states no rate for them. A default without a source
#: for the device: NVIDIA's special units retire one result for 16 FLOP of the
#: vector lanes, AMD's transcendental rate is a quarter of the lanes (4 to 8).
SPECIAL_AS_VECTOR_OPS = 8

Launch = Literal["eager", "graph"]


@dataclass(frozen=True)
class Rate:
    """Operations per second of an engine in one number format (FMA counts as 2).

    ``runs_as`` names the format the engine really computes in, where it
    converts (a TPU multiplies fp32 in bf16).
    """

    dtype: str
    peak: float
    achievable: float | None = None
    accumulate: str | None = None
    ops_per_cycle: float | None = None
    runs_as: str | None = None

    @property
    def unit(self) -> str:
        """FLOP/s, or OP/s for integer formats."""
        return "OP/s" if FORMATS[self.dtype].integer else "FLOP/s"


@dataclass(frozen=True)
class ComputeEngine:
    """A kind of arithmetic unit: ``count`` of them on the device."""

    name: str
    kind: Engine
    count: int
    rates: Mapping[str, Rate]
    tile: Mapping[str, int] | None = None


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
    """A device. ``memory`` lists levels nearest to the engines first."""

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

    def rate(self, engine: Engine, dtype: str) -> tuple[ComputeEngine, Rate, float] | None:
        """Return the engine and rate that run ``dtype``, and operations per operation.

        The engine of that kind in that format, else the vector engine for matrix
        work, else the same in the nearest wider format. A special function
        without a rate costs SPECIAL_AS_VECTOR_OPS vector operations. None where
        the device states no rate that could serve for vector or special work.

        Raises InputError for matrix work that no engine can do.
        """
        for name in (dtype, *FORMATS[dtype].wider):
            if found := self._fastest(engine, name):
                return (*found, 1.0)
            if engine == "matrix" and (found := self._fastest("vector", name)):
                return (*found, 1.0)
        if engine == "special" and (vector := self.rate("vector", dtype)):
            return vector[0], vector[1], float(SPECIAL_AS_VECTOR_OPS)
        if engine == "matrix":
            stated = sorted({d for e in self.engines if e.kind == "matrix" for d in e.rates})
            raise InputError(
                f"{self.name} states no rate for {dtype} matrix work",
                mend=f"try --dtype {' or '.join(stated)}",
            )
        return None

    def _fastest(self, kind: Engine, dtype: str) -> tuple[ComputeEngine, Rate] | None:
        found = [(e, e.rates[dtype]) for e in self.engines if e.kind == kind and dtype in e.rates]
        return max(found, key=lambda pair: pair[1].peak) if found else None

    def roofs(self) -> Iterator[tuple[ComputeEngine, Rate]]:
        """Yield every compute roof."""
        for engine in self.engines:
            for rate in engine.rates.values():
                yield engine, rate
