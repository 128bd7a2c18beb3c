"""Shapes as exporters compute them: arithmetic on sizes, sizes that depend on data.

The truth is ONNX Runtime, which runs each model.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import perfmodel
from perfmodel.readers.onnx.workload import read_onnx

pytest.importorskip("onnx")
building = pytest.importorskip("building")
runtime = pytest.importorskip("onnxruntime")


def ints(name: str, *values: int) -> str:
    return f"{name} = Constant<value_ints = [{', '.join(map(str, values))}]>()"


def one(name: str, value: int) -> str:
    return f"{name} = Constant<value_int = {value}>()"


NONE = "none = Constant<value_floats: floats = []>()"
IMAGE = "g (float[1,3,h,w] x) => (float[a,b,c,d] y)"
ROWS = "g (float[n,6] x) => (float[a,b] y)"
BLOCK = "g (float[n,3,8] x) => (float[a,b,c] y)"
#: model, its sizes
CASES: dict[str, tuple[str, dict[str, int]]] = {
    "resize to scaled sizes": (
        f"{IMAGE} {{ s = Shape(x) {ints('i0', 0)} {ints('i2', 2)} {ints('i4', 4)} {NONE}"
        " nc = Slice(s, i0, i2) hw = Slice(s, i2, i4) f = Cast<to=1>(hw)"
        " k = Constant<value = float[2] {1.7, 2.3}>() m = Mul(f, k) r = Floor(m)"
        " z = Cast<to=7>(r) t = Concat<axis=0>(nc, z) y = Resize(x, none, none, t) }",
        {"h": 13, "w": 17}),
    "resize to divided sizes, rounded up": (
        f"{IMAGE} {{ s = Shape(x) {one('i', 2)} g = Gather(s, i) f = Cast<to=1>(g) {NONE}"
        " k = Constant<value = float {4}>() q = Div(f, k) r = Ceil(q) m = Cast<to=7>(r)"
        f" {ints('u', 1)} v = Reshape(m, u) {ints('nc', 1, 3)} t = Concat<axis=0>(nc, v, v)"
        " y = Resize(x, none, none, t) }", {"h": 13, "w": 17}),
    "pad to a multiple": (
        f"{IMAGE} {{ s = Shape(x) {one('i', 2)} g = Gather(s, i) {one('k', 32)} r = Mod(g, k)"
        f" d = Sub(k, r) {ints('u', 1)} e = Reshape(d, u) {ints('z', 0, 0, 0, 0, 0, 0)}"
        f" {ints('z1', 0)} p = Concat<axis=0>(z, e, z1) y = Pad(x, p) }}", {"h": 45, "w": 40}),
    "space to depth by reshapes": (
        "g (float[1,4,h,w] x) => (float[a,b,c,d] y) { s = Shape(x) n, c, h, w = Split<axis=0>(s)"
        f" {ints('two', 2)} hh = Div(h, two) ww = Div(w, two)"
        " t = Concat<axis=0>(n, c, hh, two, ww, two) z = Reshape(x, t)"
        f" p = Transpose<perm=[0,1,3,5,2,4]>(z) {ints('left', -1)}"
        " u = Concat<axis=0>(n, left, hh, ww) y = Reshape(p, u) }", {"h": 6, "w": 8}),
    "tile by its own shape": (f"{ROWS} {{ s = Shape(x) y = Tile(x, s) }}", {"n": 4}),
    "expand where a size is -1": (
        f"{BLOCK} {{ s = Shape(x) {ints('m', 5, -1, -1, -1)} {ints('u', 1)}"
        f" w = Concat<axis=0>(u, s) {ints('left', -1)} e = Equal(m, left) t = Where(e, w, m)"
        " z = Expand(x, t) f = Constant<value_ints = [0]>() y = ReduceMax<axes=[0],keepdims=0>(z)"
        " }", {"n": 4}),
    "sizes by a product": (
        f"{BLOCK} {{ s = Shape(x) {ints('i', 1, 2)} g = Gather(s, i) p = ReduceProd<keepdims=1>(g)"
        f" {ints('left', -1)} {ints('u', 1)} t = Concat<axis=0>(u, left, p) y = Reshape(x, t) }}",
        {"n": 2}),
    "sizes by the number of values": (
        f"{BLOCK} {{ s = Size(x) {one('k', 4)} d = Div(s, k) {ints('u', 1)} e = Reshape(d, u)"
        f" {ints('f', 4)} t = Concat<axis=0>(u, e, f) y = Reshape(x, t) }}", {"n": 3}),
    "sizes put in at places": (
        f"{BLOCK} {{ s = Shape(x) {ints('i', 0)} {ints('v', 1)} t0 = ScatterElements(s, i, v)"
        f" {ints('j', 1)} {ints('left', -1)} t = ScatterElements(t0, j, left) y = Reshape(x, t) }}",
        {"n": 2}),
    "keep and infer": (f"{BLOCK} {{ {ints('t', 0, -1, 4)} y = Reshape(x, t) }}", {"n": 2}),
    "a slice backwards to the end": (
        f"{ROWS} {{ {ints('s', -1)} {ints('e', -(2**63 - 1))} {ints('a', 1)} {ints('k', -2)}"
        " y = Slice(x, s, e, a, k) }", {"n": 3}),
    "the smaller of two counts": (
        "g (float[1,n] x) => (float[a,b] y, int64[a,b] i) { s = Shape(x)"
        f" {ints('o', 1)} g = Gather(s, o) {ints('k', 1000)} m = Min(g, k)"
        " y, i = TopK<axis=1>(x, m) }", {"n": 700}),
    "a mask by lengths": (
        f"g (float[b,n,8] x, int64[b] l) => (bool[b,n] y) {{ s = Shape(x) {one('o', 1)}"
        f" g = Gather(s, o) {one('z', 0)} r = Range(z, g, o) {ints('a', 0)} {ints('c', 1)}"
        " r2 = Unsqueeze(r, a) l2 = Unsqueeze(l, c) y = Less(r2, l2) }", {"b": 2, "n": 3}),
    "gather and scatter by places": (
        "g (float[n,3] x, int64[k,1] i, float[k,3] u) => (float[a,b] y)"
        ' { z = ScatterND<reduction="add">(x, i, u) y = GatherND(z, i) }', {"n": 4, "k": 2}),
    "boxes that are kept": (
        "g (float[1,n,4] b, float[1,c,n] s) => (float[q,4] y)"
        f" {{ {ints('k', 20)} t = Constant<value_floats = [0.5]>()"
        f" i = NonMaxSuppression(b, s, k, t, t) {one('two', 2)} p = Gather<axis=1>(i, two)"
        " z = Squeeze(b) y = Gather<axis=0>(z, p) }", {"n": 100, "c": 5}),
    "places that are not zero": (
        "g (float[n,3] x) => (float[a] y) { k = Constant<value = float {0.5}>()"
        " m = Greater(x, k) i = NonZero(m) t = Transpose<perm=[1,0]>(i) y = GatherND(x, t) }",
        {"n": 4}),
    "a part kept by a mask": ("g (float[4,n] x, bool[n] c) => (float[4,m] y)"
                              " { y = Compress<axis=1>(x, c) }", {"n": 8}),
    "values that differ": ("g (int64[n] x) => (int64[m] y) { y, i, j, k = Unique(x) }", {"n": 9}),
    "quantized on the way": (
        "g (float[n,8] x) => (float[a,b] y) { q, s, z = DynamicQuantizeLinear(x)"
        " m = MatMulInteger(q, w8, z) f = Cast<to=1>(m) y = Mul(f, s) }", {"n": 3}),
    "mel bands of a sound": (
        f"g (float[1,t] x) => (float[a,b,c] y) {{ {one('hop', 160)} {one('width', 400)}"
        " win = HannWindow(width) s = STFT(x, hop, win, width)"
        f" p = ReduceSumSquare<axes=[-1],keepdims=0>(s) {one('bands', 80)} {one('rate', 16000)}"
        " low = Constant<value = float {0}>() high = Constant<value = float {8000}>()"
        " m = MelWeightMatrix(bands, width, rate, low, high) y = MatMul(p, m) }", {"t": 16000}),
    "parts of a list": (
        f"{ROWS} {{ l = SplitToSequence<axis=1,keepdims=0>(x) {one('i', 2)}"
        f" z = SequenceAt(l, i) {ints('a', 0)} y = Unsqueeze(z, a) }}", {"n": 4}),
    "a branch by a size": (
        f"g (float[n,1,3] x) => (float[a,b] y) {{ s = Shape(x) {one('o', 1)} g = Gather(s, o)"
        " e = Equal(g, o) y = If (e) <then_branch = t () => (float[a,b] z)"
        f" {{ {ints('ax', 1)} z = Squeeze(x, ax) }}, else_branch = f () => (float[a,b,c] z)"
        " { z = Identity(x) }> }", {"n": 4}),
}  # fmt: skip
#: cases in which the file fixes a size that the others must have, or nothing is executed
FIXED = {"parts of a list", "mel bands of a sound"}


def _saved(case: str, folder: Path) -> tuple[Any, Path]:
    stored = {"w8": np.zeros((8, 4), dtype="int8")} if "w8" in CASES[case][0] else {}
    built = building.parsed(CASES[case][0], stored)
    file = folder / "model.onnx"
    file.write_bytes(built.SerializeToString())
    return built, file


def _feeds(built: Any, sizes: dict[str, int]) -> dict[str, Any]:
    kinds = {1: np.float32, 7: np.int64, 9: np.bool_}
    feeds = {}
    for item in built.graph.input:
        kind = item.type.tensor_type
        shape = [d.dim_value or sizes[d.dim_param] for d in kind.shape.dim]
        # Ones, so that everything that may be kept is.
        fill = np.zeros if kind.elem_type == 7 else np.ones
        feeds[item.name] = fill(shape, dtype=kinds[kind.elem_type])
    return feeds


@pytest.mark.parametrize("case", CASES)
def test_shapes_are_those_of_the_runtime(case: str, tmp_path: Path) -> None:
    built, file = _saved(case, tmp_path)
    sizes = CASES[case][1]
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    session = runtime.InferenceSession(
        built.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    expected = [v.shape for v in session.run(None, _feeds(built, sizes))]
    workload = read_onnx(file)
    _, _, outputs = workload.imported(sizes, workload.precision)
    assert [len(v.shape) for v in outputs] == [len(s) for s in expected]
    if any(v.bound for v in outputs):
        notes = perfmodel.analyze(str(file), "h100-sxm", **sizes).data["coverage"]["notes"]
        assert any("the most it can is taken" in note for note in notes)
        for made, shape in zip(outputs, expected, strict=True):
            assert all(a >= b for a, b in zip(made.shape, shape, strict=True))
    else:
        assert [v.shape for v in outputs] == expected


@pytest.mark.parametrize("case", sorted(CASES.keys() - FIXED))
def test_a_swept_size_is_as_one_that_is_set(case: str, tmp_path: Path) -> None:
    _, file = _saved(case, tmp_path)
    sizes = CASES[case][1]
    name = next(iter(sizes))
    points = [sizes[name], 2 * sizes[name], 5 * sizes[name]]
    rest = {k: v for k, v in sizes.items() if k != name}
    swept = perfmodel.sweep(perfmodel.load_workload(str(file), **rest), "h100-sxm", {name: points})
    for i, point in enumerate(points):
        totals = perfmodel.analyze(str(file), "h100-sxm", **{**sizes, name: point}).totals
        assert swept["flops"][i] == pytest.approx(totals["flops"], rel=1e-9)
        assert swept["bytes"][i] == pytest.approx(totals["bytes"], rel=1e-9)
