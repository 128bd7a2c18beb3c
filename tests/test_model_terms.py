"""The machine model's terms: monotone and continuous; all of them off leave the roofline."""

import json
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

import perfmodel
from perfmodel.catalog import builtin_names
from perfmodel.cli import main
from perfmodel.core import Dim
from perfmodel.evaluate import evaluate
from perfmodel.machine import Machine, efficiency_of
from perfmodel.machine.efficiency import PARAMETERS
from perfmodel.machine.rules import DONORS, carried_over, clock_of, default_efficiency, memory_of
from perfmodel.model import TERMS
from perfmodel.readers.inline import parse_inline

MACHINES = {n: perfmodel.load_hardware(n) for n in builtin_names("hardware")}

#: inline operators of every family, and the sizes that make more work of them
KERNELS: dict[str, dict[str, tuple[int, int]]] = {
    "matmul:m=1,n=1,k=1": {"batch": (1, 300), "m": (1, 9000), "n": (1, 9000), "k": (1, 9000)},
    "conv2d:n=1,c=8,h=8,w=8,k=8,r=3,s=3,pad=1": {
        "n": (1, 64), "c": (1, 600), "h": (3, 200), "w": (3, 200), "k": (1, 600),
    },
    "add:elements=1": {"elements": (1, 10**9)},
    "gelu:elements=1": {"elements": (1, 10**9)},
    "softmax:rows=1,cols=1": {"rows": (1, 10**5), "cols": (1, 20000)},
    "layer_norm:rows=1,cols=1": {"rows": (1, 10**5), "cols": (1, 20000)},
    "attention:batch=1,q_heads=8,kv_heads=2,q_len=1,kv_len=9000,head_dim=64": {
        "batch": (1, 256), "kv_len": (4096, 20000), "q_len": (1, 4096),
    },
    "lstm:steps=4,batch=1,input=64,hidden=64": {"batch": (1, 64), "hidden": (8, 2048)},
}  # fmt: skip


def _times(inline: str, machine: Machine, launch: Any = "graph", **how: Any) -> np.ndarray:
    sizes: dict[str, Dim] = how.pop("sizes")
    graph = parse_inline(inline).bind(sizes)
    warm = how.pop("warm", False)
    (cost,) = evaluate(graph, machine, launch, warm=warm, **how)
    return np.asarray(cost.time)


def _draws(rng: np.random.Generator, ranges: dict[str, tuple[int, int]], count: int) -> Any:
    return {
        name: np.round(np.exp(rng.uniform(np.log(low), np.log(high), count)))
        for name, (low, high) in ranges.items()
    }


@pytest.mark.parametrize("inline", KERNELS)
def test_ten_thousand_random_steps_up_never_take_less_time(inline: str) -> None:
    # Over all devices: 25 points and each of their sizes a step up.
    rng, ranges = np.random.default_rng(0), KERNELS[inline]
    steps = 0
    for machine in MACHINES.values():
        for launch, warm in (("graph", False), ("graph", True), ("eager", True)):
            sizes = _draws(rng, ranges, 25)
            before = _times(inline, machine, launch, sizes=sizes, warm=warm)
            for name in sizes:
                step = np.maximum(1.0, np.round(sizes[name] * rng.choice([0.01, 0.3, 1.0], 25)))
                after = _times(
                    inline, machine, launch, sizes={**sizes, name: sizes[name] + step}, warm=warm
                )
                assert np.all(after >= before * (1 - 1e-12)), (machine.name, name, launch, warm)
                steps += 25
    assert steps > 10_000 / len(KERNELS)


def _better(machine: Machine, what: str, factor: float) -> Machine:
    if what == "peak":
        engines = tuple(
            replace(
                e,
                rates=MappingProxyType(
                    {d: replace(r, peak=factor * r.peak) for d, r in e.rates.items()}
                ),
            )
            for e in machine.engines
        )
        return replace(machine, engines=engines)
    levels = tuple(
        replace(v, bandwidth=v.bandwidth and factor * v.bandwidth)
        if what == "bandwidth"
        else replace(v, capacity=v.capacity and factor * v.capacity)
        for v in machine.memory
    )
    return replace(machine, memory=levels)


@pytest.mark.parametrize("what", ["peak", "bandwidth", "capacity"])
@pytest.mark.parametrize("inline", KERNELS)
def test_a_better_device_never_takes_more_time(inline: str, what: str) -> None:
    rng = np.random.default_rng(1)
    for machine in list(MACHINES.values())[::2]:
        sizes = _draws(rng, KERNELS[inline], 40)
        better = _better(machine, what, float(rng.choice([1.01, 1.5, 3.0])))
        for warm in (False, True):
            before = _times(inline, machine, sizes=sizes, warm=warm)
            after = _times(inline, better, sizes=sizes, warm=warm)
            assert np.all(after <= before * (1 + 1e-12)), (machine.name, warm)


@pytest.mark.parametrize("inline", KERNELS)
def test_without_all_terms_the_time_is_the_roofline(inline: str) -> None:
    rng = np.random.default_rng(2)
    for machine in MACHINES.values():
        graph = parse_inline(inline).bind(_draws(rng, KERNELS[inline], 10))
        (cost,) = evaluate(graph, machine, without=frozenset(TERMS))
        slowest = np.maximum(cost.split["compute"], cost.split["bandwidth"])
        assert np.allclose(cost.time, slowest, rtol=1e-12)
        moved = np.asarray(cost.bytes_by_level[machine.last_level.name])
        assert np.all(cost.time >= moved / machine.last_level.bandwidth * (1 - 1e-12))  # type: ignore[operator]
        if len(machine.memory) == 1:
            assert np.allclose(cost.time, cost.ideal, rtol=1e-12)


