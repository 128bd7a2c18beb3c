"""Models that parse but make no sense, and odd ones that do: one clear line, or a result."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perfmodel.cli import main

onnx = pytest.importorskip("onnx")
building = pytest.importorskip("building")
from onnx import TensorProto, numpy_helper  # noqa: E402

GOOD = "g (float[2,8] x) => (float[a,b] y) { y = Relu(x) }"
PRODUCT = "g (float[2,8] x) => (float[a,b] y) { y = MatMul(x, w) }"
FUNCTION = '<domain: "loc", opset_import: ["": 17, "loc": 1]> f'


def _stored(**changes: Any) -> Any:
    built = building.parsed(PRODUCT)
    built.graph.initializer.append(TensorProto(name="w", **changes))
    return built


def _sparse(*dims: int) -> Any:
    built = building.parsed(PRODUCT)
    sparse = built.graph.sparse_initializer.add(dims=dims)
    sparse.values.CopyFrom(numpy_helper.from_array(np.ones(3, dtype="float32"), "w"))
    sparse.indices.CopyFrom(numpy_helper.from_array(np.array([1, 5, 9]), "places"))
    return built


def _changed(change: Callable[[Any], Any], text: str = GOOD) -> Any:
    built = building.parsed(text)
    change(built)
    return built


def _bomb() -> str:
    doubled = (
        f"{FUNCTION}{i} (a) => (b) {{ c = loc.f{i + 1}(a) b = loc.f{i + 1}(c) }}" for i in range(25)
    )
    body = GOOD.replace("Relu", "loc.f0")
    return f"{body} {' '.join(doubled)} {FUNCTION}25 (a) => (b) {{ b = Relu(a) }}"


def _external(location: str) -> Any:
    built = _stored(data_type=1, dims=[8, 4], data_location=1)
    built.graph.initializer[0].external_data.add(key="location", value=location)
    return built


#: model (text or proto), options of the command, part of the message
BAD: dict[str, tuple[Any, str, str]] = {
    "nodes missing": ("g (float[2,8] x) => (float[2,8] x) { }", "", "has no nodes"),
    "outputs missing": ("g (float[2,8] x) => () { y = Relu(x) }", "", "has no outputs"),
    "two makers": ("g (float[2] x) => (float[2] y) { y = Relu(x) y = Relu(x) }", "",
                   "model.onnx: two nodes make 'y'"),
    "an input less": (PRODUCT.replace(", w", ""), "", "MatMul has no input 1"),
    "no inputs": (GOOD.replace("(x) }", "() }"), "", "Relu has no input 0"),
    "text as axes": (GOOD.replace("Relu", 'Transpose<perm=["a","b"]>'), "", "perm ['a', 'b']"),
    "division by zero": (
        "g (float[1,3,8,8] x, float[4,3,3,3] w) => (float y) { y = Conv<strides=[0,0]>(x, w) }",
        "", "makes no sense"),
    "no operator": (_changed(lambda m: m.graph.node[0].ClearField("op_type")), "",
                    "does not say its operator"),
    "opset 6": (_changed(lambda m: setattr(m.opset_import[0], "version", 6)), "",
                "expected 7 or newer"),
    "a rank that is not said": (_changed(lambda m: m.graph.input[0].ClearField("type")), "",
                                "give it, as in --input x="),
    "an open size": (GOOD.replace("[2,8]", "[N,?]"), "",
                     "x[N, x_1] needs a size for N, x_1; give --set N=... --set x_1=..."),
    "an axis of 2^60": (GOOD.replace("[2,8]", f"[2,{2**60}]"), "", "expected at most 2**48"),
    "a size of 10^17": (GOOD.replace("[2,8]", "[N,8]"), f"--set N={10**17}", "over 2**48 values"),
    "a negative size": (_stored(data_type=1, dims=[-8, 4]), "", "expected sizes from 0"),
    "5,000 axes": (_stored(data_type=1, dims=[1] * 5000), "", "has 5000 axes, expected at most 64"),
    "a type of none": (_stored(data_type=99, dims=[8, 4]), "", "which ONNX does not have"),
    "a sparse tensor of 2^80": (_sparse(2**40, 2**40), "", "at most 2**48 values"),
    "data beside the folder": (_external("a/../../x"), "", "outside the model's folder"),
    "a long location": (_external("x" * 5000), "", "outside the model's folder"),
    "a function of itself": (f"{GOOD.replace('Relu', 'loc.f')} {FUNCTION} (a) => (b) "
                             "{ b = loc.f(a) }", "", "nest over 30 deep"),
    "functions without end": (_bomb(), "", "go on and on"),
    "an If of one branch": (
        "g (float[2] x, bool c) => (float y) { y = If(c) <then_branch = t () => (float[2] z)"
        " { z = Relu(x) }> }", "", "without its else_branch"),
    "a Loop without a body": ("g (float[2] x, bool c) => (float y) { y = Loop(c, c, x) }", "",
                              "without a body"),
    "a Scan of too little": (
        "g (float[2,8] x) => (float y) { y = Scan <num_scan_inputs=5, body = t (float[8] a) =>"
        " (float[8] z) { z = Relu(a) }> (x) }", "", "of which 5 are scanned"),
    "a value of nothing": (GOOD, "--value xx=3", "no input or tensor of that name"),
    "a value too few": ("g (int64[2] s) => (float y) { y = ConstantOfShape(s) }", "--value s=3",
                        "gives 1 numbers, expected 2"),
    "a value below zero": ("g (int64[2] s) => (float y) { y = ConstantOfShape(s) }",
                           "--value s=-3,4", "would have the shape [-3, 4]"),
    "a value that is missing": ("g (int64[2] s) => (float y) { y = ConstantOfShape(s) }", "",
                                "give it with --value s=..."),
}  # fmt: skip


def _run(model: Any, options: str, folder: Path) -> int:
    file = folder / "model.onnx"
    built = building.parsed(model) if isinstance(model, str) else model
    file.write_bytes(built.SerializeToString())
    return main(["analyze", str(file), "-H", "h100-sxm", *options.split()])


@pytest.mark.parametrize("what", BAD)
def test_a_bad_model_is_one_clear_line(
    what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, options, expected = BAD[what]
    assert _run(model, options, tmp_path) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert "model.onnx" in shown.err or options
    assert expected in shown.err


#: model, options of the command, parts of what is shown
ODD: dict[str, tuple[Any, str, tuple[str, ...]]] = {
    "no opset": (_changed(lambda m: m.ClearField("opset_import")), "",
                 ("16 FLOP", "does not say its opset: 13 is taken")),
    "an opset to come": (_changed(lambda m: setattr(m.opset_import[0], "version", 99)), "",
                         ("16 FLOP", "opset 99 is read as")),
    "sizes of -1": (_changed(lambda m: setattr(
        m.graph.input[0].type.tensor_type.shape.dim[0], "dim_value", -1)), "--set x_0=4",
        ("32 FLOP",)),
    "sizes called None": (GOOD.replace("[2,8]", "[None,unk__12]"),
                          "--set x_0=4 --set x_1=8", ("32 FLOP",)),
    "one symbol for two sizes": (GOOD.replace("[2,8]", "[n,n]"), "--input x=4x8", ("32 FLOP",)),
    "a symbol of signs": (_changed(lambda m: setattr(
        m.graph.input[0].type.tensor_type.shape.dim[0], "dim_param", "a*b + 1")),
        "--set a_b_1=4", ("32 FLOP",)),
    "weights among the inputs": (
        _changed(lambda m: m.graph.initializer.append(TensorProto(name="w", data_type=1,
                                                                  dims=[8, 4])),
                 "g (float[2,8] x, float[8,4] w) => (float[a,b] y) { y = MatMul(x, w) }"),
        "", ("32 parameters, 64 MAC",)),
    "an initializer twice": (
        _changed(lambda m: m.graph.initializer.extend([TensorProto(name="w", data_type=1,
                                                                   dims=[8, 4])] * 2), PRODUCT),
        "", ("32 parameters, 64 MAC",)),
    "a sparse initializer": (_sparse(8, 4), "", ("32 parameters, 64 MAC",)),
    "a function": (
        f"{GOOD.replace('Relu', 'loc.f')} {FUNCTION} (a) => (b) {{ c = Relu(a) b = Relu(c) }}",
        "", ("32 FLOP",)),
    "a function of another opset": (
        GOOD.replace("Relu", "loc.f") + ' <domain: "loc", opset_import: ["": 12]> f (a) => (b)'
        " { c = Unsqueeze<axes=[0]>(a) b = Relu(c) }", "", ("16 FLOP",)),
    "an attribute within a branch of a function": (
        GOOD.replace("Relu", "loc.f<k=1>") + ' <domain: "loc", opset_import: ["": 17]> f <k> (a)'
        " => (b) { c = Constant<value = bool {1}>() b = If (c) <then_branch = t () => (z)"
        " { z = Softmax<axis: int = @k>(a) }, else_branch = e () => (z) { z = Relu(a) }> }",
        "", ("78 FLOP",)),
    "a list of tensors": (
        "g (seq(float[2,3]) x) => (float y) { y = ConcatFromSequence<axis=0>(x) }", "--value x=3",
        ("144 B moved",)),
    "a list whose length is not said": (
        "g (seq(float[2,3]) x) => (float y) { z = ConcatFromSequence<axis=0>(x) y = Relu(z) }", "",
        ("taken to hold one tensor (--value x=N decides)",)),
    "a value that may be left out": (
        "g (optional(float[2,3]) x) => (float y) { z = OptionalGetElement(x) y = Relu(z) }", "",
        ("6 FLOP",)),
    "a node's output that is given a shape it has not": (
        "g (float[2,8] x) => (float[9,9] y) <float[7,7] z> { z = Relu(x) y = Relu(z) }", "",
        ("32 FLOP",)),
}  # fmt: skip


@pytest.mark.parametrize("what", ODD)
def test_an_odd_model_has_a_result(
    what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, options, expected = ODD[what]
    code = _run(model, options, tmp_path)
    shown = capsys.readouterr()
    assert shown.err == ""
    assert code == 0
    text = " ".join(shown.out.split())
    for part in expected:
        assert part in text
