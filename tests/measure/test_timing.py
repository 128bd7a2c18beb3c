"""The timer on a clock without time."""

from __future__ import annotations

import gc
from itertools import count

import numpy as np
import pytest
from measure.fake_clock import FakeBackend

from perfmodel.measure import timing
from perfmodel.measure.timing import (
    TARGET,
    Sample,
    Task,
    Visit,
    calibrate_inner,
    noise_floor,
    roughly_inner,
    take_sample,
    visit_all,
)


@pytest.mark.parametrize("seconds", [2e-8, 3e-6, 1e-4, 1.7e-3])
def test_a_sample_lasts_one_to_three_milliseconds(seconds: float) -> None:
    backend = FakeBackend()
    inner = calibrate_inner(backend, backend.clock.lasting(seconds))
    assert timing.SHORTEST <= inner * seconds <= timing.LONGEST


def test_a_long_call_is_a_sample_of_its_own() -> None:
    backend = FakeBackend()
    assert calibrate_inner(backend, backend.clock.lasting(0.2)) == 1


def test_one_quick_probe_among_slow_ones_sets_the_loop_count() -> None:
    backend, calls = FakeBackend(), count()
    call = backend.clock.lasting(lambda: 1e-4 if next(calls) % 50 < 25 else 4e-4)
    assert calibrate_inner(backend, call) >= 10


def test_a_sample_is_clean_where_nothing_disturbed_it() -> None:
    backend = FakeBackend()
    sample = take_sample(backend, backend.clock.lasting(1e-3), 2)
    assert sample.clean
    assert (sample.wall_per_call, sample.cpu_per_call) == pytest.approx((1e-3, 1e-3))


def test_waiting_for_the_cpu_is_contention() -> None:
    backend = FakeBackend()
    assert take_sample(backend, backend.clock.lasting(1e-3, share=0.96), 1).clean
    assert not take_sample(backend, backend.clock.lasting(1e-3, share=0.94), 1).clean


def test_waiting_for_a_device_is_not_contention() -> None:
    backend = FakeBackend()
    backend.on_cpu = False
    assert take_sample(backend, backend.clock.lasting(1e-3, share=0.1), 1).clean


@pytest.mark.parametrize("what", ["steal", "switches"])
def test_a_stolen_tick_or_a_switch_is_contention(what: str) -> None:
    backend = FakeBackend()
    work = backend.clock.lasting(1e-3)

    def call() -> None:
        work()
        setattr(backend.clock, what, getattr(backend.clock, what) + 1)

    assert not take_sample(backend, call, 1).clean


def _visits(backend: FakeBackend, rounds: int = 4) -> tuple[Visit, ...]:
    clock = backend.clock
    tasks = [Task(f"t{i}", lambda i=i: clock.lasting((i + 1) * 1e-4), "compute") for i in range(6)]
    probes = {"compute": clock.lasting(5e-4)}
    rng = np.random.default_rng(1)
    return visit_all(tasks, probes, backend, rng, rounds=rounds, samples=3)


def test_each_round_visits_every_task_once_in_an_order_of_its_own() -> None:
    visits = _visits(FakeBackend())
    orders = [[v.task for v in visits if v.round == turn] for turn in range(4)]
    assert all(sorted(order) == [f"t{i}" for i in range(6)] for order in orders)
    assert len({tuple(order) for order in orders}) > 1


def test_each_visit_has_fresh_buffers_and_a_probe_on_both_sides() -> None:
    backend, made = FakeBackend(), count()
    log: list[str] = []

    def make() -> object:
        number, work = next(made), backend.clock.lasting(1e-3)
        return lambda: (log.append(f"buffer {number}"), work())

    def probe() -> None:
        log.append("probe")
        backend.clock.lasting(1e-3)()

    task = Task("t", make, "compute")  # type: ignore[arg-type]
    visits = visit_all(
        [task], {"compute": probe}, backend, np.random.default_rng(0), rounds=3, samples=2
    )
    assert next(made) == 3
    last, probed = visits[-1], visits[-1].before.inner
    ran = ["buffer 2"] * (1 + 2 * last.samples[0].inner)
    assert log[-2 * probed - len(ran) :] == ["probe"] * probed + ran + ["probe"] * probed


def test_what_is_visited_keeps_its_loop_count() -> None:
    inner: dict[str, set[int]] = {}
    for visit in _visits(FakeBackend()):
        inner.setdefault(visit.task, set()).update(s.inner for s in visit.samples)
    assert all(len(counts) == 1 for counts in inner.values())


def test_the_collector_rests_while_timing_and_comes_back() -> None:
    seen: list[bool] = []
    backend = FakeBackend()
    work = backend.clock.lasting(1e-3)

    def make() -> object:
        return lambda: (seen.append(gc.isenabled()), work())

    task = Task("t", make, "p")  # type: ignore[arg-type]
    visit_all([task], {"p": work}, backend, np.random.default_rng(0), rounds=1)
    assert seen
    assert not any(seen)
    assert gc.isenabled()


def _visit(task: str, *cpu: float, clean: bool = True) -> Visit:
    samples = tuple(Sample(2 * c, c, 1, clean) for c in cpu)
    return Visit(task, 0, "hot", samples, samples[0], samples[0])


def test_clean_samples_outvote_disturbed_ones() -> None:
    samples = (Sample(9, 9, 1, False), Sample(9, 9, 1, False), Sample(2, 1, 1, True))
    visit = Visit("t", 0, "hot", samples, samples[0], samples[0])
    assert visit.seconds(by_cpu=True) == 1
    assert visit.seconds(by_cpu=False) == 2
    assert not visit.contended


def test_contended_samples_never_make_a_roof() -> None:
    visit = _visit("t", 1.0, 2.0, clean=False)
    assert visit.contended
    assert visit.seconds(by_cpu=True) == 1.5
    assert visit.seconds(by_cpu=True, clean_only=True) is None


def test_the_noise_floor_is_visits_against_visits() -> None:
    floor = noise_floor([_visit("a", 1.0), _visit("a", 1.25), _visit("b", 3.0)], by_cpu=True)
    assert floor["pairs"] == 1
    assert floor["mean"] == pytest.approx((0.25 + 0.2) / 2)
    assert noise_floor([_visit("a", 1.0)], by_cpu=True)["mean"] is None


def test_visits_that_agree_have_no_noise() -> None:
    assert noise_floor(_visits(FakeBackend()), by_cpu=True)["p90"] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("seconds", [1e-7, 3e-6, 4e-4, 2e-3, 0.2])
def test_a_rough_count_makes_samples_about_as_long_as_wanted(seconds: float) -> None:
    backend = FakeBackend()
    inner = roughly_inner(backend, backend.clock.lasting(seconds))
    assert inner == 1 or inner * seconds == pytest.approx(TARGET, rel=0.2)
