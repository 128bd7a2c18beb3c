"""Branches, loops, scans and lists: the work of the nodes that really run, each weight once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import perfmodel
from perfmodel.readers.convert import as_yaml
from perfmodel.readers.onnx.workload import read_onnx

pytest.importorskip("onnx")
building = pytest.importorskip("building")
executed = pytest.importorskip("executed")
runtime = pytest.importorskip("onnxruntime")

CPU = ["CPUExecutionProvider"]

ON = "start = Constant<value = bool {1}>()"
HEAD = "net (float[4,8] x) =>"


def number(name: str, value: int, shape: str = "") -> str:
    return f"{name} = Constant<value = int64{shape} {{{value}}}>()"


def loop(body: str, limit: str = "3", states: str = "") -> str:
    count = number("n", int(limit))
    return f"{HEAD} (float[a,b] y) {{ {count} {ON} y = Loop (n, start, x) <body = b {body}> }}"


STEP = "(int64 i, bool going, float[p,8] s) => (bool on, float[q,8] t)"
#: each: model, values that the user gives
CASES: dict[str, tuple[str, dict[str, int]]] = {
    "counted": (loop(STEP + " { on = Identity(going) t = MatMul(s, w) }"), {}),
    "counted with a constant": (
        loop(STEP + " { on = Constant<value = bool {1}>() t = MatMul(s, w) }"), {}),
    "collected": (
        f"{HEAD} (float[a,b] y, float[c,d,e] all) {{ {number('n', 5)} {ON}"
        " y, all = Loop (n, start, x)"
        " <body = b (int64 i, bool going, float[4,8] s) => (bool on, float[4,8] t, float[4,8] u)"
        " { on = Identity(going) t = MatMul(s, w) u = Relu(t) }> }", {}),
    "a state that grows": (
        loop(STEP + " { on = Identity(going) u = MatMul(s, w) t = Concat<axis=0>(u, x) }"), {}),
    "as many as a shape says": (
        f"{HEAD} (float[a,b] y) {{ sizes = Shape(x) {number('z', 0)} n = Gather(sizes, z) {ON}"
        f" y = Loop (n, start, x) <body = b {STEP} {{ on = Identity(going) t = MatMul(s, w) }}> }}",
        {}),
    "until a counter ends it": (
        f"{HEAD} (float[a,b] y, int64 last) {{ {number('n', 2**63 - 1)} {ON} {number('z', 0)}"
        " y, last = Loop (n, start, x, z) <body = b (int64 i, bool going, float[4,8] s, int64 k)"
        " => (bool on, float[4,8] t, int64 m) { t = MatMul(s, w) "
        f"{number('one', 1)} m = Add(k, one) {number('most', 5)} on = Less(m, most) }}> }}", {}),
    "a step's number that cuts": (
        f"{HEAD} (float[a,b,c] y) {{ {number('n', 4)} {ON} y = Loop (n, start) <body = b"
        " (int64 i, bool going) => (bool on, float[1,1] u) { on = Identity(going)"
        f" {number('one', 1, '[1]')} {number('z', 0, '[1]')} k = Add(i, one)"
        " part = Slice(x, z, k, z) t = MatMul(part, w) u = ReduceSum(t) }> }", {}),
    "a branch by a step's number": (
        loop(STEP + f" {{ on = Identity(going) {number('one', 1)} first = Less(i, one)"
             " t = If (first) <then_branch = t () => (float[4,8] v) { v = Relu(s) },"
             " else_branch = e () => (float[4,8] v) { v = MatMul(s, w) }> }"), {}),
    "a loop within a loop": (
        loop(STEP + f" {{ on = Identity(going) {number('m', 2)} t = Loop (m, going, s) <body = c"
             " (int64 j, bool g, float[p,8] r) => (bool h, float[q,8] v)"
             " { h = Identity(g) v = MatMul(r, w) }> }"), {}),
    "never": (loop(STEP + " { on = Identity(going) t = MatMul(s, w) }", limit="0"), {}),
    "a value that says how often": (
        f"net (float[4,8] x, int64 n) => (float[a,b] y) {{ {ON} y = Loop (n, start, x)"
        f" <body = b {STEP} {{ on = Identity(going) u = MatMul(s, w) t = Concat<axis=0>(u, x) }}>"
        " }", {"n": 4}),
    "a list that a loop fills": (
        f"{HEAD} (float[a,b] y) {{ {number('n', 3)} {ON} e = SequenceEmpty()"
        " l = Loop (n, start, e) <body = b (int64 i, bool going, seq(float[4,8]) s) =>"
        " (bool on, seq(float[4,8]) t) { on = Identity(going) u = MatMul(x, w)"
        " t = SequenceInsert(s, u) }> y = ConcatFromSequence<axis=0>(l) }", {}),
    "a list that is taken apart": (
        f"{HEAD} (float[a,b] y) {{ l = SplitToSequence<axis=0>(x) n = SequenceLength(l) {ON}"
        " y = Loop (n, start, x) <body = b (int64 i, bool going, float[4,8] s) =>"
        " (bool on, float[4,8] t) { on = Identity(going) part = SequenceAt(l, i)"
        " u = MatMul(part, w) t = Add(s, u) }> }", {}),
    "scanned": (
        f"{HEAD} (float[8] h, float[a,b] y) {{ z = Constant<value = float[8] {{0,0,0,0,0,0,0,0}}>()"
        " h, y = Scan <num_scan_inputs=1, body = b (float[8] s, float[8] a) => (float[8] t,"
        " float[8] u) { p = MatMul(a, w) t = Add(s, p) u = Relu(t) }> (z, x) }", {}),
    "a branch that a shape picks": (
        f"{HEAD} (float[a,b] y) {{ s = Shape(x) {number('z', 0)} {number('four', 4)}"
        " n = Gather(s, z) c = Equal(n, four) y = If (c) <then_branch = t () => (float[4,8] v)"
        " { v = MatMul(x, w) }, else_branch = e () => (float[4,8] v)"
        " { u = MatMul(x, w) v = MatMul(u, w) }> }", {}),
    "a branch that the user picks": (
        "net (float[4,8] x, bool c) => (float[a,b] y) { y = If (c) <then_branch = t () =>"
        " (float[4,8] v) { v = MatMul(x, w) }, else_branch = e () => (float[4,8] v)"
        " { u = MatMul(x, w) v = MatMul(u, w) }> }", {"c": 1}),
}  # fmt: skip
WEIGHT = np.zeros((8, 8), dtype="float32")


def _saved(case: str, folder: Path) -> tuple[Any, Path]:
    built = building.parsed(CASES[case][0], {"w": WEIGHT})
    file = folder / "model.onnx"
    file.write_bytes(built.SerializeToString())
    return built, file


@pytest.mark.parametrize("case", CASES)
def test_work_is_that_of_the_executed_nodes(case: str, tmp_path: Path) -> None:
    built, file = _saved(case, tmp_path)
    given = CASES[case][1]
    feeds: dict[str, Any] = {"x": np.zeros((4, 8), dtype="float32")}
    feeds |= {k: np.array(v, dtype=bool if k == "c" else "int64") for k, v in given.items()}
    macs = executed.run(built, feeds)
    values = {k: (v,) for k, v in given.items()}
    result = perfmodel.analyze(str(file), "h100-sxm", values=values)
    assert result.totals["macs"] == macs
    assert result.totals["parameters"] == (72 if case == "scanned" else 64)
    assert not result.data["coverage"]["notes"]
    workload = read_onnx(file).with_inputs({}, values)
    _, _, outputs = workload.imported({}, workload.precision)
    session = runtime.InferenceSession(built.SerializeToString(), providers=CPU)
    assert [v.shape for v in outputs] == [v.shape for v in session.run(None, feeds)]


@pytest.mark.parametrize("case", [c for c, (_, values) in CASES.items() if not values])
def test_a_converted_model_analyses_to_the_same_numbers(case: str, tmp_path: Path) -> None:
    _, file = _saved(case, tmp_path)
    direct = perfmodel.analyze(str(file), "h100-sxm").totals
    if not direct["flops"]:
        return  # nothing runs, and a file of nothing has no form
    written = tmp_path / "model.yaml"
    written.write_text(as_yaml(perfmodel.load_workload(str(file)), {}))
    converted = perfmodel.analyze(str(written), "h100-sxm").totals
    for key in ("parameters", "macs", "flops", "bytes", "peak_memory_bytes"):
        assert direct[key] == converted[key], key


BRANCHES = (
    "net (float[4,8] x, bool c) => (float[a,b] y) { y = If (c) <then_branch = t () =>"
    " (float[4,8] v) <float[8,8] small = {ZEROS}> { v = MatMul(x, small) }, else_branch = e () =>"
    " (float[4,8] v) { u = MatMul(x, w) v = MatMul(u, w) }> }"
).replace("ZEROS", ", ".join(["0"] * 64))


@pytest.mark.parametrize(("picked", "macs"), [(1, 256), (0, 512), (None, 512)])
def test_both_branches_count_as_parameters(picked: int | None, macs: int, tmp_path: Path) -> None:
    built = building.parsed(BRANCHES, {"w": WEIGHT})
    values = {} if picked is None else {"c": (picked,)}
    result = building.analyzed(built, tmp_path, values=values)
    assert (result.totals["parameters"], result.totals["macs"]) == (128, macs)
    notes = result.data["coverage"]["notes"]
    assert len(notes) == (picked is None)
    assert picked is not None or "--value c=0 or 1 decides" in notes[0]


def _open(limit: str, condition: str) -> str:
    return (
        f"net (float[4,8] x, int64 n) => (float[a,b] y) {{ {limit} {ON}"
        f" y = Loop (m, start, x) <body = b {STEP} {{ t = MatMul(s, w) {condition} }}> }}"
    )


COMPUTED = "r = ReduceSum<keepdims=0>(t) k = Constant<value = float {0.5}>() on = Less(r, k)"
#: model, trips taken, words of the note
OPEN = {
    "a count that is computed": (
        _open("m = Identity(n)", "on = Identity(going)"), 1, "once is taken (--value n=N decides)"),
    "until a computed condition": (
        _open(number("m", 2**63 - 1), COMPUTED), 1, "once is taken (--value Loop.y=N decides)"),
    "at most": (
        _open(number("m", 10), COMPUTED), 10,
        "at most 10 times: that is taken (--value Loop.y=N decides)"),
}  # fmt: skip


@pytest.mark.parametrize("case", OPEN)
def test_a_loop_of_unknown_length_says_so_and_takes_a_value(case: str, tmp_path: Path) -> None:
    text, trips, words = OPEN[case]
    built = building.parsed(text, {"w": WEIGHT})
    result = building.analyzed(built, tmp_path)
    assert result.totals["macs"] == trips * 256
    assert words in result.data["coverage"]["notes"][0]
    name = words.split("--value ")[1].split("=")[0]
    told = building.analyzed(built, tmp_path, values={name: (7,)})
    assert told.totals["macs"] == 7 * 256
    assert not told.data["coverage"]["notes"]


ACROSS = (
    f"{HEAD} (float[a,b] y) {{ y = Scan <num_scan_inputs=1, scan_input_axes=[1],"
    " scan_output_axes=[-1], body = b (float[4] a) => (float[8] u)"
    " { k = Constant<value = int64[1] {2}>() p = Tile(a, k) u = MatMul(p, w) }> (x) }"
)


def test_a_scan_across_reads_columns_and_writes_columns(tmp_path: Path) -> None:
    # The reference evaluator cannot, so the work is counted by hand: 8 columns of 8x8.
    built = building.parsed(ACROSS, {"w": WEIGHT})
    result = building.analyzed(built, tmp_path)
    assert result.totals["macs"] == 8 * 64
    assert building.shapes(built, tmp_path) == [(8, 8)]
    session = runtime.InferenceSession(built.SerializeToString(), providers=CPU)
    (y,) = session.run(None, {"x": np.zeros((4, 8), dtype="float32")})
    assert y.shape == (8, 8)


def test_nested_branches_cost_no_more_than_their_nodes(tmp_path: Path) -> None:
    # Each branch is imported once: else 25 levels would take minutes.
    inner = "(float[4,8] v) { v = MatMul(x, w) }"
    for depth in range(25):
        inner = (
            f"(float[4,8] v) {{ u{depth} = Relu(x) v = If (c) <then_branch = t{depth} () =>"
            f" {inner}, else_branch = e{depth} () => (float[4,8] v) {{ v = Relu(x) }}> }}"
        )
    text = (
        "net (float[4,8] x, bool c) => (float[a,b] y) { y = If (c) <then_branch = t () =>"
        f" {inner}, else_branch = e () => (float[4,8] v) {{ v = Relu(x) }}> }}"
    )
    built = building.parsed(text, {"w": WEIGHT})
    assert building.analyzed(built, tmp_path).totals["macs"] == 256


def test_long_loops_whose_tensors_grow_are_counted_at_their_middle(tmp_path: Path) -> None:
    text = CASES["a value that says how often"][0]
    built = building.parsed(text, {"w": WEIGHT})
    trips = 9001
    result = building.analyzed(built, tmp_path, values={"n": (trips,)})
    exact = sum(4 * (i + 1) * 64 for i in range(trips))
    assert result.totals["macs"] == exact
    assert "middle size" in result.data["coverage"]["notes"][0]
