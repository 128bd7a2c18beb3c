"""Networks of the kinds that are met: work as ONNX Runtime's shapes say, parameters exact.

Detection with NMS, text with recurrent layers, sound, graphs, tables, eight-bit integers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import perfmodel
from perfmodel.readers.convert import as_yaml

pytest.importorskip("onnx")
building = pytest.importorskip("building")
counting = pytest.importorskip("counting")


def floats(*shape: int) -> Any:
    return np.zeros(shape, dtype="float32")


def codes(*shape: int, dtype: str = "int8") -> Any:
    return np.ones(shape, dtype=dtype)


DETECTION = """g (float[1,3,64,64] image) => (float[k,4] boxes, int64[k] classes) {
    c = Conv<pads=[1,1,1,1], strides=[2,2]>(image, w0, b0) r = Relu(c)
    scores = Conv(r, ws, bs) places = Conv(r, wp, bp) shape = Shape(image)
    zero = Constant<value_ints=[0]>() left = Constant<value_ints=[-1]>() one = Gather(shape, zero)
    five = Constant<value_ints=[5]>() four = Constant<value_ints=[4]>()
    st = Transpose<perm=[0,2,3,1]>(scores) pt = Transpose<perm=[0,2,3,1]>(places)
    s5 = Concat<axis=0>(one, left, five) p4 = Concat<axis=0>(one, left, four)
    s = Reshape(st, s5) p = Reshape(pt, p4) prob = Softmax<axis=-1>(s)
    by = Transpose<perm=[0,2,1]>(prob) most = Constant<value_ints=[30]>()
    iou = Constant<value_floats=[0.5]>() least = Constant<value_floats=[0.05]>()
    kept = NonMaxSuppression(p, by, most, iou, least)
    two = Constant<value_int=2>() i = Gather<axis=1>(kept, two) flat = Squeeze(p, zero)
    boxes = Gather<axis=0>(flat, i) c1 = Constant<value_int=1>() classes = Gather<axis=1>(kept, c1)
}"""
TEXT = """g (float[1,1,16,w] line) => (float[t,1,38] y) {
    c = Conv<pads=[1,1,1,1]>(line, w0, b0) n = BatchNormalization(c, g, g, g, g) r = Relu(n)
    p = MaxPool<kernel_shape=[16,2], strides=[16,2]>(r) h = Squeeze(p, axis)
    x = Transpose<perm=[2,0,1]>(h) q, hn, cn = LSTM<hidden_size=6, direction="bidirectional">
    (x, wi, wr, b) t = Transpose<perm=[0,2,1,3]>(q) keep = Constant<value_ints=[0,0,-1]>()
    both = Reshape(t, keep) m = MatMul(both, wf) z = Add(m, bf) y = LogSoftmax<axis=-1>(z) }"""
SOUND = """g (float[1,t] sound) => (float[f,1,1,4] y) {
    hop = Constant<value_int=160>() width = Constant<value_int=400>()
    window = HannWindow(width) s = STFT(sound, hop, window, width)
    power = ReduceSumSquare<axes=[-1], keepdims=0>(s) bands = Constant<value_int=80>()
    rate = Constant<value_int=16000>() low = Constant<value = float {0}>()
    high = Constant<value = float {8000}>() mel = MelWeightMatrix(bands, width, rate, low, high)
    m = MatMul(power, mel) tiny = Constant<value = float {0.000001}>() a = Add(m, tiny) l = Log(a)
    c = Transpose<perm=[0,2,1]>(l) v = Conv<pads=[1,1]>(c, w0, b0) r = Relu(v)
    x = Transpose<perm=[2,0,1]>(r) y, h = GRU<hidden_size=4, linear_before_reset=1>(x, wi, wr, b)
}"""
GRAPH = """g (float[n,8] nodes, int64[2,e] edges) => (float[n,3] y) {
    h = Gemm<transB=1>(nodes, w0, b0) zero = Constant<value_int=0>() one = Constant<value_int=1>()
    from = Gather<axis=0>(edges, zero) to = Gather<axis=0>(edges, one) sent = Gather(h, from)
    last = Constant<value_ints=[1]>() wide = Unsqueeze(to, last) size = Shape(sent)
    places = Expand(wide, size) shape = Shape(h) none = ConstantOfShape(shape)
    sum = ScatterElements<axis=0, reduction="add">(none, places, sent) r = Relu(sum)
    y = MatMul(r, w1) }"""
LEARNER = """g (float[n,4] x) => (int64[n] label, float[n,3] y) {
    s = ai.onnx.ml.Scaler<offset=[0.0], scale=[1.0]>(x) m = MatMul(s, w)
    label, y = ai.onnx.ml.LinearClassifier<coefficients=[0.1,0.2,0.3,0.4,0.5,0.6],
    intercepts=[0.0,0.0,0.0], classlabels_ints=[0,1,2]>(m) }"""
PAIRS = """g (float[n,3,16,16] x) => (float[n,5] y) {
    s = Constant<value = float {0.1}>() z = Constant<value = int8 {0}>()
    xq = QuantizeLinear(x, s, z) xd = DequantizeLinear(xq, s, z) wd = DequantizeLinear(w8, s, z)
    c = Conv<pads=[1,1,1,1]>(xd, wd) r = Relu(c) rq = QuantizeLinear(r, s, z)
    rd = DequantizeLinear(rq, s, z) p = GlobalAveragePool(rd) f = Flatten(p)
    fd = DequantizeLinear(f8, s, z) y = MatMul(f, fd) }"""
INTEGERS = """g (uint8[n,3,16,16] x) => (uint8[n,5] y) {
    s = Constant<value = float {0.1}>() z = Constant<value = uint8 {0}>()
    c = QLinearConv<pads=[1,1,1,1]>(x, s, z, w8, s, z, s, z) p = MaxPool<kernel_shape=[16,16]>(c)
    f = Flatten(p) y = QLinearMatMul(f, s, z, f8, s, z, s, z) }"""

#: model, its weights, what is fed, parameters that are learned
GRAPHS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "detection": (
        DETECTION,
        {"w0": floats(8, 3, 3, 3), "b0": floats(8), "ws": floats(15, 8, 1, 1), "bs": floats(15),
         "wp": floats(12, 8, 1, 1), "bp": floats(12)},
        {"image": floats(1, 3, 64, 64)}),
    "text": (
        TEXT,
        {"w0": floats(8, 1, 3, 3), "b0": floats(8), "g": floats(8), "axis": np.array([2]),
         "wi": floats(2, 24, 8), "wr": floats(2, 24, 6), "b": floats(2, 48),
         "wf": floats(12, 38), "bf": floats(38)},
        {"line": floats(1, 1, 16, 40)}),
    "sound": (
        SOUND,
        {"w0": floats(16, 80, 3), "b0": floats(16), "wi": floats(1, 12, 16),
         "wr": floats(1, 12, 4), "b": floats(1, 24)},
        {"sound": floats(1, 4000)}),
    "graph": (
        GRAPH, {"w0": floats(16, 8), "b0": floats(16), "w1": floats(16, 3)},
        {"nodes": floats(10, 8), "edges": np.zeros((2, 30), dtype="int64")}),
    "learner": (LEARNER, {"w": floats(4, 2)}, {"x": floats(6, 4)}),
    "pairs": (PAIRS, {"w8": codes(4, 3, 3, 3), "f8": codes(4, 5)}, {"x": floats(2, 3, 16, 16)}),
    "integers": (
        INTEGERS, {"w8": codes(4, 3, 3, 3, dtype="uint8"), "f8": codes(4, 5, dtype="uint8")},
        {"x": codes(2, 3, 16, 16, dtype="uint8")}),
}  # fmt: skip
#: tensors that are stored and not learned: running statistics, axes
STATE = {"text": 2 * 8 + 1}


@pytest.mark.parametrize("name", GRAPHS)
def test_work_and_parameters_are_the_runtimes(name: str, tmp_path: Path) -> None:
    built, feeds = _built(name)
    shapes = {k: tuple(v.shape) for k, v in feeds.items()}
    result = building.analyzed(built, tmp_path, inputs=shapes)
    assert result.totals["macs"] == counting.count(built, feeds) > 0
    held = sum(int(np.prod(t.dims)) for t in built.graph.initializer)
    assert result.totals["parameters"] == held - STATE.get(name, 0)
    assert result.totals["unmodelled"] == []


def _built(name: str) -> tuple[Any, dict[str, Any]]:
    """Return a model, its batch norms with four tensors each, and what it is fed."""
    text, stored, feeds = GRAPHS[name]
    built = building.parsed(text, stored)
    for node in built.graph.node:
        if node.op_type == "BatchNormalization":
            _apart(built, node)
    return built, feeds


def _apart(built: Any, node: Any) -> None:
    for i, name in enumerate(("scale", "shift", "mean", "variance"), 1):
        tensor = built.graph.initializer.add()
        tensor.CopyFrom(next(t for t in built.graph.initializer if t.name == "g"))
        tensor.name = node.input[i] = name
    built.graph.initializer.remove(next(t for t in built.graph.initializer if t.name == "g"))


@pytest.mark.parametrize("name", GRAPHS)
def test_a_converted_graph_analyses_to_the_same_numbers(name: str, tmp_path: Path) -> None:
    built, feeds = _built(name)
    shapes = {k: tuple(v.shape) for k, v in feeds.items()}
    direct = building.analyzed(built, tmp_path, inputs=shapes).totals
    written = tmp_path / "model.yaml"
    workload = perfmodel.load_workload(str(tmp_path / "model.onnx"), shapes)
    written.write_text(as_yaml(workload, {}))
    converted = perfmodel.analyze(str(written), "h100-sxm").totals
    for key in ("parameters", "macs", "flops", "bytes", "peak_memory_bytes"):
        assert direct[key] == converted[key], key


def test_what_depends_on_data_is_bounded_and_said(tmp_path: Path) -> None:
    built, _ = _built("detection")
    coverage = building.analyzed(built, tmp_path).data["coverage"]
    assert coverage["bounded"]["operators"] == {"NonMaxSuppression": 1}
    assert "the most it can is taken" in coverage["notes"][0]


def test_integers_run_as_integers(tmp_path: Path) -> None:
    for name in ("pairs", "integers"):
        built, feeds = _built(name)
        shapes = {k: tuple(v.shape) for k, v in feeds.items()}
        rows = building.analyzed(built, tmp_path, inputs=shapes).operators
        dense = [r for r in rows if r["macs"] and r["op"] == "conv2d"]
        assert len(dense) == 1
        assert dense[0]["operations_unit"] == "OP"
