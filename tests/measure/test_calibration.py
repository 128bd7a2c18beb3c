"""Calibration: known parameters come back, odd rows do not lead it astray, files are whole."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

import perfmodel
from perfmodel.cli import main
from perfmodel.machine import PARAMETERS, Machine, efficiency_of, load_hardware
from perfmodel.machine.efficiency import Efficiency, Estimate
from perfmodel.measure.calibration import split
from perfmodel.measure.fit import fit
from perfmodel.measure.predict import predict
from perfmodel.measure.validation import validate
from perfmodel.readers.kernel_table import KernelTable, read_kernels

DEVICE = "a100-40gb-sxm"
TRUTH = {"launch_graph": 5e-6, "launch_eager": 21e-6, "compute_share": 0.7, "memory_share": 0.62}
NOISE = 0.05


def shapes(count: int, seed: int) -> list[str]:
    """Rows without their times: products, streams and softmax, both launch modes."""
    rng = np.random.default_rng(seed)
    rows = []
    for index in range(count):
        m, n, k = (int(v) for v in 2 ** rng.uniform(5, 13, 3))
        launch = ("eager", "graph")[index % 2]
        rows.append(f"matmul,bf16,{launch},{m},{n},{k},,,")
        rows.append(f"relu,fp32,{launch},,,,{int(2 ** rng.uniform(12, 28))},,")
        cols = int(2 ** rng.uniform(6, 13))
        rows.append(f"softmax,fp32,{launch},,,,,{int(2 ** rng.uniform(4, 15))},{cols}")
    return rows


def with_values(machine: Machine, values: dict[str, float]) -> Machine:
    known = efficiency_of(machine)
    changed = {name: Estimate(value) for name, value in values.items()}
    return replace(machine, efficiency=Efficiency({**known.parameters, **changed}, known.spreads))


def timed(file: Path, rows: list[str], machine: Machine, seed: int, noise: float = NOISE) -> Path:
    """Write ``rows`` with the times of ``machine``, times a log-normal noise."""
    head = "op,dtype,launch,m,n,k,elements,rows,cols,time_s"
    file.write_text("\n".join([head, *(f"{row},1" for row in rows)]) + "\n")
    times = predict(read_kernels(file), machine).time
    times *= np.exp(np.random.default_rng(seed).normal(0, noise, len(rows)))
    lines = [head, *(f"{row},{t:.9g}" for row, t in zip(rows, times, strict=True))]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def truth() -> Machine:
    return with_values(load_hardware(DEVICE), TRUTH)


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory, truth: Machine) -> Path:
    return timed(tmp_path_factory.mktemp("kernels") / "kernels.csv", shapes(40, 1), truth, 2)


def recovered(table: KernelTable, within: float) -> Efficiency:
    found = fit(load_hardware(DEVICE), table)
    for name, value in TRUTH.items():
        assert found[name] == pytest.approx(value, rel=within), name
        assert found.parameters[name].method == "fitted"
    return found


def test_known_parameters_come_back_within_the_noise(kernels):
    found = recovered(read_kernels(kernels), within=0.06)
    item = found.parameters["memory_share"]
    assert item.n > 10
    assert 0.01 < item.residual < 0.08
    assert item.source == "kernels.csv"


def test_without_noise_they_come_back_all_but_exactly(tmp_path, truth):
    file = timed(tmp_path / "k.csv", shapes(25, 8), truth, 0, noise=0)
    recovered(read_kernels(file), within=0.02)


def test_one_row_in_ten_wrong_by_a_factor_ten_moves_little(tmp_path, kernels):
    lines = kernels.read_text().splitlines()
    for index in range(1, len(lines), 10):
        head, _, seconds = lines[index].rpartition(",")
        lines[index] = f"{head},{float(seconds) * (10 if index % 20 == 1 else 0.1):.9g}"
    file = tmp_path / "wrong.csv"
    file.write_text("\n".join(lines) + "\n")
    recovered(read_kernels(file), within=0.15)


def test_intervals_hold_85_to_95_percent_of_rows_never_seen(tmp_path, kernels, truth):
    machine = load_hardware(DEVICE)
    fitted = replace(machine, efficiency=fit(machine, read_kernels(kernels)))
    fresh = read_kernels(timed(tmp_path / "fresh.csv", shapes(150, 77), truth, 78))
    assert 0.85 <= validate(fresh, fitted)["totals"]["coverage_90"] <= 0.95


@pytest.mark.parametrize("only", ["relu", "matmul", "softmax"])
def test_what_the_rows_cannot_tell_stays_as_it_was(only, tmp_path, kernels):
    head, *rows = kernels.read_text().splitlines()
    file = tmp_path / "one.csv"
    file.write_text("\n".join([head, *(r for r in rows if r.startswith(only))]) + "\n")
    before = efficiency_of(load_hardware(DEVICE))
    found = fit(load_hardware(DEVICE), read_kernels(file))
    untold = {"relu": ("compute_share", "step", "latency", "norm_launch", "row_share")}
    untold |= {"matmul": ("row_share", "norm_launch")}
    untold |= {"softmax": ("compute_share", "step", "latency", "norm_launch")}
    for name in untold[only]:
        assert found.parameters[name] == before.parameters[name], name
    for family, spread in found.spreads.items():
        mine = {"relu": "stream", "matmul": "product", "softmax": "reduction"}[only]
        assert (spread.method == "fitted") == (family == mine)


ODD = {
    "one row": ["matmul,bf16,graph,512,512,512,,,,2e-5"],
    "two equal rows": ["relu,fp32,graph,,,,4096,,,6e-6"] * 2,
    "one size, many times": ["matmul,bf16,graph,4096,4096,4096,,,,6.1e-4"] * 40,
    "all at the overhead": [f"relu,fp32,eager,,,,{n},,,2.1e-5" for n in range(1, 200, 5)],
    "absurdly slow": [f"matmul,bf16,graph,{n},{n},{n},,,,1" for n in range(64, 2048, 64)],
    "absurdly fast": [f"matmul,bf16,graph,{n},{n},{n},,,,1e-12" for n in range(64, 2048, 64)],
}


@pytest.mark.parametrize("rows", ODD.values(), ids=ODD)
def test_odd_rows_give_parameters_within_their_bounds(rows, tmp_path):
    file = tmp_path / "odd.csv"
    file.write_text("\n".join(["op,dtype,launch,m,n,k,elements,rows,cols,time_s", *rows]) + "\n")
    found = fit(load_hardware(DEVICE), read_kernels(file))
    for name, item in found.parameters.items():
        assert PARAMETERS[name].least <= item.value <= PARAMETERS[name].most, name
    assert all(np.isfinite(s.factor) and s.factor >= 1 for s in found.spreads.values())


def test_rows_at_the_overhead_tell_the_overhead(tmp_path):
    file = tmp_path / "floor.csv"
    rows = ["op,dtype,launch,elements,time_s", *ODD["all at the overhead"]]
    file.write_text("\n".join(r.replace(",,,,", ",").replace(",,,", ",") for r in rows) + "\n")
    machine, table = load_hardware(DEVICE), read_kernels(file)
    found = fit(machine, table)
    assert [n for n, e in found.parameters.items() if e.method == "fitted"] == ["launch_eager"]
    time = predict(table, replace(machine, efficiency=found)).time
    assert time == pytest.approx(2.1e-5, rel=0.01)


def test_more_rows_are_never_held_out_than_asked_for(kernels):
    table = read_kernels(kernels)
    for share in (0, 0.2, 0.5):
        kept, held = split(table, share, seed=3)
        assert sorted([*kept, *held]) == list(range(len(table)))
        assert len(held) == 3 * int(share * 40)
    assert list(split(table, 0.2, 3)[1]) == list(split(table, 0.2, 3)[1])
    assert list(split(table, 0.2, 3)[1]) != list(split(table, 0.2, 4)[1])


def run(*arguments: str | Path) -> list[str]:
    return ["calibrate", *map(str, arguments)]


def test_the_command_writes_a_file_that_checks_and_predicts(kernels, tmp_path, capsys):
    file = tmp_path / "fitted.yaml"
    assert main(run("--from", kernels, "-H", DEVICE, "-o", file)) == 0
    out, err = capsys.readouterr()
    assert f"wrote {file}" in err
    for words in (
        "launch_eager",
        "memory_share",
        "fitted, n",
        "held out",
        "op softmax",
        "These rows",
    ):
        assert words in out
    assert main(["check", str(file)]) == 0
    assert main(["analyze", "resnet50", "-H", str(file), "--top", "1"]) == 0
    assert main(["show", "hardware", str(file)]) == 0
    assert "fitted" in capsys.readouterr().out
    machine = load_hardware(str(file))
    assert (machine.name, machine.based_on) == (f"{DEVICE}-fitted", DEVICE)
    again = replace(machine, name=DEVICE, based_on=None, efficiency=None)
    assert again == load_hardware(DEVICE)
    source = (Path(perfmodel.__file__).parent.parent / f"hardware/{DEVICE}.yaml").read_text()
    for comment in (line for line in source.splitlines() if line.startswith("#")):
        assert comment in file.read_text()
    entry = yaml.safe_load(file.read_text())["efficiency"]["launch_eager"]
    assert entry["method"] == "fitted"
    assert entry["value"].endswith(" us")
    assert {"n", "residual", "date", "source"} <= entry.keys()


def test_the_file_scores_what_the_command_said(kernels, tmp_path, capsys):
    file = tmp_path / "fitted.yaml"
    options = ("--name", "mine", "--holdout", "0.25", "--format", "json")
    assert main(run("--from", kernels, "-H", DEVICE, "-o", file, *options)) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["schema"] == "perfmodel/calibration@1"
    assert said["held_out"]["totals"]["rows"] == 30
    assert said["held_out"]["totals"]["mape"] < said["before"]["totals"]["mape"]
    assert main(["validate", "--against", str(kernels), "-H", str(file), "--format", "json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["hardware"] == said["hardware"] == "mine"
    assert data["totals"] == said["after"]["totals"]


def test_rows_of_the_base_are_those_of_the_fitted_device(kernels, tmp_path, capsys):
    named = tmp_path / "named.csv"
    head, *rows = kernels.read_text().splitlines()
    named.write_text("\n".join([f"hardware,{head}", *(f"{DEVICE},{r}" for r in rows)]) + "\n")
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    assert main(run("--from", named, "-H", DEVICE, "-o", first, "--holdout", "0")) == 0
    assert main(["validate", "--against", str(named), "-H", str(first)]) == 0
    assert main(run("--from", named, "-H", first, "-o", second, "--holdout", "0")) == 0
    text = second.read_text()
    assert load_hardware(str(second)).based_on == DEVICE
    for block in ("efficiency:", "accuracy:", "based_on:", "name:"):
        assert sum(line.startswith(block) for line in text.splitlines()) == 1, block
    assert text.count("90 % of measurements lie") == 1


def test_a_file_that_is_there_is_replaced_only_by_force(kernels, tmp_path, capsys):
    file = tmp_path / "fitted.yaml"
    file.write_text("mine")
    arguments = run("--from", kernels, "-H", DEVICE, "-o", file)
    assert main(arguments) == 2
    assert "is there already; use another name, or --force" in capsys.readouterr().err
    assert file.read_text() == "mine"
    assert main([*arguments, "--force", "--holdout", "0"]) == 0
    assert file.read_text().startswith("schema:")
    assert [p.name for p in tmp_path.iterdir()] == ["fitted.yaml"]


WRONG = {
    "suffix": (["-o", "fitted.json"], "its name must end in .yaml"),
    "folder": (["-o", "no/such/folder/f.yaml"], "there is no folder"),
    "holdout of all": (["-o", "f.yaml", "--holdout", "1"], "expected a share from 0 to below 1"),
    "holdout in percent": (["-o", "f.yaml", "--holdout", "20"], "expected a share"),
    "holdout is no number": (["-o", "f.yaml", "--holdout", "nan"], "expected a share"),
    "name": (["-o", "f.yaml", "--name", "My device"], "--name 'My device'"),
    "format": (["-o", "f.yaml", "--format", "csv"], "unknown format"),
    "seed": (["-o", "f.yaml", "--seed", "-1"], "seed"),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_wrong_command_line_is_one_line_and_nothing_written(
    mistake, kernels, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    options, words = WRONG[mistake]
    assert main(run("--from", kernels, "-H", DEVICE, *options)) == 2
    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") == 1, err
    assert not list(tmp_path.iterdir())


def test_interrupted_it_leaves_nothing_half_written(kernels, tmp_path):
    code = (
        "import signal, sys, perfmodel.measure.fit as f\n"
        # A job in the background inherits that it ignores interrupts.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "def slow(machine, table):\n"
        "    print('fitting', flush=True)\n"
        "    import time; time.sleep(60)\n"
        "f.fit = slow\n"
        "from perfmodel.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    file = tmp_path / "fitted.yaml"
    arguments = run("--from", kernels, "-H", DEVICE, "-o", file)
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout.readline().strip() == b"fitting"
    time.sleep(0.1)
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err.strip() == b"interrupted"
    assert not list(tmp_path.iterdir())
