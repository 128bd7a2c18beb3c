"""The page: rooflines and operator tables in one HTML file that needs no network."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from perfmodel.report import roofline
from perfmodel.report.columns import COLUMNS, near_note, summary, title
from perfmodel.units import format_si

Data = Mapping[str, Any]

#: the figure's symbols again, beside the words in the table
_SYMBOLS = {"circle": "●", "square": "■", "diamond": "◆"}

_STYLE = """
:root { color-scheme: light dark; --text: #1d2126; --faint: #59636e; --page: #ffffff;
  --card: #f5f7f9; --line: #d4dae0; --defect: #c00000; }
@media (prefers-color-scheme: dark) { :root { --text: #e4e8ec; --faint: #9ba6b1;
  --page: #14171a; --card: #1d2226; --line: #3a434b; --defect: #ff7b72; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, "Liberation Sans", "DejaVu Sans", sans-serif; overflow-wrap: anywhere; }
main { max-width: 1400px; margin: 0 auto; padding: 16px; }
h1 { font-size: 1.4rem; line-height: 1.25; margin: .2em 0 .6em; }
h2 { font-size: 1.15rem; line-height: 1.3; margin: 2em 0 .5em; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15em 1em; margin: .5em 0; }
dt { font-weight: 600; } dd { margin: 0; }
figure { margin: 1em 0; } figcaption, footer, .note { color: var(--faint); font-size: .87rem; }
#perfmodel-roofline { min-height: 480px; }
.defect { color: var(--defect); }
.box { overflow: auto; max-height: 80vh; border: 1px solid var(--line); border-radius: 6px; }
table { border-collapse: collapse; width: 100%; font-size: .87rem; overflow-wrap: normal; }
caption { text-align: left; padding: 8px 10px; color: var(--faint); }
caption span { display: inline-block; position: sticky; left: 10px; max-width: calc(100vw - 54px); }
th, td { padding: 3px 10px; white-space: nowrap; text-align: left; font-weight: 400; }
thead th { position: sticky; top: 0; background: var(--card); font-weight: 600; }
tbody tr { border-top: 1px solid var(--line); }
.number { text-align: right; font-variant-numeric: tabular-nums; }
footer { margin-top: 2.5em; border-top: 1px solid var(--line); padding-top: .8em; }
"""

# Colours and the legend's place are the viewer's affair, so they are set there.
_SCRIPT = """
(function () {
  const box = document.getElementById("perfmodel-roofline");
  const figure = JSON.parse(document.getElementById("perfmodel-figure").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const narrow = matchMedia("(max-width: 860px)");
  const entries = figure.data.filter(t => t.showlegend !== false).length;
  // A narrow page has room for the number of a ridge alone; dashes say "theoretical" there.
  const full = figure.data.map(t => ({ name: t.name, text: t.text }));
  function draw() {
    const style = getComputedStyle(document.documentElement);
    const colour = name => style.getPropertyValue(name).trim();
    const layout = figure.layout;
    layout.font = { color: colour("--text") };
    layout.paper_bgcolor = layout.plot_bgcolor = "rgba(0,0,0,0)";
    for (const axis of ["xaxis", "xaxis2", "yaxis"]) {
      layout[axis].gridcolor = layout[axis].linecolor = colour("--line");
    }
    layout.hoverlabel.bgcolor = colour("--card");
    layout.hoverlabel.bordercolor = colour("--faint");
    layout.modebar = {
      bgcolor: "rgba(0,0,0,0)", color: colour("--faint"), activecolor: colour("--text") };
    layout.hoverlabel.font = { color: colour("--text"), size: 12 };
    Object.assign(layout.legend, narrow.matches
      ? { orientation: "h", x: 0, y: 0, yref: "container", yanchor: "bottom", maxheight: 0.9 }
      : { orientation: "v", x: 1.02, y: 1, yref: "paper", yanchor: "top" });
    layout.margin.b = narrow.matches ? 90 + 19 * entries : 64;
    layout.height = narrow.matches ? 500 + 19 * entries : Math.max(640, 120 + 19 * entries);
    layout.legend.font.size = narrow.matches ? 10 : 11;
    layout.legend.itemwidth = narrow.matches ? 30 : 44;
    figure.data.forEach((trace, i) => {
      trace.name = narrow.matches ? full[i].name.replace(/ theoretical$/, "") : full[i].name;
      trace.text = narrow.matches ? full[i].text?.replace(/^.*ridge /, "") : full[i].text;
    });
    Plotly.react(box, figure.data, layout, { responsive: true, displaylogo: false,
      modeBarButtons: [["toImage", "zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"]] });
  }
  dark.addEventListener("change", draw);
  narrow.addEventListener("change", draw);
  draw();
})();
"""

_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
)


def roofline_page(results: Sequence[Data]) -> str:
    """Return a whole HTML page: the roofline of the analyses and a table of each.

    Everything is inside it, plotly.js and the analyses' JSON included; it asks
    for nothing over the network.
    """
    from plotly.offline import get_plotlyjs

    figure = roofline.roofline_figure(results)
    # The page's heading says it, in lines that fit.
    figure.update_layout(title=None, margin={"t": 36})
    heading = title(results[0]) if len(results) == 1 else _heading(results)
    embedded = inert(json.dumps(list(results), allow_nan=False))
    sections = "".join(_section(data, alone=len(results) == 1) for data in results)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<link rel="icon" href="data:,">
<title>{escape(heading)}</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>{escape(heading)}</h1>
{_summary(results[0]) if len(results) == 1 else ""}
<figure>
<div id="perfmodel-roofline" role="img" aria-label="{escape(alternative(results))}"></div>
<noscript>The figure needs JavaScript; the tables below hold its numbers.</noscript>
<figcaption>
<p>Dashed: theoretical roofs; solid: achievable ones. Area of a point: its share of the time.
Operators without FLOP stand in the strip at the left, at their bytes per second, in order of
execution. A click in the legend shows or hides a line; roofs of other number formats are
hidden at first. {escape(_ridges(results))}</p>
{_notes(results)}
</figcaption>
</figure>
{sections}
<footer>{_provenance(results)}</footer>
</main>
<script type="application/json" id="perfmodel-data">{embedded}</script>
<script type="application/json" id="perfmodel-figure">{inert(figure.to_json())}</script>
<script>{get_plotlyjs()}</script>
<script>{_SCRIPT}</script>
</body>
</html>
"""


def inert(text: str | None) -> str:
    """Return JSON that cannot end the script element it stands in."""
    return (text or "").replace("<", "\\u003c")


def _heading(results: Sequence[Data]) -> str:
    workloads = dict.fromkeys(d["workload"]["name"] for d in results)
    devices = dict.fromkeys(d["hardware"]["title"] for d in results)
    return f"Roofline: {', '.join(workloads)} on {', '.join(devices)}"


def _summary(data: Data) -> str:
    lines = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>\n" for k, v in summary(data))
    return f"<dl>\n{lines}</dl>"


def _section(data: Data, alone: bool) -> str:
    """Return the table of an analysis; with its heading and totals where there are several."""
    total = data["totals"]["time_s"]
    caption = f"Operators of {title(data)}; values are for all n executions of a row"
    heads = "".join(
        f'<th scope="col"{_align(c.right)}>{escape(c.heading)}</th>' for c in COLUMNS.values()
    )
    body = "".join(_line(row, total) for row in data["operators"])
    note = near_note(data["operators"])
    head = "" if alone else f"<h2>{escape(title(data))}</h2>\n{_summary(data)}"
    return f"""<section>
{head}
<div class="box" tabindex="0" role="region" aria-label="{escape(caption)}">
<table>
<caption><span>{escape(caption)}</span></caption>
<thead><tr>{heads}</tr></thead>
<tbody>
{body}</tbody>
</table>
</div>
{f'<p class="note">{escape(note)}</p>' if note else ""}
</section>
"""


def _align(right: bool) -> str:
    return ' class="number"' if right else ""


def _line(row: Data, total: float) -> str:
    cells = []
    for column in COLUMNS.values():
        text = escape(column.text(row, total))
        if column.key == "name":
            cells.append(f'<th scope="row">{text}</th>')
            continue
        if column.key == "bound" and row["bound"] in roofline.BOUNDS:
            colour, symbol = roofline.BOUNDS[row["bound"]]
            text = f'<span style="color:{colour}">{_SYMBOLS[symbol]}</span> {text}'
        cells.append(f"<td{_align(column.right)}>{text}</td>")
    return f"<tr>{''.join(cells)}</tr>\n"


def _ridges(results: Sequence[Data]) -> str:
    """Name the ridges of the roofs in use, which the figure labels only where there is room."""
    devices = roofline.devices_of(results)
    found = [
        f"{device['name']} {roof['kind']} {roof['format']} {at:.3g}"
        for device in devices
        for roof in roofline.roofs_in_use(device, results)
        if (at := roofline.ridge(roof, device))
    ]
    return f"Ridge points, FLOP/B: {'; '.join(found)}." if found else ""


def alternative(results: Sequence[Data]) -> str:
    """Return the figure in words, for those who cannot see it."""
    parts = []
    for data in results:
        bounds = Counter(row["bound"] for row in data["operators"])
        counts = ", ".join(f"{n} bound by {bound}" for bound, n in bounds.most_common())
        parts.append(f"{title(data)}: {len(data['operators'])} operators, {counts or 'none'}")
    return f"Roofline. {'. '.join(parts)}. {_ridges(results)}".strip()


def notes(results: Sequence[Data]) -> list[tuple[str, list[str]]]:
    """Return what the figure cannot show, as (heading, operators); defects come first."""
    (left, right), (bottom, top) = roofline.axes(roofline.devices_of(results))
    above: list[str] = []
    outside: list[str] = []
    nowhere: list[str] = []
    for data in results:
        where = f" ({data['workload']['name']} on {data['hardware']['name']})"
        where = where if len(results) > 1 else ""
        placed = roofline.points(data)
        for point in placed:
            x, unit = point.x, "B/s" if point.x is None else f"{point.row['operations_unit']}/s"
            place = f"{point.row['name']}{where} at {format_si(point.y, unit)}"
            place += "" if x is None else f", {x:.3g} FLOP/B"
            if point.above:
                above.append(f"{place}, its roof {format_si(point.ceiling, unit)}")
            across = x is None or 10.0**left <= x <= 10.0**right
            if not (across and 10.0**bottom <= point.y <= 10.0**top):
                outside.append(place)
        rows = [point.row for point in placed]
        nowhere += [f"{r['name']}{where}" for r in data["operators"] if r not in rows]
    found = [
        ("Above every roof: a defect of the counts or the times", above),
        ("Outside the axes, which span the roofs' decades", outside),
        ("Without a place, for want of bytes or of time", nowhere),
    ]
    return [(heading, names) for heading, names in found if names]


def _notes(results: Sequence[Data]) -> str:
    return "".join(
        f"<p{' class=defect' if heading.startswith('Above') else ''}>"
        f"<strong>{escape(heading)}</strong>: {escape('; '.join(names))}.</p>\n"
        for heading, names in notes(results)
    )


def _provenance(results: Sequence[Data]) -> str:
    try:
        tool = f"perfmodel {version('perfmodel')}"
    except PackageNotFoundError:  # a source tree that is not installed
        tool = "perfmodel"
    lines = [
        f"Made by {tool}; data under the schema {results[0]['schema']}, embedded in this page."
    ]
    for data in results:
        values = {**data["settings"], **data["workload"]["dims"]}
        settings = ", ".join(f"{k} {json.dumps(v).strip(chr(34))}" for k, v in values.items())
        source = data["workload"].get("source")
        names = f"{data['workload']['name']} on {data['hardware']['name']}"
        lines.append(f"{names}: {settings}." + (f" Sizes from {source}." if source else ""))
    return "".join(f"<p>{escape(line)}</p>\n" for line in lines)
