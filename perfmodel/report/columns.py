"""The columns of an operator table, shared by the terminal, markdown and the page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from perfmodel.errors import InputError, did_you_mean
from perfmodel.units import format_capacity, format_si

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Column:
    """A column: its key for sorting, its heading, how a row's cell is written.

    ``value`` gives what rows are sorted by; ``text`` what is shown.
    """

    key: str
    heading: str
    value: Callable[[Row, float], Any]
    text: Callable[[Row, float], str]
    right: bool = True


def _sum(
    field: str, unit: str = ""
) -> tuple[Callable[[Row, float], Any], Callable[[Row, float], str]]:
    """Return value and text of a field over all executions of a row."""

    def value(row: Row, _: float) -> float:
        return float(row[field] * row["count"])

    def text(row: Row, total: float) -> str:
        found = value(row, total)
        return "-" if found == 0 else format_si(found, unit).replace(" ", "")

    return value, text


def _bytes(row: Row, _: float) -> float:
    return float((row["bytes_read"] + row["bytes_written"]) * row["count"])


def _intensity(row: Row, _: float) -> str:
    value = row["intensity"]
    return "-" if not value else f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _share(row: Row, total: float) -> float:
    return float(row["time_s"] * row["count"] / total) if total else 0.0


def _bound(row: Row, _: float) -> str:
    return str(row["bound"]) + ("*" if row["next_limiter"] else "")


COLUMNS: dict[str, Column] = {
    c.key: c
    for c in (
        Column("name", "operator", lambda r, _: r["name"], lambda r, _: r["name"], False),
        Column("op", "kind", lambda r, _: r["op"], lambda r, _: r["op"], False),
        Column("count", "n", lambda r, _: r["count"], lambda r, _: f"{r['count']}"),
        Column("macs", "MACs", *_sum("macs")),
        Column("flops", "FLOP", *_sum("flops")),
        Column(
            "bytes",
            "bytes",
            _bytes,
            lambda r, t: format_si(_bytes(r, t), "").replace(" ", "") if _bytes(r, t) else "-",
        ),
        Column("intensity", "FLOP/B", lambda r, _: r["intensity"] or 0.0, _intensity),
        Column("time", "time", *_sum("time_s", "s")),
        Column("share", "time %", _share, lambda r, t: f"{100 * _share(r, t):.1f}"),
        Column("bound", "bound", lambda r, _: r["bound"], _bound, False),
        Column("limiter", "limiter", lambda r, _: r["limiter"], lambda r, _: r["limiter"], False),
        Column(
            "utilization",
            "util %",
            lambda r, _: r["utilization"],
            lambda r, _: f"{100 * r['utilization']:.0f}",
        ),
    )
}

#: what other names the JSON has for the same columns
_ALIASES = {
    "time_s": "time", "bytes_read": "bytes", "class": "op", "utilisation": "utilization",
    "flop": "flops", "mac": "macs", "n": "count", "operator": "name", "kind": "op",
}  # fmt: skip


def sort_rows(data: Mapping[str, Any], key: str | None, top: int | None) -> list[Row]:
    """Return an analysis's rows sorted by a column (numbers descending) and cut to ``top``."""
    rows: list[Row] = list(data["operators"])
    total = data["totals"]["time_s"]
    if key is not None:
        column = COLUMNS.get(_ALIASES.get(key, key))
        if column is None:
            raise InputError(f"unknown column '{key}'", mend=did_you_mean(key, COLUMNS))
        value = column.value
        textual = bool(rows) and isinstance(value(rows[0], total), str)
        rows.sort(key=lambda r: value(r, total), reverse=not textual)
    return rows[:top] if top is not None else rows


def summary(data: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the totals in words, as (label, text)."""
    totals = data["totals"]
    time = totals["time_s"]
    shares = ", ".join(
        f"{bound} {100 * part / time:.0f} %" if time else f"{bound} 0 %"
        for bound, part in totals["time_by_bound"].items()
    )
    low, high, ideal = (format_si(totals[f"time_{k}_s"], "s") for k in ("low", "high", "ideal"))
    kinds = sorted(totals["memory_by_kind"].items(), key=lambda kind: -kind[1])
    parts = ", ".join(
        f"{k.replace('_', ' ').replace('kv', 'KV')} {format_capacity(v)}" for k, v in kinds if v
    )
    peak, capacity = totals["peak_memory_bytes"], totals["memory_capacity_bytes"]
    verdict = "fits" if totals["fits"] else "does not fit"
    memory = f"{format_capacity(peak)} at peak of {format_capacity(capacity)}: {verdict} ({parts}"
    unit = "OP" if any(r["operations_unit"] == "OP" for r in data["operators"]) else "FLOP"
    counts = (
        f"{format_si(totals['parameters'], '').strip()} parameters,"
        f" {format_si(totals['macs'], 'MAC')}, {format_si(totals['flops'], unit)},"
        f" {format_si(totals['bytes'], 'B')} moved"
    )
    if not data["hardware"]["launch_overhead_s"]:
        shares += " (unknown, counted as 0)"
    lines = [
        ("Time", f"{format_si(time, 's')} (90 %: {low} to {high}; roofline {ideal}): {shares}"),
        ("Work", counts),
        ("Memory", memory + ")"),
    ]
    covered = _coverage(data.get("coverage", {}))
    return [*lines, ("Cover", covered)] if covered else lines


def _coverage(account: Mapping[str, Any]) -> str:
    """Return what is not modelled whole, and what a reader assumed; empty where nothing is."""
    parts = []
    for kind, what in (("bounded", "bytes only"), ("unknown", "unknown, charged their bytes")):
        own = account.get(kind)
        if own and own["nodes"]:
            names = ", ".join(f"{k} x{n}" if n > 1 else k for k, n in own["operators"].items())
            parts.append(
                f"{own['nodes']} operators {what} ({names}):"
                f" {100 * own['share_of_nodes']:.1f} % of operators,"
                f" {100 * own['share_of_bytes']:.1f} % of bytes,"
                f" {100 * own['share_of_time']:.1f} % of time"
            )
    found = Counter(p["op"] for p in account.get("patterns", []))
    if found:
        names = ", ".join(f"{op} x{n}" if n > 1 else op for op, n in found.items())
        parts.append(f"recognised in primitive nodes: {names}")
    return "; ".join([*parts, *account.get("notes", [])])


def title(data: Mapping[str, Any]) -> str:
    """Return what was analysed, in one line."""
    workload, settings = data["workload"], data["settings"]
    dims = ", ".join(
        f"{k} {v}" for k, v in workload["dims"].items() if k in ("batch", "sequence", "context")
    )
    parts = [settings["dtype"], settings["phase"], dims, f"{settings['launch']} launch"]
    if settings.get("without"):
        parts.append(f"without {', '.join(settings['without'])}")
    return f"{workload['name']} on {data['hardware']['title']} ({', '.join(p for p in parts if p)})"


def near_note(rows: Sequence[Row]) -> str | None:
    """Return the note that explains the star, where a row has one."""
    if any(r["next_limiter"] for r in rows):
        return "* near the ridge: the next limiter is within 10 %"
    return None
