"""One network on one device: the table of operators and the totals.

Plain data under the schema perfmodel/analysis@1; every report is made from that
data alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, cast, get_args

import numpy as np

from perfmodel.core.dims import total
from perfmodel.coverage import coverage_account, uncertain_operators
from perfmodel.errors import InputError, shorten
from perfmodel.evaluate import NodeCost, evaluate, totals
from perfmodel.graph import Graph, Workload
from perfmodel.machine import Launch, Machine, efficiency_of
from perfmodel.model import TERMS

SCHEMA = "perfmodel/analysis@1"


def check_launch(launch: str) -> Launch:
    """Return ``launch`` if it is a launch mode."""
    if launch not in get_args(Launch):
        raise InputError(f"launch {shorten(launch)}", mend=f"one of {', '.join(get_args(Launch))}")
    return cast(Launch, launch)


def check_terms(without: Iterable[str]) -> frozenset[str]:
    """Return the terms of the model to leave out; ``all`` leaves the hard roofline."""
    asked = [name for text in without for name in text.split(",")]
    for name in asked:
        if name not in (*TERMS, "all"):
            raise InputError(f"--without {shorten(name)}", mend=f"one of {', '.join(TERMS)}, all")
    return frozenset(TERMS if "all" in asked else asked)


def describe(
    workload: Workload,
    graph: Graph,
    machine: Machine,
    launch: Launch,
    without: frozenset[str] = frozenset(),
) -> dict[str, Any]:
    """Return the JSON object of one graph on one machine."""
    costs = evaluate(graph, machine, launch, without=without)
    accumulate = graph.precision.accumulate
    sums = plain(totals(graph, costs))
    sums["memory_capacity_bytes"] = plain(machine.capacity)
    sums["fits"] = sums["peak_memory_bytes"] <= machine.capacity
    sums["unmodelled"] = sorted(uncertain_operators(graph, "unknown"))
    return {
        "schema": SCHEMA,
        "workload": {
            "name": workload.name,
            "phase": graph.phase,
            "phases": list(workload.phases),
            "dims": plain(dict(graph.dims)),
            **{k: v for k, v in workload.about.items() if v and k != "file"},
        },
        "hardware": describe_machine(machine, launch),
        "settings": {
            "dtype": graph.precision.name,
            "phase": graph.phase,
            "launch": launch,
            "fuse": False,
            **({"accumulate": accumulate} if accumulate else {}),
            **({"without": sorted(without)} if without else {}),
        },
        "totals": sums,
        "coverage": plain(coverage_account(graph, costs)),
        "operators": [_row(c, graph.phase) for c in costs],
    }


def describe_machine(machine: Machine, launch: Launch) -> dict[str, Any]:
    """Return what reports show of a machine: its roofs and levels."""
    roofs = [
        {
            "engine": engine.name,
            "kind": engine.kind,
            "dtype": rate.dtype,
            "runs_as": rate.runs_as,
            "accumulate": rate.accumulate,
            "on_request": rate.on_request,
            "format": rate.name,
            "sparse_2_4": engine.sparse_2_4.get(rate.dtype),
            "peak": rate.peak,
            "achievable": rate.achievable,
        }
        for engine, rate in machine.roofs()
    ]
    levels = [
        {
            "name": level.name,
            "scope": level.scope,
            "capacity_bytes": plain(level.capacity),
            "instances": level.instances,
            "bandwidth": level.bandwidth,
            "achievable": level.achievable,
        }
        for level in machine.memory
    ]
    return {
        "name": machine.name,
        "title": machine.title,
        "kind": machine.kind,
        "roofs": roofs,
        "levels": levels,
        "launch_overhead_s": efficiency_of(machine)[f"launch_{launch}"],
        "tdp_w": machine.tdp,
    }


def _row(cost: NodeCost, phase: str) -> dict[str, Any]:
    node, tensors = cost.node, cost.node.tensors
    bound, limits, near = cost.why()
    moved = cost.bytes
    dtype = tensors.y.dtype
    row = {
        "name": node.name,
        "op": node.kind,
        "class": node.op.category,
        "phase": node.role if phase == "training" else phase,
        "count": node.count,
        "dtype": dtype,
        "input_shapes": [list(t.shape) for t in node.reads()],
        "output_shapes": [list(t.shape) for t in node.writes()],
        "parameters": total(
            w.elements for w in tensors.own_weights if w.is_parameter and node.role == "forward"
        ),
        "macs": cost.macs,
        "flops": cost.flops,
        "operations_unit": cost.unit,
        "bytes_read": cost.bytes_read,
        "bytes_written": cost.bytes_written,
        "bytes_by_level": dict(cost.bytes_by_level),
        "intensity": cost.flops / moved if moved > 0 else None,
        "launches": cost.launches,
        "time_s": cost.time,
        "time_low_s": cost.low,
        "time_high_s": cost.high,
        "time_ideal_s": cost.ideal,
        "time_by_bound": dict(cost.split),
        "bound": bound,
        "limiter": limits,
        "next_limiter": near or None,
        "utilization": cost.utilization,
        "algorithm": cost.algorithm,
        "fused_into": None,
    }
    return cast(dict[str, Any], plain(row))


def flat_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with nested values as columns of their own, shapes as text."""
    flat: dict[str, Any] = {}
    for key, value in row.items():
        if key == "bytes_by_level":
            flat.update({f"bytes_{level}": v for level, v in value.items()})
        elif key == "time_by_bound":
            flat.update({f"time_{bound}_s": v for bound, v in value.items()})
        elif key.endswith("_shapes"):
            flat[key] = " ".join("x".join(str(d) for d in shape) for shape in value)
        else:
            flat[key] = value
    return flat


def plain(value: Any) -> Any:
    """Return ``value`` as JSON has it: whole numbers as ints, no NaN, no array."""
    kind = type(value)
    if kind is int or kind is str or value is None:  # most of a table
        return value
    if kind is dict or isinstance(value, Mapping):
        return {k: plain(v) for k, v in value.items()}
    if kind is list or kind is tuple:
        return [plain(v) for v in value]
    if isinstance(value, np.generic | np.ndarray):
        value = value.item()
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InputError(f"a result is not finite ({value}): a size is too large")
        if value.is_integer() and abs(value) >= 1:
            return int(value)
    return value
