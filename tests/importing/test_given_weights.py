"""Weights that a model computes: no parameters, read by their node, the same in every form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import perfmodel
from perfmodel.cli import main
from perfmodel.readers.convert import as_yaml

onnx = pytest.importorskip("onnx")
building = pytest.importorskip("building")
node, zeros = building.node, building.zeros

#: node of each kind, its inputs of which w, r are computed by a Relu, MACs
CASES = {
    "conv": (node("Conv", "x w"), {"x": (1, 2, 6, 6), "f": (4, 2, 3, 3)}, 4 * 16 * 18),
    "conv_bias": (node("Conv", "x w b"), {"x": (1, 2, 6, 6), "f": (4, 2, 3, 3), "b": (4,)},
                  4 * 16 * 18),
    "conv_transpose": (node("ConvTranspose", "x w"), {"x": (1, 2, 6, 6), "f": (2, 4, 3, 3)},
                       72 * 36),
    "gru": (node("GRU", "x w r", hidden_size=4), {"x": (3, 2, 5), "f": (1, 12, 5), "r": (1, 12, 4)},
            6 * 12 * 9),
    "batch_norm": (node("BatchNormalization", "x w w w w"), {"x": (2, 3, 4), "f": (3,)}, 0),
    "layer_norm": (node("LayerNormalization", "x w w"), {"x": (2, 3), "f": (3,)}, 0),
    "prelu": (node("PRelu", "x w"), {"x": (2, 3), "f": (3,)}, 0),
}  # fmt: skip


def _model(case: str) -> tuple[Any, int]:
    last, inputs, macs = CASES[case]
    return building.model([node("Relu", "f", "w"), last], inputs), macs


@pytest.mark.parametrize("case", CASES)
def test_computed_weights_are_no_parameters(case: str, tmp_path: Path) -> None:
    built, macs = _model(case)
    totals = building.analyzed(built, tmp_path).totals
    assert (totals["parameters"], totals["macs"]) == (0, macs)


@pytest.mark.parametrize("case", ["conv", "gru"])
def test_computed_weights_move_the_bytes_of_stored_ones(case: str, tmp_path: Path) -> None:
    last, inputs, _ = CASES[case]
    stored = {"w": zeros(*inputs["f"]), **{k: zeros(*v) for k, v in inputs.items() if k == "r"}}
    kept = building.analyzed(building.model([last], {"x": inputs["x"]}, stored), tmp_path)
    built, _ = _model(case)
    found = building.analyzed(built, tmp_path)
    assert found.operators[-1]["bytes_read"] == kept.operators[-1]["bytes_read"]
    assert kept.totals["parameters"] > 0


@pytest.mark.parametrize("case", CASES)
def test_a_converted_model_reads_its_computed_weights(case: str, tmp_path: Path) -> None:
    built, _ = _model(case)
    direct = building.analyzed(built, tmp_path).totals
    file = tmp_path / "model.yaml"
    file.write_text(as_yaml(perfmodel.load_workload(str(tmp_path / "model.onnx")), {}))
    assert "given: [" in file.read_text()
    converted = perfmodel.analyze(str(file), "h100-sxm").totals
    for key in ("parameters", "macs", "flops", "bytes", "peak_memory_bytes"):
        assert direct[key] == converted[key], key


FILE = """schema: perfmodel/workload@1
name: n
title: t
family: other
source: s
phases: {{inference: {{}}, training: {{}}}}
inputs:
  x: {{shape: [1, 2, 8, 8]}}
nodes:
  stem: {{op: conv2d, out_channels: 2, kernel: 3}}
  pool: {{op: reduce_mean, axes: [2, 3], keep: false}}
  head: {{op: affine, units: 36}}
  filters: {{op: reshape, shape: [2, 2, 3, 3]}}
  y: {{op: conv2d, inputs: [stem, filters], out_channels: 2, kernel: 3, given: {given}}}
"""


def test_gradients_pass_through_computed_weights(tmp_path: Path) -> None:
    file = tmp_path / "n.yaml"
    file.write_text(FILE.format(given="[weight]"))
    result = perfmodel.analyze(str(file), "h100-sxm", phase="training")
    names = [row["name"] for row in result.operators]
    assert "y.grad_weight" in names
    assert "head.grad_weight" in names
    assert result.totals["parameters"] == 2 * 2 * 9 + 2 * 36 + 36


@pytest.mark.parametrize(
    ("given", "message"),
    [("[filter]", "no weight 'filter'"), ("[weight, bias]", "takes 1 inputs, found 0"),
     ("weight", "expected a list")],
)  # fmt: skip
def test_a_wrong_weight_is_named(
    given: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "n.yaml"
    file.write_text(FILE.format(given=given))
    assert main(["analyze", str(file), "-H", "h100-sxm"]) == 2
    assert message in capsys.readouterr().err
