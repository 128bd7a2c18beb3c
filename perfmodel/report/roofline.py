"""The roofline as a plotly figure, made from analyses (plain data) alone.

Axes are whole decades around the devices' roofs, never around the operators, so
that two figures of a device can be laid side by side.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from perfmodel.report.columns import COLUMNS, title
from perfmodel.units import format_si

if TYPE_CHECKING:
    import plotly.graph_objects as go

Data = Mapping[str, Any]
Trace = dict[str, Any]
Decades = tuple[int, int]

#: colour (Okabe-Ito) and symbol of a bound: either alone tells them apart
BOUNDS = {
    "compute": ("#D55E00", "circle"),
    "bandwidth": ("#0072B2", "square"),
    "overhead": ("#009E73", "diamond"),
}
#: the lines of the first device, the second, ...: colours that the bounds leave
_DEVICES = ("#808080", "#CC79A7", "#E69F00", "#56B4E9", "#A08A00")
#: how the points of the first workload are filled, the second, ...
_FILLS = ("", "-open", "-dot", "-open-dot")
#: a point may exceed its roof by this much of it: rounding, no defect
TOLERANCE = 1e-3
SMALLEST, _LARGEST = 6.0, 44.0
#: labels of ridges nearer than this (in decades of height) would overlap
_LABEL_GAP = 0.3


@dataclass(frozen=True, eq=False)
class Point:
    """An operator's place: FLOP/s over FLOP/B, or for one without FLOP (x None) its B/s.

    ``above`` says that it exceeds every roof that it could stand under: a defect.
    """

    row: Data
    x: float | None
    y: float
    share: float
    ceiling: float
    above: bool


def points(data: Data) -> list[Point]:
    """Return an analysis's operators as points; a row without time or bytes has no place."""
    placed: list[Point] = []
    total = data["totals"]["time_s"]
    for row in data["operators"]:
        time, size = row["time_s"], row["bytes_read"] + row["bytes_written"]
        if time > 0 and size > 0:
            share = time * row["count"] / total if total else 0.0
            x, y = (row["flops"] / size if row["flops"] else None), (row["flops"] or size) / time
            top = ceiling(row, data["hardware"], data["settings"].get("accumulate"))
            placed.append(Point(row, x, y, share, top, above=y > top * (1 + TOLERANCE)))
    return placed


def ceiling(row: Data, device: Data, accumulate: str | None = None) -> float:
    """Return the FLOP/s (B/s for a row without FLOP) that ``row`` cannot exceed.

    Engines and memory overlap: multiply-accumulates may use the fastest engine
    while the rest of the operations uses the vector and special ones.
    """
    speed = device["levels"][-1]["bandwidth"] or math.inf
    if not row["flops"]:
        return float(speed)
    roofs = serving(device["roofs"], row["dtype"], accumulate)
    top = max((r["peak"] for r in roofs), default=math.inf)
    vector = max((r["peak"] for r in roofs if r["kind"] == "vector"), default=math.inf)
    special = max((r["peak"] for r in device["roofs"] if r["kind"] == "special"), default=0.0)
    dense = min(2 * row["macs"], row["flops"])
    moving = (row["bytes_read"] + row["bytes_written"]) / speed
    seconds = max(dense / top, (row["flops"] - dense) / (vector + special), moving)
    return float(row["flops"] / seconds) if seconds else math.inf


def _format(dtype: str) -> tuple[int, bool]:
    """Return the bits of a format (tf32 keeps 19 of fp32's) and whether it is an integer."""
    digits = re.search(r"\d+", dtype)
    bits = 19 if dtype == "tf32" else int(digits[0]) if digits else 8
    return bits, dtype.startswith(("int", "bool"))


