"""The `efficiency` and `residuals` of a hardware file: read with units and bounds, written."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import get_args

from perfmodel.catalog import Document
from perfmodel.core.operator import Category
from perfmodel.errors import InputError, did_you_mean, shorten
from perfmodel.machine.efficiency import PARAMETERS, Efficiency, Estimate, Parameter, Spread
from perfmodel.machine.schema import EstimateSpec, HardwareSpec
from perfmodel.units import format_si, parse_quantity

#: the families of operators whose residuals are kept apart
FAMILIES: tuple[str, ...] = get_args(Category)
_DIMENSIONS = {"s": "time", "B": "capacity", "Hz": "frequency"}


def read_efficiency(document: Document, spec: HardwareSpec) -> Iterator[InputError | Efficiency]:
    """Yield every problem; where there is none, the Efficiency that the file states, if any."""
    found: dict[str, Estimate] = {}
    problems: list[InputError] = []
    for name, item in spec.efficiency.items():
        where = document.where(("efficiency", name, "value"))
        try:
            found[name] = _estimate(
                name, item, where, document.where(("efficiency", name), key=True)
            )
        except InputError as error:
            problems.append(error)
    problems += [
        InputError(
            f"unknown family of operators '{family}'",
            where=document.where(("residuals", family), key=True),
            mend=did_you_mean(family, FAMILIES),
        )
        for family in spec.residuals
        if family not in FAMILIES
    ]
    yield from problems
    if not problems and (found or spec.residuals):
        spreads = {
            f: Spread(s.spread, s.method, s.n, s.date, s.source) for f, s in spec.residuals.items()
        }
        yield Efficiency(MappingProxyType(found), MappingProxyType(spreads))


def _estimate(name: str, item: EstimateSpec, where: str, key: str) -> Estimate:
    parameter = PARAMETERS.get(name)
    if parameter is None:
        raise InputError(
            f"unknown parameter '{name}'", where=key, mend=did_you_mean(name, PARAMETERS)
        )
    value = _value(parameter, item.value, where)
    if not parameter.low <= value <= parameter.high:
        raise InputError(
            f"{name} is {show_value(parameter, value)}, expected"
            f" {show_value(parameter, parameter.low)} to {show_value(parameter, parameter.high)}",
            where=where,
            mend=f"it is the {parameter.meaning}",
        )
    return Estimate(value, item.method, item.n, item.residual, item.date, item.source)


def _value(parameter: Parameter, written: float | str, where: str) -> float:
    if parameter.unit:
        return parse_quantity(written, _DIMENSIONS[parameter.unit], where)
    if isinstance(written, str):
        raise InputError(
            f"found {shorten(written)}, expected a plain number: it has no unit",
            where=where,
            mend="as in 0.85",
        )
    return float(written)


def show_value(parameter: Parameter, value: float, digits: int = 3) -> str:
    """Write a parameter's value with its unit."""
    return format_si(value, parameter.unit, digits) if parameter.unit else f"{value:.{digits}g}"


def write_efficiency(efficiency: Efficiency) -> str:
    """Return the blocks `efficiency` and `residuals` of a hardware file, to six digits."""
    lines = ["efficiency:"]
    for name, item in efficiency.parameters.items():
        parameter = PARAMETERS[name]
        lines.append(f"  # {parameter.meaning}")
        value = show_value(parameter, item.value, 6)
        entry = {"value": value, "method": item.method, "n": item.n}
        if item.residual is not None:
            entry["residual"] = f"{item.residual:.4g}"
        lines.append(_line(name, {**entry, "date": item.date, "source": item.source}))
    if efficiency.residuals:
        lines += ["", "# standard deviation of ln(predicted / measured)", "residuals:"]
    for family, spread in efficiency.residuals.items():
        lines.append(
            _line(
                family,
                {
                    "spread": f"{spread.spread:.4g}",
                    "method": spread.method,
                    "n": spread.n,
                    "date": spread.date,
                    "source": spread.source,
                },
            )
        )
    return "\n".join(lines) + "\n"


def _line(name: str, entry: Mapping[str, object]) -> str:
    told = {key: value for key, value in entry.items() if value is not None}
    if "source" in told:
        told["source"] = json.dumps(told["source"])
    return f"  {name}: {{{', '.join(f'{key}: {value}' for key, value in told.items())}}}"
