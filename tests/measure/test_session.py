"""Sessions: every task in every round, stop anywhere, go on as if nothing had been."""

from __future__ import annotations

import json

import pytest
from measure.fake_clock import FakeBackend

from perfmodel.errors import InputError
from perfmodel.measure.session import Plan, Session
from perfmodel.measure.summary import drift_of, quality, timed_tasks
from perfmodel.measure.tasks import CallTask
from perfmodel.measure.timing import noise_floor

PLAN = Plan(budget=1e9, samples=3, seed=4, most_rounds=3)


def _tasks(backend: FakeBackend, speed: float = 1.0) -> list[CallTask]:
    def task(name: str, seconds: float) -> CallTask:
        call = backend.clock.lasting(lambda: seconds * speed)
        return CallTask(name, "calls", lambda xp, rng: call, stated=())

    return [task(f"t{i}", (i + 1) * 1e-4) for i in range(5)]


def _probes(backend: FakeBackend) -> dict[str, object]:
    return {"calls": backend.clock.lasting(2e-4)}


def _run(session: Session, stop_after: int | None = None) -> Session:
    backend = FakeBackend()

    def progress(spent: float, budget: float) -> None:
        if stop_after is not None and len(session.visits) >= stop_after:
            raise KeyboardInterrupt

    try:
        session.run(_tasks(backend), _probes(backend), backend, progress)  # type: ignore[arg-type]
    except KeyboardInterrupt:
        assert stop_after is not None
    return session


def test_every_task_is_visited_once_a_round_in_another_order() -> None:
    visits = _run(Session(PLAN, {})).visits
    orders = [[v.task for v in visits if v.round == r] for r in range(3)]
    assert [sorted(o) for o in orders] == [[f"t{i}" for i in range(5)]] * 3
    assert orders[0] != orders[1]


@pytest.mark.parametrize("stop", [1, 4, 5, 11])
def test_an_interrupted_session_goes_on_as_if_it_had_not_been(stop: int) -> None:
    whole = _run(Session(PLAN, {"a": 1}))
    first = _run(Session(PLAN, {"a": 1}), stop)
    assert len(first.visits) == stop
    again = Session.from_data(json.loads(json.dumps(first.data())))
    assert (again.plan, dict(again.key)) == (PLAN, {"a": 1})
    _run(again)
    assert [(v.task, v.round) for v in again.visits] == [(v.task, v.round) for v in whole.visits]


def test_a_session_stops_when_its_time_is_up() -> None:
    session = Session(Plan(budget=0.0, samples=3, seed=0), {})
    assert _run(session).visits == []


@pytest.mark.parametrize("data", [{}, {"schema": "other"}, {"schema": "perfmodel/session@1"}])
def test_what_is_no_session_is_refused(data: dict[str, object]) -> None:
    with pytest.raises(InputError):
        Session.from_data(data)


def test_drift_that_the_probe_shows_is_taken_out() -> None:
    backend = FakeBackend()
    speed = {"now": 1.0}
    call = backend.clock.lasting(lambda: 1e-3 * speed["now"])
    probe = backend.clock.lasting(lambda: 2e-4 * speed["now"])
    task = CallTask("t", "calls", lambda xp, rng: call, stated=())
    session = Session(Plan(budget=1e9, samples=3, seed=0, most_rounds=8), {})

    def slower(spent: float, budget: float) -> None:
        speed["now"] *= 1.03

    session.run([task], {"calls": probe}, backend, slower)
    raw = noise_floor(session.visits, by_cpu=True)
    drift = drift_of(session.visits, {"t": "calls"}, by_cpu=True)
    assert drift.shares["calls"] == pytest.approx(1, abs=0.05)
    (timed,) = timed_tasks([task], session.visits, drift, by_cpu=True)
    assert timed.seconds == pytest.approx(1e-3 * drift.probes["calls"] / 2e-4, rel=0.01)
    assert raw["median"] > 0.03


def test_contended_samples_never_reach_a_roof_and_many_of_them_condemn_the_run() -> None:
    backend = FakeBackend()
    call = backend.clock.lasting(1e-3, share=0.5)
    task = CallTask("t", "calls", lambda xp, rng: call, stated=())
    session = Session(Plan(budget=1e9, samples=3, seed=0, most_rounds=3), {})
    session.run([task], _probes(backend), backend)  # type: ignore[arg-type]
    drift = drift_of(session.visits, {"t": "calls"}, by_cpu=True)
    (timed,) = timed_tasks([task], session.visits, drift, by_cpu=True)
    assert (timed.best, timed.typical) == (None, None)
    found = quality(session.visits, noise_floor(session.visits, by_cpu=True))
    assert found["contended"]
    calm = _run(Session(PLAN, {}))
    assert not quality(calm.visits, noise_floor(calm.visits, by_cpu=True))["contended"]
