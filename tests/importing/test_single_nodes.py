"""One node each: shapes and formats are those that ONNX Runtime makes, counts the textbook's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perfmodel.readers.convert import as_yaml
from perfmodel.readers.onnx.formats import FORMAT_OF
from perfmodel.readers.onnx.workload import read_onnx

onnx = pytest.importorskip("onnx")
building = pytest.importorskip("building")
counting = pytest.importorskip("counting")
node, zeros = building.node, building.zeros


def numbers(*values: Any, dtype: str = "int64") -> Any:
    return np.array(values, dtype=dtype)


def _resize(mode: str, roi: Any, scales: Any, **more: Any) -> Any:
    return (
        node("Resize", "x roi scales", mode=mode,
             coordinate_transformation_mode="tf_crop_and_resize", **more),
        {"x": (1, 2, 8, 10)},
        {"roi": numbers(*roi, dtype="float32"), "scales": numbers(*scales, dtype="float32")},
    )  # fmt: skip


def _pool(op: str, size: int, **more: Any) -> Any:
    return node(op, "x", ceil_mode=1, **more), {"x": (1, 2, size, size)}, {}


#: node, inputs, stored tensors
CASES: dict[str, tuple[Any, dict[str, Any], dict[str, Any]]] = {
    "resize of a crop": _resize("linear", (0, 0, 0.25, 0.2, 1, 1, 0.75, 1), (1, 1, 1.5, 2)),
    "resize of a crop to more": _resize("nearest", (0, 0, 0, 0, 1, 1, 0.5, 0.5), (1, 1, 4, 3)),
    "resize of a crop along axes": _resize("linear", (0.25, 0.5, 1, 1), (2, 2), axes=[2, 3]),
    "resize by two thirds": (
        node("Resize", "x _ scales"),
        {"x": (1, 1, 3, 9)},
        {"scales": numbers(1, 1, 2 / 3, 2 / 3, dtype="float32")},
    ),
    **{
        f"{op} {size} dilated by {d}, stride {s}": _pool(
            op, size, kernel_shape=[3, 3], strides=[s, s], dilations=[d, d], pads=[1, 1, 1, 1]
        )
        for op in ("MaxPool", "AveragePool")
        for size, s, d in ((9, 2, 2), (10, 3, 1), (11, 2, 2), (12, 3, 2))
    },
    **{
        f"pad {mode}": (
            node("Pad", "x pads", mode=mode),
            {"x": (2, 5, 6)},
            {"pads": numbers(0, 2, 3, 0, 1, 4)},
        )
        for mode in ("constant", "reflect", "edge", "wrap")
    },
    "eye": (node("EyeLike", "x"), {"x": (3, 4)}, {}),
    "eye of another format": (node("EyeLike", "x", dtype=11, k=1), {"x": (3, 4)}, {}),
    "eye of integers": (node("EyeLike", "x"), {"x": zeros(3, 4, dtype="int32")}, {}),
    **{
        f"{op} in {kind}": (
            node(op, "n", output_datatype=kind), {}, {"n": np.array(12, dtype="int64")}
        )
        for op in ("HannWindow", "HammingWindow", "BlackmanWindow") for kind in (1, 11)
    },
    "mel weights": (
        node("MelWeightMatrix", "a b c d e", output_datatype=11),
        {},
        {"a": np.array(8), "b": np.array(64), "c": np.array(16000),
         "d": np.array(20.0, dtype="float32"), "e": np.array(8000.0, dtype="float32")},
    ),
    "stft": (
        node("STFT", "x step w n"),
        {"x": (2, 100, 1)},
        {"step": np.array(10), "w": zeros(24), "n": np.array(24)},
    ),
    "stft of all bins": (
        node("STFT", "x step _ n", onesided=0),
        {"x": (2, 100, 1)},
        {"step": np.array(16), "n": np.array(16)},
    ),
    "dft": (node("DFT", "x", axis=1), {"x": (2, 12, 1)}, {}),
    "dft one-sided": (node("DFT", "x", axis=1, onesided=1), {"x": (2, 15, 1)}, {}),
    "dft of a plane": (node("DFT", "x", axis=2), {"x": (2, 6, 10, 2)}, {}),
    "dft backwards": (node("DFT", "x", axis=1, inverse=1), {"x": (2, 12, 2)}, {}),
    "dft padded": (node("DFT", "x n", axis=1), {"x": (2, 12, 1)}, {"n": np.array(20)}),
    "dft cut": (node("DFT", "x n", axis=1), {"x": (2, 12, 1)}, {"n": np.array(7)}),
    "regions": (
        node("RoiAlign", "x rois which", output_height=3, output_width=2),
        {"x": (1, 2, 8, 8), "rois": (5, 4), "which": zeros(5, dtype="int64")},
        {},
    ),
    "range": (node("Range", "a b c"), {},
              {"a": np.array(2), "b": np.array(11), "c": np.array(4)}),
}  # fmt: skip


def differing(made: Any, folder: Path, feeds: dict[str, Any]) -> list[str]:
    """Return where the outputs' shapes and formats are not the runtime's."""
    file = folder / "model.onnx"
    file.write_bytes(made.SerializeToString())
    workload = read_onnx(file)
    net, _, outputs = workload.imported({}, workload.precision)
    for value in outputs:
        if not value.is_constant:
            net.tensor(value)
    seen = counting.observed(made, feeds)
    wrong = []
    for proto, value in zip(made.graph.output, outputs, strict=True):
        real = seen[proto.name]
        form = FORMAT_OF[onnx.helper.np_dtype_to_tensor_dtype(real.dtype)]
        found = value.tensor.dtype if value.tensor is not None else value.dtype
        if value.shape != real.shape or found != form:
            wrong.append(f"{proto.name}: {value.shape} {found}, expected {real.shape} {form}")
    return wrong


@pytest.mark.parametrize("case", CASES)
def test_shapes_and_formats_are_the_runtimes(case: str, tmp_path: Path) -> None:
    made, inputs, stored = CASES[case]
    built = building.model([made], inputs, stored, opset=19)
    rng = np.random.default_rng(1)
    feeds = {
        name: v if isinstance(v, np.ndarray) else rng.random(v, dtype="float32")
        for name, v in inputs.items()
    }
    assert not differing(built, tmp_path, feeds)


@pytest.mark.parametrize("case", [c for c, (_, inputs, _) in CASES.items() if inputs])
def test_one_node_converts_to_the_same_numbers(case: str, tmp_path: Path) -> None:
    import perfmodel

    made, inputs, stored = CASES[case]
    direct = building.analyzed(building.model([made], inputs, stored, opset=19), tmp_path).totals
    file = tmp_path / "model.yaml"
    file.write_text(as_yaml(perfmodel.load_workload(str(tmp_path / "model.onnx")), {}))
    converted = perfmodel.analyze(str(file), "h100-sxm").totals
    for key in ("parameters", "macs", "flops", "bytes", "peak_memory_bytes"):
        assert direct[key] == converted[key], key


def test_a_size_stays_a_bound_through_whatever_follows(tmp_path: Path) -> None:
    nodes = [
        node("NonZero", "x", "found"), node("Cast", "found", "c", to=1),
        node("Transpose", "c", "y", perm=[1, 0]),
    ]  # fmt: skip
    file = tmp_path / "model.onnx"
    file.write_bytes(building.model(nodes, {"x": (3, 4)}).SerializeToString())
    workload = read_onnx(file)
    _, _, (y,) = workload.imported({}, workload.precision)
    assert y.bound
    assert y.shape == (12, 2)


def test_regions_of_unknown_size_are_said(tmp_path: Path) -> None:
    made, inputs, stored = CASES["regions"]
    said = building.analyzed(building.model([made], inputs, stored), tmp_path).data["coverage"]
    assert any("2x2 a bin is taken" in note for note in said["notes"])
    given = node("RoiAlign", "x rois which", output_height=3, output_width=2, sampling_ratio=2)
    still = building.analyzed(building.model([given], inputs, stored), tmp_path).data["coverage"]
    assert not still["notes"]


def test_a_spectrum_is_counted_once(tmp_path: Path) -> None:
    # 8 frames of 16 real numbers: at most half of 5 n log2(n) each, and the window's products.
    made = node("STFT", "x step w n")
    stored = {"step": np.array(12), "w": zeros(16), "n": np.array(16)}
    found = building.analyzed(building.model([made], {"x": (1, 100, 1)}, stored), tmp_path).totals
    assert found["macs"] == 0
    assert 8 * 16 * 4 < found["flops"] <= 8 * (2.5 * 16 * 4 + 16)
