"""Files that are no models, or no good ones: one clear line each, exit code 2."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import perfmodel
from perfmodel.cli import main
from perfmodel.errors import InputError

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402


def small_model(**changes: Any) -> Any:
    """Return a model of two layers; ``changes`` replace its nodes, inputs or tensors."""
    rng = np.random.default_rng(0)
    weights = [
        numpy_helper.from_array(rng.normal(size=(8, 4)).astype("float32"), "w"),
        numpy_helper.from_array(np.array([-1, 2, 4]), "shape"),
    ]
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"], name="first"),
        helper.make_node("Relu", ["h"], ["r"], name="second"),
        helper.make_node("Reshape", ["r", "shape"], ["y"], name="third"),
    ]
    graph = helper.make_graph(
        changes.get("nodes", nodes),
        "small",
        changes.get("inputs", [helper.make_tensor_value_info("x", 1, ["batch", 2, 8])]),
        [helper.make_tensor_value_info("y", 1, None)],
        changes.get("weights", weights),
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


def _external(location: str) -> Any:
    tensor = TensorProto(name="w", data_type=1, dims=[8, 4], data_location=1)
    tensor.external_data.append(onnx.StringStringEntryProto(key="location", value=location))
    return small_model(weights=[tensor, numpy_helper.from_array(np.array([-1, 2, 4]), "shape")])


CYCLE = [
    helper.make_node("Add", ["x", "b"], ["a"]),
    helper.make_node("Relu", ["a"], ["b"]),
    helper.make_node("Relu", ["b"], ["y"]),
]
HUGE = TensorProto(name="w", data_type=1, dims=[2**31, 2**31])
WHOLE = small_model().SerializeToString()

DAMAGED = {
    "text": (b"this is no model\n", "not an ONNX model"),
    "empty": (b"", "is empty"),
    "random": (random.Random(1).randbytes(4096), "not an ONNX model"),
    "cut short": (WHOLE[: len(WHOLE) // 2], "not an ONNX model"),
    "a cycle": (small_model(nodes=CYCLE), "form a cycle"),
    "2^62 values": (small_model(weights=[HUGE]), "at most 2**48 values"),
    "outside": (_external("../../secret.bin"), "outside the model's folder"),
    "absolute": (_external("/etc/passwd"), "outside the model's folder"),
    "nothing makes an input": (
        small_model(nodes=[helper.make_node("Relu", ["z"], ["y"])]), "which nothing makes",
    ),
    "unknown operator": (
        small_model(nodes=[helper.make_node("Frobnicate", ["x"], ["y"], domain="my.own")]),
        "my.own::Frobnicate",
    ),
    "an open size": (small_model(), "need"),
}  # fmt: skip


@pytest.mark.parametrize("what", DAMAGED)
def test_a_bad_file_is_one_clear_line(
    what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content, expected = DAMAGED[what]
    file = tmp_path / "model.onnx"
    file.write_bytes(content if isinstance(content, bytes) else content.SerializeToString())
    sizes = [] if what == "an open size" else ["--set", "batch=1"]
    if isinstance(content, bytes):
        sizes = []
    assert main(["analyze", str(file), "-H", "h100-sxm", *sizes]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert expected in shown.err


def _analyse(file: Path, **more: Any) -> dict[str, Any]:
    return perfmodel.analyze(str(file), "h100-sxm", **more).totals


def test_sizes_are_given_by_name_by_batch_and_by_shape(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(small_model().SerializeToString())
    totals = _analyse(file, batch=3)
    assert totals["macs"] == 3 * 2 * 8 * 4
    assert totals["parameters"] == 32
    assert _analyse(file, inputs={"x": (3, 2, 8)}) == totals
    swept = perfmodel.sweep(str(file), "h100-sxm", {"batch": [1, 3]})
    assert swept["flops"][1] == totals["flops"]


def test_external_weights_that_are_not_there_are_not_needed(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(_external("weights.bin").SerializeToString())
    assert _analyse(file, batch=1)["parameters"] == 32


def test_an_unknown_operator_may_be_charged_its_bytes(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(DAMAGED["unknown operator"][0].SerializeToString())  # type: ignore[union-attr]
    result = perfmodel.analyze(str(file), "h100-sxm", batch=1, allow_unknown=True)
    assert result.totals["unmodelled"] == ["my.own::Frobnicate"]
    assert result.data["coverage"]["unknown"]["nodes"] == 1
    assert result.totals["bytes"] == 2 * 4 * 16


def test_bytes_alone_are_refused_when_strict(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    nodes = [helper.make_node("NonZero", ["x"], ["y"])]
    file.write_bytes(small_model(nodes=nodes).SerializeToString())
    result = perfmodel.analyze(str(file), "h100-sxm", batch=1)
    assert result.data["coverage"]["bounded"]["operators"] == {"NonZero": 1}
    with pytest.raises(InputError, match="only the bytes are known: NonZero"):
        perfmodel.analyze(str(file), "h100-sxm", batch=1, strict=True)