@pytest.mark.parametrize("term", TERMS)
def test_each_term_is_worth_something_somewhere(term: str) -> None:
    machine = MACHINES["l40s"]
    moved = False
    for inline, ranges in KERNELS.items():
        sizes = _draws(np.random.default_rng(3), ranges, 50)
        whole = _times(inline, machine, sizes=sizes, warm=True)
        less = _times(inline, machine, sizes=sizes, warm=True, without=frozenset({term}))
        moved |= bool(np.any(np.abs(less / whole - 1) > 0.01))
    assert moved


def test_a_step_of_one_percent_moves_time_by_a_wave_at_the_most() -> None:
    # A wave more is the largest jump: from one to two, the time doubles.
    sizes = np.unique(np.round(np.logspace(1, 4, 3000)))
    for machine in MACHINES.values():
        for name in ("m", "n", "k"):
            times = _times("matmul:m=512,n=512,k=512", machine, sizes={name: sizes})
            close = sizes[1:] / sizes[:-1] < 1.05
            assert np.all((times[1:] / times[:-1])[close] <= 2.1)
        for inline, name in (("add:elements=1", "elements"), ("softmax:rows=999,cols=1", "cols")):
            times = _times(inline, machine, sizes={name: sizes}, warm=True)
            close = sizes[1:] / sizes[:-1] < 1.02
            assert np.all((times[1:] / times[:-1])[close] <= 1.25), (machine.name, inline)


def test_an_array_of_sizes_equals_each_by_itself() -> None:
    for machine in list(MACHINES.values())[::6]:
        sizes = _draws(np.random.default_rng(4), KERNELS["matmul:m=1,n=1,k=1"], 200)
        together = _times("matmul:m=1,n=1,k=1", machine, sizes=sizes)
        alone = [
            _times("matmul:m=1,n=1,k=1", machine, sizes={k: float(v[i]) for k, v in sizes.items()})
            for i in range(200)
        ]
        assert np.array_equal(together, np.array(alone))


@pytest.mark.parametrize("donor", DONORS, ids=lambda d: d.name)
def test_the_word_of_a_measured_device_is_what_its_file_states(donor: Any) -> None:
    machine = MACHINES[donor.name]
    assert machine.efficiency is not None
    assert (memory_of(machine), clock_of(machine)) == (donor.memory, donor.clock)
    for name, value in donor.values.items():
        stated = machine.efficiency.parameters[name]
        assert stated.value == pytest.approx(value, rel=1e-3)
        assert stated.method == "fitted"
        assert stated.n
        assert stated.source


def test_a_device_that_is_like_a_measured_one_takes_its_parameters() -> None:
    a100, h100 = DONORS[0], MACHINES["h100-sxm"]
    alone = carried_over(h100, [a100])
    for name, value in a100.values.items():
        factor = a100.clock / clock_of(h100) if name == "launch_graph" else 1.0
        assert alone[name] == pytest.approx(value * factor)
    mixed = carried_over(h100)
    for name in ("compute_share", "memory_share", "step"):
        told = [d.values[name] for d in DONORS if name in d.values]
        assert min(told) <= mixed[name] <= max(told)


def test_what_is_carried_over_says_so_and_is_less_sure() -> None:
    h100, a100 = MACHINES["h100-sxm"], MACHINES["a100-80gb-sxm"]
    found = efficiency_of(h100)
    assert found.parameters["memory_share"].method == "carried over"
    assert "h200-sxm" in str(found.parameters["memory_share"].source)
    for family, factor in efficiency_of(a100).spread.items():
        assert default_efficiency(a100).spread[family] >= 0.9 * factor
    other = efficiency_of(MACHINES["mi300x"]).spread
    assert all(other[family] > found.spread[family] for family in other)


def test_there_are_at_most_ten_parameters_each_with_a_meaning() -> None:
    assert len(PARAMETERS) <= 10
    for machine in MACHINES.values():
        for name, parameter in PARAMETERS.items():
            assert parameter.meaning
            assert parameter.least <= efficiency_of(machine)[name] <= parameter.most


def test_an_array_that_holds_weights_fills_and_drains() -> None:
    machine = MACHINES["tpu-v4"]

    def alone(**sizes: float) -> float:
        found = evaluate(
            parse_inline("matmul:m=1,n=1,k=1").bind(sizes, dtype="bf16"),
            machine,
            without=frozenset({"launches", "shares", "norm"}),
        )
        return float(found[0].time)

    # 8 arrays of 128 x 128 at 1050 MHz: a pass of m rows takes m + 128 cycles.
    rate = 8 * 1050e6
    for m in (8192.0, 65536.0):
        assert alone(m=m, n=8192, k=8192) == pytest.approx(64 * 64 * (m + 128) / rate, rel=0.01)
    # One column more is a pass more.
    assert alone(m=65536, n=129, k=4096) == pytest.approx(alone(m=65536, n=256, k=4096), rel=0.01)


def test_the_command_leaves_terms_out_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    run = ["analyze", "matmul:m=512,n=512,k=512", "-H", "h100-sxm", "--dtype", "bf16"]
    times = {}
    for terms in ([], ["launches"], ["launches,tiles"], ["all"]):
        options = [o for t in terms for o in ("--without", t)]
        assert main([*run, *options, "--format", "json"]) == 0
        data = json.loads(capsys.readouterr().out)
        times[" ".join(terms)] = data["totals"]["time_s"]
        told = (
            sorted(TERMS)
            if terms == ["all"]
            else sorted(",".join(terms).split(","))
            if terms
            else None
        )
        assert data["settings"].get("without") == told
    assert times["all"] < times["launches,tiles"] < times["launches"] < times[""]
    assert main([*run, "--without", "gravity"]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "--without 'gravity'" in err
    assert "tiles" in err
