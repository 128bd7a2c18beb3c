"""A device's page: `describe_device` gives plain data in SI, `device_sections` texts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from perfmodel.machine import PARAMETERS, ComputeEngine, Machine, Rate, efficiency_of
from perfmodel.machine.efficiency import FAMILIES
from perfmodel.machine.efficiency_file import show_value
from perfmodel.units import format_capacity, format_si

Data = dict[str, Any]
SCHEMA = "perfmodel/device@1"


#: levels of which the page shows no ridge: a blocked kernel reads them from registers
NEAREST = ("registers", "l1")


def describe_device(machine: Machine) -> Data:
    """Return all that is known of a device: roofs, levels, parameters, and every source."""
    sources = list(dict.fromkeys((s.title, s.url, s.date) for s in machine.provenance if s.title))
    return {
        "schema": SCHEMA,
        "name": machine.name,
        "title": machine.title,
        "vendor": machine.vendor,
        "kind": machine.kind,
        "released": machine.released or None,
        "based_on": machine.based_on,
        "clocks_hz": dict(machine.clocks),
        "tdp_w": machine.tdp,
        "launch_overhead_s": dict(machine.overhead),
        "roofs": [_roof(machine, engine, rate) for engine, rate in machine.roofs()],
        "memory": [
            {
                "level": level.name,
                "scope": level.scope,
                "instances": level.instances,
                "capacity_bytes": level.capacity,
                "bandwidth_bytes_per_s": level.bandwidth,
                "achievable_bytes_per_s": level.achievable,
            }
            for level in machine.memory
        ],
        "interconnect": [
            {
                "link": link.name,
                "bandwidth_per_direction_bytes_per_s": link.bandwidth_per_direction,
                "latency_s": link.latency,
            }
            for link in machine.links
        ],
        "efficiency": [
            {
                "parameter": name,
                "unit": PARAMETERS[name].unit or None,
                "meaning": PARAMETERS[name].meaning,
                **vars(estimate),
            }
            for name, estimate in efficiency_of(machine).parameters.items()
        ],
        "accuracy": [
            {"family": family, **vars(spread)}
            for family, spread in efficiency_of(machine).spreads.items()
        ],
        "provenance": [
            {
                "number": s.field,
                "method": s.method,
                "source": sources.index((s.title, s.url, s.date)) + 1 if s.title else None,
                "quote": s.quote,
                "note": s.note,
                "sparsity": s.sparsity,
                "clock": s.clock,
            }
            for s in machine.provenance
        ],
        "sources": [
            {"number": number, "title": title, "url": url, "date": date}
            for number, (title, url, date) in enumerate(sources, start=1)
        ],
    }


def _roof(machine: Machine, engine: ComputeEngine, rate: Rate) -> Data:
    """Return a compute roof; ``ridges`` are its FLOP/byte where it meets a level's bandwidth."""
    return {
        "engine": engine.name,
        "kind": engine.kind,
        "units": engine.count,
        "format": rate.name,
        "runs_as": rate.runs_as,
        "accumulate": rate.accumulate,
        "peak": rate.peak,
        "unit": rate.unit,
        "achievable": rate.achievable,
        "sparse_2_4": engine.sparse_2_4.get(rate.dtype),
        "ridges": {
            level.name: rate.peak / level.bandwidth
            for level in machine.memory
            if level.bandwidth is not None
        },
    }