def serving(roofs: Sequence[Data], dtype: str, accumulate: str | None = None) -> list[Data]:
    """Return the matrix and vector roofs that work in ``dtype`` runs under.

    A kind of engine without the format serves it in its nearest wider one; the
    matrix engine does not where the vector engine has a nearer one. Roofs of
    other accumulators count where ``accumulate`` names them.
    """
    want = _format(dtype)
    roofs = [r for r in roofs if not r["on_request"] or accumulate == r["accumulate"]]

    def rank(roof: Data) -> tuple[float, bool]:
        have = _format(roof["dtype"])
        wider = have[0] > want[0] and have[1] <= want[1]
        found = (have[0], have[1] != want[1]) if wider else (math.inf, False)
        return (0, False) if roof["dtype"] == dtype else found

    best = {
        kind: min((rank(r) for r in roofs if r["kind"] == kind), default=(math.inf, False))
        for kind in ("matrix", "vector")
    }
    if best["vector"] < best["matrix"]:
        del best["matrix"]
    return [r for r in roofs if rank(r) == best.get(r["kind"]) != (math.inf, False)]


def ridge(roof: Data, device: Data) -> float | None:
    """Return the intensity at which the last memory level's slope meets a roof."""
    speed = device["levels"][-1]["bandwidth"]
    return roof["peak"] / speed if speed else None


def devices_of(results: Sequence[Data]) -> list[Data]:
    """Return the devices of the analyses, each once."""
    found = [data["hardware"] for data in results]
    return [device for i, device in enumerate(found) if device not in found[:i]]


def roofs_in_use(device: Data, results: Sequence[Data]) -> list[Data]:
    """Return the roofs of the formats in which the analyses run on ``device``."""
    mine = [data for data in results if data["hardware"] == device]
    used: list[Data] = []
    for data in mine:
        sums = data["settings"].get("accumulate")
        dtypes = {row["dtype"] for row in data["operators"] if row["flops"]}
        dtypes.add(data["settings"]["dtype"].removesuffix(f"-acc-{sums}"))
        for dtype in dtypes:
            used += serving(device["roofs"], dtype, sums)
    return [roof for roof in device["roofs"] if roof in used]


def axes(devices: Sequence[Data]) -> tuple[Decades, Decades]:
    """Return the decades that the axes span, as exponents: a function of the roofs alone."""
    roofs = [(d, r) for d in devices for r in d["roofs"] if r["kind"] != "special"]
    ridges = [x for d, r in roofs if (x := ridge(r, d))] or [1.0, 100.0]
    low = min(-2, math.floor(math.log10(min(ridges))) - 2)
    high = max(4, math.ceil(math.log10(max(ridges))) + 1)
    tops = [max(r["peak"], r["achievable"] or 0.0) for _, r in roofs] or [1e12]
    speeds = [s for d in devices if (s := d["levels"][-1]["bandwidth"])] or [1e9]
    # Small operators, bound by their launch, stand decades below the slope.
    bottom = math.floor(math.log10(min(speeds))) + low - 3
    return (low, high), (bottom, math.floor(math.log10(1.25 * max(tops))) + 1)


def roofline_figure(results: Sequence[Data]) -> go.Figure:
    """Return the roofline of analyses: roofs of each device, a point an operator.

    Theoretical roofs are dashed, achievable ones solid. An operator's area is
    its share of the time; those without FLOP stand in the strip at the left.
    """
    import plotly.graph_objects as go

    devices = devices_of(results)
    workloads = list(dict.fromkeys(d["workload"]["name"] for d in results))
    xs, ys = axes(devices)
    figure = go.Figure(layout=_layout(xs, ys))

    labelled: list[float] = []

    def add(traces: Iterator[Trace], prefix: str, group: str) -> None:
        for trace in traces:
            name = escape(prefix) + trace["name"]
            trace.setdefault("hovertext", name + trace.pop("more", ""))
            if label := trace.pop("text", None):
                height = math.log10(trace["y"][0])
                if all(abs(height - other) >= _LABEL_GAP for other in labelled):
                    labelled.append(height)
                    trace.update(text=escape(prefix) + label, mode="markers+text")
            trace.update(name=name, legendgroup=f"{group} {trace['name']}", hoverinfo="text")
            figure.add_trace(go.Scatter(trace, textfont={"size": 11}))

    colours = [_DEVICES[i % len(_DEVICES)] for i in range(len(devices))]
    prefixes = [f"{d['name']}: " if len(devices) > 1 else "" for d in devices]
    for i, device in enumerate(devices):
        add(_slopes(device, xs, colours[i]), prefixes[i], f"device {i}")
        used = roofs_in_use(device, results)
        add(_roofs(device, used, xs, colours[i]), prefixes[i], f"device {i}")
    for number, data in enumerate(results):
        i, name = devices.index(data["hardware"]), data["workload"]["name"]
        prefix = prefixes[i] + (f"{name}: " if len(workloads) > 1 else "")
        fill = _FILLS[workloads.index(name) % len(_FILLS)]
        add(_operators(data, colours[i], fill), prefix, f"points {number}")
    if len(results) == 1:
        figure.update_layout(title={"text": escape(title(results[0]), 200), "font": {"size": 14}})
    return figure


