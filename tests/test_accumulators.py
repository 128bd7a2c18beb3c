"""Accumulators: the format that products are summed in, asked for and stated."""

import json
from pathlib import Path
from typing import Any

import pytest

import perfmodel
from perfmodel.catalog import builtin_names, resolve
from perfmodel.cli import main
from perfmodel.core.formats import parse_precision
from perfmodel.errors import InputError
from perfmodel.machine import Machine
from perfmodel.report.roofline import points, roofs_in_use

USUAL = "fp16: {accumulate: fp32, ops_per_cycle: 2048, peak: 312 TFLOP/s}"
#: as consumer GPUs are: fp16 summed in fp32 at half the rate
HALF = "fp16: {accumulate: fp32, ops_per_cycle: 1024, peak: 156 TFLOP/s}"
NARROW = "fp16-acc-fp16: {ops_per_cycle: 2048, peak: 312 TFLOP/s}"
BIG = "matmul:m=8192,n=8192,k=8192"


def _text(*rates: str) -> str:
    text = resolve("a100-80gb-sxm", "hardware").read_text(encoding="utf-8")
    assert USUAL in text
    return text.replace(USUAL, "\n      ".join(rates))


def _device(folder: Path, *rates: str) -> Machine:
    file = folder / "device.yaml"
    file.write_text(_text(*rates), encoding="utf-8")
    return perfmodel.load_hardware(str(file))


def _row(machine: str | Machine, dtype: str, workload: str = BIG) -> dict[str, Any]:
    (row,) = perfmodel.analyze(workload, machine, dtype=dtype).operators
    return row


@pytest.mark.parametrize(
    ("text", "name", "activation", "accumulate"),
    [
        ("fp16-acc-fp16", "fp16-acc-fp16", "fp16", "fp16"),
        ("FP16-ACC-float32", "fp16-acc-fp32", "fp16", "fp32"),
        ("fp8-acc-fp16", "fp8_e4m3-acc-fp16", "fp8_e4m3", "fp16"),
        ("w8a8-acc-int32", "w8a8-acc-int32", "int8", "int32"),
        ("w4g64a16kv8-acc-fp32", "w4g64a16kv8-acc-fp32", "fp16", "fp32"),
        ("w4a16-bf16-acc-fp32", "w4a16-bf16-acc-fp32", "bf16", "fp32"),
        ("w4a16-bf16", "w4a16-bf16", "bf16", None),
        ("fp16", "fp16", "fp16", None),
    ],
)
def test_the_accumulator_stands_behind_the_operands(
    text: str, name: str, activation: str, accumulate: str | None
) -> None:
    found = parse_precision(text)
    assert (found.name, found.activation, found.accumulate) == (name, activation, accumulate)
    assert parse_precision(name) == found


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("fp16-acc-fp8", "products of fp16 cannot be summed in fp8_e4m3"),
        ("bf16-acc-fp16", "products of bf16 cannot be summed in fp16"),
        ("w8a8-acc-fp32", "products of int8 cannot be summed in fp32"),
        ("fp16-acc-int32", "products of fp16 cannot be summed in int32"),
        ("fp16-acc-fp17", "unknown number format"),
        ("fp16-acc-", "unknown number format"),
        ("-acc-fp32", "unknown number format"),
        ("fp16-acc-fp32-acc-fp32", "unknown number format"),
    ],
)
def test_an_accumulator_that_cannot_be_is_refused(text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        parse_precision(text)


def test_the_usual_rate_is_taken_unless_another_is_asked_for(tmp_path: Path) -> None:
    both, one = _device(tmp_path, HALF, NARROW), _device(tmp_path, HALF)
    assert _row(both, "fp16") == _row(one, "fp16")
    assert _row(both, "fp16-acc-fp32")["time_s"] == _row(one, "fp16")["time_s"]
    slow, fast = _row(both, "fp16"), _row(both, "fp16-acc-fp16")
    assert slow["limiter"] == fast["limiter"] == "tensor-core"
    assert slow["time_ideal_s"] == pytest.approx(2 * fast["time_ideal_s"], rel=1e-12)
    assert slow["flops"] == fast["flops"]
    assert (slow["bytes_read"], slow["dtype"]) == (fast["bytes_read"], fast["dtype"])


@pytest.mark.parametrize("name", builtin_names("hardware"))
@pytest.mark.parametrize("workload", [BIG, "attention:batch=2,q_heads=4,q_len=64,head_dim=32"])
def test_a_wider_accumulator_serves_a_narrower_request(name: str, workload: str) -> None:
    found = perfmodel.load_hardware(name).rate("matrix", "fp16", "fp16")
    assert found is not None
    if found[1].accumulator != "fp32":
        return  # it sums in fp16 when asked to, or in what its source does not say
    assert _row(name, "fp16-acc-fp16", workload) == _row(name, "fp16", workload)


def test_a_narrower_accumulator_is_never_given_for_a_wider_request(tmp_path: Path) -> None:
    machine = _device(tmp_path, USUAL.replace("fp32", "fp16"))
    with pytest.raises(InputError) as refused:
        _row(machine, "fp16-acc-fp32")
    assert "sums products of fp16 in fp16, asked for fp32 or wider" in str(refused.value)
    assert "leave -acc-fp32 out" in str(refused.value)
    assert _row(machine, "fp16")["time_s"] == _row(machine, "fp16-acc-fp16")["time_s"]


def test_an_accumulator_that_the_device_lacks_is_one_clear_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["analyze", BIG, "-H", "h100-sxm", "--dtype", "fp16-acc-fp64"]) == 2
    out = capsys.readouterr()
    assert out.out == ""
    assert out.err.count("\n") == 1
    assert "h100-sxm sums products of fp16 in fp32, asked for fp64 or wider" in out.err


