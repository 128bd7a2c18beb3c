"""The schema perfmodel/hardware@1: types, units, and the numbers a file must source."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Annotated, Literal, TypeVar

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from perfmodel.catalog.validation import Spec, quantity
from perfmodel.errors import shorten
from perfmodel.machine.library import LibrarySpec

_Rate = Annotated[float, BeforeValidator(quantity("rate"))]
_Bandwidth = Annotated[float, BeforeValidator(quantity("bandwidth"))]
_Capacity = Annotated[float, BeforeValidator(quantity("capacity"))]
_Hertz = Annotated[float, BeforeValidator(quantity("frequency"))]
_Seconds = Annotated[float, BeforeValidator(quantity("time"))]
_Watts = Annotated[float, BeforeValidator(quantity("power"))]


def _date(value: object) -> object:
    try:
        return date.fromisoformat(value).isoformat() if isinstance(value, str) else value
    except ValueError:
        raise PydanticCustomError(
            "quantity", "{text}", {"text": f"found {shorten(value)}, expected a date as 2026-11-28"}
        ) from None


NAME_PATTERN = r"[a-z0-9][a-z0-9.\-]*"
#: the key of an engine's speed-up on 2:4 weights
SPARSE = "sparse_2_4"


class RateSpec(Spec):
    """An engine's rate in one number format."""

    peak: _Rate
    ops_per_cycle: float | None = Field(default=None, gt=0)
    accumulate: str | None = None
    achievable: _Rate | None = None
    runs_as: str | None = None
    clock: str | None = None


class TileSpec(Spec):
    """The block an engine works on natively."""

    m: int = Field(ge=1)
    n: int = Field(ge=1)
    k: int = Field(ge=1)


class EngineSpec(Spec):
    """A kind of arithmetic unit.

    ``rates`` by format; ``fp16-acc-fp16`` is fp16 summed in another format than
    ``fp16`` itself says. ``sparse_2_4`` says by format how much faster than dense
    the engine is on weights of which 2 in every 4 are zero.
    """

    kind: Literal["matrix", "vector", "special"]
    count: int = Field(ge=1)
    clock: str | None = None
    tile: TileSpec | None = None
    rates: dict[str, RateSpec] = Field(min_length=1)
    sparse_2_4: dict[str, float] = Field(default_factory=dict)


class LevelSpec(Spec):
    """A memory level; a null says that no source states the number."""

    scope: Literal["unit", "cluster", "device"]
    capacity: _Capacity | None
    instances: int = Field(default=1, ge=1)
    bandwidth: _Bandwidth | None
    achievable: _Bandwidth | None = None


class LinkSpec(Spec):
    """An interconnect, per direction, all links together."""

    bandwidth_per_direction: _Bandwidth | None
    latency: _Seconds | None = None


class OverheadSpec(Spec):
    """Seconds a kernel launch costs, by launch mode."""

    eager: _Seconds | None
    graph: _Seconds | None


class SourceSpec(Spec):
    """A document."""

    title: str
    url: str | None = None
    published: str | None = None
    retrieved: str | None = None


class ProvenanceSpec(Spec):
    """Where a number, or all numbers below a path, come from."""

    method: Literal["datasheet", "derived", "measured", "assumed"]
    source: str | None = None
    quote: str | None = None
    note: str | None = None
    sparsity: Literal["dense", "sparse"] | None = None
    clock: str | None = None

    @model_validator(mode="after")
    def _has_a_source(self) -> ProvenanceSpec:
        if self.method in ("datasheet", "measured") and not self.source:
            raise ValueError(f"method '{self.method}' needs a source")
        if self.method == "datasheet" and not self.quote:
            raise ValueError("method 'datasheet' needs a quote of the document")
        if self.method in ("assumed", "derived") and not self.note:
            raise ValueError(f"method '{self.method}' needs a note that says how")
        return self


_Date = Annotated[str, BeforeValidator(_date)]
_Method = Literal["measured", "fitted", "carried over", "default"]


class EstimateSpec(Spec):
    """A parameter of the machine model: a number, with its unit where it has one."""

    value: float | str
    method: _Method
    n: int | None = Field(default=None, ge=1)
    residual: float | None = Field(default=None, ge=0)
    date: _Date | None = None
    source: str | None = None

    @model_validator(mode="after")
    def _says_where_from(self) -> EstimateSpec:
        return _sourced(self)


class SpreadSpec(Spec):
    """How far off predictions of a family of kernels are.

    ``factor``: within it 90 % of the measurements lie on either side of the prediction.
    """

    factor: float = Field(ge=1, le=100)
    method: _Method
    n: int | None = Field(default=None, ge=1)
    residual: float | None = Field(default=None, ge=0)
    date: _Date | None = None
    source: str | None = None

    @model_validator(mode="after")
    def _says_where_from(self) -> SpreadSpec:
        return _sourced(self)


_Sourced = TypeVar("_Sourced", EstimateSpec, SpreadSpec)


#: what a number must say of where it comes from
_NEEDED = {
    "measured": ("n", "residual", "date", "source"),
    "fitted": ("n", "residual", "date", "source"),
    "carried over": ("source",),
    "default": (),
}


def _sourced(item: _Sourced) -> _Sourced:
    """Refuse a fitted, measured or carried-over number that does not say where from."""
    needed = _NEEDED[item.method]
    missing = [name for name in needed if getattr(item, name) is None]
    if missing:
        raise ValueError(f"method '{item.method}' needs {', '.join(missing)}")
    return item


class HardwareSpec(Spec):
    """A hardware file as written. Mappings of engines and levels keep their order.

    ``based_on`` names the device that a calibrated file was made from: measured
    kernels of that device are its own.
    """

    schema_: Literal["perfmodel/hardware@1"] = Field(alias="schema")
    name: str = Field(pattern=f"^{NAME_PATTERN}$")
    based_on: str | None = None
    title: str
    vendor: str
    kind: Literal["cpu", "gpu", "accelerator"]
    released: str | None = None
    clocks: dict[str, _Hertz]
    compute: dict[str, EngineSpec] = Field(min_length=1)
    memory: dict[str, LevelSpec] = Field(min_length=1)
    interconnect: dict[str, LinkSpec] = Field(default_factory=dict)
    overhead: OverheadSpec
    tdp: _Watts | None
    notes: str | None = None
    efficiency: dict[str, EstimateSpec] = Field(default_factory=dict)
    accuracy: dict[str, SpreadSpec] = Field(default_factory=dict)
    library: LibrarySpec | None = None
    sources: dict[str, SourceSpec] = Field(min_length=1)
    provenance: dict[str, ProvenanceSpec]


def stated_numbers(spec: HardwareSpec) -> Iterator[str]:
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
        for dtype in engine.sparse_2_4:
            yield f"compute.{name}.{SPARSE}.{dtype}"
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
