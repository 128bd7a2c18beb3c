"""Transformers against published parameters, MACs and KV caches.

Parameters of Hugging Face implementations are those of the model pages; each was
counted again by building the network from its config in PyTorch, apart from this
package. MACs of attention count visible (query, key) pairs, so a causal network
does fewer than an implementation that multiplies the whole rectangle.
"""

from typing import Any

import pytest

import perfmodel
from perfmodel.api import Analysis

DEVICE = "a100-80gb-sxm"

#: name, parameters exactly, what they are published as, where
PARAMETERS = [
    ("bert-base", 109_482_240, "bert-base-uncased without heads: 110M"),
    ("bert-large", 335_141_888, "bert-large-uncased without heads: 340M in the paper, 335M here"),
    ("gpt-2", 124_439_808, "gpt2, output tied: 124M"),
    ("gpt-2-medium", 354_823_168, "gpt2-medium, output tied: 355M"),
    ("gpt-2-large", 774_030_080, "gpt2-large, output tied: 774M"),
    ("gpt-2-xl", 1_557_611_200, "gpt2-xl, output tied: 1.5B"),
    ("gpt-3", 174_604_259_328, "arXiv:2005.14165, table D.1: 174,600M; table 2.1: 175.0B"),
    ("t5-base", 222_903_552, "t5-base, output tied: 220M in the paper, 223M on its page"),
    # Holds the encoder's 1500 x 512 sines and cosines, as the implementation's count does.
    ("whisper-base", 72_593_920, "openai/whisper-base: 72.6M; 74M in arXiv:2212.04356, table 1"),
    ("vit-b-16", 86_567_656, "torchvision ViT_B_16_Weights.IMAGENET1K_V1"),
    ("swin-t", 28_288_354, "torchvision Swin_T_Weights.IMAGENET1K_V1"),
    ("llama-2-7b", 6_738_415_616, "meta-llama/Llama-2-7b-hf"),
    ("llama-2-13b", 13_015_864_320, "meta-llama/Llama-2-13b-hf"),
    ("llama-2-70b", 68_976_648_192, "meta-llama/Llama-2-70b-hf"),
    ("llama-3-8b", 8_030_261_248, "meta-llama/Meta-Llama-3-8B"),
    ("llama-3-70b", 70_553_706_496, "meta-llama/Meta-Llama-3-70B"),
    ("mistral-7b", 7_241_732_096, "mistralai/Mistral-7B-v0.1"),
    ("mixtral-8x7b", 46_702_792_704, "mistralai/Mixtral-8x7B-v0.1; 47B in arXiv:2401.04088"),
    # README_WEIGHTS.md of deepseek-ai/DeepSeek-V3: 671B without the prediction module.
    ("deepseek-v3", 671_026_404_352, "deepseek-ai/DeepSeek-V3: 671B"),
]

CAUSAL = ("gpt-2", "gpt-2-medium", "gpt-2-large", "gpt-2-xl", "gpt-3", "llama-2-7b", "llama-2-13b",
          "llama-2-70b", "llama-3-8b", "llama-3-70b", "mistral-7b", "mixtral-8x7b")  # fmt: skip


def analyze(name: str, phase: str | None = None, **sizes: Any) -> Analysis:
    return perfmodel.analyze(name, DEVICE, phase=phase, **sizes)


def macs_of(result: Analysis, *kinds: str) -> int:
    return sum(row["count"] * row["macs"] for row in result.operators if row["op"] in kinds)


@pytest.mark.parametrize(("name", "parameters", "published"), PARAMETERS)
def test_parameters_are_the_published_ones(name: str, parameters: int, published: str) -> None:
    assert analyze(name).totals["parameters"] == parameters, published


