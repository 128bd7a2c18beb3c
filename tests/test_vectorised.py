"""Arrays of sizes give the numbers that a loop over them gives, exactly."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import perfmodel
from perfmodel.catalog import builtin_names
from perfmodel.core import Algorithm, Dim
from perfmodel.evaluate import evaluate, totals
from perfmodel.model import estimate, limiter
from perfmodel.ops import registry
from perfmodel.readers.inline import InlineWorkload, complete_sizes, parse_inline

MACHINES = [perfmodel.load_hardware(n) for n in builtin_names("hardware")]
CAPACITIES = (0, 2048, 192 * 1024, 40 * 2**20, 1e12)


def _cases(name: str) -> Iterator[list[dict[str, Any]]]:
    """Yield lists of sizes that can be stacked: same flags, other numbers."""
    op = registry()[name]
    example = parse_inline(op.example).given
    grown = [
        {
            k: v * factor if _is_number(name, k, v) else v
            for k, v in complete_sizes(op, example).items()
        }
        for factor in (1, 2, 3, 5)
    ]
    yield grown
    groups: dict[Any, list[dict[str, Any]]] = {}
    for small in op.small:
        sizes = complete_sizes(op, small)
        key = tuple((k, v) for k, v in sizes.items() if not _is_number(name, k, v))
        groups.setdefault(key, []).append(sizes)
    yield from groups.values()


def _is_number(name: str, key: str, value: Any) -> bool:
    return not isinstance(value, bool | str) and key not in registry()[name].fixed


def _algorithms(name: str, sizes: dict[str, Any]) -> list[Algorithm]:
    workload = parse_inline(f"{name}:" + registry()[name].example.partition(":")[2])
    graph = InlineWorkload(
        name, workload.phases, workload.precision, {}, workload.op_class, sizes
    ).bind()
    (node,) = graph.nodes
    return node.op.algorithms(node.tensors)


def _at(value: Dim, i: int, count: int) -> float:
    return float(np.broadcast_to(np.asarray(value, dtype=np.float64), (count,))[i])


@pytest.mark.parametrize("name", registry())
def test_an_operator_counts_arrays_as_it_counts_each_size(name: str) -> None:
    for sizes in _cases(name):
        count = len(sizes)
        stacked = {
            k: np.array([float(s[k]) for s in sizes]) if _is_number(name, k, v) else v
            for k, v in sizes[0].items()
        }
        together = _algorithms(name, stacked)
        for i, one in enumerate(sizes):
            for alone, all_ in zip(_algorithms(name, one), together, strict=True):
                _same_work(alone, all_, i, count)
                _same_times(alone, all_, i, count)


def _same_work(alone: Algorithm, together: Algorithm, i: int, count: int) -> None:
    a, b = alone.work, together.work
    for field in ("macs", "flops", "bytes_read", "bytes_written", "launches", "workspace"):
        assert float(getattr(a, field)) == _at(getattr(b, field), i, count), field
    for capacity in CAPACITIES:
        assert float(a.traffic(capacity)) == _at(b.traffic(capacity), i, count), capacity


def _same_times(alone: Algorithm, together: Algorithm, i: int, count: int) -> None:
    for machine in MACHINES:
        a, b = estimate(alone.work, machine), estimate(together.work, machine)
        for field in ("time", "low", "high", "overhead", "compute", "bandwidth"):
            assert float(getattr(a, field)) == _at(getattr(b, field), i, count), field
        for single, many in zip(limiter(a), limiter(b), strict=True):
            assert single == np.broadcast_to(np.asarray(many), (count,))[i]


@pytest.mark.parametrize("name", builtin_names("workloads"))
@pytest.mark.parametrize("machine", MACHINES[:1], ids=lambda m: m.name)
def test_a_network_over_arrays_equals_a_loop(name: str, machine: Any) -> None:
    workload = perfmodel.load_workload(name)
    for phase in workload.phases:
        batches = np.array([1.0, 3.0, 64.0, 1000.0])
        together = workload.bind({"batch": batches}, phase=phase)
        many = totals(together, evaluate(together, machine))
        for i, batch in enumerate(batches):
            graph = workload.bind({"batch": int(batch)}, phase=phase)
            one = totals(graph, evaluate(graph, machine))
            for key, value in one.items():
                if isinstance(value, dict):
                    for bound, part in value.items():
                        assert float(part) == _at(many[key][bound], i, 4), bound
                else:
                    assert float(value) == _at(many[key], i, 4), key


def test_the_fastest_algorithm_is_taken_point_by_point() -> None:
    # Unfused launches three kernels, flash rescales: which is faster depends on the size.
    machine = perfmodel.load_hardware("tpu-v4")
    inline = "attention:batch=1,q_heads=8,q_len=1,head_dim=128,algorithm=auto"
    workload = perfmodel.load_workload(inline)
    lengths = np.array([1.0, 64.0, 512.0, 4096.0])
    (many,) = evaluate(workload.bind({"q_len": lengths, "kv_len": lengths}), machine)
    for i, length in enumerate(lengths):
        graph = workload.bind({"q_len": int(length), "kv_len": int(length)})
        (one,) = evaluate(graph, machine)
        assert float(one.time) == many.time[i]
        assert one.algorithm == many.algorithm[i]
        assert one.why()[:2] == (many.why()[0][i], many.why()[1][i])
        options = [
            estimate(a.work, machine).time
            for a in graph.nodes[0].op.algorithms(graph.nodes[0].tensors)
        ]
        assert float(one.time) == min(float(t) for t in options)
