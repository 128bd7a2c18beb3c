"""Reads a hardware YAML into a Machine."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import MappingProxyType

from perfmodel.catalog import Document, load_document, looks_like_path, resolve
from perfmodel.catalog.validation import validate
from perfmodel.core.formats import split_accumulate
from perfmodel.errors import InvalidFileError
from perfmodel.machine.device import ComputeEngine, Link, Machine, MemoryLevel, Rate, Source
from perfmodel.machine.efficiency_file import efficiency_of_spec, efficiency_problems
from perfmodel.machine.lint import Checker
from perfmodel.machine.schema import HardwareSpec, RateSpec


def read_machine(name: str) -> Machine:
    """Return the device called ``name``, or in the file ``name``."""
    file = resolve(name, "hardware")
    return _read(file) if looks_like_path(name) else _read_builtin(file)


def _read(file: Path) -> Machine:
    return machine_from_document(load_document(file))


#: a built-in device is read once; the package's own files do not change
_read_builtin = cache(_read)


def machine_from_document(document: Document) -> Machine:
    """Return the Machine a parsed file describes; InvalidFileError lists all that is wrong."""
    spec = validate(document, HardwareSpec)
    problems = [*Checker(document, spec).problems(), *efficiency_problems(document, spec)]
    if problems:
        raise InvalidFileError(problems)
    return _machine(spec)


def _machine(spec: HardwareSpec) -> Machine:
    engines = tuple(
        ComputeEngine(
            name,
            e.kind,
            e.count,
            MappingProxyType({key: _rate(key, r) for key, r in e.rates.items()}),
            None if e.tile is None else MappingProxyType(e.tile.model_dump()),
            MappingProxyType(dict(e.sparse_2_4)),
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
        based_on=spec.based_on,
        efficiency=efficiency_of_spec(spec),
        library=None if spec.library is None else spec.library.library(),
    )


def _rate(key: str, spec: RateSpec) -> Rate:
    dtype, accumulate = split_accumulate(key)
    return Rate(
        dtype,
        spec.peak,
        spec.achievable,
        accumulate or spec.accumulate,
        spec.ops_per_cycle,
        spec.runs_as,
        on_request=accumulate is not None,
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
