"""Operators of ONNX Runtime's own domains: all treated; shapes the runtime's, counts by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import perfmodel
from perfmodel.readers.convert import as_yaml
from perfmodel.readers.onnx.handlers import treatments

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
building = pytest.importorskip("building")
differing = pytest.importorskip("test_single_nodes").differing
zeros = building.zeros

MS = "com.microsoft"
B, S, W, HEADS = 2, 4, 32, 2
HEAD = W // HEADS


def test_every_operator_the_runtime_knows_is_treated() -> None:
    state = onnxruntime.capi._pybind_state
    known = {(s.domain, s.name) for s in state.get_all_operator_schema()}
    assert len([k for k in known if k[0] == MS]) > 100
    table = treatments()
    missing = {k for k in known if k not in table and k[0] not in ("ai.onnx.training",)}
    assert not missing


def node(op: str, inputs: str, outputs: str = "y", domain: str = MS, **attributes: Any) -> Any:
    return building.node(op, inputs, outputs, domain, **attributes)


def ints(*values: int, dtype: str = "int64") -> Any:
    return np.array(values, dtype=dtype)


def scores(past: int = 0, length: int = S) -> int:
    """MACs of ``q k'`` and of ``p v``."""
    return 2 * B * HEADS * length * (past + length) * HEAD


ROWS = {"q": (B, S, W), "k": (B, S, W), "v": (B, S, W)}
CACHE = {"pk": (B, HEADS, 5, HEAD), "pv": (B, HEADS, 5, HEAD)}
SCALE = {"s": np.array(0.5, dtype="float32"), "z": np.array(3, dtype="uint8")}
CODES = zeros(2, 4, 6, dtype="uint8")
IMAGE = (1, 8, 8, 3)
NBITS = {"w": zeros(8, 1, 16, dtype="uint8"), "s": zeros(8)}

