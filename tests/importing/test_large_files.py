"""Files of a gigabyte and more: their weights are neither read nor held in memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import perfmodel

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper  # noqa: E402

SIDE, LAYERS = 4096, 16
WHOLE = SIDE * SIDE * 4 * LAYERS
LIMIT_MB = 300
#: runs the command and prints the most memory it had, in KiB
CODE = """
import sys
from perfmodel.cli import main
code = main(sys.argv[1:])
print([line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")][0])
sys.exit(code)
"""


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _field(number: int, body: bytes, hole: int = 0) -> bytes:
    """Return a field of ``body`` and ``hole`` bytes more, which the caller leaves out."""
    return _varint(number << 3 | 2) + _varint(len(body) + hole) + body


def _weight(name: str, size: int, where: str) -> bytes:
    """Return a stored tensor up to its values, as an initializer or a Constant node."""
    tensor = TensorProto(name=name, data_type=1, dims=[SIDE, SIDE]).SerializeToString()
    tensor += _varint(9 << 3 | 2) + _varint(size)
    if where == "initializer":
        return _field(5, tensor, size)
    kind = _varint(20 << 3) + _varint(4)
    attribute = _field(1, b"value") + kind + _field(5, tensor, size)
    node = helper.make_node("Constant", [], [name]).SerializeToString()
    return _field(1, node + _field(5, attribute, size), size)


def _file(folder: Path, where: str) -> Path:
    """Write a model of LAYERS products; the values of its weights are holes in the file."""
    file, size = folder / "model.onnx", SIDE * SIDE * 4
    names = ["x", *(f"y{i}" for i in range(LAYERS))]
    nodes = [helper.make_node("MatMul", [names[i], f"w{i}"], [names[i + 1]]) for i in range(LAYERS)]
    given = [helper.make_tensor_value_info("x", 1, ["batch", SIDE])]
    made = [helper.make_tensor_value_info(names[-1], 1, None)]
    if where == "external":
        stored = []
        for i in range(LAYERS):
            tensor = TensorProto(name=f"w{i}", data_type=1, dims=[SIDE, SIDE], data_location=1)
            tensor.external_data.add(key="location", value="weights.bin")
            tensor.external_data.add(key="offset", value=str(i * size))
            stored.append(tensor)
        graph = helper.make_graph(nodes, "g", given, made, stored)
        file.write_bytes(helper.make_model(graph).SerializeToString())
        with (folder / "weights.bin").open("wb") as stream:
            stream.truncate(WHOLE)
        return file
    graph = helper.make_graph(nodes, "g", given, made).SerializeToString()
    weights = [_weight(f"w{i}", size, where) for i in range(LAYERS)]
    whole = len(graph) + sum(map(len, weights)) + WHOLE
    opset = helper.make_opsetid("", 17).SerializeToString()
    with file.open("wb") as stream:
        stream.write(_varint(1 << 3) + _varint(8) + _field(8, opset))
        stream.write(_varint(7 << 3 | 2) + _varint(whole))
        for weight in weights:
            stream.write(weight)
            stream.seek(size, 1)
        stream.write(graph)
    return file


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's account")
@pytest.mark.parametrize("where", ["initializer", "Constant", "external"])
def test_a_gigabyte_of_weights_takes_no_memory(where: str, tmp_path: Path) -> None:
    file = _file(tmp_path, where)
    held = sum(f.stat().st_size for f in tmp_path.iterdir())
    assert held > 1e9
    arguments = ["analyze", str(file), "-H", "h100-sxm", "--set", "batch=4", "--top", "1"]
    out = subprocess.check_output([sys.executable, "-c", CODE, *arguments], text=True)
    assert "268 M parameters, 1.07 GMAC" in out
    assert int(out.splitlines()[-1]) < LIMIT_MB * 1024


def _totals(graph: Any, folder: Path) -> Any:
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    file = folder / "model.onnx"
    file.write_bytes(helper.make_model(graph, opset_imports=opsets).SerializeToString())
    return perfmodel.analyze(str(file), "h100-sxm", batch=2).totals


def test_shape_constants_count_after_megabytes_of_small_weights(tmp_path: Path) -> None:
    # So many small tensors that values are kept sparingly; a reshape's target is read still.
    n, width = 400, 8_000
    stored = [
        TensorProto(name=f"w{i}", data_type=1, dims=[width], raw_data=bytes(4 * width))
        for i in range(n)
    ]
    stored.append(helper.make_tensor("target", 7, [2], [-1, 50]))
    names = ["x", *(f"y{i}" for i in range(n))]
    nodes = [helper.make_node("Add", [names[i], f"w{i}"], [names[i + 1]]) for i in range(n)]
    nodes.append(helper.make_node("Reshape", [names[-1], "target"], ["y"]))
    given = [helper.make_tensor_value_info("x", 1, ["batch", width])]
    made = [helper.make_tensor_value_info("y", 1, None)]
    totals = _totals(helper.make_graph(nodes, "g", given, made, stored), tmp_path)
    assert totals["parameters"] == n * width


def test_a_forest_of_many_trees_is_read_without_its_nodes(tmp_path: Path) -> None:
    node = helper.make_node("TreeEnsembleClassifier", ["x"], ["label", "y"], domain="ai.onnx.ml",
                            classlabels_int64s=[0, 1, 2])  # fmt: skip
    node.attribute.add(name="nodes_values", type=6).floats.extend([0.5] * 300_000)
    node.attribute.add(name="nodes_treeids", type=7).ints.extend([300] * 400_000)
    given = [helper.make_tensor_value_info("x", 1, ["batch", 30])]
    made = [helper.make_tensor_value_info("y", 1, None)]
    totals = _totals(helper.make_graph([node], "g", given, made), tmp_path)
    assert totals["bytes"] == 2 * (30 * 4 + 8 + 3 * 4)
