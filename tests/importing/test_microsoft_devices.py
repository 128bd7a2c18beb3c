"""Operators of ONNX Runtime that have no kernel for a CPU: shapes as documented, counts by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import perfmodel
from perfmodel.readers.convert import as_yaml

onnx = pytest.importorskip("onnx")
building = pytest.importorskip("building")
np = pytest.importorskip("numpy")
zeros = building.zeros

MS, NHWC, NCHWC = "com.microsoft", "com.ms.internal.nhwc", "com.microsoft.nchwc"
B, S, W, HEADS = 2, 4, 32, 2
HEAD = W // HEADS
QKV = B * S * W * 3 * W


def node(op: str, inputs: str, outputs: str = "y", domain: str = MS, **attributes: Any) -> Any:
    return building.node(op, inputs, outputs, domain, **attributes)


def scores(past: int = 0, length: int = S, batch: int = B, heads: int = HEADS) -> int:
    return 2 * batch * heads * length * (past + length) * HEAD


def number(value: Any, dtype: str = "int64") -> Any:
    return np.array(value, dtype=dtype)


IMAGE = (1, 8, 8, 3)
FILTERS = {"w": zeros(4, 5, 5, 3), "b": zeros(4)}
FILTERS_FIRST = {"w": zeros(4, 3, 5, 5), "b": zeros(4)}
CONV = 4 * 16 * 75
NARROW = {f"{n}w": zeros(8, 1, 16, dtype="uint8") for n in "abc"} | {"s": zeros(8)}
NBITS: dict[str, Any] = {"K": 32, "bits": 4, "block_size": 32}
E, D, INNER, TOKENS = 4, 8, 16, 6

#: node, inputs, stored tensors, outputs, shapes, MACs, parameters
CASES: dict[str, tuple[Any, dict[str, Any], dict[str, Any], list[tuple[int, ...]], int, int]] = {
    "NhwcConv": (node("NhwcConv", "x w b"), {"x": IMAGE}, FILTERS, [(1, 4, 4, 4)], CONV, 304),
    "NhwcConv with filters as they were": (
        node("NhwcConv", "x w b", kernel_shape=[5, 5]), {"x": IMAGE}, FILTERS_FIRST,
        [(1, 4, 4, 4)], CONV, 304,
    ),
    "NhwcFusedConv": (
        node("NhwcFusedConv", "x w b z", activation="Relu"), {"x": IMAGE, "z": (1, 4, 4, 4)},
        FILTERS, [(1, 4, 4, 4)], CONV, 304,
    ),
    "internal Conv": (
        node("Conv", "x w b", domain=NHWC), {"x": IMAGE}, FILTERS_FIRST, [(1, 4, 4, 4)], CONV, 304,
    ),
    "internal MaxPool": (
        node("MaxPool", "x", domain=NHWC, kernel_shape=[2, 2], strides=[2, 2]), {"x": IMAGE}, {},
        [(1, 4, 4, 3)], 0, 0,
    ),
    "internal DepthToSpace": (
        node("SpaceToDepth", "x", domain=NHWC, blocksize=2), {"x": IMAGE}, {}, [(1, 4, 4, 12)],
        0, 0,
    ),
    "internal QLinearConvTranspose": (
        node("QLinearConvTranspose", "x s z w s z s z", domain=NHWC),
        {"x": zeros(*IMAGE, dtype="uint8")},
        {"w": zeros(3, 4, 2, 2, dtype="uint8"), "s": number(1, "float32"), "z": number(0, "uint8")},
        [(1, 9, 9, 4)], 64 * 48, 48,
    ),
    "blocked Conv": (
        node("Conv", "x w b", domain=NCHWC, activation="Relu"), {"x": (1, 16, 8, 8)},
        {"w": zeros(8, 16, 3, 3), "b": zeros(8)}, [(1, 8, 6, 6)], 8 * 36 * 144, 1160,
    ),
    "blocked ReorderOutput": (
        node("ReorderOutput", "x", domain=NCHWC, channels=12), {"x": (1, 16, 8, 8)}, {},
        [(1, 12, 8, 8)], 0, 0,
    ),
    "GroupNorm": (
        node("GroupNorm", "x g b", groups=3, activation=1), {"x": (1, 4, 4, 6)},
        {"g": zeros(6), "b": zeros(6)}, [(1, 4, 4, 6)], 0, 12,
    ),
    "SkipGroupNorm": (
        node("SkipGroupNorm", "x g b k", "y t", groups=3, activation=0),
        {"x": (1, 4, 4, 6), "k": (1, 4, 4, 6)}, {"g": zeros(6), "b": zeros(6)},
        [(1, 4, 4, 6), (1, 4, 4, 6)], 0, 12,
    ),
    "BiasAdd": (
        node("BiasAdd", "x b k"), {"x": (2, 3, 8), "k": (2, 3, 8)}, {"b": zeros(8)}, [(2, 3, 8)],
        0, 8,
    ),
    "BiasDropout": (
        node("BiasDropout", "x b k"), {"x": (2, 3, 8), "k": (2, 3, 8)}, {"b": zeros(8)},
        [(2, 3, 8)], 0, 8,
    ),
    "BiasSplitGelu": (
        node("BiasSplitGelu", "x b"), {"x": (2, 3, 8)}, {"b": zeros(8)}, [(2, 3, 4)], 0, 8,
    ),
    "GemmFastGelu": (
        node("GemmFastGelu", "x w b"), {"x": (2, 3, 8)}, {"w": zeros(8, 5), "b": zeros(5)},
        [(2, 3, 5)], 240, 45,
    ),
    "GemmFloat8": (
        node("GemmFloat8", "x w b", transB=1, dtype=1, activation="GELU"), {"x": (6, 8)},
        {"w": zeros(5, 8), "b": zeros(5)}, [(6, 5)], 240, 45,
    ),
    "FusedMatMulActivation": (
        node("FusedMatMulActivation", "x w", transB=1, activation="Relu"), {"x": (6, 8)},
        {"w": zeros(5, 8)}, [(6, 5)], 240, 40,
    ),
    "RelativePositionBias": (
        node("RelativePositionBias", "t q k", max_distance=128), {},
        {"t": zeros(32, HEADS), "q": number([5]), "k": number([7])}, [(1, HEADS, 5, 7)],
        0, 0,  # computed before anything runs, and nothing reads it
    ),
    "GatedRelativePositionBias": (
        node("GatedRelativePositionBias", "q a p w b e", num_heads=HEADS),
        {"q": (B, S, W), "p": (1, HEADS, S, S)},
        {"a": zeros(W), "w": zeros(HEAD, 8), "b": zeros(8), "e": zeros(1, HEADS, 1, 1)},
        [(B, HEADS, S, S)], B * S * HEADS * HEAD * 8, W + HEAD * 8 + 8 + HEADS,
    ),
    "QMoE": (
        node("QMoE", "x r f s _ g s", k=2, expert_weight_bits=4, activation_type="relu"),
        {"x": (TOKENS, D), "r": (TOKENS, E)},
        {"f": zeros(E, INNER, D // 2, dtype="uint8"), "g": zeros(E, D, INNER // 2, dtype="uint8"),
         "s": zeros(E, INNER)}, [(TOKENS, D)],
        TOKENS * 2 * 2 * D * INNER, E * 2 * D * INNER,
    ),
    "QMoE, gated in one weight": (
        node("QMoE", "x r f s _ g s", k=2, expert_weight_bits=8, activation_type="swiglu",
             swiglu_fusion=1),
        {"x": (TOKENS, D), "r": (TOKENS, E)},
        {"f": zeros(E, 2 * INNER, D, dtype="uint8"), "g": zeros(E, D, INNER, dtype="uint8"),
         "s": zeros(E, INNER)}, [(TOKENS, D)],
        TOKENS * 2 * 3 * D * INNER, E * 3 * D * INNER,
    ),
    "RouterGateUpProj": (
        node("RouterGateUpProj", "x w", "r y", router_size=E), {"x": (TOKENS, D)},
        {"w": zeros(D, E + 2 * INNER)}, [(TOKENS, E), (TOKENS, INNER)],
        TOKENS * D * (E + 2 * INNER), D * (E + 2 * INNER),
    ),
    "MoEGroupRouter": (
        node("MoEGroupRouter", "x b", top_k=2), {"x": (TOKENS, E)}, {"b": zeros(E)},
        [(TOKENS, E)], 0, E,
    ),
    "PackedAttention": (
        node("PackedAttention", "x w b o c", num_heads=HEADS),
        {"x": (B * S, W), "o": zeros(B, S, dtype="int32"), "c": zeros(B + 1, dtype="int32")},
        {"w": zeros(W, 3 * W), "b": zeros(3 * W)}, [(B * S, W)], QKV + scores(), 3 * W * W + 3 * W,
    ),
    "PackedMultiHeadAttention": (
        node("PackedMultiHeadAttention", "q k v _ o c", num_heads=HEADS),
        dict.fromkeys("qkv", (B * S, W))
        | {"o": zeros(B, S, dtype="int32"), "c": zeros(B + 1, dtype="int32")},
        {}, [(B * S, W)], scores(), 0,
    ),
    "DecoderMaskedSelfAttention": (
        node("DecoderMaskedSelfAttention", "x w b _ p", "y c", num_heads=HEADS),
        {"x": (B, 1, W), "p": (2, B, HEADS, 5, HEAD)}, {"w": zeros(W, 3 * W), "b": zeros(3 * W)},
        [(B, 1, W), (2, B, HEADS, 6, HEAD)], QKV // S + scores(5, 1), 3 * W * W + 3 * W,
    ),
    "GroupQueryAttention, packed": (
        node("GroupQueryAttention", "q _ _ pk pv l t", "y a c", num_heads=HEADS,
             kv_num_heads=1, do_rotary=0),
        {"q": (B, 1, 4 * HEAD), "pk": (B, 1, 5, HEAD), "pv": (B, 1, 5, HEAD)},
        {"l": number([5, 5], "int32"), "t": number(6, "int32")},
        [(B, 1, W), (B, 1, 6, HEAD), (B, 1, 6, HEAD)], scores(5, 1), 0,
    ),
    "Rfft": (
        node("Rfft", "x", normalized=0, onesided=1, signal_ndim=2), {"x": (2, 6, 8)}, {},
        [(2, 6, 5, 2)], 0, 0,
    ),
    "Irfft": (
        node("Irfft", "x", normalized=0, onesided=1, signal_ndim=1), {"x": (2, 6, 5, 2)}, {},
        [(2, 6, 8)], 0, 0,
    ),
    "MatMulNBitsMlp": (
        node("MatMulNBitsMlp", "x _ g aw s _ bw s", N=8, activation="silu", **NBITS),
        {"x": (2, 3, 32)}, {**NARROW, "g": zeros(32)}, [(2, 3, 8)], 2 * 6 * 32 * 8, 2 * 256 + 32,
    ),
    "MatMulNBitsQkv": (
        node("MatMulNBitsQkv", "x k g aw s _ bw s _ cw s", "q n v t", Nq=8, Nkv=8, **NBITS),
        {"x": (2, 3, 32), "k": (2, 3, 32)}, {**NARROW, "g": zeros(32)},
        [(2, 3, 8)] * 3 + [(2, 3, 32)], 3 * 6 * 32 * 8, 3 * 256 + 32,
    ),
    "MatMulNBitsQLoRA": (
        node("MatMulNBitsQLoRA", "x aw s d s u s", N=8, lora_bits=4, lora_block_size=32, **NBITS),
        {"x": (2, 3, 32)},
        {**NARROW, "d": zeros(2, 1, 16, dtype="uint8"), "u": zeros(8, 1, 16, dtype="uint8")},
        [(2, 3, 8)], 6 * (32 * 8 + 2 * 32 + 2 * 8), 256 + 64 + 16,
    ),
    "weights in fp4": (
        node("MatMulBlockQuantizedFp4Weight", "x w s g", block_size=16), {"x": (6, 32)},
        {"w": zeros(8, 16, dtype="uint8"), "s": zeros(8, 2), "g": zeros(1)}, [(6, 8)],
        6 * 32 * 8, 256,
    ),
    "GatedRMSNorm": (
        node("GatedRMSNorm", "x g z"), {"x": (2, 3, 16), "z": (2, 3, 16)}, {"g": zeros(8)},
        [(2, 3, 16)], 0, 8,
    ),
    "BranchwiseRMSNorm": (
        node("BranchwiseRMSNorm", "x g", num_branches=2), {"x": (2, 3, 16)}, {"g": zeros(16)},
        [(2, 3, 16)], 0, 16,
    ),
    "GatedAdd": (
        node("GatedAdd", "x z g w"), {"x": (2, 3, 8), "z": (2, 3, 8), "g": (2, 3, 5)},
        {"w": zeros(5, 1)}, [(2, 3, 8)], 30, 5,
    ),
    "LinearAttentionGate": (
        node("LinearAttentionGate", "a d s b", "y z"), {"a": (2, 3, 8), "b": (2, 3, 8)},
        {"d": zeros(8), "s": zeros(8)}, [(2, 3, 8), (2, 3, 8)], 0, 16,
    ),
    "RMSNormRotary": (
        node("RMSNormRotary", "x g p c s", rotary_embedding_dim=4), {"x": (B, S, HEADS, 8)},
        {"g": zeros(8), "p": zeros(B, S, dtype="int64"), "c": zeros(9, 2), "s": zeros(9, 2)},
        [(B, S, 16)], 0, 8,
    ),
    "HyperConnectionPreMix": (
        node("HyperConnectionPreMix", "x m", num_branches=4), {"x": (2, 3, 32), "m": (2, 3, 4)},
        {}, [(2, 3, 8)], 0, 0,
    ),
    "TorchEmbedding": (
        node("TorchEmbedding", "t i"), {"i": zeros(2, 5, dtype="int64")}, {"t": zeros(9, 8)},
        [(2, 5, 8)], 0, 72,
    ),
    "EfficientNMS_TRT": (
        node("EfficientNMS_TRT", "b s", "n x c l", domain="", max_output_boxes=20),
        {"b": (1, 50, 1, 4), "s": (1, 50, 3)}, {}, [(1, 1), (1, 20, 4), (1, 20), (1, 20)], 0, 0,
    ),
    "RestorePadding": (
        node("RestorePadding", "x o"), {"x": (7, 8), "o": zeros(2, 5, dtype="int32")}, {},
        [(2, 5, 8)], 0, 0,
    ),
    "NGramHashMapping": (
        node("NGramHashMapping", "i m v", "y p", pad_id=0, max_ngram_size=3, n_head_per_ngram=4),
        {"i": zeros(2, 5, dtype="int64")},
        {"m": zeros(3, dtype="int64"), "v": zeros(8, dtype="int64")}, [(2, 5, 8), (2, 2)], 0, 0,
    ),
}  # fmt: skip


def _built(case: str) -> Any:
    made, inputs, stored, *_ = CASES[case]
    used = {k: v for k, v in stored.items() if k in made.input}
    return building.model([made], inputs, used, outputs=" ".join(n for n in made.output if n))


@pytest.mark.parametrize("case", CASES)
def test_shapes_are_those_documented(case: str, tmp_path: Path) -> None:
    assert building.shapes(_built(case), tmp_path) == CASES[case][3]


@pytest.mark.parametrize("case", CASES)
def test_counts_are_those_by_hand_and_survive_a_conversion(case: str, tmp_path: Path) -> None:
    *_, macs, parameters = CASES[case]
    found = building.analyzed(_built(case), tmp_path).totals
    assert (found["macs"], found["parameters"]) == (macs, parameters)
    if not CASES[case][1]:
        return
    file = tmp_path / "model.yaml"
    file.write_text(as_yaml(perfmodel.load_workload(str(tmp_path / "model.onnx")), {}))
    converted = perfmodel.analyze(str(file), "h100-sxm").totals
    for key in ("parameters", "macs", "flops", "bytes", "peak_memory_bytes"):
        assert found[key] == converted[key], key


def _decoder() -> Any:
    """Return a decoder of one product a token, with a cache that it does not read."""
    helper = onnx.helper
    nodes = [
        building.node("Gather", "table input_ids", "x"),
        building.node("MatMul", "x head", "logits"),
        building.node("Identity", "past_0", "present_0"),
    ]
    shape = [2, "batch_size", HEADS, "past_seq_len", HEAD]
    given = [
        helper.make_tensor_value_info("input_ids", 6, ["batch_size", "seq_len"]),
        helper.make_tensor_value_info("past_0", 1, shape),
    ]
    made = [onnx.ValueInfoProto(name=n) for n in ("logits", "present_0")]
    tables = {"table": zeros(9, W), "head": zeros(W, 9)}
    stored = [onnx.numpy_helper.from_array(v, k) for k, v in tables.items()]
    return helper.make_graph(nodes, "decoder", given, made, stored)


@pytest.mark.parametrize(("op", "beams"), [("GreedySearch", 1), ("BeamSearch", 3)])
def test_a_search_runs_its_decoder_once_a_token(op: str, beams: int, tmp_path: Path) -> None:
    names = "i most _ beams one" if op == "BeamSearch" else "i most"
    made = node(op, names, decoder=_decoder(), eos_token_id=0, pad_token_id=0, model_type=0)
    stored = {"most": number(20), "beams": number(beams), "one": number(1)}
    used = {k: v for k, v in stored.items() if k in made.input}
    built = building.model([made], {"i": zeros(B, 5, dtype="int32")}, used)
    assert building.shapes(built, tmp_path) == [(B, 20) if op == "GreedySearch" else (B, 1, 20)]
    found = building.analyzed(built, tmp_path)
    assert found.totals["macs"] == B * beams * (5 + 15) * W * 9
    assert found.totals["parameters"] == 2 * 9 * W
    assert any("longest length" in note for note in found.data["coverage"]["notes"])
