"""calibrate on this machine: whole files or none, resumable, honest about contention."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perfmodel.cli import main
from perfmodel.machine import load_hardware
from perfmodel.measure import calibrating, host
from perfmodel.measure.clocks import NumpyBackend, SystemClock
from perfmodel.measure.conditions import Cache, Disturbance, Processor
from perfmodel.measure.machine_file import machine_name
from perfmodel.measure.products import product, product_tasks
from perfmodel.measure.rates import elementwise, rate_tasks
from perfmodel.measure.scaling import thread_counts
from perfmodel.measure.session import Plan, Session
from perfmodel.measure.streams import stream, stream_tasks
from perfmodel.measure.suite import shape_of

CACHES = (Cache(1, 16 << 10, 1, 2), Cache(2, 128 << 10, 1, 2), Cache(3, 1 << 20, 2, 1))
SMALL = Processor("Some CPU @ 2 GHz", 2, 2, CACHES, ("avx2",), True)


def _work(seed: int, quick: bool) -> host.Work:
    streams = [
        stream(kind, "fp32", elements)
        for kind in ("read", "write", "copy", "add")
        for elements in (300, 8_000, 60_000, 800_000)
    ]
    products = [
        product(dtype, n, n, n, roof=f"matrix.{dtype}")
        for dtype in ("fp32", "fp64")
        for n in (8, 48)
    ]
    others = [elementwise("exp", 1, "fp32", n) for n in (16, 4_000)]
    kernels = [shape_of("relu", {"elements": n}, "fp32") for n in (10, 5_000)]
    return host.Work([*streams, *products, *others], kernels)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibrating, "QUICK", Plan(60.0, 2, 0, most_rounds=2))
    monkeypatch.setattr(calibrating, "host_work", _work)
    monkeypatch.setattr(host, "_FOLDS", {True: 2, False: 2})
    monkeypatch.setattr(calibrating, "read_processor", lambda: SMALL)
    monkeypatch.setattr(calibrating, "NumpyBackend", lambda: NumpyBackend(QuietClock()))
    probe = elementwise("exp", 1, "fp32", 4_000).build(np, np.random.default_rng(0))
    probes = dict.fromkeys(("compute", "memory", "calls"), probe)
    monkeypatch.setattr(calibrating, "reference_probes", lambda backend: probes)
    monkeypatch.setattr(calibrating, "measure_scaling", lambda backend, counts: _scaling(counts))


class QuietClock(SystemClock):
    """This machine's clock, without what disturbs it."""

    def cpu(self) -> float:
        return self.wall()

    def disturbance(self) -> Disturbance:
        return Disturbance(0, 0, 0)


class BusyClock(QuietClock):
    """The same where others have half of the processor."""

    def cpu(self) -> float:
        return self.wall() / 2


def _scaling(counts: list[int]) -> list[dict[str, Any]]:
    levels = ("own", "shared", "memory")
    return [
        {"threads": n, "flop_per_s": 5e10 * n, **{f"{v}_bytes_per_s": 2e10 * n for v in levels}}
        for n in counts
    ]


def _quality(monkeypatch: pytest.MonkeyPatch, contended: bool) -> None:
    real = host.quality
    monkeypatch.setattr(
        host, "quality", lambda visits, floor: {**real(visits, floor), "contended": contended}
    )


def _calibrate(file: Path, *more: str) -> int:
    return main(["calibrate", "-o", str(file), "--quick", *more])


def test_the_file_is_a_device_with_its_samples_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _quality(monkeypatch, False)
    file = tmp_path / "mine.yaml"
    assert _calibrate(file, "--name", "mine") == 0
    assert main(["check", str(file)]) == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine.samples.json", "mine.yaml"]
    machine = load_hardware(str(file))
    assert [v.name for v in machine.memory] == ["l1", "l2", "l3", "dram"]
    assert [v.capacity for v in machine.memory[:3]] == [c.size for c in CACHES]
    rate = {e.name: e for e in machine.engines}["matrix"].rates["fp32"]
    assert 0 < (rate.achievable or 0) <= rate.peak
    assert rate.ops_per_cycle is None
    assert machine.library is not None
    assert machine.library.calls["exp.fp32"].n == 2
    assert main(["analyze", "relu:elements=1000", "-H", str(file)]) == 0
    raw = json.loads((tmp_path / "mine.samples.json").read_text())
    assert raw["schema"] == "perfmodel/calibration@1"
    assert len(raw["session"]["visits"]) == 2 * len(_work(0, True).tasks)
    assert all(len(v["samples"]) == 2 for v in raw["session"]["visits"])
    assert raw["conditions"]["disturbance"].keys() == {"steal", "pressure", "switches"}


