"""A machine against itself."""

from __future__ import annotations

import json
from itertools import count

import numpy as np
import pytest
from measure.fake_clock import FakeBackend

from perfmodel.cli import main
from perfmodel.measure.noise import against_itself, measure_noise, sign_test_interval
from perfmodel.report.noise import noise_markdown, verdict


def test_the_sign_test_interval_is_the_tables() -> None:
    # k of the two-sided sign test at 5 %: 0, 0, 1, 2, 5, 9 critical values for n = 5..25
    for n, k in {6: 1, 8: 1, 9: 2, 12: 3, 20: 6, 25: 8}.items():
        values = list(range(n))
        assert sign_test_interval(values) == (k - 1, n - k), n
    assert sign_test_interval(range(5)) is None


def test_the_interval_holds_the_median_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    inside = 0
    for _ in range(2000):
        low, high = sign_test_interval(rng.standard_cauchy(15)) or (0, 0)
        inside += low <= 0 <= high
    assert 0.95 <= inside / 2000 <= 0.99


def test_a_steady_drift_cancels_in_a_block() -> None:
    backend, calls = FakeBackend(), count()
    call = backend.clock.lasting(lambda: 1e-3 * 1.1 ** next(calls))
    ratios, clean = against_itself(backend, call, 1, np.random.default_rng(0), 12, by_cpu=True)
    assert ratios == pytest.approx([0] * 12, abs=1e-9)
    assert clean == 1


def _noise(spread: float) -> dict[str, object]:
    backend, rng = FakeBackend(), np.random.default_rng(2)
    quiet = backend.clock.lasting(1e-3)
    noisy = backend.clock.lasting(lambda: 2e-3 * float(np.exp(spread * rng.standard_normal())))
    return measure_noise(backend, {"calls": quiet, "memory": noisy}, rng, trials=20)


def test_the_threshold_grows_with_the_noise_and_decides() -> None:
    calm, wild = _noise(0.01), _noise(0.3)
    assert calm["fit"]
    assert not wild["fit"]
    assert verdict(calm).startswith("fit to measure")
    assert "'memory'" in verdict(wild)
    assert "| memory |" in noise_markdown(wild).replace("  ", " ")


def test_the_threshold_keeps_false_alarms_rare() -> None:
    data = _noise(0.1)
    probe = data["probes"]["memory"]  # type: ignore[index]
    backend, rng = FakeBackend(), np.random.default_rng(77)
    call = backend.clock.lasting(lambda: 2e-3 * float(np.exp(0.1 * rng.standard_normal())))
    alarms = 0
    for _ in range(200):
        ratios, _ = against_itself(backend, call, 1, rng, 12, by_cpu=True)
        low, _ = sign_test_interval(ratios) or (0, 0)
        alarms += low > np.log1p(probe["threshold"])
    assert alarms / 200 <= 0.05


def test_noise_is_a_command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeBackend()
    monkeypatch.setattr("perfmodel.measure.clocks.NumpyBackend", lambda: fake)
    monkeypatch.setattr(
        "perfmodel.measure.probes.reference_probes", lambda _: {"calls": fake.clock.lasting(1e-4)}
    )
    assert main(["noise", "--format", "json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["schema"] == "perfmodel/noise@1"
    assert data["fit"] is True
    assert data["conditions"]["threads_used"] == 1
    assert main(["noise"]) == 0
    assert "fit to measure" in capsys.readouterr().out
    assert main(["noise", "--format", "csv"]) == 2
    assert main(["noise", "--threads", "0"]) == 2