def device_sections(data: Data) -> Data:
    """Return a device's page as texts and tables of texts, for `print_sections`."""
    overhead = (f"{mode} {format_si(v, 's')}" for mode, v in data["launch_overhead_s"].items())
    clocks = (f"{name} {format_si(v, 'Hz', 4)}" for name, v in data["clocks_hz"].items())
    return {
        "name": data["name"],
        "title": data["title"],
        "kind": f"{data['kind']} by {data['vendor']}, released {data['released'] or 'unknown'}",
        "clocks": ", ".join(clocks),
        "design power": format_si(data["tdp_w"], "W"),
        "launch overhead": ", ".join(overhead),
        "roofs (ridge: FLOP/byte at which a roof meets a level's bandwidth)": _told(
            _roof_text(roof, data["memory"]) for roof in data["roofs"]
        ),
        "matrix products": _told(
            {
                "engine": roof["engine"],
                "format": roof["format"],
                "summed in": roof["accumulate"] or "-",
                "speed-up on 2:4 weights": f"{s:g}" if (s := roof["sparse_2_4"]) else "-",
            }
            for roof in data["roofs"]
            if roof["kind"] == "matrix"
        ),
        "memory, nearest first": _told(
            {
                "level": level["level"],
                "scope": level["scope"],
                "instances": str(level["instances"]),
                "capacity each": format_capacity(level["capacity_bytes"]),
                "bandwidth of all": format_si(level["bandwidth_bytes_per_s"], "B/s"),
                "achievable": _or_dash(level["achievable_bytes_per_s"], "B/s"),
            }
            for level in data["memory"]
        ),
        "interconnect": [
            {
                "link": link["link"],
                "per direction": format_si(link["bandwidth_per_direction_bytes_per_s"], "B/s"),
            }
            for link in data["interconnect"]
        ],
        "efficiency: what kernels reach of it": _told(
            {
                "parameter": item["parameter"],
                "value": show_value(PARAMETERS[item["parameter"]], item["value"]),
                "from": _found(item, "by rule"),
                "meaning": item["meaning"],
            }
            for item in data["efficiency"]
        ),
        "accuracy known (90 % of measured times lie within the factor of the prediction)": [
            {
                "kernels": FAMILIES[item["family"]],
                "factor": f"{item['factor']:.3g}",
                "mean error": "-" if item["residual"] is None else f"{item['residual']:.1%}",
                "from": _found(item, "never measured: by rule"),
            }
            for item in data["accuracy"]
        ],
        "where the numbers come from": [
            {"number": item["number"], "method": item["method"], "evidence": _evidence(item)}
            for item in data["provenance"]
        ],
        "sources": [
            {"": f"[{s['number']}]", "source": " ".join(filter(None, _source_parts(s)))}
            for s in data["sources"]
        ],
    }


def _found(item: Mapping[str, Any], default: str) -> str:
    """Return how a number was found, from how many kernels, when, and in which data."""
    if item["method"] == "default":
        return default
    if item["method"] == "carried over":
        return f"carried over from {item['source']}"
    return f"{item['method']}, {item['n']:,} kernels of {item['source']}, {item['date']}"


def accuracy_known(machine: Machine) -> str:
    """Return in a few words how well predictions for a device are known."""
    spreads = efficiency_of(machine).spreads
    measured = {f: s for f, s in spreads.items() if s.method in ("fitted", "measured")}
    if not measured:
        sources = sorted({str(s.source) for s in spreads.values() if s.method == "carried over"})
        return f"carried over from {', '.join(sources)}" if sources else "never measured"
    return ", ".join(
        f"{FAMILIES[family]} {spread.residual or 0:.0%}" for family, spread in measured.items()
    )


def _roof_text(roof: Data, memory: Iterable[Data]) -> dict[str, str]:
    known = [level["level"] for level in memory if level["bandwidth_bytes_per_s"] is not None]
    levels = [level for level in known if level not in NEAREST]
    as_format = f" (as {roof['runs_as']})" if roof["runs_as"] else ""
    return {
        "engine": roof["engine"],
        "kind": roof["kind"],
        "units": str(roof["units"]),
        "format": roof["format"] + as_format,
        "peak": format_si(roof["peak"], roof["unit"]),
        "achievable": _or_dash(roof["achievable"], roof["unit"]),
        **{f"ridge {level}": f"{roof['ridges'][level]:.3g}" for level in levels},
    }


def _told(rows: Iterable[dict[str, str]]) -> list[dict[str, str]]:
    """Return the rows without the columns in which no row says anything."""
    table = list(rows)
    silent = {key for key in table[0] if all(row[key] == "-" for row in table)} if table else set()
    return [{k: v for k, v in row.items() if k not in silent} for row in table]


def _or_dash(value: float | None, unit: str, write: Callable[..., str] = format_si) -> str:
    return "-" if value is None else write(value, unit)


def _evidence(item: Mapping[str, Any]) -> str:
    quote = f'"{item["quote"]}"' if item["quote"] else None
    reference = f"[{item['source']}]" if item["source"] else None
    sparsity = f"({item['sparsity']})" if item["sparsity"] else None
    return " ".join(filter(None, (quote, item["note"], sparsity, reference)))


def _source_parts(source: Mapping[str, Any]) -> tuple[str | None, ...]:
    date = f"({source['date']})" if source["date"] else None
    return source["title"], source["url"], date