def test_two_threads_make_a_device_of_two_units(tmp_path: Path) -> None:
    file = tmp_path / "two.yaml"
    assert _calibrate(file, "--threads", "2") == 0
    machine = load_hardware(str(file))
    assert machine.name == "some-2-threads"
    assert {e.count for e in machine.engines} == {2}
    assert [v.instances for v in machine.memory] == [2, 2, 1, 1]
    assert machine.library is not None
    assert machine.library.threads == 2


def test_an_interrupted_run_leaves_no_half_file_and_the_next_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = Session._visit

    def stopped(self: Session, *arguments: Any) -> None:
        if len(self.visits) == 7:
            raise KeyboardInterrupt
        real(self, *arguments)

    file = tmp_path / "mine.yaml"
    with monkeypatch.context() as interrupted:
        interrupted.setattr(Session, "_visit", stopped)
        assert _calibrate(file) == 130
    assert [p.name for p in tmp_path.iterdir()] == ["mine.partial.json"]
    assert "goes on from there" in capsys.readouterr().err
    assert _calibrate(file) == 0
    assert "7 visits done" in capsys.readouterr().err
    assert not (tmp_path / "mine.partial.json").exists()


def test_the_rest_of_another_run_is_not_gone_on_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    partial = tmp_path / "mine.partial.json"
    for text, words in (("{", "cannot be read"), (_other_run(), "of another run (seed differ)")):
        partial.write_text(text)
        key = calibrating._key(
            calibrating.Request(tmp_path / "mine.yaml", True, 1, 0), calibrating.conditions()
        )
        said: list[str] = []
        assert calibrating._resumed(partial, key, said.append) is None
        assert words in said[0]


def _other_run() -> str:
    request = calibrating.Request(Path("mine.yaml"), True, 1, 5)
    key = calibrating._key(request, calibrating.conditions())
    return json.dumps(Session(Plan(1.0, 1, 5), key).data())


def test_a_contended_run_never_replaces_a_good_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.yaml"
    with monkeypatch.context() as quiet:
        _quality(quiet, False)
        assert _calibrate(file) == 0
    good = file.read_text()
    _quality(monkeypatch, True)
    assert _calibrate(file) == 1
    assert "the machine is contended" in capsys.readouterr().err
    assert file.read_text() == good
    other = load_hardware(str(tmp_path / "mine.contended.yaml"))
    assert other.library is not None
    assert other.library.contended
    assert _calibrate(file, "--force") == 0
    assert "warning: the machine is contended" in capsys.readouterr().err
    assert file.read_text() != good


def test_without_an_undisturbed_sample_there_is_no_roof_and_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(calibrating, "NumpyBackend", lambda: NumpyBackend(BusyClock()))
    assert _calibrate(tmp_path / "mine.yaml") == 2
    assert "when the machine is quieter" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--quick", "-H", "a10"], "takes no --hardware without --from"),
        (["--from", "k.csv"], "lacks the device to fit"),
        (["--from", "k.csv", "-H", "a10", "--quick"], "takes no --quick beside --from"),
        (["--backend", "jax"], "unknown backend 'jax'"),
        (["--threads", "999"], "expected at most the 2 CPUs"),
        (["--format", "json"], "takes no --format without --from"),
    ],
)
def test_a_wrong_mix_of_options_is_one_line_and_exit_code_2(
    tmp_path: Path, options: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["calibrate", "-o", str(tmp_path / "m.yaml"), *options]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_cupy_that_is_not_there_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "cupy", None)
    assert main(["calibrate", "-o", str(tmp_path / "m.yaml"), "--backend", "cupy"]) == 2
    error = capsys.readouterr().err
    assert "pip install cupy" in error
    assert error.count("\n") == 1


def test_names_and_thread_counts() -> None:
    assert machine_name("Intel(R) Xeon(R) CPU @ 2.50GHz", 1) == "intel-xeon-1-thread"
    assert machine_name(None, 4) == "cpu-4-threads"
    assert [thread_counts(n) for n in (1, 2, 6, 8)] == [[1], [1, 2], [1, 2, 4, 6], [1, 2, 4, 8]]


def test_every_task_states_its_passes_and_runs() -> None:
    rng = np.random.default_rng(0)
    tasks = [*stream_tasks(rng, 1), *product_tasks(rng, 1), *rate_tasks(rng, 1)]
    assert len({t.name for t in tasks}) == len(tasks)
    for task in tasks:
        passes = task.passes()
        assert passes, task.name
        assert len(passes) == 1 or task.name.startswith("triad"), task.name
    small = {t.name.split()[0]: t for t in tasks if sum(p.bytes for p in t.passes()) < 1e6}
    for task in small.values():
        task.build(np, rng)()
