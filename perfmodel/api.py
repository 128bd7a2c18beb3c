"""The library's face: `analyze`, and the object it returns."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from perfmodel.analysis import check_launch, check_terms, describe, flat_row
from perfmodel.core.formats import Precision
from perfmodel.coverage import check_coverage
from perfmodel.errors import InputError
from perfmodel.evaluate import for_phase
from perfmodel.graph import Workload
from perfmodel.machine import Machine, load_hardware
from perfmodel.readers import load_workload

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go


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
    without: Iterable[str] = (),
    optimizer: str = "adam",
    recompute: str = "none",
    inputs: Mapping[str, tuple[int, ...]] | None = None,
    values: Mapping[str, tuple[int, ...]] | None = None,
    allow_unknown: bool = False,
    strict: bool = False,
    patterns: bool = True,
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
    without : terms of the model to leave out (`perfmodel.model.TERMS`); ``["all"]``
        leaves the roofline of theoretical figures.
    optimizer : of the training phase: sgd, momentum, adam, adamw, lamb, adafactor.
    recompute : what training computes again instead of keeping: none, selective
        (all but dense layers), full (everything inside blocks).
    inputs : whole shapes of inputs by name, as in ``{"image": (1, 3, 224, 224)}``.
    values : numbers of integer inputs that decide a shape or a branch, by name.
    allow_unknown : charge operators that are not known their bytes, instead of an error.
    strict : an error, too, where of an operator only the bytes are known.
    patterns : take attention, norms and activations that an imported network writes out
        in primitive nodes as what they are.
    dims : sizes, as in ``batch=8``.

    Raises InputError for whatever is wrong with the input.
    """
    network, machine = load_workload(workload, inputs, values, patterns), load_hardware(hardware)
    for name, value in dims.items():
        if isinstance(value, np.ndarray):
            raise InputError(f"{name} is an array; analyze takes one point", mend="use sweep()")
    graph = network.bind(dims, phase=phase, dtype=dtype)
    check_coverage(graph, allow_unknown=allow_unknown, strict=strict)
    mode = check_launch(launch)
    step = for_phase(graph, optimizer, recompute)
    data = describe(network, step, machine, mode, check_terms(without))
    if graph.phase == "training":
        data["settings"] |= {"optimizer": optimizer, "recompute": recompute}
    return Analysis(data)
