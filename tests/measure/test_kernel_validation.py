"""Kernels timed here against predictions: what is drawn, counted, written and scored."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from measure.libraries import made_up
from measure.test_calibrate_host import CACHES, QuietClock

from perfmodel.cli import main
from perfmodel.errors import InputError
from perfmodel.kernels.registry import kernels
from perfmodel.machine import load_hardware
from perfmodel.measure import kernel_validation
from perfmodel.measure.clocks import NumpyBackend
from perfmodel.measure.kernel_validation import scores
from perfmodel.measure.machine_file import machine_yaml
from perfmodel.measure.roofs import Roof
from perfmodel.measure.score import score
from perfmodel.measure.suite import Shape, kernel_task, random_shapes, shape_of
from perfmodel.ops import get_operator


def _file(folder: Path) -> Path:
    roof = Roof(9e10, 8e10, "made up", 12)
    text = machine_yaml(
        name="mine",
        title="made up",
        vendor="Some",
        raw="mine.samples.json",
        caches=CACHES,
        memory=8 << 30,
        engines={
            "matrix": {"fp32": roof, "fp64": roof},
            "vector": {"fp32": roof},
            "special": {"fp32.exp": Roof(2e9, 1.8e9, "exp", 9), "fp32.tanh": roof},
        },
        levels=[{"copy": Roof(x * 1e9, x * 9e8, "copy", 9)} for x in (100, 80, 60, 20)],
        library=made_up(),
        scaling=[],
        quality={
            "samples": 99,
            "clean": 0.97,
            "noise_floor": {"pairs": 9, "mean": 0.05, "median": 0.03},
            "held_out": {"rows": 50, "mape": 0.1, "median_ape": 0.06},
            "kernels": {"rows": 20, "mape": 0.1, "median_ape": 0.06},
        },
    )
    file = folder / "mine.yaml"
    file.write_text(text)
    return file


def test_a_library_survives_its_file(tmp_path: Path) -> None:
    file = _file(tmp_path)
    assert main(["check", str(file)]) == 0
    machine = load_hardware(str(file))
    assert machine.library == made_up()
    peaks = {e.name: {d: r.peak for d, r in e.rates.items()} for e in machine.engines}
    assert peaks["matrix"] == {"fp32": 9e10, "fp64": 9e10}
    assert [v.bandwidth for v in machine.memory] == [1e11, 8e10, 6e10, 2e10]
    assert machine.memory[-1].capacity == 8 << 30


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ("    read: 3", "bare number 3"),
        ("    raed: 3 ns", "unknown key 'raed'"),
    ],
)
def test_a_wrong_cost_is_named_with_its_place(
    tmp_path: Path, broken: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = _file(tmp_path)
    text = file.read_text()
    at = text.index("      read:")
    end = text.index("\n", at)
    file.write_text(text[:at] + "  " + broken + text[end:])
    assert main(["check", str(file)]) == 2
    assert words in capsys.readouterr().err


def test_shapes_are_drawn_from_every_class_and_the_seed_decides() -> None:
    classes = {get_operator(name).category for name in kernels()}
    shapes = random_shapes(len(classes), seed=3, share=0.1)
    assert {s.category for s in shapes} == classes
    again, other = (random_shapes(5, seed=n, share=0.1) for n in (3, 4))
    assert [s.label for s in again] == [s.label for s in random_shapes(5, seed=3, share=0.1)]
    assert [s.label for s in again] != [s.label for s in other]


def test_python_steps_grow_with_the_steps_and_not_with_the_sizes() -> None:
    def calls(steps: int, hidden: int) -> int:
        sizes = {"steps": steps, "batch": 2, "input": 8, "hidden": hidden}
        return shape_of("rnn", sizes, "fp32").python

    assert calls(8, 16) == calls(8, 64)
    per_step = (calls(12, 16) - calls(8, 16)) / 4
    assert per_step > 1
    assert calls(24, 16) - calls(12, 16) == 12 * per_step


def test_a_kernel_runs_on_fresh_arrays_beside_its_probe() -> None:
    small = shape_of("softmax", {"rows": 4, "cols": 10}, "fp32")
    large = shape_of("matmul", {"m": 64, "n": 64, "k": 64}, "fp32")
    assert (kernel_task(small).probe, kernel_task(large).probe) == ("calls", "compute")
    (y,) = kernel_task(small).build(np, np.random.default_rng(0))()  # type: ignore[misc]
    assert y.sum(axis=1) == pytest.approx(np.ones(4), rel=1e-5)


def _row(predicted: float, measured: float, **more: Any) -> dict[str, Any]:
    return {
        "op": "relu", "class": "elementwise", "bound": "compute", "limiter": "stream",
        "dtype": "fp32", "predicted_s": predicted, "low_s": predicted / 1.2,
        "high_s": predicted * 1.2, "measured_s": measured, "steady_s": measured,
        "roofline_s": predicted / 2, **more,
    }  # fmt: skip


def test_the_score_is_that_of_its_rows() -> None:
    rows = [_row(1.0, 1.1), _row(2.0, 1.0, op="tanh"), _row(3.0, 3.0)]
    found = scores(rows)
    plain = score(
        *(np.array(v) for v in ([1, 2, 3.0], [1.1, 1, 3], [0.8, 1.6, 2.5], [1.2, 2.4, 4]))
    )
    assert found["totals"]["mape"] == pytest.approx(plain["mape"])
    assert found["totals"]["coverage_90"] == pytest.approx(2 / 3)
    assert found["by_op"]["tanh"]["bias"] == pytest.approx(1)
    assert found["worst"][0] == 1


@pytest.fixture
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    def shapes(count: int, seed: int, dtype: str, progress: Any) -> list[Shape]:
        return [shape_of("relu", {"elements": 100 * (i + 1)}, dtype) for i in range(count)]

    probes = {"calls": lambda: sum(range(1000))}
    monkeypatch.setattr("perfmodel.measure.suite.random_shapes", shapes)
    monkeypatch.setattr("perfmodel.measure.clocks.NumpyBackend", _Quiet)
    monkeypatch.setattr(kernel_validation, "reference_probes", lambda backend: probes)


class _Quiet(NumpyBackend):
    def __init__(self) -> None:
        super().__init__(QuietClock())


@pytest.mark.usefixtures("_few")
def test_validate_times_kernels_and_scores_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(_file(tmp_path))
    out = [tmp_path / f"run.{suffix}" for suffix in ("json", "csv", "md")]
    files = [part for path in out for part in ("-o", str(path))]
    assert main(["validate", "-H", file, "--shapes", "3", *files]) == 0
    assert "noise floor" in capsys.readouterr().out
    data = json.loads(out[0].read_text())
    assert data["schema"] == "perfmodel/validation@1"
    assert data["totals"]["rows"] == 3
    assert [row["elements"] for row in data["rows"]] == [100, 200, 300]
    for row in data["rows"]:
        assert row["low_s"] < row["predicted_s"] < row["high_s"]
        assert row["ratio"] == pytest.approx(row["predicted_s"] / row["measured_s"])
        assert row["samples"] == 3 * kernel_validation.ROUNDS
    assert len(data["session"]["visits"]) == 3 * kernel_validation.ROUNDS
    with out[1].open() as lines:
        assert [row["op"] for row in csv.DictReader(lines)] == ["relu"] * 3
    assert "| all |" in out[2].read_text().replace("  ", " ")
    assert main(["validate", "-H", file, "--shapes", "2", "--fail-over", "0.0001"]) == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["-H", "a10"], "states no costs of library calls"),
        (["-H", "a10", "--against", "k.csv", "--shapes", "3"], "takes no --shapes beside"),
        (["-H", "a10", "--backend", "jax"], "unknown backend 'jax'"),
    ],
)
def test_what_cannot_be_validated_is_one_line(
    options: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["validate", *options]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_shapes_that_cannot_be_drawn_are_an_error() -> None:
    with pytest.raises(InputError, match="could be drawn in these sizes"):
        random_shapes(2, seed=1, share=0.0)
