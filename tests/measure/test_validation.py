"""The score of predictions: statistics by their definitions, and `perfmodel validate`."""

from __future__ import annotations

import csv
import io
import json
import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from perfmodel.cli import main
from perfmodel.machine import load_hardware
from perfmodel.measure.predict import predict
from perfmodel.measure.score import rank_correlation, score
from perfmodel.readers.kernel_table import read_kernels

DEVICE = "a100-80gb-sxm"


def brute_spearman(first: list[float], second: list[float]) -> float:
    """Spearman's rank correlation, each rank counted over all pairs."""

    def ranks(values: list[float]) -> list[float]:
        return [
            sum(other < value for other in values) + sum(other == value for other in values) / 2
            for value in values
        ]

    a, b = ranks(first), ranks(second)
    mean = sum(a) / len(a)
    top = sum((x - mean) * (y - mean) for x, y in zip(a, b, strict=True))
    return top / math.sqrt(sum((x - mean) ** 2 for x in a) * sum((y - mean) ** 2 for y in b))


def test_rank_correlation_is_spearmans_with_ties():
    rng = np.random.default_rng(7)
    for count in (2, 3, 10, 101):
        first = rng.integers(0, 6, count).astype(float)
        second = first + rng.integers(0, 4, count)
        if np.ptp(first) and np.ptp(second):
            expected = brute_spearman(list(first), list(second))
            assert rank_correlation(first, second) == pytest.approx(expected, abs=1e-12)


def test_rank_correlation_sees_only_the_order():
    x = np.array([1e-6, 3e-6, 2e-3, 9e-2])
    assert rank_correlation(x, np.exp(x)) == pytest.approx(1)
    assert rank_correlation(x, -(x**3)) == pytest.approx(-1)
    assert rank_correlation(x, np.ones(4)) is None
    assert rank_correlation(x[:1], x[:1]) is None


def test_the_score_of_four_rows_by_hand():
    measured = np.array([1.0, 2.0, 4.0, 8.0])
    predicted = np.array([1.1, 1.0, 4.0, 12.0])  # errors +10 %, -50 %, 0, +50 %
    found = score(predicted, measured, 0.8 * predicted, 1.25 * predicted)
    assert found["rows"] == 4
    assert found["mape"] == pytest.approx(1.1 / 4)
    assert found["median_ape"] == pytest.approx(0.3)
    assert found["bias"] == pytest.approx(0.1 / 4)
    assert found["rank_correlation"] == pytest.approx(0.8)
    assert found["coverage_90"] == pytest.approx(0.5)


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Times that are the model's own, times 1 to 1.2: a file whose score is known."""
    rng = np.random.default_rng(3)
    rows = ["hardware,op,dtype,launch,m,n,k,elements,time_s"]
    for index in range(40):
        m, n, k = (int(v) for v in 2 ** rng.uniform(4, 13, 3))
        launch = ("eager", "graph")[index % 2]
        rows.append(f"{DEVICE},matmul,bf16,{launch},{m},{n},{k},,1")
        rows.append(f"{DEVICE},relu,fp32,{launch},,,,{m * n},1")
    file = tmp_path_factory.mktemp("kernels") / "kernels.csv"
    file.write_text("\n".join(rows) + "\n", encoding="utf-8")
    times = predict(read_kernels(file), load_hardware(DEVICE)).time * rng.uniform(1, 1.2, 80)
    timed = [rows[0]] + [
        row[:-1] + f"{time:.9g}" for row, time in zip(rows[1:], times, strict=True)
    ]
    file.write_text("\n".join(timed) + "\nt4,relu,fp32,graph,,,,8,1\n", encoding="utf-8")
    return file


