"""Which tensors of a file are parameters, and which follow from its sizes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import perfmodel
from perfmodel.memory import memory_by_kind
from perfmodel.readers.convert import as_yaml

onnx = pytest.importorskip("onnx")
building = pytest.importorskip("building")
node, zeros = building.node, building.zeros


def number(*values: int) -> Any:
    return np.array(values, dtype="int64")


LENGTH = [
    node("Shape", "ids", "s"),
    node("Gather", "s one", "n1"),
    node("Squeeze", "n1", "n"),
    node("Range", "zero n step", "places"),
]
SIZES = {"one": number(1), "zero": np.array(0), "step": np.array(1)}
#: nodes, inputs, stored, parameters
CASES: dict[str, tuple[list[Any], dict[str, Any], dict[str, Any], int]] = {
    "parts of one weight are three tensors": (
        [
            node("Split", "w thirds", "a b c", axis=1),
            node("MatMul", "x a", "p"), node("MatMul", "x b", "q"), node("MatMul", "x c", "r"),
            node("Sum", "p q r", "y"),
        ],
        {"x": (2, 6)}, {"w": zeros(6, 12), "thirds": number(4, 4, 4)}, 72,
    ),
    "a weight turned for one of two products is one tensor": (
        [
            node("Transpose", "w", "v", perm=[1, 0]), node("MatMul", "x w", "p"),
            node("MatMul", "p v", "y"),
        ],
        {"x": (2, 6)}, {"w": zeros(6, 4)}, 24,
    ),
    "a token repeated for every sample is itself": (
        [
            node("Shape", "x", "s"), node("Gather", "s zero1", "b"),
            node("Concat", "b rest", "shape", axis=0), node("Expand", "w shape", "wide"),
            node("Concat", "x wide", "y", axis=1),
        ],
        {"x": ("batch", 3, 8)}, {"w": zeros(1, 1, 8), "zero1": number(0), "rest": number(1, 8)}, 8,
    ),
    "a table is whole however many rows are read": (
        [*LENGTH, node("Gather", "table places", "rows"), node("Gather", "words ids", "w"),
         node("Add", "w rows", "y")],
        {"ids": zeros(2, 5, dtype="int64")},
        {**SIZES, "table": zeros(32, 8), "words": zeros(50, 8)}, 32 * 8 + 50 * 8,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_parameters_are_those_of_the_file(case: str, tmp_path: Path) -> None:
    nodes, inputs, stored, parameters = CASES[case]
    found = building.analyzed(building.model(nodes, inputs, stored), tmp_path, batch=2).totals
    assert found["parameters"] == parameters


@pytest.mark.parametrize("batch", [2, 5])
def test_sizes_stay_open_in_what_follows_from_them(batch: int, tmp_path: Path) -> None:
    # Of an open length are the places, the filled memory, the comparison and the mask.
    nodes = [
        node("Shape", "ids", "s"), node("Gather", "s one0", "n"), node("Range", "zero n step", "r"),
        node("ConstantOfShape", "s", "filled"), node("Cast", "r", "f", to=1),
        node("Unsqueeze", "f axis", "column"), node("Add", "filled column", "m"),
        node("Gather", "table ids", "w"), node("Unsqueeze", "m last", "mask"),
        node("Mul", "w mask", "y"),
    ]  # fmt: skip
    stored = {"one0": np.array(0), "zero": np.array(0), "step": np.array(1), "axis": number(1),
              "last": number(2), "table": zeros(9, 8)}  # fmt: skip
    ids = onnx.helper.make_tensor_value_info("ids", 7, ["batch", 4])
    built = building.model(nodes, {"ids": zeros(2, 4, dtype="int64")}, stored)
    built.graph.input[0].CopyFrom(ids)
    found = building.analyzed(built, tmp_path, batch=batch).totals
    file = tmp_path / "model.yaml"
    source = perfmodel.load_workload(str(tmp_path / "model.onnx"))
    file.write_text(as_yaml(source, {"batch": 3}))
    converted = perfmodel.analyze(str(file), "h100-sxm", batch=batch).totals
    for key in ("parameters", "macs", "flops", "bytes", "peak_memory_bytes"):
        assert found[key] == converted[key], key


BLOCKS = """schema: perfmodel/workload@1
name: n
title: t
family: other
source: s
dims: {{times: 3}}
inputs:
  x: {{shape: [64, 64]}}
blocks:
  layer:
    inputs: [x, mask]
    nodes:
      a: {{op: add}}
      b: {{op: tile, repeats: [1, 8]}}
      c: {{op: slice, axis: 1, start: 0, length: 64}}
nodes:
  mask: {{op: relu}}
  other: {{op: relu, inputs: x}}
{layers}
"""
ONE = "  body: {block: layer, inputs: [other, mask], repeat: times}"
FLAT = """  one: {block: layer, inputs: [other, mask]}
  two: {block: layer, inputs: [one, mask]}
  three: {block: layer, inputs: [two, mask]}"""


def test_what_a_repeated_block_reads_lives_until_its_last_execution(tmp_path: Path) -> None:
    peaks = []
    for layers in (ONE, FLAT):
        file = tmp_path / "n.yaml"
        file.write_text(BLOCKS.format(layers=layers))
        graph = perfmodel.load_workload(str(file)).bind()
        peaks.append(memory_by_kind(graph)["activations"])
    assert peaks[0] == peaks[1]
