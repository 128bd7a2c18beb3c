"""Totals of known networks against published figures, each with its source."""

import pytest

import perfmodel

#: name, parameters, MACs of convolutions, affine layers and attention at batch 1, source
PUBLISHED = [
    # 784*800+800 + 800*10+10: Simard et al. 2003 give the layers.
    ("mnist-mlp", 636_010, 635_200),
    # torchvision's resnet50 weights table: 25,557,032 parameters, 4.09 GFLOPS (its word for MACs).
    ("resnet50", 25_557_032, 4_089_184_256),
    # torchvision's vgg16 weights table: 138,357,544 parameters, 15.47 GFLOPS.
    ("vgg16", 138_357_544, 15_470_264_320),
    # huggingface bert-base-uncased without heads: 109,482,240; MACs at sequence 128, with pooler.
    ("bert-base", 109_482_240, 11_174_215_680),
]


@pytest.mark.parametrize(("name", "parameters", "macs"), PUBLISHED)
def test_totals_are_the_published_ones(name: str, parameters: int, macs: int) -> None:
    totals = perfmodel.analyze(name, "a100-80gb-sxm").totals
    assert totals["parameters"] == parameters
    assert totals["macs"] == macs
    assert isinstance(totals["macs"], int)


def test_macs_are_proportional_to_batch() -> None:
    one = perfmodel.analyze("resnet50", "a100-80gb-sxm").totals
    eight = perfmodel.analyze("resnet50", "a100-80gb-sxm", batch=8).totals
    assert eight["macs"] == 8 * one["macs"]
    assert eight["parameters"] == one["parameters"]


def test_lstm_ptb_large_has_66_million_parameters() -> None:
    # Zaremba et al., arXiv:1409.2329, section 4.1: "66M parameters".
    totals = perfmodel.analyze("lstm-ptb-large", "v100-sxm2-16gb").totals
    assert round(totals["parameters"] / 1e6) == 66
    embedding, output = 10_000 * 1500, 1500 * 10_000 + 10_000
    layer = 4 * 1500 * (1500 + 1500) + 4 * 1500
    assert totals["parameters"] == embedding + 2 * layer + output


def test_llama_2_7b_has_its_published_parameters_and_cache() -> None:
    # Hugging Face meta-llama/Llama-2-7b-hf: 6,738,415,616 parameters.
    for phase, sizes in (("decode", {"context": 2048}), ("prefill", {"sequence": 2048})):
        result = perfmodel.analyze(
            "llama-2-7b", "a100-80gb-sxm", phase=phase, dtype="fp16", **sizes
        )
        assert result.totals["parameters"] == 6_738_415_616
        # 2 tensors x 32 layers x 2048 tokens x 4096 values x 2 bytes
        assert result.totals["kv_cache_bytes"] == 1_073_741_824


def test_llama_2_7b_decode_is_bound_by_7_ms_of_bandwidth() -> None:
    result = perfmodel.analyze("llama-2-7b", "a100-80gb-sxm", phase="decode", context=2048)
    totals = result.totals
    hard = perfmodel.analyze(
        "llama-2-7b", "a100-80gb-sxm", phase="decode", context=2048, without=["all"]
    ).totals
    weights_read = (6_738_415_616 - 32_000 * 4096) * 2
    least = (weights_read + 1_073_741_824) / 2039e9
    assert least == pytest.approx(7.0e-3, rel=2e-3)
    assert totals["time_ideal_s"] == pytest.approx(least, rel=2e-3)
    assert totals["time_by_bound"]["bandwidth"] > least
    assert hard["time_by_bound"]["bandwidth"] == pytest.approx(least, rel=2e-3)
    assert totals["bytes"] == pytest.approx(weights_read + 1_073_741_824, rel=2e-3)


def test_embedding_reads_rows_not_its_table() -> None:
    (row,) = perfmodel.analyze(
        "embedding:lookups=100,width=4096,rows=32000", "a100-80gb-sxm", dtype="fp16"
    ).operators
    assert row["bytes_read"] == 100 * 4096 * 2 + 100 * 8
    assert row["flops"] == 0


def test_flash_attention_of_a_long_prompt_is_compute_bound() -> None:
    # One peer stores the score matrix under flash attention and finds intensity 63.
    inline = "attention:batch=1,q_heads=32,kv_heads=32,q_len=4096,kv_len=4096,head_dim=128"
    (row,) = perfmodel.analyze(inline, "a100-80gb-sxm", dtype="fp16").operators
    assert 4 * 4096**2 * 4096 / (row["bytes_read"] + row["bytes_written"]) == 2048
    assert row["intensity"] == pytest.approx(2048, rel=0.02)
    assert row["bound"] == "compute"
    prefill = perfmodel.analyze("llama-2-7b", "a100-80gb-sxm", phase="prefill", sequence=2048)
    attention = next(r for r in prefill.operators if r["op"] == "attention")
    assert (attention["bound"], attention["algorithm"]) == ("compute", "flash")


def test_unfused_attention_moves_its_scores() -> None:
    flash, unfused = (
        perfmodel.analyze(
            f"attention:batch=1,q_heads=32,q_len=4096,head_dim=128,algorithm={a}",
            "a100-80gb-sxm",
            dtype="fp16",
        ).totals["bytes"]
        for a in ("flash", "unfused")
    )
    assert unfused - flash == 4 * 32 * 4096**2 * 2


def test_causal_attention_is_half_of_full_for_long_sequences() -> None:
    full, causal = (
        perfmodel.analyze(
            f"attention:batch=1,q_heads=8,q_len=65536,head_dim=64,causal={c}", "h100-sxm"
        ).totals["macs"]
        for c in ("false", "true")
    )
    assert causal / full == pytest.approx(0.5, rel=1e-4)


def test_windowed_attention_takes_the_windows_share() -> None:
    def macs(more: str) -> int:
        inline = f"attention:batch=1,q_heads=8,q_len=1,kv_len=8192,head_dim=64,causal=true{more}"
        return perfmodel.analyze(inline, "h100-sxm").totals["macs"]

    assert macs(",window=1024") * 8 == macs("")


def test_fp16_gemm_moves_two_bytes_an_element_once() -> None:
    m, n, k = 1024, 3072, 512
    (row,) = perfmodel.analyze(f"matmul:m={m},n={n},k={k}", "a100-80gb-sxm", dtype="fp16").operators
    assert row["bytes_read"] + row["bytes_written"] == 2 * (m * k + k * n + m * n)
    assert row["bytes_by_level"]["hbm"] == row["bytes_read"] + row["bytes_written"]
    assert row["macs"] * 2 == row["flops"] == 2 * m * n * k


def test_elementwise_and_pooling_are_in_flop_and_not_in_macs() -> None:
    rows = perfmodel.analyze("resnet50", "a100-80gb-sxm").operators
    for row in rows:
        dense = row["class"] == "dense"
        assert (row["macs"] > 0) == dense
        assert row["flops"] > 0 or row["op"] in ("flatten",)
