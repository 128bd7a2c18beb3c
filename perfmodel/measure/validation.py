"""Scores the predictions for a device against kernels measured on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from perfmodel.core.dims import Array
from perfmodel.machine import Machine
from perfmodel.measure.predict import Predictions, predict
from perfmodel.measure.score import Score, score
from perfmodel.readers.inline import write_inline
from perfmodel.readers.kernel_table import KernelTable

SCHEMA = "perfmodel/validation@1"
#: how many rows are listed as the worst
WORST = 10

Validation = dict[str, Any]


def validate(table: KernelTable, machine: Machine) -> Validation:
    """Return the score of ``machine``'s predictions: schema perfmodel/validation@1.

    Besides what the schema names: ``by_class``, ``by_bound``, ``by_launch`` and
    ``by_dtype`` as ``by_op``; ``roofline``, the same totals of the plain datasheet
    roofline (which has no interval); ``worst``, the places in ``rows`` of those that
    are farthest off by ratio.
    """
    found = predict(table, machine)
    measured = table.measured
    groups = {name: table.column(name) for name in ("op", "class", "launch", "dtype")}
    groups["bound"] = list(found.bound)
    off = np.abs(np.log(np.maximum(found.time, 1e-30) / measured))
    return {
        "schema": SCHEMA,
        "hardware": machine.name,
        "backend": None,
        "conditions": {
            "against": table.source,
            "launch": sorted(set(groups["launch"])),
            "dtype": sorted(set(groups["dtype"])),
        },
        "totals": _score(found, measured),
        **{f"by_{name}": _by(labels, found, measured) for name, labels in groups.items()},
        "roofline": _roofline(found, measured),
        "worst": [int(i) for i in np.argsort(-off, kind="stable")[:WORST]],
        "rows": [_row(table, found, index) for index in range(len(table))],
    }


def _score(found: Predictions, measured: Array, rows: Any = slice(None)) -> Score:
    result = score(found.time[rows], measured[rows], found.low[rows], found.high[rows])
    return {**result, "roofline_mape": _roofline(found, measured, rows)["mape"]}


def _roofline(found: Predictions, measured: Array, rows: Any = slice(None)) -> Score:
    time = found.roofline[rows]
    return {**score(time, measured[rows], time, time), "coverage_90": None}


def _by(labels: Sequence[str], found: Predictions, measured: Array) -> dict[str, Score]:
    array = np.array(labels, dtype=object)
    return {
        label: _score(found, measured, np.flatnonzero(array == label))
        for label in sorted(set(labels))
    }


def _row(table: KernelTable, found: Predictions, index: int) -> dict[str, Any]:
    row = table.rows[index]
    return {
        "op": row.op.name,
        "name": row.name or write_inline(row.op.name, row.sizes),
        "dtype": row.dtype,
        "launch": row.launch,
        **table.sizes(index),
        "predicted_s": float(found.time[index]),
        "low_s": float(found.low[index]),
        "high_s": float(found.high[index]),
        "measured_s": row.time_s,
        "roofline_s": float(found.roofline[index]),
        "bound": str(found.bound[index]),
    }
