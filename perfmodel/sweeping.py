"""Sweeps: totals over a grid of sizes, formats, phases, launch modes and devices.

All sizes of a block are evaluated in one vectorised pass: an axis is an array
that broadcasts against the others, so that an operator which depends on one
axis only is computed once along it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from perfmodel.analysis import check_launch, check_terms
from perfmodel.core.dims import Array
from perfmodel.coverage import check_coverage
from perfmodel.errors import InputError, shorten
from perfmodel.evaluate import evaluate, for_phase, totals
from perfmodel.graph import Workload
from perfmodel.machine import Machine, load_hardware
from perfmodel.readers import load_workload

if TYPE_CHECKING:
    import pandas as pd

#: points evaluated at once; bounds memory
BLOCK_POINTS = 2**19
MAX_POINTS = 10**9

#: columns after the axes
RESULTS = ("time_s", "time_low_s", "time_high_s", "flops", "bytes", "peak_memory_bytes", "bound")

_SETTINGS = ("dtype", "phase", "launch", "optimizer", "recompute")

Axes = Mapping[str, Sequence[Any] | Array]
Columns = dict[str, Any]


def sweep(
    workload: str | Workload,
    hardware: str | Machine | Sequence[str | Machine],
    over: Axes,
    *,
    phase: str | None = None,
    dtype: str | None = None,
    launch: str = "graph",
    without: Iterable[str] = (),
    optimizer: str = "adam",
    recompute: str = "none",
    **dims: Any,
) -> pd.DataFrame:
    """Return the totals at every point of the grid ``over`` as a DataFrame.

    ``over`` maps a size to its values (``{"batch": range(1, 513)}``), or ``dtype``,
    ``phase``, ``launch``, ``optimizer`` or ``recompute`` to names. Columns: ``hardware`` where
    there are several, the axes, then time_s, time_low_s, time_high_s, flops,
    bytes, peak_memory_bytes and bound. The last size varies fastest.

    Raises InputError as `analyze` does, for an empty axis, and for a grid of
    over 10**9 points.
    """
    import pandas as pd

    devices = [hardware] if isinstance(hardware, str | Machine) else list(hardware)
    blocks = sweep_blocks(
        workload,
        devices,
        over,
        phase=phase,
        dtype=dtype,
        launch=launch,
        without=without,
        optimizer=optimizer,
        recompute=recompute,
        **dims,
    )
    return pd.concat([pd.DataFrame(b) for b in blocks], ignore_index=True)


def sweep_blocks(
    workload: str | Workload,
    hardware: Sequence[str | Machine],
    over: Axes,
    *,
    phase: str | None = None,
    dtype: str | None = None,
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
) -> Iterator[Columns]:
    """Yield the sweep's columns in blocks of at most BLOCK_POINTS rows."""
    network = load_workload(workload, inputs, values, patterns)
    machines = [load_hardware(h) for h in hardware]
    named = {k: [str(v) for v in over[k]] for k in over if k in _SETTINGS}
    sizes = {k: np.asarray(v, dtype=np.float64) for k, v in over.items() if k not in named}
    defaults: dict[str, Any] = {
        "phase": phase,
        "dtype": dtype,
        "launch": launch,
        "without": check_terms(without),
        "optimizer": optimizer,
        "recompute": recompute,
        "allow_unknown": allow_unknown,
        "strict": strict,
    }
    for name in over:
        if len(over[name]) == 0:
            raise InputError(f"the axis '{name}' has no values")
        if name in dims or (name in ("phase", "dtype") and defaults[name] is not None):
            raise InputError(f"'{name}' is both set and swept", mend="give it once")
    points = len(machines) * math.prod(len(values) for values in over.values())
    if points > MAX_POINTS:
        raise InputError(
            f"the grid has {points:,} points, expected at most {MAX_POINTS:,}",
            mend="take a coarser step, as in batch=1:1024:64",
        )
    return _blocks(network, machines, named, sizes, defaults, dims, list(over))


