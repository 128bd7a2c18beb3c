"""Checks of a hardware file beyond types and units.

Refused: a stated peak that differs by over 2 % from units x operations per
cycle x clock (a sparse peak, or a boost clock taken for the reference), a
number without provenance, FLOP/s for integers, caches in decimal units, a far
level faster than a near one, a last level without bandwidth, a link's bandwidth
as the memory's, an accumulator or a 2:4 speed-up that the dense rates do not bear
out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from perfmodel.catalog import Document
from perfmodel.core.formats import ACCUMULATE, FORMATS, can_accumulate, get_format
from perfmodel.errors import InputError, did_you_mean
from perfmodel.machine.schema import (
    SPARSE,
    EngineSpec,
    HardwareSpec,
    RateSpec,
    stated_numbers,
)
from perfmodel.units import format_si

PEAK_TOLERANCE = 0.02
LINK_TOLERANCE = 0.005


class Checker:
    """What types and units alone do not tell about a hardware file."""

    def __init__(self, document: Document, spec: HardwareSpec) -> None:
        self.document, self.spec = document, spec

    def problems(self) -> Iterator[InputError]:
        """Yield everything that is wrong."""
        yield from self._formats_and_clocks()
        yield from self._peaks()
        yield from self._sparse()
        yield from self._memory()
        yield from self._links()
        yield from self._provenance()

    def _error(self, path: tuple[Any, ...], text: str, mend: str, key: bool = False) -> InputError:
        return InputError(text, where=self.document.where(path, key=key), mend=mend)

    def _rates(self) -> Iterator[tuple[tuple[str, ...], EngineSpec, str, RateSpec]]:
        for name, engine in self.spec.compute.items():
            for dtype, rate in engine.rates.items():
                yield ("compute", name, "rates", dtype), engine, dtype, rate

    def _formats_and_clocks(self) -> Iterator[InputError]:
        for path, engine, dtype, rate in self._rates():
            for written in (*dtype.split(ACCUMULATE, 1), rate.runs_as, rate.accumulate):
                if written is not None:
                    yield from self._format(path, written)
            for clock in (rate.clock, engine.clock):
                if clock is not None and clock not in self.spec.clocks:
                    yield self._error(
                        path,
                        f"unknown clock '{clock}'",
                        did_you_mean(clock, self.spec.clocks),
                    )
            yield from self._unit_and_alias(path, engine, dtype, rate)
            if ACCUMULATE in dtype:
                yield from self._accumulator(path, engine, dtype, rate)
            if rate.achievable is not None and rate.achievable > rate.peak:
                yield self._error(
                    (*path, "achievable"),
                    f"achievable {_rate(dtype, rate.achievable)} is above the peak"
                    f" {_rate(dtype, rate.peak)}",
                    "check the peak, its clock, and dense against sparse",
                )

    def _format(self, path: tuple[str, ...], written: str) -> Iterator[InputError]:
        try:
            canonical = get_format(written).name
        except InputError as error:
            yield self._error(path, error.message, error.mend or "", key=True)
            return
        if canonical != written:
            yield self._error(path, f"number format '{written}'", f"write '{canonical}'", key=True)

    def _accumulator(
        self, path: tuple[str, ...], engine: EngineSpec, key: str, rate: RateSpec
    ) -> Iterator[InputError]:
        """Check the rate of an accumulator besides the engine's usual one."""
        dtype, accumulate = key.split(ACCUMULATE, 1)
        if dtype not in FORMATS or accumulate not in FORMATS:
            return
        usual = engine.rates.get(dtype)
        if engine.kind != "matrix":
            yield self._error(
                path, f"'{key}' on a {engine.kind} engine", "state it on a matrix engine", key=True
            )
        elif not can_accumulate(dtype, accumulate):
            yield self._error(
                path, f"products of {dtype} summed in {accumulate}", "take a wider one", key=True
            )
        elif usual is None or usual.accumulate in (None, accumulate):
            yield self._error(
                path,
                f"'{key}' without a rate of '{dtype}' that sums in another format",
                f"state '{dtype}: {{accumulate: ..., peak: ...}}' as the usual one",
                key=True,
            )
        elif rate.accumulate not in (None, accumulate):
            yield self._error(
                (*path, "accumulate"),
                f"'{key}' accumulates in '{rate.accumulate}'",
                "leave accumulate out: the key says it",
            )
        elif FORMATS[usual.accumulate].holds(accumulate) and rate.peak < usual.peak:
            yield self._error(
                (*path, "peak"),
                f"summed in {accumulate}, {dtype} is slower than in the wider {usual.accumulate}",
                "exchange the two figures",
            )

    def _sparse(self) -> Iterator[InputError]:
        for name, engine in self.spec.compute.items():
            for dtype, faster in engine.sparse_2_4.items():
                path = ("compute", name, SPARSE, dtype)
                if engine.kind != "matrix" or dtype not in engine.rates:
                    yield self._error(
                        path,
                        f"{SPARSE} of '{dtype}', of which this {engine.kind} engine has no dense"
                        " matrix rate",
                        "state it for formats that the matrix engine has",
                        key=True,
                    )
                if not 1 < faster <= 2:
                    yield self._error(
                        path,
                        f"2:4 weights make the engine {faster:g} times as fast",
                        "expected over 1 and at most 2: half of the products are skipped",
                    )

    def _unit_and_alias(
        self, path: tuple[str, ...], engine: EngineSpec, dtype: str, rate: RateSpec
    ) -> Iterator[InputError]:
        written = self.document.data["compute"][path[1]]["rates"][dtype]
        integer = _is_integer(dtype)
        for key in ("peak", "achievable"):
            if key in written and integer == ("FLOP" in str(written[key])):
                unit = "OP/s" if integer else "FLOP/s"
                yield self._error(
                    (*path, key),
                    f"{key} '{written[key]}' of {dtype}",
                    f"{'integers' if integer else 'floating point'} are counted in {unit}",
                )
        if rate.runs_as is not None:
            served = engine.rates.get(rate.runs_as)
            if served is None or served.peak != rate.peak:
                yield self._error(
                    (*path, "runs_as"),
                    f"{dtype} runs as '{rate.runs_as}', which has no rate or another peak here",
                    f"state the rate of {rate.runs_as} and give {dtype} the same peak",
                )

    def _peaks(self) -> Iterator[InputError]:
        for path, engine, dtype, rate in self._rates():
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
                    f"stated peak {_rate(dtype, rate.peak)} is {ratio:.3g} times"
                    f" {engine.count} units x {rate.ops_per_cycle:g} operations per cycle x"
                    f" {format_si(clock, 'Hz')} = {_rate(dtype, derived)}"
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
        for name, _ in inner:
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

    def _links(self) -> Iterator[InputError]:
        """Refuse a memory bandwidth that is a link's, one direction or both."""
        name, last = list(self.spec.memory.items())[-1]
        for link, spec in self.spec.interconnect.items():
            one_way = spec.bandwidth_per_direction
            if last.bandwidth is None or one_way is None:
                continue
            if one_way >= last.bandwidth:
                yield self._error(
                    ("interconnect", link, "bandwidth_per_direction"),
                    f"'{link}' is as fast as the memory '{name}'",
                    "check both figures; a link's is per direction, all links together",
                )
            elif abs(last.bandwidth / (2 * one_way) - 1) < LINK_TOLERANCE:
                yield self._error(
                    ("memory", name, "bandwidth"),
                    f"the bandwidth of '{name}' is that of '{link}' in both directions",
                    "state the memory's own",
                )

    def _provenance(self) -> Iterator[InputError]:
        entries = self.spec.provenance
        numbers = list(stated_numbers(self.spec))
        for field in numbers:
            covering = [name for name in entries if _covers(name, field)]
            if _of_sparse(field):
                # The entry of the dense peaks cannot vouch for a sparse figure.
                covering = [n for n in covering if entries[n].sparsity == "sparse"]
            if not covering:
                more = "sparsity: sparse, " if _of_sparse(field) else ""
                yield self._error(
                    tuple(field.split(".")),
                    f"'{field}' has no provenance",
                    f"add 'provenance: {{{field}: {{{more}method: ...,"
                    " source: ..., quote: ...}}'",
                )
        for entry, item in entries.items():
            if item.source is not None and item.source not in self.spec.sources:
                yield self._error(
                    ("provenance", entry, "source"),
                    f"unknown source '{item.source}'",
                    did_you_mean(item.source, self.spec.sources),
                )
            if item.clock is not None and item.clock not in self.spec.clocks:
                yield self._error(
                    ("provenance", entry, "clock"),
                    f"unknown clock '{item.clock}'",
                    did_you_mean(item.clock, self.spec.clocks),
                )
            if not any(_covers(entry, field) for field in numbers):
                yield self._error(
                    ("provenance", entry),
                    f"'{entry}' names no number of this file",
                    did_you_mean(entry, numbers),
                    key=True,
                )
            if item.sparsity == "sparse" and not _of_sparse(entry):
                yield self._error(
                    ("provenance", entry),
                    f"'{entry}' is a sparse figure",
                    "peaks are dense: state the dense one",
                    key=True,
                )
        for path, _, _, _ in self._rates():
            field = ".".join((*path, "peak"))
            covering = [name for name in entries if _covers(name, field)]
            if covering and entries[max(covering, key=len)].sparsity is None:
                yield self._error(
                    ("provenance",),
                    f"the provenance of '{field}' does not say dense or sparse",
                    "add 'sparsity: dense'",
                )


def _rate(dtype: str, value: float) -> str:
    return format_si(value, "OP/s" if _is_integer(dtype) else "FLOP/s")


def _is_integer(key: str) -> bool:
    dtype = key.split(ACCUMULATE, 1)[0]
    return dtype in FORMATS and FORMATS[dtype].integer


def _of_sparse(field: str) -> bool:
    """Tell whether a path is that of a speed-up on 2:4 weights, or of all of an engine."""
    return SPARSE in field.split(".")


def _covers(entry: str, field: str) -> bool:
    return field == entry or field.startswith(entry + ".")