def run(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert main(["validate", *arguments]) == code
    return capsys.readouterr().out


def test_the_json_is_what_the_design_says_and_its_totals_follow_from_its_rows(kernels, capsys):
    out = run(capsys, "--against", str(kernels), "-H", DEVICE, "--format", "json")
    data = json.loads(out)
    assert data["schema"] == "perfmodel/validation@1"
    assert {"hardware", "backend", "conditions", "totals", "by_op", "rows"} <= set(data)
    assert data["hardware"] == DEVICE
    rows = data["rows"]
    assert len(rows) == 80  # the t4's row is not counted
    for row in rows:
        assert row["low_s"] <= row["predicted_s"] <= row["high_s"]
    assert {"op", "name", "dtype", "m", "n", "k", "measured_s", "bound"} <= set(rows[0])
    for part, label in ((rows, None), *((rows, op) for op in ("matmul", "relu"))):
        some = [r for r in part if label in (None, r["op"])]
        found = data["by_op"][label] if label else data["totals"]
        errors = [r["predicted_s"] / r["measured_s"] - 1 for r in some]
        assert found["rows"] == len(some)
        assert found["mape"] == pytest.approx(sum(map(abs, errors)) / len(some))
        assert found["bias"] == pytest.approx(sum(errors) / len(some))
        inside = [r["low_s"] <= r["measured_s"] <= r["high_s"] for r in some]
        assert found["coverage_90"] == pytest.approx(sum(inside) / len(some))
    assert 0.05 < data["totals"]["mape"] < 0.12
    assert data["totals"]["bias"] < 0
    assert data["roofline"]["mape"] > data["totals"]["mape"]
    for part in ("by_op", "by_bound", "by_launch", "by_class"):
        assert sum(s["rows"] for s in data[part].values()) == 80
    off = [abs(math.log(rows[i]["predicted_s"] / rows[i]["measured_s"])) for i in data["worst"]]
    assert all(a >= b for a, b in pairwise(off))


@pytest.mark.parametrize("width", ["80", "200"])
def test_the_table_has_totals_parts_and_the_worst_rows(width, kernels, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", width)
    out = run(capsys, "--against", str(kernels), "-H", DEVICE)
    for words in ("80 kernels", "op matmul", "op relu", "launch eager", "farthest off", "roofline"):
        assert words in out
    assert max(map(len, out.splitlines())) <= int(width)


def test_files_take_the_format_of_their_suffix(kernels, capsys, tmp_path):
    files = [str(tmp_path / f"score{s}") for s in (".json", ".csv", ".md")]
    options = [part for file in files for part in ("-o", file)]
    assert run(capsys, "--against", str(kernels), "-H", DEVICE, *options) == ""
    data = json.loads(Path(files[0]).read_text())
    rows = list(csv.DictReader(io.StringIO(Path(files[1]).read_text())))
    assert [float(r["predicted_s"]) for r in rows] == [r["predicted_s"] for r in data["rows"]]
    assert "| all | 80 |" in Path(files[2]).read_text()
    markdown = run(capsys, "--against", str(kernels), "-H", DEVICE, "--format", "markdown")
    assert markdown == Path(files[2]).read_text()


def test_the_gate_trips_only_over_its_limit(kernels, capsys):
    base = ("--against", str(kernels), "-H", DEVICE)
    mape = 100 * json.loads(run(capsys, *base, "--format", "json"))["totals"]["mape"]
    run(capsys, *base, "--fail-over", f"{mape + 0.01}")
    assert main(["validate", *base, "--fail-over", f"{mape - 0.01}"]) == 1
    assert "gate: MAPE" in capsys.readouterr().err


COMMAND_LINES = {
    "no file": (["-H", DEVICE], "--against"),
    "no device": (["--against", "k.csv"], "--hardware"),
    "unknown format": (["--against", "k.csv", "-H", DEVICE, "--format", "xml"], "unknown format"),
    "unknown suffix": (["--against", "k.csv", "-H", DEVICE, "-o", "score.html"], "use .json"),
    "negative gate": (["--against", "k.csv", "-H", DEVICE, "--fail-over", "-1"], "fail-over"),
    "gate in words": (["--against", "k.csv", "-H", DEVICE, "--fail-over", "low"], "fail-over"),
    "gate is no number": (["--against", "k.csv", "-H", DEVICE, "--fail-over", "nan"], "fail-over"),
}


@pytest.mark.parametrize("mistake", COMMAND_LINES)
def test_a_wrong_command_line_is_one_line_and_exit_code_2(mistake, capsys):
    arguments, words = COMMAND_LINES[mistake]
    assert main(["validate", *arguments]) == 2
    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") == 1


def test_a_format_that_the_device_cannot_run_is_said(tmp_path, capsys):
    file = tmp_path / "kernels.csv"
    file.write_text("op,dtype,m,n,k,time_s\nmatmul,fp64,8,8,8,1e-6\n", encoding="utf-8")
    assert main(["validate", "--against", str(file), "-H", "tpu-v4"]) == 2
    assert "tpu-v4 states no rate for fp64 matrix work" in capsys.readouterr().err