def escape(text: str, longest: int = 60) -> str:
    """Return ``text`` for plotly, which renders a subset of HTML; cut, for it never wraps."""
    return html.escape(text if len(text) <= longest else text[: longest - 3] + "...", quote=False)


def _layout(xs: Decades, ys: Decades) -> Trace:
    def axis(text: str, decades: Decades) -> Trace:
        values = [10.0**k for k in range(decades[0], decades[1] + 1)]
        name = {"text": text, "font": {"size": 12}}
        return {"type": "log", "range": decades, "title": name, "tickvals": values}

    x = axis("intensity at the last level, FLOP/B", xs)
    x |= {"ticktext": [f"{v:g}" for v in x["tickvals"]], "domain": [0.15, 1], "anchor": "y"}
    y = axis("attainable FLOP/s (strip: B/s)", ys)
    y |= {"ticktext": [format_si(v, "") for v in y["tickvals"]], "anchor": "x2"}
    strip = {"range": [0, 1], "tickvals": [0.5], "ticktext": ["no<br>FLOP:<br>B/s"], "anchor": "y"}
    strip |= {"domain": [0, 0.12], "showgrid": False, "zeroline": False}
    return {
        "template": "none",
        **{"xaxis": x, "xaxis2": strip, "yaxis": y, "hovermode": "closest", "height": 640},
        "hoverlabel": {"align": "left", "namelength": 0},
        "legend": {"tracegroupgap": 0, "itemwidth": 44, "font": {"size": 11}},
        "margin": {"l": 64, "r": 16, "t": 40, "b": 64},
    }


def _kinds(roof: Data, key: str) -> list[tuple[str, str, float]]:
    kinds = [("theoretical", "dash", roof[key]), ("achievable", "solid", roof["achievable"])]
    return [(kind, dash, value) for kind, dash, value in kinds if value]


def _span(low: float, high: float) -> list[float]:
    """Return intensities between two exponents, near enough for the pointer to meet one."""
    return [10 ** (low + (high - low) * i / 24) for i in range(25)]


def _slopes(device: Data, xs: Decades, colour: str) -> Iterator[Trace]:
    """Yield a slope for each memory level, and its height in the strip."""
    top = max((r["peak"] for r in device["roofs"]), default=math.inf)
    for depth, level in enumerate(reversed(device["levels"])):
        for kind, dash, speed in _kinds(level, "bandwidth"):
            line = {"color": colour, "dash": dash, "width": max(2.5 - 0.8 * depth, 0.8)}
            text = escape(f"{level['name']} {format_si(speed, 'B/s')} {kind}")
            common: Trace = {"name": text, "mode": "lines", "line": line}
            x = _span(xs[0], min(math.log10(top / speed), xs[1]))
            yield {**common, "x": x, "y": [speed * v for v in x]}
            yield {**common, "x": [0, 1], "y": [speed] * 2, "xaxis": "x2", "showlegend": False}