def test_transformer_base_has_its_layers_parameters() -> None:
    # arXiv:1706.03762, table 3 rounds to 65M. Its own sizes make 63.0M at 37,000 tokens; "about
    # 37000" (section 5.1) leaves the vocabulary open, and 65M would take 40,800 of them.
    d, inner, tokens = 512, 2048, 37_000
    feed_forward = d * inner + inner + inner * d + d
    encoder = 4 * d * d + feed_forward + 2 * 2 * d
    decoder = 8 * d * d + feed_forward + 3 * 2 * d
    derived = tokens * d + 6 * (encoder + decoder)
    assert analyze("transformer-base").totals["parameters"] == derived == 63_045_632
    assert derived == pytest.approx(65e6, rel=0.035)


#: name, MACs at batch 1, source: torchvision's "GFLOPS" (its word for GMAC), or PyTorch's flop
#: counter over the Hugging Face implementation with attention written out
IMAGES_AND_TEXT = [
    # 17.56 in torchvision's table: matrix products, the patch convolution and attention.
    ("vit-b-16", 17_563_828_224),
    # 4.49 in torchvision's table.
    ("swin-t", 4_490_566_656),
    # 128 tokens: 38,655,754,240 in affine layers, 805,306,368 in attention.
    ("bert-large", 39_461_060_608),
    # 512 and 128 tokens: 66,576,187,392 in affine layers, 6,341,787,648 in attention.
    ("t5-base", 72_917_975_040),
    # 30 s and 448 tokens. PyTorch counts 75,525,914,624 with the masked half of the decoder's
    # own attention: 6 layers x 2 x 512 x (448^2 - 448 x 449 / 2) = 615,186,432 more.
    ("whisper-base", 75_525_914_624 - 615_186_432),
]


@pytest.mark.parametrize(("name", "macs"), IMAGES_AND_TEXT)
def test_macs_are_those_of_the_implementation(name: str, macs: int) -> None:
    assert analyze(name).totals["macs"] == macs


@pytest.mark.parametrize(("name", "published"), [("vit-b-16", 17.56), ("swin-t", 4.49)])
def test_macs_round_to_torchvisions(name: str, published: float) -> None:
    assert round(analyze(name).totals["macs"] / 1e9, 2) == published


def test_transformer_base_macs_by_hand() -> None:
    d, inner, tokens, n = 512, 2048, 37_000, 128
    encoder = n * (4 * d * d + 2 * d * inner) + 2 * d * n * n
    decoder = n * (8 * d * d + 2 * d * inner) + 2 * d * n * (n + 1) // 2 + 2 * d * n * n
    expected = 6 * (encoder + decoder) + n * d * tokens
    assert analyze("transformer-base").totals["macs"] == expected


@pytest.mark.parametrize("name", CAUSAL)
def test_a_causal_network_does_a_mac_a_weight_and_token_and_its_attention(name: str) -> None:
    result = analyze(name, "decode", context=1000)
    d = result.data["workload"]["dims"]
    layers, hidden = int(d["layers"]), int(d["hidden"])
    matrices = result.totals["parameters"]
    if name.startswith("gpt"):
        # Positions; 13 hidden values a layer of biases and norms; the last norm.
        matrices -= int(d["positions"]) * hidden + (13 * layers + 2) * hidden
    else:
        # The token embedding, which is not the output layer; norms.
        matrices -= int(d["vocabulary"]) * hidden + (2 * layers + 1) * hidden
    if name == "mixtral-8x7b":
        matrices -= 6 * layers * 3 * hidden * int(d["intermediate"])
    assert macs_of(result, "affine", "moe") == matrices
    assert macs_of(result, "attention") == 2 * layers * hidden * 1001
    assert result.totals["macs"] == matrices + 2 * layers * hidden * 1001
    prompt = analyze(name, "prefill", sequence=1000)
    pairs = 1000 * 1001 // 2
    assert prompt.totals["macs"] == 1000 * matrices + 2 * layers * hidden * pairs


def test_gpt_2_macs_are_pytorchs_without_the_masked_half() -> None:
    # PyTorch's flop counter on 1024 tokens: 86,973,087,744 in affine layers, 39,523,713,024 in
    # the output layer, 19,327,352,832 in attention, masked pairs too.
    result = analyze("gpt-2", "prefill")
    assert macs_of(result, "affine") == 86_973_087_744 + 39_523_713_024
    assert macs_of(result, "attention") == 19_327_352_832 * 1025 // 2048


