"""Bad input: one clear line with found, expected, place and mend; exit code 2; nothing written."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from perfmodel.cli import main

HARDWARE = "a100-80gb-sxm"

NETWORK = """\
schema: perfmodel/workload@1
name: net
title: A network
family: mlp
source: a test
dims: {batch: 2, hidden: 8}
inputs:
  x: {shape: [batch, 4]}
nodes:
  first: {op: affine, units: hidden}
  relu: {op: relu}
  second: {op: affine, units: 3}
"""


def _fails(capsys: pytest.CaptureFixture[str], arguments: Sequence[str], code: int = 2) -> str:
    assert main(arguments) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    message = captured.err
    assert message.startswith("error: ")
    assert message.count("\n") == 1, message
    assert "Traceback" not in message
    return message


def _device() -> str:
    from perfmodel.catalog import resolve

    return resolve(HARDWARE, "hardware").read_text()


def _analyze(workload: str | Path, hardware: str | Path = HARDWARE, *more: str) -> list[str]:
    return ["analyze", str(workload), "-H", str(hardware), *more]


COMMAND_LINES = {
    "missing workload file": (_analyze("no/such.yaml"), "no such file: 'no/such.yaml'"),
    "a folder": (_analyze("./"), "found a folder"),
    "missing hardware file": (_analyze("resnet50", "nowhere.yaml"), "no such file"),
    "unknown hardware": (_analyze("resnet50", "a100"), "did you mean 'a100-40gb-pcie'"),
    "misspelt hardware": (_analyze("resnet50", "h100-smx"), "did you mean 'h100-sxm'"),
    "unknown workload": (_analyze("bert-bas"), "did you mean 'bert-base'"),
    "empty workload name": (_analyze(""), "empty workload name"),
    "negative batch": (_analyze("resnet50", HARDWARE, "--set", "batch=-1"), "batch=-1, expected at least 1"),
    "zero batch": (_analyze("resnet50", HARDWARE, "--set", "batch=0"), "batch=0, expected at least 1"),
    "fractional batch": (_analyze("resnet50", HARDWARE, "--set", "batch=1.5"), "expected a whole number"),
    "batch in words": (_analyze("resnet50", HARDWARE, "--set", "batch=two"), "batch='two', expected a whole number"),
    "huge batch": (_analyze("resnet50", HARDWARE, "--set", "batch=1e30"), "below 2**62"),
    "unknown dim": (_analyze("resnet50", HARDWARE, "--set", "bach=2"), "no dim 'bach'; did you mean 'batch'?"),
    "set without a value": (_analyze("resnet50", HARDWARE, "--set", "batch"), "expected DIM=VALUE"),
    "set twice": (_analyze("resnet50", HARDWARE, "--set", "batch=1", "--set", "batch=2"), "'batch' twice"),
    "unknown format": (_analyze("resnet50", HARDWARE, "--dtype", "fp15"), "unknown number format 'fp15'; did you mean"),
    "format of an index": (_analyze("resnet50", HARDWARE, "--dtype", "bool"), "a network cannot run in bool"),
    "format the device lacks": (_analyze("resnet50", "tpu-v4", "--dtype", "fp64"), "states no rate for fp64"),
    "unknown phase": (_analyze("resnet50", HARDWARE, "--phase", "decode"), "has no phase 'decode'; it has inference"),
    "unknown launch": (_analyze("resnet50", HARDWARE, "--launch", "fast"), "one of eager, graph"),
    "unknown column": (_analyze("resnet50", HARDWARE, "--sort", "tme"), "unknown column 'tme'; did you mean 'time'"),
    "unknown output format": (_analyze("resnet50", HARDWARE, "--format", "yml"), "unknown format 'yml'"),
    "output without a known suffix": (_analyze("resnet50", HARDWARE, "-o", "x.txt"), "use .json, .csv, .md, .html"),
    "unwritable output": (_analyze("resnet50", HARDWARE, "-o", "/proc/none/x.json"), "cannot write '/proc/none/x.json'"),
    "unknown operator": (_analyze("matmull:m=1,n=1,k=1"), "unknown operator 'matmull'; did you mean 'matmul'"),
    "unknown size": (_analyze("matmul:m=1,n=1,q=1"), "matmul has no size 'q'"),
    "missing size": (_analyze("matmul:m=1,n=1"), "matmul needs k; as in matmul:m=4096"),
    "zero size": (_analyze("matmul:m=0,n=1,k=1"), "m=0, expected at least 1"),
    "size twice": (_analyze("matmul:m=1,m=2,n=1,k=1"), "'m' is given twice"),
    "size without a value": (_analyze("matmul:m,n=1,k=1"), "expected size=value"),
    "a flag that is no flag": (_analyze("attention:batch=1,q_heads=1,q_len=1,head_dim=1,causal=maybe"), "expected true or false"),
    "window larger than the image": (_analyze("conv2d:n=1,c=1,h=2,w=2,k=1,r=5,s=5"), "a window of 5 does not fit into 2"),
    "groups that do not divide": (_analyze("conv2d:n=1,c=3,h=9,w=9,k=4,r=3,s=3,groups=2"), "channels modulo groups"),
    "an onnx file that is not there": (_analyze("./model.onnx"), "no such file: 'model.onnx'"),
    "no hardware": (["analyze", "resnet50"], "--hardware"),
    "unknown option": (_analyze("resnet50", HARDWARE, "--bacth", "2"), "--bacth"),
    "unknown command": (["analyse", "resnet50"], "analyze"),
    "unknown list": (["list", "hardwares"], "did you mean 'hardware'"),
    "unknown thing to show": (["show", "device", "x"], "cannot show 'device'"),
    "plot to another format": (["plot", "resnet50", "-H", HARDWARE, "-o", "x.png"], "must end in .html"),
    "sweep to another format": (["sweep", "resnet50", "-H", HARDWARE, "--over", "batch=1", "-o", "x.xls"], "must end in .csv"),
    "empty range": (["sweep", "resnet50", "-H", HARDWARE, "--over", "batch=9:1"], "an empty range"),
    "range without numbers": (["sweep", "resnet50", "-H", HARDWARE, "--over", "batch=a:b"], "expected a whole number"),
    "axis twice": (["sweep", "resnet50", "-H", HARDWARE, "--over", "batch=1", "--over", "batch=2"], "'batch' twice"),
    "axis that is set": (["sweep", "resnet50", "-H", HARDWARE, "--over", "batch=1", "--set", "batch=2"], "both set and swept"),
    "unknown axis": (["sweep", "resnet50", "-H", HARDWARE, "--over", "bach=1"], "no dim 'bach'"),
    "zero in an axis": (["sweep", "resnet50", "-H", HARDWARE, "--over", "batch=0:4"], "expected at least 1"),
    "a grid too large": (["sweep", "resnet50", "-H", HARDWARE, "--over", "batch=1:1000000", "--over", "classes=1:1000000"], "1,000,000,000,000 points"),
    "a range too large": (["sweep", "resnet50", "-H", HARDWARE, "--over", "batch=1:10000000000000"], "values, expected at most"),
}  # fmt: skip


@pytest.mark.parametrize(("arguments", "says"), COMMAND_LINES.values(), ids=COMMAND_LINES)
def test_a_bad_command_line_is_one_clear_line(
    arguments: list[str],
    says: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert says in _fails(capsys, arguments)
    assert not list(tmp_path.iterdir())


#: what to replace in NETWORK, by what, what the message says, and where
BAD_NETWORKS = {
    "malformed YAML": ("dims: {batch: 2", "dims: {batch: 2]", "not YAML", None),
    "duplicate key": ("  relu: {op: relu}", "  first: {op: relu}", "duplicate key 'first'", "11:3"),
    "unknown key": ("title: A", "titel: A", "unknown key 'titel'; did you mean 'title'?", "3:1"),
    "unknown schema": ("workload@1", "workload@9", "expected 'perfmodel/workload@1'", "1:9"),
    "unknown operator": ("op: relu", "op: rulu", "unknown operator 'rulu'; did you mean 'relu'", "11:14"),
    "unknown attribute": ("units: 3", "unit: 3", "unknown attribute 'unit'", None),
    "missing attribute": ("units: 3", "bias: true", "affine needs 'units'", "12:11"),
    "wrong attribute": ("units: 3", "units: [3]", "expected a whole number or an expression", "12:31"),
    "float size": ("units: 3", "units: 3.5", "expected a whole number", "12:31"),
    "zero size": ("units: 3", "units: 0", "units=0, expected at least 1", "12:31"),
    "flag in words": ("units: 3", "units: 3, bias: no", "expected true or false", "12:40"),
    "unknown tensor": ("{op: relu}", "{op: relu, inputs: frist}", "unknown tensor 'frist'; did you mean 'first'?", "11:28"),
    "cyclic graph": ("{op: relu}", "{op: add, inputs: [first, second]}", "the nodes form a cycle: relu -> second -> relu", "10:3"),
    "unknown dim in an expression": ("units: hidden", "units: hiden * 2", "unknown dim 'hiden'", "10:30"),
    "dims in a circle": ("hidden: 8", "hidden: batch2, batch2: hidden", "in a circle: hidden -> batch2 -> hidden", "6:26"),
    "negative dim": ("hidden: 8", "hidden: -8", "hidden=-8", "6:26"),
    "shape mismatch": ("{op: relu}", "{op: add, inputs: [first, x]}", "relu: add: shapes [2, 8] and [2, 4] do not broadcast", "11:9"),
    "wrong number of inputs": ("{op: relu}", "{op: relu, inputs: [first, x]}", "relu takes 1 inputs, found 2", "11:9"),
    "code in an expression": ("units: 3", "units: \"__import__('os').system('true')\"", "is not allowed in the expression", "12:31"),
    "an attribute in an expression": ("units: 3", "units: batch.real", "is not allowed in the expression", "12:31"),
    "a comprehension": ("units: 3", "units: \"[1 for i in batch]\"", "is not allowed in the expression", "12:31"),
    "memory in an expression": ("units: 3", "units: 9**9**9**9", "exponent out of range", "12:31"),
    "a large power": ("units: 3", "units: (10**15)**4", "", "12:31"),
    "a large product": ("units: 3", "units: 2**40 * 2**40", "goes beyond 2**62", "12:31"),
    "a long expression": ("units: 3", "units: " + "+".join(["1"] * 300), "expected at most 400", "12:31"),
    "a deep expression": ("units: 3", "units: " + "-" * 60 + "1", "too deeply nested", "12:31"),
    "division by zero": ("units: 3", "units: 1 // (batch - 2)", "division by zero", "12:31"),
    "an inexact quotient": ("units: 3", "units: hidden / 3", "is not a whole number (remainder 2); use //", "12:31"),
    "an alias": ("dims: {batch: 2, hidden: 8}", "dims: &a {batch: 2, hidden: 8}\nmore: *a", "the anchor '&a'", "6:7"),
    "an octal number": ("hidden: 8", "hidden: 010", "'010', which some readers take as octal", "6:26"),
    "a tag": ("title: A", "title: !!python/name:os.system A", "the tag", "3:8"),
    "a merge key": ("dims: {batch", "dims: {<<: {a: 1}, batch", "a merge key", "6:8"),
    "a second document": ("  second:", "---\n  second:", "a second document", None),
    "a block that is unknown": ("{op: relu}", "{block: relux}", "unknown block 'relux'", "11:17"),
    "neither op nor block": ("{op: relu}", "{oop: relu}", "needs either 'op' or 'block'", "11:9"),
    "a block that contains itself": ("nodes:\n", "blocks: {b: {nodes: {n: {block: b}}}}\nnodes:\n", "block 'b' contains itself", "9:13"),
    "a repeat that changes shape": ("{op: relu}", "{op: affine, units: 5, repeat: batch * 0}", "repeat=0", None),
    "an unknown output": ("nodes:\n", "outputs: [secnd]\nnodes:\n", "unknown output 'secnd'; did you mean 'second'", "9:11"),
    "an unknown phase": ("dims:", "phases: {predict: {}}\ndims:", "found the text 'predict', expected 'inference'", "6:10"),
    "an unknown number format": ("dims:", "dtype: fp15\ndims:", "unknown number format 'fp15'", "6:8"),
    "a node named like an input": ("  relu: {op: relu}", "  x: {op: relu}", "'x' is an input already", "11:3"),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "says", "at"), BAD_NETWORKS.values(), ids=BAD_NETWORKS)
def test_a_bad_workload_file_is_one_clear_line(
    old: str,
    new: str,
    says: str,
    at: str | None,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    assert old in NETWORK
    file = tmp_path / "net.yaml"
    file.write_text(NETWORK.replace(old, new, 1))
    message = _fails(capsys, _analyze(file))
    assert says in message
    assert f"{file}:{at or ''}" in message
    if at:
        assert f"{file}:{at}:" in message


def test_the_network_of_these_tests_is_good(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "net.yaml"
    file.write_text(NETWORK)
    assert main(["check", str(file)]) == 0
    assert main(_analyze(file)) == 0
    assert capsys.readouterr().err == ""


BAD_DEVICES = {
    "bandwidth without a unit": ("bandwidth: 2039 GB/s", "bandwidth: 2039", "bare number 2039 where a bandwidth belongs; write the unit"),
    "a string-number": ("bandwidth: 2039 GB/s", "bandwidth: 2039e9", "bare number 2039000000000.0 where a bandwidth"),
    "a quoted number": ("bandwidth: 2039 GB/s", "bandwidth: '2039e9'", "number without a unit '2039e9'"),
    "GB where GB/s belongs": ("bandwidth: 2039 GB/s", "bandwidth: 2039 GB", "which is a capacity, where a bandwidth belongs"),
    "binary bandwidth": ("bandwidth: 2039 GB/s", "bandwidth: 1899 GiB/s", "bandwidth is decimal here; write '2039.04 GB/s'"),
    "bits": ("bandwidth: 2039 GB/s", "bandwidth: 2039 Gb/s", "whose unit is bits; write bytes with a capital B"),
    "an unknown unit": ("tdp: 400 W", "tdp: 400 watt", "unknown unit 'watt' in '400 watt'; write '400 W'"),
    "a sparse peak": ("peak: 312 TFLOP/s", "peak: 624 TFLOP/s", "is it the sparse (2:4) figure?"),
    "a wrong clock": ("boost: 1410 MHz", "boost: 1610 MHz", "2 % is allowed"),
    "a number where text belongs": ("vendor: NVIDIA", "vendor: 7", "vendor: found 7, expected text"),
    "a quoted count": ("count: 108", "count: '108'", "expected a whole number; write 108 without quotes"),
    "a missing key": ("tdp: 400 W\n", "", "missing key 'tdp'"),
    "a negative size": ("tdp: 400 W", "tdp: -400 W", "expected a finite power of at least 0"),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "says"), BAD_DEVICES.values(), ids=BAD_DEVICES)
def test_a_bad_hardware_file_is_one_clear_line(
    old: str, new: str, says: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    text = _device()
    assert old in text
    file = tmp_path / "device.yaml"
    file.write_text(text.replace(old, new, 1))
    message = _fails(capsys, _analyze("resnet50", file))
    assert says in message
    assert f"{file}:" in message


def test_an_alias_bomb_is_refused_at_once(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    file = tmp_path / "bomb.yaml"
    file.write_text("\n".join(lines))
    assert "the anchor '&a0'" in _fails(capsys, _analyze(file))


def test_blocks_cannot_grow_without_bound(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perfmodel.readers.network.MAX_NODES", 1000)
    blocks = ["  b0: {nodes: {n: {op: relu}, m: {op: relu}}}"]
    for i in range(1, 19):
        inner = ", ".join(f"n{j}: {{block: b{i - 1}}}" for j in range(4))
        blocks.append(f"  b{i}: {{nodes: {{{inner}}}}}")
    file = tmp_path / "net.yaml"
    text = NETWORK.replace("nodes:\n", "blocks:\n" + "\n".join(blocks) + "\nnodes:\n", 1)
    file.write_text(text.replace("{op: relu}\n  second", "{block: b18}\n  second"))
    assert "over 1,000 nodes" in _fails(capsys, _analyze(file))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"\xff\xfe\x00garbage", "is not UTF-8"),
        (b"[" * 10_000, "nesting"),
        (b"just text", "expected a mapping"),
        (b"a: \x00b", "not YAML"),
        (b"? [1, 2]\n: 3", "a key that is not text"),
    ],
)
def test_a_file_that_is_no_workload_is_one_clear_line(
    content: bytes, says: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "net.yaml"
    file.write_bytes(content)
    assert says in _fails(capsys, _analyze(file))


def test_check_prints_every_problem_and_the_good_files(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text(NETWORK)
    text = _device().replace("tdp: 400 W", "tdp: 400").replace("2039 GB/s", "2039 GB")
    bad.write_text(text)
    assert main(["check", str(bad), str(good), str(tmp_path / "none.yaml")]) == 2
    captured = capsys.readouterr()
    assert captured.out == f"{good}: ok (workload)\n"
    lines = captured.err.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("error: ") for line in lines)
    assert main(["check", str(good)]) == 0


def test_a_failing_write_leaves_the_old_file(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "out.json"
    target.write_text("old")

    def full(self: Path, *_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    arguments = _analyze("resnet50", HARDWARE, "-o", str(target))
    assert "No space left on device" in _fails(capsys, arguments)
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["out.json"]