def test_a_format_that_falls_back_keeps_its_accumulator(tmp_path: Path) -> None:
    # The A100 multiplies fp8 as fp16.
    machine = _device(tmp_path, HALF, NARROW)
    assert _row(machine, "fp8")["time_ideal_s"] == _row(machine, "fp16")["time_ideal_s"]
    asked = _row(machine, "fp8-acc-fp16")
    assert asked["time_ideal_s"] == _row(machine, "fp16-acc-fp16")["time_ideal_s"]
    assert asked["bytes_read"] == _row(machine, "fp8")["bytes_read"]


def test_partial_sums_of_half_the_bytes_let_blocks_grow(tmp_path: Path) -> None:
    machine = _device(tmp_path, HALF, NARROW)
    wide, narrow = (_row(machine, d)["bytes_by_level"] for d in ("fp16", "fp16-acc-fp16"))
    assert narrow["l1"] < wide["l1"]
    # C stays in blocks of capacity / bytes of a sum: the streams shrink with its root.
    assert wide["l1"] / narrow["l1"] == pytest.approx(2**0.5, rel=0.02)


@pytest.mark.parametrize("phase", ["inference", "training"])
def test_a_whole_network_is_summed_so(phase: str, tmp_path: Path) -> None:
    machine = _device(tmp_path, HALF, NARROW)
    usual, asked = (
        perfmodel.analyze("resnet50", machine, dtype=d, phase=phase, batch=64)
        for d in ("fp16", "fp16-acc-fp16")
    )
    halved = 0
    for before, after in zip(usual.operators, asked.operators, strict=True):
        assert after["flops"] == before["flops"]
        assert after["time_s"] <= before["time_s"]
        # Where products bind the roofline of both, it is halved.
        if after["time_ideal_s"] * 312e12 == pytest.approx(after["flops"], rel=1e-6):
            assert after["time_ideal_s"] == pytest.approx(before["time_ideal_s"] / 2)
            halved += 1
    assert halved > 10
    assert asked.totals["time_s"] < usual.totals["time_s"]
    assert asked.data["settings"]["accumulate"] == "fp16"