def _blocks(
    network: Workload,
    machines: Sequence[Machine],
    named: Mapping[str, list[str]],
    sizes: Mapping[str, Array],
    defaults: Mapping[str, Any],
    dims: Mapping[str, int],
    order: Sequence[str],
) -> Iterator[Columns]:
    for machine, chosen in itertools.product(machines, itertools.product(*named.values())):
        settings = {**defaults, **dict(zip(named, chosen, strict=True))}
        mode = check_launch(settings["launch"])
        for part in _parts(sizes, BLOCK_POINTS):
            grid = dict(zip(part, np.ix_(*part.values()), strict=True)) if part else {}
            graph = network.bind({**dims, **grid}, phase=settings["phase"], dtype=settings["dtype"])
            check_coverage(
                graph, allow_unknown=settings["allow_unknown"], strict=settings["strict"]
            )
            graph = for_phase(graph, settings["optimizer"], settings["recompute"])
            shape = tuple(len(v) for v in part.values())
            axes = {k: np.broadcast_to(v, shape).ravel() for k, v in grid.items()}
            count = math.prod(shape)
            columns: Columns = {}
            if len(machines) > 1:
                columns["hardware"] = np.full(count, machine.name, dtype=object)
            for name in order:
                columns[name] = (
                    np.full(count, settings[name], dtype=object)
                    if name in named
                    else axes[name].astype(np.int64)
                )
            costs = evaluate(graph, machine, mode, without=settings["without"])
            columns.update(_results(totals(graph, costs), shape))
            yield columns


def _results(sums: Mapping[str, Any], shape: tuple[int, ...]) -> Columns:
    def spread(value: Any) -> Array:
        return np.broadcast_to(np.asarray(value, dtype=np.float64), shape).ravel()

    out: Columns = {k: spread(sums[k]) for k in RESULTS if k != "bound"}
    parts = sums["time_by_bound"]
    largest = np.argmax(np.stack([spread(v) for v in parts.values()]), axis=0)
    out["bound"] = np.array(list(parts), dtype=object)[largest]
    return out


def _parts(sizes: Mapping[str, Array], limit: int) -> Iterator[dict[str, Array]]:
    """Cut a grid into parts of at most ``limit`` points, in row order."""
    if math.prod(len(v) for v in sizes.values()) <= limit:
        yield dict(sizes)
        return
    first, *rest = sizes
    inner = math.prod(len(sizes[k]) for k in rest)
    if inner <= limit:
        step = max(1, limit // inner)
        for start in range(0, len(sizes[first]), step):
            yield {**sizes, first: sizes[first][start : start + step]}
        return
    for value in sizes[first]:
        for part in _parts({k: sizes[k] for k in rest}, limit):
            yield {first: np.array([value]), **part}


def parse_axes(over: Sequence[str]) -> dict[str, Sequence[Any] | Array]:
    """Return axes written as ``batch=1:512``, ``context=128:8192:16``, ``batch=1,2,4``.

    A range includes its end; several parts may be joined by commas. ``dtype``,
    ``phase``, ``launch``, ``optimizer`` and ``recompute`` take names.
    """
    axes: dict[str, Sequence[Any] | Array] = {}
    for item in over:
        name, equals, text = (part.strip() for part in item.partition("="))
        if not equals or not name or not text:
            raise InputError(
                f"--over {shorten(item)}, expected AXIS=VALUES", mend="as in --over batch=1:512"
            )
        if name in axes:
            raise InputError(f"--over gives '{name}' twice")
        if name in _SETTINGS:
            axes[name] = [part.strip() for part in text.split(",")]
        elif name == "hardware":
            raise InputError("hardware is not swept by --over", mend="repeat -H instead")
        else:
            axes[name] = np.concatenate([_values(name, part) for part in text.split(",")])
    return axes


def _values(name: str, text: str) -> Array:
    from perfmodel.readers.inline import parse_whole

    parts = [parse_whole(name, p) for p in text.split(":")]
    if len(parts) == 1:
        return np.array(parts, dtype=np.float64)
    if len(parts) > 3:
        raise InputError(f"{name}={shorten(text)}, expected FIRST:LAST or FIRST:LAST:STEP")
    first, last, step = (*parts, 1)[:3]
    if step < 1 or last < first:
        raise InputError(
            f"{name}={shorten(text)}: an empty range",
            mend="FIRST:LAST:STEP with FIRST <= LAST, STEP >= 1",
        )
    if (last - first) // step >= MAX_POINTS:
        raise InputError(
            f"{name}={shorten(text)} has {(last - first) // step + 1:,} values,"
            f" expected at most {MAX_POINTS:,}",
            mend="take a coarser step",
        )
    return np.arange(first, last + 1, step, dtype=np.float64)
