"""Reads a hardware YAML (schema perfmodel/hardware@1) into a Machine, and checks it.

Beyond types and units it refuses: a stated peak that differs by over 2 % from
units x operations per cycle x clock (a sparse peak, or a boost clock taken for
the reference), a number without provenance, caches in decimal units, levels
whose bandwidth grows with distance, and missing bandwidth of the last level.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from perfmodel.catalog import Document, load_document, resolve
from perfmodel.catalog.validation import Spec, quantity, validate
from perfmodel.core.formats import get_format
from perfmodel.errors import InputError, InvalidFileError, did_you_mean
from perfmodel.machine import ComputeEngine, Link, Machine, MemoryLevel, Rate, Source
from perfmodel.units import format_si

SCHEMA = "perfmodel/hardware@1"
PEAK_TOLERANCE = 0.02

_Rate = Annotated[float, BeforeValidator(quantity("rate"))]
_Bandwidth = Annotated[float, BeforeValidator(quantity("bandwidth"))]
_Capacity = Annotated[float, BeforeValidator(quantity("capacity"))]
_Hertz = Annotated[float, BeforeValidator(quantity("frequency"))]
_Seconds = Annotated[float, BeforeValidator(quantity("time"))]
_Watts = Annotated[float, BeforeValidator(quantity("power"))]


class _RateSpec(Spec):
    peak: _Rate
    ops_per_cycle: float | None = Field(default=None, gt=0)
    accumulate: str | None = None
    achievable: _Rate | None = None
    runs_as: str | None = None
    clock: str | None = None


class _TileSpec(Spec):
    m: int = Field(ge=1)
    n: int = Field(ge=1)
    k: int = Field(ge=1)


class _EngineSpec(Spec):
    kind: Literal["matrix", "vector", "special"]
    count: int = Field(ge=1)
    clock: str | None = None
    tile: _TileSpec | None = None
    rates: dict[str, _RateSpec] = Field(min_length=1)


class _LevelSpec(Spec):
    scope: Literal["unit", "cluster", "device"]
    capacity: _Capacity | None
    instances: int = Field(default=1, ge=1)
    bandwidth: _Bandwidth | None
    achievable: _Bandwidth | None = None


class _LinkSpec(Spec):
    bandwidth_per_direction: _Bandwidth | None
    latency: _Seconds | None = None


class _OverheadSpec(Spec):
    eager: _Seconds | None
    graph: _Seconds | None


class _SourceSpec(Spec):
    title: str
    url: str | None = None
    published: str | None = None
    retrieved: str | None = None


class _ProvenanceSpec(Spec):
    method: Literal["datasheet", "derived", "measured", "assumed"]
    source: str | None = None
    quote: str | None = None
    note: str | None = None
    sparsity: Literal["dense", "sparse"] | None = None
    clock: str | None = None

    @model_validator(mode="after")
    def _has_a_source(self) -> _ProvenanceSpec:
        if self.method in ("datasheet", "measured") and not self.source:
            raise ValueError(f"method '{self.method}' needs a source")
        if self.method == "datasheet" and not self.quote:
            raise ValueError("method 'datasheet' needs a quote of the document")
        if self.method in ("assumed", "derived") and not self.note:
            raise ValueError(f"method '{self.method}' needs a note that says how")
        return self


class HardwareSpec(Spec):
    """A hardware file as written. Mappings of engines and levels keep their order."""

    schema_: Literal["perfmodel/hardware@1"] = Field(alias="schema")
    name: str = Field(pattern=r"[a-z0-9][a-z0-9.\-]*")
    title: str
    vendor: str
    kind: Literal["cpu", "gpu", "accelerator"]
    released: str | None = None
    clocks: dict[str, _Hertz]
    compute: dict[str, _EngineSpec] = Field(min_length=1)
    memory: dict[str, _LevelSpec] = Field(min_length=1)
    interconnect: dict[str, _LinkSpec] = Field(default_factory=dict)
    overhead: _OverheadSpec
    tdp: _Watts | None
    notes: str | None = None
    sources: dict[str, _SourceSpec] = Field(min_length=1)
    provenance: dict[str, _ProvenanceSpec]


def read_machine(name: str) -> Machine:
    """Return the device called ``name``, or in the file ``name``."""
    return machine_from_document(load_document(resolve(name, "hardware")))


def machine_from_document(document: Document) -> Machine:
    """Return the Machine a parsed file describes; InvalidFileError lists all that is wrong."""
    spec = validate(document, HardwareSpec)
    problems = list(_Checker(document, spec).problems())
    if problems:
        raise InvalidFileError(problems)
    return _machine(spec)


class _Checker:
    """What types and units alone do not tell."""

    def __init__(self, document: Document, spec: HardwareSpec) -> None:
        self.document, self.spec = document, spec

    def problems(self) -> Iterator[InputError]:
        yield from self._formats_and_clocks()
        yield from self._peaks()
        yield from self._memory()
        yield from self._provenance()

    def _error(self, path: tuple[Any, ...], text: str, mend: str, key: bool = False) -> InputError:
        return InputError(text, where=self.document.where(path, key=key), mend=mend)

    def _rates(self) -> Iterator[tuple[tuple[str, ...], _EngineSpec, str, _RateSpec]]:
        for name, engine in self.spec.compute.items():
            for dtype, rate in engine.rates.items():
                yield ("compute", name, "rates", dtype), engine, dtype, rate

    def _formats_and_clocks(self) -> Iterator[InputError]:
        for path, engine, dtype, rate in self._rates():
            for written in (dtype, rate.runs_as, rate.accumulate):
                if written is None:
                    continue
                try:
                    canonical = get_format(written).name
                except InputError as error:
                    yield self._error(path, error.message, error.mend or "", key=True)
                    continue
                if canonical != written:
                    yield self._error(
                        path, f"number format '{written}'", f"write '{canonical}'", key=True
                    )
            for clock in (rate.clock, engine.clock):
                if clock is not None and clock not in self.spec.clocks:
                    yield self._error(
                        path,
                        f"unknown clock '{clock}'",
                        did_you_mean(clock, self.spec.clocks),
                    )
            if rate.achievable is not None and rate.achievable > rate.peak:
                yield self._error(
                    (*path, "achievable"),
                    f"achievable {format_si(rate.achievable, 'OP/s')} is above the peak"
                    f" {format_si(rate.peak, 'OP/s')}",
                    "check the peak, its clock, and dense against sparse",
                )

    def _peaks(self) -> Iterator[InputError]:
        for path, engine, _, rate in self._rates():
            clock = self.spec.clocks.get(rate.clock or engine.clock or "")
            if rate.ops_per_cycle is None:
                continue
            if clock is None:
                yield self._error(
                    path,
                    "ops_per_cycle is stated without a clock",
                    "name one of clocks: 'clock: boost'",
                )
                continue
            derived = engine.count * rate.ops_per_cycle * clock
            if abs(rate.peak / derived - 1) > PEAK_TOLERANCE:
                ratio = rate.peak / derived
                hint = "; is it the sparse (2:4) figure?" if 1.9 < ratio < 2.1 else ""
                yield self._error(
                    (*path, "peak"),
                    f"stated peak {format_si(rate.peak, 'OP/s')} is {ratio:.3g} times"
                    f" {engine.count} units x {rate.ops_per_cycle:g} operations per cycle x"
                    f" {format_si(clock, 'Hz')} = {format_si(derived, 'OP/s')}"
                    f" (2 % is allowed){hint}",
                    "mend the peak, the count, ops_per_cycle or the clock",
                )

    def _memory(self) -> Iterator[InputError]:
        levels = list(self.spec.memory.items())
        *inner, (last_name, last) = levels
        for key in ("capacity", "bandwidth"):
            if getattr(last, key) is None:
                yield self._error(
                    ("memory", last_name),
                    f"the last memory level '{last_name}' has no {key}",
                    "the farthest level needs both; state it with its source",
                )
        for name, level in inner:
            written = self.document.data["memory"][name].get("capacity")
            if isinstance(written, str) and "i" not in written:
                yield self._error(
                    ("memory", name, "capacity"),
                    f"cache capacity '{written}' in decimal units",
                    "caches are binary: write KiB or MiB",
                )
        previous: tuple[str, float] | None = None
        for name, level in levels:
            if level.achievable is not None and level.achievable > (level.bandwidth or 0):
                yield self._error(
                    ("memory", name, "achievable"),
                    "achievable bandwidth is above the theoretical one",
                    "check both figures and their units",
                )
            if level.bandwidth is None:
                continue
            if previous and level.bandwidth > previous[1]:
                yield self._error(
                    ("memory", name, "bandwidth"),
                    f"'{name}' is faster than the nearer level '{previous[0]}'",
                    "list levels nearest first, bandwidth of all instances together",
                )
            previous = name, level.bandwidth

    def _provenance(self) -> Iterator[InputError]:
        entries = self.spec.provenance
        numbers = list(_numbers(self.spec))
        for field in numbers:
            if not any(_covers(entry, field) for entry in entries):
                yield self._error(
                    tuple(field.split(".")),
                    f"'{field}' has no provenance",
                    f"add 'provenance: {{{field}: {{method: ..., source: ..., quote: ...}}}}'",
                )
        for entry, item in entries.items():
            if item.source is not None and item.source not in self.spec.sources:
                yield self._error(
                    ("provenance", entry, "source"),
                    f"unknown source '{item.source}'",
                    did_you_mean(item.source, self.spec.sources),
                )
            if not any(_covers(entry, field) for field in numbers):
                yield self._error(
                    ("provenance", entry),
                    f"'{entry}' names no number of this file",
                    did_you_mean(entry, numbers),
                    key=True,
                )
            if item.sparsity == "sparse":
                yield self._error(
                    ("provenance", entry),
                    f"'{entry}' is a sparse figure",
                    "peaks are dense: state the dense one",
                    key=True,
                )
        for path, _, _, _ in self._rates():
            field = ".".join((*path, "peak"))
            item = next((e for name, e in entries.items() if _covers(name, field)), None)
            if item is not None and item.sparsity is None:
                yield self._error(
                    ("provenance",),
                    f"the provenance of '{field}' does not say dense or sparse",
                    "add 'sparsity: dense'",
                )


def _covers(entry: str, field: str) -> bool:
    return field == entry or field.startswith(entry + ".")


def _numbers(spec: HardwareSpec) -> Iterator[str]:
    """Yield the dotted path of every number a file states."""
    for clock in spec.clocks:
        yield f"clocks.{clock}"
    for name, engine in spec.compute.items():
        yield f"compute.{name}.count"
        if engine.tile:
            yield f"compute.{name}.tile"
        for dtype, rate in engine.rates.items():
            for key in ("peak", "ops_per_cycle", "achievable"):
                if getattr(rate, key) is not None:
                    yield f"compute.{name}.rates.{dtype}.{key}"
    for name, level in spec.memory.items():
        for key in ("capacity", "bandwidth", "achievable"):
            if getattr(level, key) is not None:
                yield f"memory.{name}.{key}"
    for name, link in spec.interconnect.items():
        for key in ("bandwidth_per_direction", "latency"):
            if getattr(link, key) is not None:
                yield f"interconnect.{name}.{key}"
    for key in ("eager", "graph"):
        if getattr(spec.overhead, key) is not None:
            yield f"overhead.{key}"
    if spec.tdp is not None:
        yield "tdp"


def _machine(spec: HardwareSpec) -> Machine:
    engines = tuple(
        ComputeEngine(
            name,
            e.kind,
            e.count,
            MappingProxyType(
                {
                    d: Rate(d, r.peak, r.achievable, r.accumulate, r.ops_per_cycle, r.runs_as)
                    for d, r in e.rates.items()
                }
            ),
            e.tile and MappingProxyType(e.tile.model_dump()),
        )
        for name, e in spec.compute.items()
    )
    memory = tuple(
        MemoryLevel(n, v.scope, v.capacity, v.instances, v.bandwidth, v.achievable)
        for n, v in spec.memory.items()
    )
    links = tuple(
        Link(n, v.bandwidth_per_direction, v.latency) for n, v in spec.interconnect.items()
    )
    return Machine(
        name=spec.name,
        title=spec.title,
        kind=spec.kind,
        engines=engines,
        memory=memory,
        clocks=MappingProxyType(dict(spec.clocks)),
        links=links,
        overhead=MappingProxyType({"eager": spec.overhead.eager, "graph": spec.overhead.graph}),
        tdp=spec.tdp,
        provenance=tuple(_sources(spec)),
        vendor=spec.vendor,
        released=spec.released or "",
    )


def _sources(spec: HardwareSpec) -> Iterator[Source]:
    for field, item in spec.provenance.items():
        source = spec.sources.get(item.source or "")
        yield Source(
            field=field,
            method=item.method,
            title=source.title if source else "",
            url=source.url if source else None,
            quote=item.quote,
            date=(source.retrieved or source.published) if source else None,
            note=item.note,
            sparsity=item.sparsity,
            clock=item.clock,
        )