def _roofs(device: Data, used: list[Data], xs: Decades, colour: str) -> Iterator[Trace]:
    """Yield a flat roof for each height of an engine, with its ridge; unused ones hidden."""
    alike: dict[Any, list[Data]] = {}
    for roof in device["roofs"]:
        key = (roof["engine"], roof["peak"], roof["achievable"], roof["runs_as"], roof in used)
        alike.setdefault((*key, _format(roof["dtype"])[1]), []).append(roof)
    for roofs in alike.values():
        roof, formats = roofs[0], ", ".join(r["format"] for r in roofs)
        formats += f" as {roof['runs_as']}" if roof["runs_as"] else ""
        unit = "OP/s" if _format(roof["dtype"])[1] else "FLOP/s"
        for kind, dash, peak in _kinds(roof, "peak"):
            text = escape(f"{roof['engine']} {formats} {format_si(peak, unit)} {kind}")
            common: Trace = {"name": text, "visible": True if roof in used else "legendonly"}
            line = {"color": colour, "dash": dash, "width": 1.5}
            yield {**common, "mode": "lines", "line": line, "x": _span(*xs), "y": [peak] * 25}
            if kind == "theoretical" and (at := ridge(roof, device)):
                mark = {"symbol": "triangle-down", "size": 9, "color": colour}
                common |= {"mode": "markers", "x": [at], "y": [peak], "marker": mark}
                common |= {"showlegend": False, "more": f"<br>ridge {at:.3g} FLOP/B"}
                if roof in used:
                    label = escape(f"{roof['kind']} {formats}, ridge {at:.3g} FLOP/B")
                    common |= {"text": label, "textposition": "top left"}
                yield common


def _operators(data: Data, outline: str, fill: str) -> Iterator[Trace]:
    """Yield the points of an analysis by bound, and a red ring around the defects."""
    placed = points(data)
    lane = [p for p in placed if p.x is None]
    slots = {id(p): (i + 0.5) / len(lane) for i, p in enumerate(lane)}
    placed.sort(key=lambda p: -p.share)  # small ones on top, within reach of the pointer
    groups: list[tuple[str, list[Point], float, Trace]] = []
    for bound in dict.fromkeys([*BOUNDS, *(p.row["bound"] for p in placed)]):
        colour, symbol = BOUNDS.get(bound, ("#999999", "x"))
        edge = {"color": outline, "width": 1.5}
        marker = {"color": colour, "symbol": symbol + fill, "opacity": 0.85, "line": edge}
        mine = [p for p in placed if p.row["bound"] == bound]
        groups.append((f"bound by {bound}", mine, 0.0, marker))
    ring = {"color": "#E00000", "symbol": "circle-open", "line": {"width": 3}}
    groups.append(("above every roof", [p for p in placed if p.above], 10.0, ring))
    for name, mine, grow, marker in groups:
        for strip in (False, True):
            some = [p for p in mine if (p.x is None) == strip]
            size = [grow + max(SMALLEST, _LARGEST * math.sqrt(min(p.share, 1))) for p in some]
            trace: Trace = {"name": escape(f"{name} ({len(mine)})"), "mode": "markers"}
            trace |= {"marker": {**marker, "size": size}, "xaxis": "x2" if strip else "x"}
            trace |= {"x": [slots.get(id(p), p.x) for p in some], "y": [p.y for p in some]}
            trace |= {"hovertext": [_hover(p, data["totals"]["time_s"]) for p in some]}
            if some:  # one entry in the legend, whether in the plane, in the strip or both
                yield {**trace, "showlegend": not strip or len(some) == len(mine)}


def _hover(point: Point, total: float) -> str:
    row, unit = point.row, "B" if point.x is None else point.row["operations_unit"]
    taken, made = (
        " ".join("×".join(map(str, shape)) for shape in row[f"{side}_shapes"])
        for side in ("input", "output")
    )
    columns = [c for key, c in COLUMNS.items() if key not in ("name", "op")]
    cells = [f"{c.heading} {c.text(row, total)}" for c in columns]
    levels = ", ".join(f"{name} {format_si(v, 'B')}" for name, v in row["bytes_by_level"].items())
    lines = [f"{row['op']} {row['dtype']}: {taken} → {made}"]
    lines += [", ".join(cells[i : i + 4]) for i in range(0, len(cells), 4)]
    lines.append(f"next limiter: {row['next_limiter'] or 'none near'}")
    lines.append(f"each: {format_si(row['time_s'], 's')}, {format_si(point.y, unit + '/s')}")
    lines.append(f"bytes of each: {levels}")
    return f"<b>{escape(row['name'])}</b><br>" + "<br>".join(escape(line) for line in lines)
