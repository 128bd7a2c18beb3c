"""The machine model: bounds add up, more work never takes less time, faster devices never more."""

from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

import perfmodel
from perfmodel.catalog import builtin_names
from perfmodel.core import Dim
from perfmodel.core.blocking import gemm_extra_traffic
from perfmodel.errors import InputError
from perfmodel.machine import Machine, efficiency_of
from perfmodel.model import TERMS, estimate, limiter
from perfmodel.model.launches import BEFORE_OTHERS
from perfmodel.ops import registry
from perfmodel.readers.inline import parse_inline

MACHINES = {n: perfmodel.load_hardware(n) for n in builtin_names("hardware")}

#: enough of them for laws that no number in a file could break: of each kind and maker
SOME = list(MACHINES.values())[::5]

#: sizes that make the output, and so the work, smaller, or that divide the same work
SHRINKING = {"n_fft", "stride", "dilation", "groups", "r", "s", "window", "directions", "chunk"}


def _time(inline: str, machine: Machine, **sizes: Dim) -> Dim:
    (node,) = parse_inline(inline).bind(sizes).nodes
    return estimate(node.op.algorithms(node.tensors)[0].work, machine).time


@pytest.mark.parametrize("name", registry())
def test_more_work_never_takes_less_time(name: str) -> None:
    op = registry()[name]
    sizes = parse_inline(op.example).dims("inference")
    for key, value in sizes.items():
        if isinstance(value, bool | str) or key in SHRINKING or key in op.fixed or value == 0:
            continue
        steps = np.array([float(value) * 2**i for i in range(5)])
        tied = {k: steps for k, v in op.sizes.items() if v == key}
        try:
            (node,) = parse_inline(op.example).bind({key: steps, **tied}).nodes
        except InputError:
            continue  # the other sizes do not allow it: kv_heads above q_heads
        work = node.op.algorithms(node.tensors)[0].work
        for machine in SOME:
            times = np.broadcast_to(estimate(work, machine).time, (5,))
            assert np.all(np.diff(times) >= 0), (key, machine.name)


def test_time_does_not_decrease_over_a_thousand_sizes() -> None:
    # One peer's stepwise efficiency makes 10 MB faster than 9.9 MB.
    sizes = np.unique(np.round(np.logspace(0, 4.2, 1000)))
    for machine in MACHINES.values():
        for key in ("m", "n", "k"):
            times = _time("matmul:m=777,n=777,k=777", machine, **{key: sizes})
            assert np.all(np.diff(times) >= 0)
        assert np.all(np.diff(_time("relu:elements=1", machine, elements=sizes**2)) >= 0)


def _faster(machine: Machine, what: str) -> Machine:
    if what == "peak":
        engines = tuple(
            replace(
                e,
                rates=MappingProxyType(
                    {d: replace(r, peak=2 * r.peak) for d, r in e.rates.items()}
                ),
            )
            for e in machine.engines
        )
        return replace(machine, engines=engines)
    if what == "overhead":
        return replace(machine, overhead=MappingProxyType({"eager": 0.0, "graph": 0.0}))
    levels = tuple(
        replace(v, bandwidth=v.bandwidth and 2 * v.bandwidth)
        if what == "bandwidth"
        else replace(v, capacity=v.capacity and 2 * v.capacity)
        for v in machine.memory
    )
    return replace(machine, memory=levels)


@pytest.mark.parametrize("what", ["peak", "bandwidth", "capacity", "overhead"])
@pytest.mark.parametrize("name", registry())
def test_a_better_device_never_takes_more_time(name: str, what: str) -> None:
    for machine in SOME:
        (node,) = parse_inline(registry()[name].example).bind().nodes
        for algorithm in node.op.algorithms(node.tensors):
            before = estimate(algorithm.work, machine)
            after = estimate(algorithm.work, _faster(machine, what))
            assert after.time <= before.time
            assert after.low <= before.low