#: node(s), inputs, stored tensors, outputs, MACs, parameters
CASES: dict[str, tuple[Any, dict[str, Any], dict[str, Any], str, int, int]] = {
    "Attention": (
        node("Attention", "x w b", num_heads=HEADS),
        {"x": (B, S, W)}, {"w": zeros(W, 3 * W), "b": zeros(3 * W)}, "y",
        B * S * W * 3 * W + scores(), W * 3 * W + 3 * W,
    ),
    "Attention with a past": (
        node("Attention", "x w b _ p", "y c", num_heads=HEADS, unidirectional=0),
        {"x": (B, S, W), "p": (2, B, HEADS, 5, HEAD)},
        {"w": zeros(W, 3 * W), "b": zeros(3 * W)}, "y c",
        B * S * W * 3 * W + scores(5), W * 3 * W + 3 * W,
    ),
    "MultiHeadAttention": (
        node("MultiHeadAttention", "q k v", num_heads=HEADS), ROWS, {}, "y", scores(), 0,
    ),
    "MultiHeadAttention with a bias and a past": (
        node("MultiHeadAttention", "q k v b _ _ pk pv", "y a c", num_heads=HEADS),
        {**ROWS, **CACHE}, {"b": zeros(3 * W)}, "y a c", scores(5), 3 * W,
    ),
    "MultiHeadAttention of heads that came from elsewhere": (
        node("MultiHeadAttention", "q k v", num_heads=HEADS),
        {"q": (B, S, W), "k": (B, HEADS, 7, HEAD), "v": (B, HEADS, 7, HEAD)}, {}, "y",
        2 * B * HEADS * S * 7 * HEAD, 0,
    ),
    "DecoderMaskedMultiHeadAttention": (
        node("DecoderMaskedMultiHeadAttention", "q k v", "y", num_heads=HEADS),
        {"q": (B, 1, W), "k": (B, HEADS, 7, HEAD), "v": (B, HEADS, 7, HEAD)}, {}, "y",
        2 * B * HEADS * 7 * HEAD, 0,
    ),
    "GroupQueryAttention": (
        node("GroupQueryAttention", "q k v pk pv l t", "y a c", num_heads=4, kv_num_heads=HEADS),
        {"q": (B, 1, 4 * HEAD), "k": (B, 1, W), "v": (B, 1, W), **CACHE},
        {"l": ints(5, 5, dtype="int32"), "t": np.array(6, dtype="int32")}, "y a c",
        2 * B * 4 * 6 * HEAD, 0,
    ),
    "QAttention": (
        node("QAttention", "x w b s s _ z z", num_heads=HEADS),
        {"x": zeros(B, S, W, dtype="uint8")},
        {"w": zeros(W, 3 * W, dtype="uint8"), "b": zeros(3 * W), **SCALE}, "y",
        B * S * W * 3 * W + scores(), W * 3 * W + 3 * W,
    ),
    "RotaryEmbedding": (
        node("RotaryEmbedding", "x p c s"),
        {"x": (B, S, W), "p": zeros(B, S, dtype="int64")},
        {"c": zeros(10, HEAD // 2), "s": zeros(10, HEAD // 2)}, "y", 0, 0,
    ),
    "FusedConv": (
        node("FusedConv", "x w b r", activation="Relu"),
        {"x": (1, 3, 8, 8), "r": (1, 4, 6, 6)}, {"w": zeros(4, 3, 3, 3), "b": zeros(4)}, "y",
        4 * 36 * 27, 112,
    ),
    "FusedMatMul": (
        node("FusedMatMul", "a b", transA=1, transB=1, alpha=0.5),
        {"a": (5, 6, 4), "b": (5, 7, 6)}, {}, "y", 5 * 4 * 6 * 7, 0,
    ),
    "FusedMatMul of batches that stand inside": (
        node("FusedMatMul", "a b", transBatchA=1, transBatchB=1),
        {"a": (4, 5, 6), "b": (6, 5, 7)}, {}, "y", 5 * 4 * 6 * 7, 0,
    ),
    "FusedGemm": (
        node("FusedGemm", "a b c", transB=1, activation="LeakyRelu", activation_alpha=0.1),
        {"a": (5, 6)}, {"b": zeros(7, 6), "c": zeros(7)}, "y", 5 * 6 * 7, 49,
    ),
    "QLinearConv": (
        node("QLinearConv", "x s z w s z s z b", domain=""),
        {"x": zeros(1, 3, 8, 8, dtype="uint8")},
        {"w": zeros(4, 3, 3, 3, dtype="uint8"), "b": zeros(4, dtype="int32"), **SCALE}, "y",
        4 * 36 * 27, 112,
    ),
    "QLinearConv with channels last": (
        node("QLinearConv", "x s z w s z s z b", channels_last=1),
        {"x": zeros(*IMAGE, dtype="uint8")},
        {"w": zeros(4, 3, 3, 3, dtype="uint8"), "b": zeros(4, dtype="int32"), **SCALE}, "y",
        4 * 36 * 27, 112,
    ),
    "QLinearMatMul": (
        node("QLinearMatMul", "x s z w s z s z", domain=""),
        {"x": CODES}, {"w": zeros(6, 5, dtype="uint8"), **SCALE}, "y", 2 * 4 * 6 * 5, 30,
    ),
    "QGemm": (
        node("QGemm", "x s z w s z b s z", transB=1),
        {"x": zeros(4, 6, dtype="uint8")},
        {"w": zeros(5, 6, dtype="uint8"), "b": zeros(5, dtype="int32"), **SCALE}, "y", 120, 35,
    ),
    "QLinearAdd": (
        node("QLinearAdd", "x s z v s z s z"), {"x": CODES, "v": CODES}, SCALE, "y", 0, 0,
    ),
    "QLinearSigmoid": (node("QLinearSigmoid", "x s z s z"), {"x": CODES}, SCALE, "y", 0, 0),
    "QLinearSoftmax": (
        node("QLinearSoftmax", "x s z s z", axis=1, opset=13), {"x": CODES}, SCALE, "y", 0, 0,
    ),
    "QLinearConcat": (
        node("QLinearConcat", "s z x s z v s z", axis=2), {"x": CODES, "v": CODES}, SCALE, "y",
        0, 0,
    ),
    "QLinearAveragePool": (
        node("QLinearAveragePool", "x s z s z", kernel_shape=[2, 2], channels_last=1),
        {"x": zeros(*IMAGE, dtype="uint8")}, SCALE, "y", 0, 0,
    ),
    "QLinearGlobalAveragePool": (
        node("QLinearGlobalAveragePool", "x s z s z", channels_last=0),
        {"x": zeros(1, 3, 8, 8, dtype="uint8")}, SCALE, "y", 0, 0,
    ),
    "QLinearWhere": (
        node("QLinearWhere", "m x s z v s z s z"),
        {"m": zeros(2, 4, 6, dtype="bool"), "x": CODES, "v": CODES}, SCALE, "y", 0, 0,
    ),
    "MatMulNBits": (
        node("MatMulNBits", "x w s", K=32, N=8, bits=4, block_size=32),
        {"x": (2, 3, 32)}, NBITS, "y", 2 * 3 * 32 * 8, 32 * 8,
    ),
    "MatMulBnb4": (
        node("MatMulBnb4", "x w s", K=32, N=8, block_size=32, quant_type=1),
        {"x": (6, 32)}, {"w": zeros(128, dtype="uint8"), "s": zeros(8)}, "y", 6 * 32 * 8, 256,
    ),
    "MatMulInteger16": (
        node("MatMulInteger16", "a b"),
        {"a": zeros(5, 6, dtype="int16")}, {"b": zeros(6, 7, dtype="int16")}, "y", 210, 42,
    ),
    "MatMulIntegerToFloat": (
        node("MatMulIntegerToFloat", "x w s s z z b"),
        {"x": CODES}, {"w": zeros(6, 5, dtype="uint8"), "b": zeros(5), **SCALE}, "y", 240, 35,
    ),
    "DynamicQuantizeMatMul": (
        node("DynamicQuantizeMatMul", "x w s z b"),
        {"x": (2, 4, 6)}, {"w": zeros(6, 5, dtype="uint8"), "b": zeros(5), **SCALE}, "y", 240, 35,
    ),
    "DynamicQuantizeLSTM": (
        node("DynamicQuantizeLSTM", "x w r b _ _ _ _ s2 z2 s2 z2", "y h c", hidden_size=4),
        {"x": (5, 2, 6)},
        {"w": zeros(1, 6, 16, dtype="uint8"), "r": zeros(1, 4, 16, dtype="uint8"),
         "b": zeros(1, 32), "s2": zeros(1), "z2": zeros(1, dtype="uint8")}, "y h c",
        5 * 2 * 16 * 10, 16 * 10 + 32,
    ),
    "SkipLayerNormalization": (
        node("SkipLayerNormalization", "x k g b a", "y _ _ t"),
        {"x": (B, S, W), "k": (B, S, W)}, {n: zeros(W) for n in "gba"}, "y t", 0, 3 * W,
    ),
    "SkipSimplifiedLayerNormalization": (
        node("SkipSimplifiedLayerNormalization", "x k g", "y _ _ t"),
        {"x": (B, S, W), "k": (B, S, W)}, {"g": zeros(W)}, "y t", 0, W,
    ),
    "EmbedLayerNormalization": (
        node("EmbedLayerNormalization", "i j a b c g h", "y m"),
        {"i": zeros(B, S, dtype="int32"), "j": zeros(B, S, dtype="int32")},
        {"a": zeros(9, W), "b": zeros(8, W), "c": zeros(2, W), "g": zeros(W), "h": zeros(W)},
        "y m", 0, 21 * W,
    ),
    **{
        op: (node(op, "x b"), {"x": (B, S, W)}, {"b": zeros(W)}, "y", 0, W)
        for op in ("BiasGelu", "FastGelu")
    },
    "QuickGelu": (node("QuickGelu", "x"), {"x": (B, S, W)}, {}, "y", 0, 0),
    "Gelu": (node("Gelu", "x"), {"x": (B, S, W)}, {}, "y", 0, 0),
    "NhwcMaxPool": (
        node("NhwcMaxPool", "x", kernel_shape=[2, 2], strides=[2, 2]),
        {"x": zeros(*IMAGE, dtype="uint8")}, {}, "y", 0, 0,
    ),
    "MoE": (
        node("MoE", "x r f _ g", k=2, activation_type="relu"),
        {"x": (6, 8), "r": (6, 4)}, {"f": zeros(4, 16, 8), "g": zeros(4, 8, 16)}, "y",
        6 * 2 * 2 * 8 * 16, 4 * 2 * 8 * 16,
    ),
    "MoE, gated": (
        node("MoE", "x r f _ g _ h", k=1, activation_type="silu"),
        {"x": (2, 3, 8), "r": (6, 4)},
        {"f": zeros(4, 16, 8), "g": zeros(4, 8, 16), "h": zeros(4, 16, 8)}, "y",
        6 * 3 * 8 * 16, 4 * 3 * 8 * 16,
    ),
    "Inverse": (node("Inverse", "x"), {"x": np.eye(3, dtype="float32")}, {}, "y", 0, 0),
    "Trilu": (node("Trilu", "x"), {"x": (3, 4)}, {}, "y", 0, 0),
    "ExpandDims": (
        node("ExpandDims", "x a"), {"x": (3, 4)}, {"a": np.array(-1, dtype="int32")}, "y", 0, 0,
    ),
    "CropAndResize": (
        node("CropAndResize", "x r i c"),
        {"x": (2, 3, 8, 8), "r": (5, 4), "i": zeros(5, dtype="int32")},
        {"c": ints(3, 4, dtype="int32")}, "y", 0, 0,
    ),
    "CDist": (
        node("CDist", "a b", metric="euclidean"), {"a": (5, 6), "b": (7, 6)}, {}, "y", 210, 0,
    ),
    "UnfoldTensor": (node("UnfoldTensor", "x", size=3, step=2), {"x": (2, 9)}, {}, "y", 0, 0),
    "MulInteger": (
        node("MulInteger", "x z v z"), {"x": CODES, "v": CODES}, SCALE, "y", 0, 0,
    ),
    "MurmurHash3": (
        node("MurmurHash3", "x", positive=0), {"x": zeros(4, dtype="int32")}, {}, "y", 0, 0,
    ),
    "Range": (node("Range", "a b"), {}, {"a": np.array(2), "b": np.array(9)}, "y", 0, 0),
    "GatherND": (
        node("GatherND", "x i"), {"x": (3, 4, 5)}, {"i": zeros(2, 2, dtype="int64")}, "y", 0, 0,
    ),
    "BiasSoftmax": (
        node("BiasSoftmax", "x b", axis=1, is_inner_broadcast=0),
        {"x": (3, 4), "b": (3, 4)}, {}, "y", 0, 0,
    ),
    "GatherBlockQuantized": (
        node("GatherBlockQuantized", "t i s", bits=4, block_size=16, quantize_axis=1),
        {"i": zeros(2, 5, dtype="int64")},
        {"t": zeros(7, 16, dtype="uint8"), "s": zeros(7, 2)}, "y", 0, 7 * 32,
    ),
    "NGramRepeatBlock": (
        node("NGramRepeatBlock", "i x", ngram_size=2),
        {"i": zeros(2, 5, dtype="int64"), "x": (2, 9)}, {}, "y", 0, 0,
    ),
    "QuantizeLinear": (
        node("QuantizeLinear", "x s z"), {"x": (3, 4)}, SCALE, "y", 0, 0,
    ),
    "DequantizeLinear": (
        node("DequantizeLinear", "x s z"), {"x": CODES}, SCALE, "y", 0, 0,
    ),
    "SwiGLU": (node("SwiGLU", "x v"), {"x": (3, 4), "v": (3, 4)}, {}, "y", 0, 0),
    "CausalConvWithState": (
        node("CausalConvWithState", "x w b p", "y c", activation="silu"),
        {"x": (B, 6, 9), "p": (B, 6, 3)}, {"w": zeros(6, 1, 4), "b": zeros(6)}, "y c",
        B * 6 * 9 * 4, 30,
    ),
    "LayerNormalization": (
        node("SimplifiedLayerNormalization", "x g", domain="", axis=-1),
        {"x": (3, 4)}, {"g": zeros(4)}, "y", 0, 4,
    ),
}  # fmt: skip


#: what the runtime has no kernel for on a CPU: the shapes that its documentation states
NO_KERNEL = {"MatMulInteger16": [(5, 7)], "MoE, gated": [(2, 3, 8)], "BiasSoftmax": [(3, 4)],
             "SwiGLU": [(3, 4)], "MulInteger": [(2, 4, 6)]}  # fmt: skip


def _built(case: str) -> Any:
    made, inputs, stored, outputs, *_ = CASES[case]
    nodes = made if isinstance(made, list) else [made]
    names = {name for n in nodes for name in n.input}
    used = {k: v for k, v in stored.items() if k in names}
    return building.model(nodes, inputs, used, opset=17, outputs=outputs)


def _feeds(case: str) -> dict[str, Any]:
    return {
        name: v if isinstance(v, np.ndarray) else np.zeros(v, dtype="float32")
        for name, v in CASES[case][1].items()
    }


@pytest.mark.parametrize("case", CASES)
def test_shapes_and_formats_are_the_runtimes(case: str, tmp_path: Path) -> None:
    if case in NO_KERNEL:
        assert building.shapes(_built(case), tmp_path) == NO_KERNEL[case]
    else:
        assert not differing(_built(case), tmp_path, _feeds(case))


@pytest.mark.parametrize("case", CASES)
def test_counts_are_those_by_hand_and_survive_a_conversion(case: str, tmp_path: Path) -> None:
    *_, macs, parameters = CASES[case]
    found = building.analyzed(_built(case), tmp_path).totals
    assert (found["macs"], found["parameters"]) == (macs, parameters)
    assert not found["unmodelled"]
    if not CASES[case][1] or not found["bytes"]:
        return
    file = tmp_path / "model.yaml"
    file.write_text(as_yaml(perfmodel.load_workload(str(tmp_path / "model.onnx")), {}))
    converted = perfmodel.analyze(str(file), "h100-sxm").totals
    for key in ("parameters", "macs", "flops", "bytes", "peak_memory_bytes"):
        assert found[key] == converted[key], key