def test_a_window_bounds_the_attention_of_mistral() -> None:
    # 32 layers x 32 heads x 128 x 2 MACs a key; a token sees 4096 of them at most.
    near, far = (analyze("mistral-7b", "decode", context=c) for c in (4095, 32_000))
    assert macs_of(near, "attention") == macs_of(far, "attention") == 2 * 32 * 4096 * 4096


#: name, bytes of KV cache a token in 16 bits: 2 x layers x kv_heads x head_dim x 2
KV_CACHE = [
    ("gpt-2", 2 * 12 * 768 * 2),
    ("llama-2-7b", 524_288),
    ("llama-2-13b", 819_200),
    ("llama-2-70b", 327_680),
    ("llama-3-8b", 131_072),
    ("llama-3-70b", 327_680),
    ("mistral-7b", 131_072),
    ("mixtral-8x7b", 131_072),
    # 61 layers x (512 + 64) x 2; 70.272 KB in arXiv:2505.09343, table 1.
    ("deepseek-v3", 70_272),
]


@pytest.mark.parametrize(("name", "per_token"), KV_CACHE)
def test_kv_cache_a_token(name: str, per_token: int) -> None:
    assert analyze(name, "decode", context=1000).totals["kv_cache_bytes"] == 1000 * per_token
    assert analyze(name, "prefill", sequence=500).totals["kv_cache_bytes"] == 500 * per_token


def test_mixtral_uses_13_billion_parameters_a_token() -> None:
    # arXiv:2401.04088: "each token has access to 47B parameters, but only uses 13B".
    result = analyze("mixtral-8x7b", "decode")
    idle = 6 * 32 * 3 * 4096 * 14_336
    active = result.totals["parameters"] - idle
    assert active == 12_879_925_248
    # All of them but the embedding and the norms are matrices.
    assert macs_of(result, "affine", "moe") == active - 32_000 * 4096 - 65 * 4096


def test_deepseek_v3_parameters_from_its_config() -> None:
    hidden, heads, q_rank, kv_rank, nope, rope, value = 7168, 128, 1536, 512, 128, 64, 128
    attention = (
        hidden * q_rank + q_rank  # q_a_proj and its norm
        + q_rank * heads * (nope + rope)  # q_b_proj
        + hidden * (kv_rank + rope) + kv_rank  # kv_a_proj_with_mqa and its norm
        + kv_rank * heads * (nope + value)  # kv_b_proj
        + heads * value * hidden  # o_proj
    )  # fmt: skip
    expert = 3 * hidden * 2048
    dense = attention + 3 * hidden * 18_432 + 2 * hidden
    sparse = attention + 257 * expert + 256 * hidden + 2 * hidden
    embedding = 129_280 * hidden
    derived = 3 * dense + 58 * sparse + 2 * embedding + hidden
    # The biases of the routing (58 x 256) are state of the network, not learned by gradient.
    assert derived == 671_026_404_352
    result = analyze("deepseek-v3", "decode", context=0)
    assert result.totals["parameters"] == derived
    # README_WEIGHTS.md: 36.6B active, the output layer's 0.9B among them, the embedding not.
    active = derived - 58 * 248 * expert - embedding
    assert active == 36_625_603_584
    norms = 61 * (2 * hidden + q_rank + kv_rank) + hidden
    one_token = 61 * heads * (nope + rope + value)  # the only key's score, and its value
    assert result.totals["macs"] == active - norms + one_token


@pytest.mark.parametrize("name", [*(row[0] for row in PARAMETERS), "transformer-base"])
def test_training_takes_about_three_forward_passes(name: str) -> None:
    # Kaplan et al., arXiv:2001.08361: 6 FLOP a parameter and token; attention a little more.
    forward = analyze(name).totals
    training = analyze(name, "training").totals
    assert 2.9 < training["macs"] / forward["macs"] < 3.25
    assert training["parameters"] == forward["parameters"]
