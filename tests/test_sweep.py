"""Sweeps: every point equals the analysis there; order, axes and files."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import perfmodel
from perfmodel import sweeping
from perfmodel.cli import main

AXES: dict[str, Any] = {"batch": [1, 3, 8], "context": [128, 1000, 4096, 8192]}
COLUMNS = [
    "time_s", "time_low_s", "time_high_s", "flops", "bytes", "peak_memory_bytes", "bound",
]  # fmt: skip


def test_a_point_equals_the_analysis_there() -> None:
    frame = perfmodel.sweep("llama-2-7b", "h100-sxm", AXES, phase="decode")
    assert list(frame.columns) == ["batch", "context", *COLUMNS]
    assert len(frame) == 12
    for _, row in frame.iterrows():
        dims = {"batch": int(row["batch"]), "context": int(row["context"])}
        totals = perfmodel.analyze("llama-2-7b", "h100-sxm", phase="decode", **dims).totals
        for column in COLUMNS[:-1]:
            assert row[column] == totals[column], column
        assert row["bound"] == max(totals["time_by_bound"], key=totals["time_by_bound"].get)


def test_the_last_axis_varies_fastest() -> None:
    frame = perfmodel.sweep("llama-2-7b", "h100-sxm", AXES, phase="decode")
    assert list(frame["batch"]) == [1] * 4 + [3] * 4 + [8] * 4
    assert list(frame["context"]) == AXES["context"] * 3


def test_names_and_devices_are_axes_too() -> None:
    frame = perfmodel.sweep(
        "bert-base", ["l4", "tpu-v5e"], {"dtype": ["fp32", "int8"], "batch": [1, 2]}
    )
    assert list(frame.columns[:3]) == ["hardware", "dtype", "batch"]
    assert len(frame) == 8
    for _, row in frame.iterrows():
        totals = perfmodel.analyze(
            "bert-base", row["hardware"], dtype=row["dtype"], batch=int(row["batch"])
        ).totals
        assert row["time_s"] == totals["time_s"]


@pytest.mark.parametrize("limit", [1, 3, 5, 12])
def test_blocks_change_nothing(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = perfmodel.sweep("llama-2-7b", "h100-sxm", AXES, phase="decode")
    monkeypatch.setattr(sweeping, "BLOCK_POINTS", limit)
    blocks = list(sweeping.sweep_blocks("llama-2-7b", ["h100-sxm"], AXES, phase="decode"))
    assert all(len(b["batch"]) <= limit for b in blocks)
    cut = pd.concat([pd.DataFrame(b) for b in blocks], ignore_index=True)
    pd.testing.assert_frame_equal(whole, cut, check_exact=True)


def test_axes_are_written_as_ranges_lists_and_names() -> None:
    axes = sweeping.parse_axes(["batch=1:4", "context=128:160:16,512", "dtype=fp16,int8"])
    assert list(axes["batch"]) == [1, 2, 3, 4]
    assert list(axes["context"]) == [128, 144, 160, 512]
    assert axes["dtype"] == ["fp16", "int8"]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_files_hold_what_python_returns(suffix: str, tmp_path: Path) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    target = tmp_path / f"grid{suffix}"
    arguments = ["sweep", "llama-2-7b", "-H", "h100-sxm", "--phase", "decode"]
    over = ["--over", "batch=1,3,8", "--over", "context=128,1000,4096,8192"]
    assert main([*arguments, *over, "-o", str(target)]) == 0
    frame = pd.read_csv(target) if suffix == ".csv" else pd.read_parquet(target)
    expected = perfmodel.sweep("llama-2-7b", "h100-sxm", AXES, phase="decode")
    pd.testing.assert_frame_equal(frame, expected, check_exact=True, check_dtype=False)
    assert [p.name for p in tmp_path.iterdir()] == [target.name]


def test_without_a_file_the_rows_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", "relu:elements=1", "-H", "l4", "--over", "elements=1:3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == ",".join(["elements", *COLUMNS])
    assert len(lines) == 4


def test_an_operators_size_is_an_axis() -> None:
    axes = {"m": [1, 4, 4096]}
    frame = perfmodel.sweep("matmul:m=1,n=4096,k=4096", "a100-80gb-sxm", axes, dtype="fp16")
    assert list(frame["flops"]) == [2.0 * m * 4096**2 for m in (1, 4, 4096)]
    assert list(frame["bound"]) == ["bandwidth", "bandwidth", "compute"]


def test_a_failed_sweep_leaves_no_file(tmp_path: Path) -> None:
    target = tmp_path / "grid.csv"
    arguments = ["sweep", "resnet50", "-H", "l4", "--over", "height=8,1", "-o", str(target)]
    assert main(arguments) in (0, 2)
    arguments = ["sweep", "vgg16", "-H", "l4", "--over", "height=224,8", "-o", str(target)]
    assert main(arguments) == 2
    assert not [p for p in tmp_path.iterdir() if p.suffix != ".csv"]


def test_empty_and_double_axes_are_refused() -> None:
    with pytest.raises(perfmodel.InputError, match="the axis 'batch' has no values"):
        perfmodel.sweep("resnet50", "l4", {"batch": np.array([])})
    with pytest.raises(perfmodel.InputError, match="'dtype' is both set and swept"):
        perfmodel.sweep("resnet50", "l4", {"dtype": ["fp16"]}, dtype="fp32")