def test_a_sweep_takes_accumulators_as_the_analysis_does(tmp_path: Path) -> None:
    machine = _device(tmp_path, HALF, NARROW)
    names = ["fp16", "fp16-acc-fp16"]
    found = perfmodel.sweep("matmul:m=1,n=512,k=512", machine, {"dtype": names, "m": [64, 8192]})
    for row in found.itertuples():
        alone = perfmodel.analyze("matmul:m=1,n=512,k=512", machine, dtype=row.dtype, m=row.m)
        assert row.time_s == alone.totals["time_s"]


def test_the_roof_of_the_accumulator_is_drawn_and_not_exceeded(tmp_path: Path) -> None:
    machine = _device(tmp_path, HALF, NARROW)
    for dtype, expected in (("fp16", {"fp16"}), ("fp16-acc-fp16", {"fp16", "fp16-acc-fp16"})):
        data = perfmodel.analyze(BIG, machine, dtype=dtype, launch="graph").data
        used = roofs_in_use(data["hardware"], [data])
        assert {r["format"] for r in used if r["kind"] == "matrix"} == expected
        assert not any(p.above for p in points(data))


#: rates in place of the usual one, and what one line of the answer says
BAD = {
    "a format nobody knows": ((HALF, NARROW.replace("acc-fp16", "acc-fp17")), "unknown number"),
    "an alias": ((HALF, NARROW.replace("acc-fp16", "acc-half")), "write 'fp16'"),
    "an accumulator too narrow": (
        (HALF, NARROW.replace("acc-fp16", "acc-bf16")), "products of fp16 summed in bf16"),
    "no usual rate": ((NARROW,), "'fp16-acc-fp16' without a rate of 'fp16'"),
    "the usual accumulator again": (
        (USUAL, NARROW.replace("acc-fp16", "acc-fp32")), "that sums in another format"),
    "two accumulators": (
        (HALF, NARROW.replace("{", "{accumulate: fp32, ")), "accumulates in 'fp32'"),
    "slower than the wider": (
        (USUAL, "fp16-acc-fp16: {ops_per_cycle: 1024, peak: 156 TFLOP/s}"),
        "slower than in the wider fp32"),
    "a peak that its units do not bear out": (
        (HALF, NARROW.replace("312", "624")), "is it the sparse (2:4) figure?"),
    "integers counted as floats": (
        (USUAL, "int8-acc-int64: {ops_per_cycle: 4096, peak: 624 TFLOP/s}"), "counted in OP/s"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", BAD)
def test_a_wrong_accumulator_in_a_device_file_is_refused(mistake: str, tmp_path: Path) -> None:
    rates, says = BAD[mistake]
    with pytest.raises(InputError) as refused:
        _device(tmp_path, *rates)
    line = next((at for at in str(refused.value).splitlines() if says in at), None)
    assert line is not None, str(refused.value)
    assert "device.yaml:" in line


def test_an_accumulator_of_a_vector_engine_is_refused(tmp_path: Path) -> None:
    usual = "fp32: {ops_per_cycle: 128, peak: 19.5 TFLOP/s}"
    text = _text(USUAL)
    assert usual in text
    file = tmp_path / "device.yaml"
    more = f"{usual}\n      {usual.replace('fp32', 'fp32-acc-fp64')}"
    file.write_text(text.replace(usual, more), encoding="utf-8")
    with pytest.raises(InputError, match="'fp32-acc-fp64' on a vector engine"):
        perfmodel.load_hardware(str(file))


def test_show_hardware_says_what_matrix_products_are_summed_in(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _device(tmp_path, HALF, NARROW)
    assert main(["show", "hardware", str(tmp_path / "device.yaml"), "--format", "json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    roofs = {r["format"]: r for r in shown["roofs"] if r["kind"] == "matrix"}
    assert roofs["fp16-acc-fp16"]["peak"] == 312e12
    found = {f: (r["accumulate"], r["sparse_2_4"]) for f, r in roofs.items()}
    assert found["fp16"] == ("fp32", 2)
    assert found["fp16-acc-fp16"] == ("fp16", 2)
    assert found["fp64"] == ("fp64", None)
