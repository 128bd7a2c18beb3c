"""(Graph, Machine) -> cost of every node, for one point or for arrays of sizes.

`analysis` shows the nodes of one point, `sweeping` the totals of many; both
stand on `evaluate`, so that a point of a sweep equals the analysis there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass
from typing import Any

import numpy as np

from perfmodel.core import Algorithm, Dim, Work
from perfmodel.core.dims import is_scalar, total, where
from perfmodel.errors import InputError
from perfmodel.graph import Graph, Node
from perfmodel.machine import Launch, Machine
from perfmodel.memory import memory_by_kind
from perfmodel.model import Times, can_run, estimate, limiter
from perfmodel.transforms.train import expand_training


@dataclass(frozen=True, eq=False)
class NodeCost:
    """One execution of a node on a machine: counts and times of the algorithm taken."""

    node: Node
    macs: Dim
    flops: Dim
    bytes_read: Dim
    bytes_written: Dim
    launches: Dim
    workspace: Dim
    bytes_by_level: Mapping[str, Dim]
    time: Dim
    low: Dim
    high: Dim
    ideal: Dim
    compute: Dim
    split: Mapping[str, Dim]
    why: Callable[[], tuple[Any, Any, Any]]
    algorithm: Any
    unit: str

    @property
    def bytes(self) -> Dim:
        """Compulsory bytes."""
        return self.bytes_read + self.bytes_written

    @property
    def utilization(self) -> Dim:
        """Operations over time over peak, of the busiest engine."""
        return self.compute / where(self.time > 0, self.time, 1.0)


def for_phase(graph: Graph, optimizer: str, recompute: str) -> Graph:
    """Return what a phase executes: in training the whole step, else the graph itself."""
    return expand_training(graph, optimizer, recompute) if graph.phase == "training" else graph


def evaluate(
    graph: Graph,
    machine: Machine,
    launch: Launch = "graph",
    *,
    warm: bool = False,
    without: Set[str] = frozenset(),
) -> list[NodeCost]:
    """Return the cost of each node of ``graph`` on ``machine``.

    Where an operator has several algorithms, the fastest that the machine can
    run is taken, point by point. ``warm`` and ``without`` are those of `estimate`.
    Raises InputError where it can run none.
    """
    accumulate = graph.precision.accumulate
    how: dict[str, Any] = {"launch": launch, "accumulate": accumulate}
    how |= {"warm": warm, "without": without}
    return [_cost(node, machine, how) for node in graph.nodes]


def _cost(node: Node, machine: Machine, how: Mapping[str, Any]) -> NodeCost:
    offered = node.algorithms()
    able = [a for a in offered if can_run(a.work, machine, how["accumulate"])]
    if not able:
        raise InputError(
            f"{node.name}: {machine.name} has no engine that skips the zeros of"
            f" {offered[0].work.sparsity} weights in that format",
            mend="take algorithm=auto or dense, which multiply them",
        )
    category = node.op.category
    options = [_with(node, a, estimate(a.work, machine, **how, category=category)) for a in able]
    return options[0] if len(options) == 1 else _fastest(options)


def _with(node: Node, algorithm: Algorithm, times: Times) -> NodeCost:
    work: Work = algorithm.work
    return NodeCost(
        node=node,
        macs=work.macs,
        flops=work.flops,
        bytes_read=work.bytes_read,
        bytes_written=work.bytes_written,
        launches=work.launches,
        workspace=work.workspace,
        bytes_by_level=times.bytes_by_level,
        time=times.time,
        low=times.low,
        high=times.high,
        ideal=times.ideal,
        compute=times.peak,
        split=times.split(),
        why=lambda: limiter(times),
        algorithm=algorithm.name,
        unit=work.unit,
    )


def _fastest(options: list[NodeCost]) -> NodeCost:
    times = [o.time for o in options]
    if is_scalar(*times):
        return min(options, key=lambda o: float(o.time))
    best = np.argmin(np.stack(np.broadcast_arrays(*times)), axis=0)

    def pick(values: Iterable[Any]) -> Any:
        return np.choose(best, list(np.broadcast_arrays(best, *values))[1:])

    def field(name: str) -> Any:
        return pick(getattr(o, name) for o in options)

    def table(name: str) -> dict[str, Dim]:
        keys = getattr(options[0], name)
        return {k: pick(getattr(o, name)[k] for o in options) for k in keys}

    def why() -> tuple[Any, Any, Any]:
        first, second, third = zip(*(o.why() for o in options), strict=True)
        return pick(first), pick(second), pick(third)

    numbers = ("macs", "flops", "bytes_read", "bytes_written", "launches", "workspace")
    return NodeCost(
        node=options[0].node,
        bytes_by_level=table("bytes_by_level"),
        split=table("split"),
        why=why,
        unit=options[0].unit,
        algorithm=pick(np.array(o.algorithm, dtype=object) for o in options),
        **{n: field(n) for n in (*numbers, "time", "low", "high", "ideal", "compute")},
    )


def totals(graph: Graph, costs: list[NodeCost]) -> dict[str, Any]:
    """Return the sums over the nodes, times their counts, and the memory that is needed."""

    def sum_of(value: Callable[[NodeCost], Dim]) -> Dim:
        return total(c.node.count * value(c) for c in costs)

    memory = memory_by_kind(graph, {c.node.name: c.workspace for c in costs})
    return {
        "parameters": graph.parameters(),
        "macs": sum_of(lambda c: c.macs),
        "flops": sum_of(lambda c: c.flops),
        "bytes": sum_of(lambda c: c.bytes),
        "time_s": sum_of(lambda c: c.time),
        "time_low_s": sum_of(lambda c: c.low),
        "time_high_s": sum_of(lambda c: c.high),
        "time_ideal_s": sum_of(lambda c: c.ideal),
        "peak_memory_bytes": total(memory.values()),
        "memory_by_kind": memory,
        "weight_bytes": graph.weight_bytes(),
        "kv_cache_bytes": graph.kv_cache_bytes(),
        "time_by_bound": {
            bound: sum_of(lambda c, b=bound: c.split[b])  # type: ignore[misc]
            for bound in ("compute", "bandwidth", "overhead")
        },
    }