@pytest.mark.parametrize("name", builtin_names("workloads"))
@pytest.mark.parametrize("machine", list(MACHINES.values())[::14], ids=lambda m: m.name)
def test_parts_add_up_and_the_ideal_is_never_beaten(name: str, machine: Machine) -> None:
    for phase in perfmodel.load_workload(name).phases:
        result = perfmodel.analyze(name, machine, phase=phase)
        totals: dict[str, Any] = result.totals
        assert sum(totals["time_by_bound"].values()) == pytest.approx(totals["time_s"], rel=1e-12)
        for row in result.operators:
            assert row["time_low_s"] <= row["time_s"] <= row["time_high_s"]
            assert 0 <= row["utilization"] <= 1
            assert row["bound"] in ("compute", "bandwidth", "overhead")
            levels = list(row["bytes_by_level"].values())
            assert levels == sorted(levels, reverse=True)
            assert levels[-1] >= row["bytes_read"] + row["bytes_written"]
        for key, field in (("macs", "macs"), ("flops", "flops"), ("time_s", "time_s")):
            summed = sum(r[field] * r["count"] for r in result.operators)
            assert totals[key] == pytest.approx(summed, rel=1e-12)


@pytest.mark.parametrize("machine", MACHINES.values(), ids=lambda m: m.name)
def test_rules_of_thumb_of_the_literature(machine: Machine) -> None:
    # A sigmoid takes two special functions for 8 bytes. Where a device's stated rate of them
    # is lower than that (a Gaudi 2), such functions bind, and the rule is not about it.
    special = machine.rate("special", "fp32")
    weak = special is not None and 8 * special[1].peak < 2 * machine.last_level.bandwidth
    assert not weak or machine.name == "gaudi2"
    for name, op in registry().items():
        (row,) = perfmodel.analyze(op.example, machine).operators
        if op.category in ("embedding", "movement", "elementwise"):
            binds = row["bound"] == "compute"
            assert not binds or (weak and row["limiter"] == special[0].name), name
    for name in ("rnn", "gru", "lstm"):
        # what an accelerator does in fp32 is no measure of it: it converts, or the rate is a guess
        dtype = "bf16" if machine.kind == "accelerator" else "fp32"
        sizes = "steps=64,batch=1,input=1024,hidden=1024"
        unit = perfmodel.analyze(f"{name}:{sizes}", machine, dtype=dtype)
        assert unit.operators[0]["bound"] in ("bandwidth", "overhead"), name
    table = perfmodel.analyze("embedding:lookups=100000,width=256,rows=1000000", machine)
    assert table.operators[0]["bound"] == "bandwidth"
    conv = perfmodel.analyze("conv2d:n=64,c=512,h=56,w=56,k=512,r=3,s=3,pad=1", machine)
    assert conv.operators[0]["bound"] == "compute"


def test_the_next_limiter_is_named_within_ten_percent() -> None:
    machine = MACHINES["a100-80gb-sxm"]
    ridge = machine.rate("matrix", "fp16")[1].peak / machine.last_level.bandwidth  # type: ignore[index]
    near = {}
    for m in range(1, 400):
        (node,) = parse_inline(f"matmul:m={m},n=16384,k=16384").bind(dtype="fp16").nodes
        work = node.algorithms()[0].work
        times = estimate(work, machine, category=node.op.category, without=frozenset(TERMS))
        near[m] = limiter(times)[2]
        hbm = times.bytes_by_level["hbm"] / machine.last_level.bandwidth  # type: ignore[operator]
        tensor = work.flops / machine.rate("matrix", "fp16")[1].peak  # type: ignore[index]
        close = min(hbm, tensor) >= 0.9 * max(hbm, tensor)
        assert (near[m] in ("hbm", "tensor-core")) == close
    assert near[round(ridge)]
    assert not near[1]


def test_a_lstm_reads_its_recurrent_weights_again_each_step_unless_they_stay() -> None:
    machine = MACHINES["a100-80gb-sxm"]

    def hbm(hidden: int) -> tuple[float, float]:
        inline = f"lstm:steps=100,batch=1,input=64,hidden={hidden}"
        (row,) = perfmodel.analyze(inline, machine).operators
        return row["bytes_by_level"]["hbm"], row["bytes_read"] + row["bytes_written"]

    small, compulsory = hbm(256)
    assert small == compulsory
    large, compulsory = hbm(4096)
    beyond = 99 * (4 * 4096 * 4096 * 4 - 40 * 2**20)
    assert large == pytest.approx(compulsory + beyond, rel=0.01)


