"""The `efficiency` and `accuracy` of a hardware file: read with units and bounds, written."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from perfmodel.catalog import Document
from perfmodel.errors import InputError, did_you_mean, shorten
from perfmodel.machine.efficiency import (
    FAMILIES,
    PARAMETERS,
    Efficiency,
    Estimate,
    Parameter,
    Spread,
)
from perfmodel.machine.schema import EstimateSpec, HardwareSpec
from perfmodel.units import format_si, parse_quantity

_COMMENT = "# within factor, 90 % of measurements lie on either side of a prediction"


def efficiency_problems(document: Document, spec: HardwareSpec) -> Iterator[InputError]:
    """Yield what is wrong with the parameters of a file beyond their types."""
    for name, item in spec.efficiency.items():
        if name not in PARAMETERS:
            yield InputError(
                f"unknown parameter '{name}'",
                where=document.where(("efficiency", name), key=True),
                mend=did_you_mean(name, PARAMETERS),
            )
            continue
        parameter = PARAMETERS[name]
        try:
            value = _value(parameter, item)
        except InputError as error:
            where = document.where(("efficiency", name, "value"))
            yield InputError(f"{name}: {error.message}", where=where, mend=error.mend)
            continue
        if not parameter.least <= value <= parameter.most:
            yield InputError(
                f"{name} is {show_value(parameter, value)}, expected"
                f" {show_value(parameter, parameter.least)} to"
                f" {show_value(parameter, parameter.most)}",
                where=document.where(("efficiency", name, "value")),
                mend=f"its meaning: {parameter.meaning}",
            )
    for family in spec.accuracy:
        if family not in FAMILIES:
            yield InputError(
                f"unknown family of kernels '{family}'",
                where=document.where(("accuracy", family), key=True),
                mend=did_you_mean(family, FAMILIES),
            )


def efficiency_of_spec(spec: HardwareSpec) -> Efficiency | None:
    """Return what a file without problems states; None where that is nothing."""
    if not spec.efficiency and not spec.accuracy:
        return None
    parameters = {
        name: Estimate(
            _value(PARAMETERS[name], item),
            item.method,
            item.n,
            item.residual,
            item.date,
            item.source,
        )
        for name, item in spec.efficiency.items()
    }
    spreads = {family: Spread(**item.model_dump()) for family, item in spec.accuracy.items()}
    return Efficiency(MappingProxyType(parameters), MappingProxyType(spreads))


def _value(parameter: Parameter, item: EstimateSpec) -> float:
    written = item.value
    if parameter.unit == "s":
        return parse_quantity(written, "time")
    if not parameter.unit:
        if isinstance(written, str):
            raise InputError(
                f"found {shorten(written)}, expected a plain number, for it has no unit",
                mend="as in 0.85",
            )
        return written
    number, _, unit = str(written).partition(" ")
    try:
        value = float(number)
    except ValueError:
        value = float("nan")
    if unit.strip() != parameter.unit or value != value:
        raise InputError(
            f"found {shorten(written)}, expected a number of {parameter.unit}",
            mend=f"as in '4500 {parameter.unit}'",
        )
    return value


def show_value(parameter: Parameter, value: float, digits: int = 3) -> str:
    """Write a parameter's value with its unit."""
    if parameter.unit == "s":
        return format_si(value, "s", digits)
    number = f"{value:.{digits}g}"
    number = f"{value:.0f}" if "e+" in number else number
    return f"{number} {parameter.unit}".rstrip()


def write_efficiency(efficiency: Efficiency) -> str:
    """Return the blocks `efficiency` and `accuracy` of a hardware file, values to six digits."""
    lines = ["efficiency:"]
    for name, item in efficiency.parameters.items():
        value = show_value(PARAMETERS[name], item.value, 6)
        lines.append(f"  # {PARAMETERS[name].meaning}")
        lines.append(_line(name, {"value": value}, item))
    if efficiency.spreads:
        lines += ["", _COMMENT, "accuracy:"]
    for family, spread in efficiency.spreads.items():
        lines.append(_line(family, {"factor": f"{spread.factor:.4g}"}, spread))
    return "\n".join(lines) + "\n"


def _line(name: str, first: Mapping[str, str], item: Estimate | Spread) -> str:
    told: dict[str, Any] = {**first, "method": item.method, "n": item.n}
    told["residual"] = None if item.residual is None else f"{item.residual:.4g}"
    told["date"] = item.date
    told["source"] = None if item.source is None else json.dumps(item.source)
    pairs = (f"{key}: {value}" for key, value in told.items() if value is not None)
    return f"  {name}: {{{', '.join(pairs)}}}"


def with_efficiency(text: str, name: str, based_on: str, efficiency: Efficiency) -> str:
    """Return a hardware file's ``text`` under another name and with that efficiency.

    Everything else, comments too, stays as it is. The file must be in block style.
    """
    for key in ("efficiency", "accuracy", "based_on"):
        text = re.sub(rf"(?ms)^(?:{_COMMENT}\n)?{key}:.*?(?=^\S|\Z)", "", text)
    text = re.sub(r"(?m)^name:.*$", f"name: {name}\nbased_on: {based_on}", text, count=1)
    before, sources, after = text.partition("\nsources:")
    return f"{before.rstrip()}\n\n{write_efficiency(efficiency)}{sources}{after}"
