"""One network on one device: the table of operators and the totals.

The object that `analyze` returns is plain data under the schema
perfmodel/analysis@1; every report is made from that data alone.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast, get_args

import numpy as np

from perfmodel.core.dims import total
from perfmodel.core.formats import FORMATS, Precision
from perfmodel.errors import InputError, shorten
from perfmodel.evaluate import NodeCost, evaluate, totals
from perfmodel.graph import Graph, Workload
from perfmodel.machine import Launch, Machine, load_hardware
from perfmodel.readers import load_workload

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

SCHEMA = "perfmodel/analysis@1"


class Analysis:
    """The result of `analyze`: totals, operators, `frame()`, `plot()`, `to_json()`.

    All values are SI (FLOP, bytes, seconds); ``data`` is the JSON object itself.
    """

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.data = dict(data)

    @property
    def totals(self) -> dict[str, Any]:
        """Sums over the operators, times their counts."""
        return cast(dict[str, Any], self.data["totals"])

    @property
    def operators(self) -> list[dict[str, Any]]:
        """One row an operator, in order of execution."""
        return cast(list[dict[str, Any]], self.data["operators"])

    def frame(self) -> pd.DataFrame:
        """Return the operators as a pandas DataFrame; nested values get a column each."""
        import pandas as pd

        return pd.DataFrame([flat_row(row) for row in self.operators])

    def plot(self) -> go.Figure:
        """Return the roofline as a plotly figure."""
        from perfmodel.report.roofline import roofline_figure

        return roofline_figure([self.data])

    def to_json(self) -> str:
        """Return the analysis as a JSON object (schema perfmodel/analysis@1)."""
        return json.dumps(self.data, indent=1, allow_nan=False)

    def __repr__(self) -> str:
        name, device = self.data["workload"]["name"], self.data["hardware"]["name"]
        return f"<Analysis of {name} on {device}: {self.totals['time_s']:.4g} s>"


def analyze(
    workload: str | Workload,
    hardware: str | Machine,
    *,
    phase: str | None = None,
    dtype: str | Precision | None = None,
    launch: str = "graph",
    **dims: int,
) -> Analysis:
    """Analyse a network on a device.

    Parameters
    ----------
    workload, hardware : a built-in name, a path, or an object loaded before;
        a workload may be one operator, such as ``"matmul:m=4096,n=4096,k=4096"``.
    phase : one of the workload's phases, by default its first.
    dtype : number format of the network, by default the workload's own.
    launch : 'graph' (kernels launched as a graph) or 'eager' (one by one).
    dims : sizes, as in ``batch=8``.

    Raises InputError for whatever is wrong with the input.
    """
    network, machine = load_workload(workload), load_hardware(hardware)
    for name, value in dims.items():
        if isinstance(value, np.ndarray):
            raise InputError(f"{name} is an array; analyze takes one point", mend="use sweep()")
    graph = network.bind(dims, phase=phase, dtype=dtype)
    mode = check_launch(launch)
    return Analysis(describe(network, graph, machine, mode))


def check_launch(launch: str) -> Launch:
    """Return ``launch`` if it is a launch mode."""
    if launch not in get_args(Launch):
        raise InputError(f"launch {shorten(launch)}", mend=f"one of {', '.join(get_args(Launch))}")
    return cast(Launch, launch)


def describe(workload: Workload, graph: Graph, machine: Machine, launch: Launch) -> dict[str, Any]:
    """Return the JSON object of one graph on one machine."""
    costs = evaluate(graph, machine, launch)
    sums = plain(totals(graph, costs))
    sums["memory_capacity_bytes"] = plain(machine.capacity)
    sums["fits"] = sums["peak_memory_bytes"] <= machine.capacity
    sums["unmodelled"] = []
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
        },
        "totals": sums,
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
        "launch_overhead_s": machine.overhead.get(launch),
        "tdp_w": machine.tdp,
    }


def _row(cost: NodeCost, phase: str) -> dict[str, Any]:
    node, tensors = cost.node, cost.node.tensors
    bound, limits, near = cost.why()
    moved = cost.bytes
    dtype = tensors.y.dtype
    row = {
        "name": node.name,
        "op": node.op.name,
        "class": node.op.category,
        "phase": phase,
        "count": node.count,
        "dtype": dtype,
        "input_shapes": [list(t.shape) for t in tensors.inputs],
        "output_shapes": [list(t.shape) for t in tensors.outputs],
        "parameters": total(w.elements for w in tensors.weights if w.role == "weight"),
        "macs": cost.macs,
        "flops": cost.flops,
        "operations_unit": "OP" if FORMATS[dtype].integer else "FLOP",
        "bytes_read": cost.bytes_read,
        "bytes_written": cost.bytes_written,
        "bytes_by_level": dict(cost.bytes_by_level),
        "intensity": cost.flops / moved if moved > 0 else None,
        "launches": cost.launches,
        "time_s": cost.time,
        "time_low_s": cost.low,
        "time_high_s": cost.high,
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
    if isinstance(value, Mapping):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, np.generic | np.ndarray):
        value = value.item()
    if isinstance(value, float) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise InputError(f"a result is not finite ({value}): a size is too large")
        if value.is_integer() and abs(value) >= 1:
            return int(value)
    return value
