"""What tools outside rely on: the JSON, the exit codes, the Python API, the file formats."""

import csv
import io
import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import perfmodel
from perfmodel.catalog import builtin_names
from perfmodel.cli import main
from perfmodel.evaluate import evaluate, for_phase, totals
from perfmodel.ops import registry

TOTALS = {
    "parameters", "macs", "flops", "bytes", "time_s", "time_low_s", "time_high_s",
    "peak_memory_bytes", "time_by_bound", "unmodelled",
}  # fmt: skip
OPERATOR = {
    "name", "op", "class", "phase", "count", "dtype", "macs", "flops", "bytes_read",
    "bytes_written", "bytes_by_level", "intensity", "time_s", "time_low_s", "time_high_s", "bound",
    "limiter", "utilization", "algorithm", "fused_into",
}  # fmt: skip


ONE_OF_EACH_FAMILY = ("mnist-mlp", "resnet50", "lstm-ptb-large", "bert-base")


def _json(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert main(list(arguments)) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return json.loads(captured.out)


@pytest.mark.parametrize("workload", [*builtin_names("workloads"), "matmul:m=64,n=64,k=64"])
@pytest.mark.parametrize("hardware", ["a100-80gb-sxm", "tpu-v4"])
def test_analysis_json_has_the_contracts_keys(
    workload: str, hardware: str, capsys: pytest.CaptureFixture[str]
) -> None:
    data = _json(capsys, "analyze", workload, "-H", hardware, "--format", "json")
    assert data["schema"] == "perfmodel/analysis@1"
    assert set(data) == {
        "schema", "workload", "hardware", "settings", "totals", "coverage", "operators",
    }  # fmt: skip
    assert set(data["totals"]) >= TOTALS
    assert set(data["totals"]["time_by_bound"]) == {"compute", "bandwidth", "overhead"}
    assert data["totals"]["unmodelled"] == []
    assert data["hardware"]["name"] == hardware
    for row in data["operators"]:
        assert set(row) >= OPERATOR
        assert row["bound"] in ("compute", "bandwidth", "overhead")
        assert row["fused_into"] is None
        assert isinstance(row["count"], int)
        assert isinstance(row["macs"], int)


@pytest.mark.parametrize("dtype", ["fp64", "fp32", "tf32", "bf16", "fp16", "fp8", "int8", "int4"])
@pytest.mark.parametrize("workload", ONE_OF_EACH_FAMILY)
def test_every_device_runs_every_network_in_every_format_it_can(dtype: str, workload: str) -> None:
    graph = perfmodel.load_workload(workload).bind(dtype=dtype)
    for name in builtin_names("hardware"):
        machine = perfmodel.load_hardware(name)
        if dtype == "fp64" and not any(rate.dtype == "fp64" for _, rate in machine.roofs()):
            continue  # its refusal is tested with the errors
        costs = evaluate(graph, machine)
        assert 0 < totals(graph, costs)["time_s"] < 1000
        units = {c.unit for c in costs if c.macs}
        assert units == {"OP" if dtype.startswith("int") else "FLOP"}


def test_narrower_formats_move_fewer_bytes() -> None:
    moved = [
        perfmodel.analyze("llama-2-7b", "h100-sxm", phase="decode", dtype=d).totals["bytes"]
        for d in ("fp32", "fp16", "fp8", "int4")
    ]
    for wide, narrow in pairwise(moved):
        assert narrow == pytest.approx(wide / 2, rel=1e-4)


def test_python_and_command_say_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    data = _json(
        capsys, "analyze", "bert-base", "-H", "l4", "--set", "batch=4", "--set", "sequence=77",
        "--dtype", "float16", "--launch", "eager", "--format", "json",
    )  # fmt: skip
    result = perfmodel.analyze(
        "bert-base", "l4", dtype="fp16", launch="eager", batch=4, sequence=77
    )
    assert json.loads(result.to_json()) == data == result.data
    assert data["settings"] == {
        "dtype": "fp16", "phase": "inference", "launch": "eager", "fuse": False,
    }  # fmt: skip
    assert data["workload"]["dims"]["batch"] == 4


def test_python_objects_are_what_the_contract_names() -> None:
    workload = perfmodel.load_workload("resnet50", batch=8)
    machine = perfmodel.load_hardware("a100-80gb-sxm")
    result = perfmodel.analyze(workload, machine)
    assert result.totals["macs"] == 8 * 4_089_184_256
    frame = result.frame()
    assert len(frame) == len(result.operators) == 95
    assert {"name", "time_s", "bytes_hbm", "time_overhead_s"} <= set(frame.columns)
    summed = float((frame["time_s"] * frame["count"]).sum())
    assert summed == pytest.approx(result.totals["time_s"])
    assert "resnet50 on a100-80gb-sxm" in repr(result)
    assert type(result.plot()).__name__ == "Figure"
    with pytest.raises(perfmodel.InputError, match="batch is an array"):
        perfmodel.analyze("resnet50", machine, batch=np.array([1.0]))  # type: ignore[arg-type]
    with pytest.raises(perfmodel.InputError, match="no dim 'bach'"):
        perfmodel.load_workload("resnet50", bach=8)
    with pytest.raises(perfmodel.PerfmodelError, match="unknown hardware"):
        perfmodel.load_hardware("nothing-like-it")


def test_a_chosen_dim_yields_to_the_call() -> None:
    workload = perfmodel.load_workload("resnet50", batch=8)
    assert perfmodel.analyze(workload, "l4", batch=2).totals["macs"] == 2 * 4_089_184_256
    decoder = perfmodel.load_workload("llama-2-7b", context=7)
    result = perfmodel.analyze(decoder, "h100-sxm", phase="decode")
    assert result.data["workload"]["dims"]["context"] == 7


def test_the_first_phase_is_the_default() -> None:
    assert perfmodel.analyze("llama-2-7b", "h100-sxm").data["settings"]["phase"] == "prefill"
    assert perfmodel.analyze("resnet50", "h100-sxm").data["settings"]["phase"] == "inference"


@pytest.mark.parametrize("what", ["hardware", "workloads", "operators"])
def test_lists_have_names(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    rows = _json(capsys, "list", what, "--format", "json")
    names = [r["name"] for r in rows]
    known = list(registry()) if what == "operators" else builtin_names(what)
    assert names == sorted(known)
    if what == "operators":
        assert all(r["class"] and r["example"].startswith(r["name"]) for r in rows)


@pytest.mark.parametrize("name", registry())
def test_every_operators_example_runs_on_every_device(name: str) -> None:
    graph = perfmodel.load_workload(registry()[name].example).bind()
    for hardware in builtin_names("hardware"):
        (cost,) = evaluate(graph, perfmodel.load_hardware(hardware))
        assert cost.time >= 0
        if not registry()[name].is_view:
            assert cost.bytes_read > 0
            assert cost.bytes_written > 0


@pytest.mark.parametrize("name", [n for n, op in registry().items() if op.has_gradient()])
def test_every_operator_with_a_gradient_trains_on_every_device(name: str) -> None:
    workload = perfmodel.load_workload(registry()[name].example)
    forward = workload.bind()
    step = for_phase(workload.bind(phase="training"), "adam", "none")
    assert {n.role for n in step.nodes} >= {"forward", "backward"}
    for hardware in builtin_names("hardware"):
        machine = perfmodel.load_hardware(hardware)
        trained, inferred = (totals(g, evaluate(g, machine)) for g in (step, forward))
        assert trained["flops"] >= inferred["flops"]
        assert trained["time_s"] >= inferred["time_s"]


@pytest.mark.parametrize("suffix", [".json", ".csv", ".md", ".html"])
def test_a_files_suffix_picks_its_format(
    suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / f"out{suffix}"
    arguments = ["analyze", "mnist-mlp", "-H", "l4", "-o", str(target)]
    assert main(arguments) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"wrote {target}\n"
    text = target.read_text()
    assert "hidden" in text
    assert [p.name for p in tmp_path.iterdir()] == [target.name]
    if suffix == ".csv":
        rows = list(csv.DictReader(io.StringIO(text)))
        assert [r["name"] for r in rows] == ["hidden", "relu", "output", "softmax"]
        assert float(rows[0]["macs"]) == 784 * 800
    if suffix == ".json":
        assert json.loads(text)["totals"]["parameters"] == 636_010


def test_several_files_are_written_in_one_run(tmp_path: Path) -> None:
    files = [tmp_path / "a.json", tmp_path / "a.csv"]
    arguments = ["analyze", "mnist-mlp", "-H", "l4"]
    assert main([*arguments, *(x for f in files for x in ("-o", str(f)))]) == 0
    assert all(f.exists() for f in files)


def _run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "import sys; from perfmodel.cli import main; sys.exit(main())",
         *arguments],
        capture_output=True, text=True, env={**os.environ, **environment}, check=False,
    )  # fmt: skip


def test_exit_codes() -> None:
    assert _run("analyze", "mnist-mlp", "-H", "l4").returncode == 0
    assert _run("--version").stdout == f"perfmodel {perfmodel.__version__}\n"
    assert _run("--help").returncode == 0
    assert _run("analyze", "mnist-mlp", "-H", "none").returncode == 2
    assert _run("analyze").returncode == 2


def test_an_internal_error_is_70_and_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr("perfmodel.api.describe", broken)
    assert main(["analyze", "mnist-mlp", "-H", "l4"]) == 70
    error = capsys.readouterr().err
    assert error.startswith("internal error: ZeroDivisionError: planted")
    assert error.count("\n") == 1
    monkeypatch.setenv("PERFMODEL_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        main(["analyze", "mnist-mlp", "-H", "l4"])


def test_an_interruption_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("perfmodel.api.describe", interrupted)
    assert main(["analyze", "mnist-mlp", "-H", "l4"]) == 130


def test_a_reader_that_leaves_early_is_no_error() -> None:
    code = "import sys; from perfmodel.cli import main; sys.exit(main())"
    arguments = ["sweep", "mnist-mlp", "-H", "l4", "--over", "batch=1:200000"]
    with subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 0


@pytest.mark.parametrize("width", [80, 100, 200])
def test_tables_fit_the_terminal(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    for arguments in (
        ["analyze", "resnet50", "-H", "a100-80gb-sxm"],
        ["analyze", "llama-2-7b", "-H", "h100-sxm", "--phase", "decode"],
        ["list", "hardware"],
        ["list", "operators"],
        ["show", "hardware", "tpu-v4"],
        ["show", "workload", "bert-base"],
    ):
        assert main(arguments) == 0
        out = capsys.readouterr().out
        assert max(map(len, out.splitlines())) <= width
        assert "\x1b" not in out


def test_numbers_are_never_cut_and_names_keep_their_ends(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["analyze", "bert-base", "-H", "h100-sxm", "--phase", "training"]) == 0
    out = capsys.readouterr().out
    assert "\N{HORIZONTAL ELLIPSIS}" not in out
    rows = [r for r in out.splitlines() if r.startswith("layers.inter")]
    assert any(r.split()[0].endswith(".grad_weight") for r in rows)
    assert all(r.split()[-2] in ("compute", "bandwidth", "overhead", "compute*") for r in rows)


def test_a_console_without_a_character_shows_another(tmp_path: Path) -> None:
    file = tmp_path / "net.yaml"
    file.write_text(
        "schema: perfmodel/workload@1\nname: net\ntitle: caf\u00e9\nfamily: mlp\nsource: a test\n"
        "inputs: {x: {shape: [1, 4]}}\nnodes: {fc: {op: affine, units: 2}}\n",
        encoding="utf-8",
    )
    done = _run("show", "workload", str(file), PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert "title: caf?" in done.stdout


def test_colour_is_for_terminals_only() -> None:
    assert "\x1b" not in _run("analyze", "mnist-mlp", "-H", "l4").stdout


def test_rows_are_sorted_and_cut(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["analyze", "resnet50", "-H", "l4", "--format", "markdown"]
    assert main([*arguments, "--sort", "time", "--top", "3"]) == 0
    table = [r for r in capsys.readouterr().out.splitlines() if r.startswith("| ")]
    assert len(table) == 4
    assert main([*arguments, "--sort", "name"]) == 0
    names = [
        r.split("|")[1].strip() for r in capsys.readouterr().out.splitlines() if r.startswith("| ")
    ][1:]
    assert names == sorted(names)