def test_steps_of_a_lstm_are_launched_one_after_the_other() -> None:
    machine = MACHINES["h100-sxm"]
    one, many = (
        perfmodel.analyze(f"lstm:steps={s},batch=1,input=8,hidden=8", machine).operators[0]
        for s in (1, 1000)
    )
    assert (one["launches"], many["launches"]) == (3, 2001)
    assert many["bound"] == "overhead"


def test_an_eager_launch_hides_behind_a_long_kernel_but_for_what_precedes_it() -> None:
    machine = MACHINES["a100-80gb-sxm"]
    stated = efficiency_of(machine)
    for elements, seen in ((10, 1.0), (10**9, BEFORE_OTHERS)):
        graph, eager = (
            perfmodel.analyze(f"add:elements={elements}", machine, launch=launch).operators[0]
            for launch in ("graph", "eager")
        )
        spent = {k: v["time_by_bound"]["overhead"] for k, v in (("g", graph), ("e", eager))}
        assert spent["g"] == pytest.approx(stated["launch_graph"])
        assert spent["e"] == pytest.approx(seen * stated["launch_eager"], rel=0.01)


def test_eager_launches_cost_more_than_a_graphs() -> None:
    graph, eager = (
        perfmodel.analyze("resnet50", "a100-80gb-sxm", launch=m) for m in ("graph", "eager")
    )
    for one, other in zip(graph.operators, eager.operators, strict=True):
        assert other["time_s"] > one["time_s"] or one["launches"] == 0
        assert other["time_ideal_s"] == one["time_ideal_s"]


def test_a_format_the_device_lacks_runs_in_the_next_wider_one() -> None:
    a100, v100, tpu = (MACHINES[n] for n in ("a100-80gb-sxm", "v100-sxm2-16gb", "tpu-v4"))
    assert a100.rate("matrix", "fp8_e4m3")[1].dtype == "fp16"  # type: ignore[index]
    assert v100.rate("matrix", "fp32")[0].kind == "vector"  # type: ignore[index]
    assert v100.rate("matrix", "tf32")[1].dtype == "fp32"  # type: ignore[index]
    assert tpu.rate("matrix", "fp32")[1].runs_as == "bf16"  # type: ignore[index]
    with pytest.raises(InputError, match="tpu-v4 states no rate for fp64 matrix work; try --dtype"):
        tpu.rate("matrix", "fp64")


def _brute_force(m: int, n: int, k: int, capacity: int) -> float:
    """Least bytes over all block sizes of the three schedules, counted block by block."""
    best = float("inf")
    sizes = range(1, max(m, n, k) + 1)
    for x in sizes:
        for y in sizes:
            if x <= m and y <= n and 4 * x * y <= capacity:
                best = min(best, m * k * n / y + k * n * m / x)
            if x <= m and y <= k and 4 * x * y <= capacity:
                best = min(best, m * k + k * n * m / x + m * n * (2 * k / y - 2))
            if x <= n and y <= k and 4 * x * y <= capacity:
                best = min(best, k * n + m * k * n / x + m * n * (2 * k / y - 2))
    return best * 4 + m * n * 4


@pytest.mark.parametrize(("m", "n", "k"), [(8, 8, 8), (16, 4, 9), (3, 20, 7), (1, 12, 12)])
@pytest.mark.parametrize("capacity", [16, 64, 200, 1000, 10_000])
def test_blocked_gemm_moves_no_less_than_the_best_whole_blocks(
    m: int, n: int, k: int, capacity: int
) -> None:
    a, b, c = 4 * m * k, 4 * k * n, 4 * m * n
    modelled = a + b + c + gemm_extra_traffic(m, n, k, a, b, c, capacity)
    exact = _brute_force(m, n, k, capacity)
    assert modelled <= exact * (1 + 1e-9)  # fractional blocks can only be better
    assert modelled >= 0.6 * exact


def test_work_that_does_nothing_takes_no_time() -> None:
    (node,) = parse_inline("reshape:rows=3,cols=4").bind().nodes
    times = estimate(node.op.work(node.tensors), MACHINES["a100-80gb-sxm"])
    assert times.time == 0
    assert limiter(times) == ("overhead", "none", "")
