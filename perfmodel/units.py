"""Quantities with written units: `3.35 TB/s`, `50 MiB`, `2.5 us`.

Bandwidth is decimal (1 GB/s = 1e9 B/s); capacity may be decimal (GB) or binary
(GiB); rates of arithmetic are FLOP/s, or OP/s for integers. Everything is
stored in SI: bytes, seconds, hertz, watts, joules.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal

from perfmodel.errors import InputError, shorten

_DECIMAL = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}
_BINARY = {"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40}
_SMALL = {"m": 1e-3, "u": 1e-6, "µ": 1e-6, "n": 1e-9, "p": 1e-12}


def _table(base: str, *prefixes: dict[str, float]) -> dict[str, float]:
    return {p + base: scale for table in prefixes for p, scale in table.items()}


#: dimension -> unit as written -> factor to SI
UNITS: dict[str, dict[str, float]] = {
    "capacity": _table("B", _DECIMAL, _BINARY),
    "bandwidth": _table("B/s", _DECIMAL),
    "frequency": _table("Hz", _DECIMAL),
    "time": {"s": 1.0, **_table("s", _SMALL)},
    "power": {"W": 1.0, "kW": 1e3, "mW": 1e-3},
    "energy": {"J": 1.0, **_table("J", _SMALL)},
    "rate": {**_table("FLOP/s", _DECIMAL), **_table("OP/s", _DECIMAL)},
}

#: what a message offers as an example of a dimension
EXAMPLES = {
    "capacity": "'40 MiB'",
    "bandwidth": "'2039 GB/s'",
    "frequency": "'1410 MHz'",
    "time": "'2.5 us'",
    "power": "'400 W'",
    "energy": "'1.3 pJ'",
    "rate": "'312 TFLOP/s'",
}

_QUANTITY = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(\D.*?)?\s*")

# What people write for a unit we know by another name.
_RESPELL = {
    "TFLOPS": "TFLOP/s", "GFLOPS": "GFLOP/s", "PFLOPS": "PFLOP/s", "TFLOPs": "TFLOP/s",
    "TOPS": "TOP/s", "GOPS": "GOP/s", "POPS": "POP/s", "KB": "kB", "KB/s": "kB/s",
    "Kib": "KiB", "Mib": "MiB", "hz": "Hz", "Mhz": "MHz", "Ghz": "GHz", "ghz": "GHz", "mhz": "MHz",
    "GBps": "GB/s", "TBps": "TB/s", "sec": "s", "usec": "us", "watt": "W", "w": "W",
}  # fmt: skip


def parse_quantity(text: object, dimension: str, where: str | None = None) -> float:
    """Return the SI value of ``text``, which must carry a unit of ``dimension``.

    >>> parse_quantity("3.35 TB/s", "bandwidth")
    3350000000000.0
    >>> parse_quantity("50 MiB", "capacity")
    52428800.0
    """
    example = EXAMPLES[dimension]
    expected = f"expected {_article(dimension)} with its unit"
    if isinstance(text, (int, float)) and not isinstance(text, bool):
        raise InputError(
            f"bare number {shorten(text)} where {_article(dimension)} belongs",
            where=where,
            mend=f"write the unit, as in {example}",
        )
    if not isinstance(text, str):
        raise InputError(f"found {shorten(text)}, {expected}", where=where, mend=f"as in {example}")
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise InputError(f"found {shorten(text)}, {expected}", where=where, mend=f"as in {example}")
    number, unit = match.group(1), match.group(2)
    if unit is None:
        raise InputError(
            f"number without a unit {shorten(text)} where {_article(dimension)} belongs",
            where=where,
            mend=f"write the unit, as in {example}",
        )
    factor = UNITS[dimension].get(unit)
    if factor is None:
        raise _wrong_unit(text, number, unit, dimension, where)
    # In decimal, so that '2.5 us' is 2.5e-06 and not its neighbour.
    value = float(Decimal(number) * Decimal(repr(factor)))
    if not math.isfinite(value) or value < 0:
        raise InputError(
            f"found {shorten(text)}, expected a finite {dimension} of at least 0", where=where
        )
    return value


def _wrong_unit(text: str, number: str, unit: str, dimension: str, where: str | None) -> InputError:
    example = EXAMPLES[dimension]
    for other, units in UNITS.items():
        if unit in units:
            return InputError(
                f"found {shorten(text)}, which is {_article(other)},"
                f" where {_article(dimension)} belongs",
                where=where,
                mend=f"write it as in {example}",
            )
    if dimension == "bandwidth" and re.fullmatch(r"[KMGT]iB/s", unit):
        decimal = float(number) * _BINARY[unit[:2]] / 1e9
        return InputError(
            f"found {shorten(text)}, but bandwidth is decimal here",
            where=where,
            mend=f"write '{decimal:g} GB/s'",
        )
    if re.fullmatch(r"[kKMGT]i?b(/s|ps)?", unit):
        return InputError(
            f"found {shorten(text)}, whose unit is bits",
            where=where,
            mend=f"write bytes with a capital B, as in {example}",
        )
    if unit in _RESPELL:
        return InputError(
            f"unknown unit '{unit}' in {shorten(text)}",
            where=where,
            mend=f"write '{number} {_RESPELL[unit]}'",
        )
    return InputError(
        f"unknown unit {shorten(unit)} where {_article(dimension)} belongs",
        where=where,
        mend=f"write it as in {example}; units: {', '.join(UNITS[dimension])}",
    )


def _article(dimension: str) -> str:
    return ("an " if dimension[0] in "aeiou" else "a ") + dimension


def format_si(value: float | None, unit: str, digits: int = 3) -> str:
    """Write ``value`` with a decimal prefix: ``format_si(3.35e12, "B/s") == "3.35 TB/s"``."""
    if value is None:
        return "unknown"
    if value == 0 or not math.isfinite(value):
        return f"{value:g} {unit}".rstrip()
    steps = [
        (1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""),
        (1e-3, "m"), (1e-6, "u"), (1e-9, "n"), (1e-12, "p"),
    ]  # fmt: skip
    # The half step keeps 999.96 from printing as "1e+03" of the smaller prefix.
    rounding = 1 - 0.5 * 10.0**-digits
    for scale, prefix in steps:
        if abs(value) >= scale * rounding:
            return f"{_digits(value / scale, digits)} {prefix}{unit}".rstrip()
    return f"{value:.{digits}g} {unit}".rstrip()


def format_capacity(value: float | None, digits: int = 3) -> str:
    """Write bytes with a binary prefix where that is exact, else a decimal one."""
    if value is None:
        return "unknown"
    for prefix in ("Ti", "Gi", "Mi", "Ki"):
        scaled = value / _BINARY[prefix]
        if 1 <= scaled < 2**14 and scaled == round(scaled, 2):
            return f"{_digits(scaled, max(digits, 5))} {prefix}B"
    return format_si(value, "B", digits)


def _digits(value: float, digits: int) -> str:
    text = f"{value:.{digits}g}"
    return f"{value:.0f}" if "e" in text else text
