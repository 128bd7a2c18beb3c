"""Checks of a hardware file beyond types and units.

Refused: a stated peak that differs by over 2 % from units x operations per
cycle x clock (a sparse peak, or a boost clock taken for the reference), a
number without provenance, FLOP/s for integers, caches in decimal units, a far
level faster than a near one, and a last level without bandwidth.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from perfmodel.catalog import Document
from perfmodel.core.formats import FORMATS, get_format
from perfmodel.errors import InputError, did_you_mean
from perfmodel.machine.schema import EngineSpec, HardwareSpec, RateSpec, stated_numbers
from perfmodel.units import format_si

PEAK_TOLERANCE = 0.02


class Checker:
    """What types and units alone do not tell about a hardware file."""

    def __init__(self, document: Document, spec: HardwareSpec) -> None:
        self.document, self.spec = document, spec

    def problems(self) -> Iterator[InputError]:
        """Yield everything that is wrong."""
        yield from self._formats_and_clocks()
        yield from self._peaks()
        yield from self._memory()
        yield from self._provenance()

    def _error(self, path: tuple[Any, ...], text: str, mend: str, key: bool = False) -> InputError:
        return InputError(text, where=self.document.where(path, key=key), mend=mend)

    def _rates(self) -> Iterator[tuple[tuple[str, ...], EngineSpec, str, RateSpec]]:
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
            yield from self._unit_and_alias(path, engine, dtype, rate)
            if rate.achievable is not None and rate.achievable > rate.peak:
                yield self._error(
                    (*path, "achievable"),
                    f"achievable {_rate(dtype, rate.achievable)} is above the peak"
                    f" {_rate(dtype, rate.peak)}",
                    "check the peak, its clock, and dense against sparse",
                )

    def _unit_and_alias(
        self, path: tuple[str, ...], engine: EngineSpec, dtype: str, rate: RateSpec
    ) -> Iterator[InputError]:
        written = self.document.data["compute"][path[1]]["rates"][dtype]
        integer = dtype in FORMATS and FORMATS[dtype].integer
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

    def _provenance(self) -> Iterator[InputError]:
        entries = self.spec.provenance
        numbers = list(stated_numbers(self.spec))
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
            if item.sparsity == "sparse":
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
    integer = dtype in FORMATS and FORMATS[dtype].integer
    return format_si(value, "OP/s" if integer else "FLOP/s")


def _covers(entry: str, field: str) -> bool:
    return field == entry or field.startswith(entry + ".")
