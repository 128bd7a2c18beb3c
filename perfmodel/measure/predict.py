"""(KernelTable, Machine) -> a prediction for every measured kernel, group by group."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from typing import Any

import numpy as np

from perfmodel.core.dims import Array
from perfmodel.evaluate import evaluate
from perfmodel.machine import Machine
from perfmodel.readers.kernel_table import KernelTable


@dataclass(frozen=True, eq=False)
class Predictions:
    """Seconds by row: predicted, the 90 % interval, and the datasheet roofline's; what binds."""

    time: Array
    low: Array
    high: Array
    roofline: Array
    bound: Any


def predict(table: KernelTable, machine: Machine, without: Set[str] = frozenset()) -> Predictions:
    """Return what ``machine`` needs for each row of ``table``.

    Kernels are timed in loops over the same buffers: caches are warm. ``without`` are
    terms of the model to leave out. Raises InputError where the device cannot run an
    operator or format.
    """
    columns = {key: np.zeros(len(table)) for key in ("time", "low", "high", "roofline")}
    bound = np.full(len(table), "", dtype=object)
    for group in table.groups:
        cost = evaluate(group.graph, machine, group.launch, warm=True, without=without)[0]
        columns["time"][group.rows] = cost.time
        columns["low"][group.rows] = cost.low
        columns["high"][group.rows] = cost.high
        columns["roofline"][group.rows] = cost.ideal
        bound[group.rows] = cost.why()[0]
    return Predictions(**columns, bound=bound)
