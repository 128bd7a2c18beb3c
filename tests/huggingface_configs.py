"""Published configurations, as the keys of their config.json that say the architecture.

Each with its parameters: as the model's page on the Hugging Face hub counts them, and as
transformers 5.23 counted them, built from these keys on torch's meta device (2026-11-22).
"""

from typing import Any

Config = dict[str, Any]


def _config(model_type: str, **facts: Any) -> Config:
    return {"model_type": model_type, **facts}


def _decoder(
    model_type: str, hidden: int, inner: int, layers: int, heads: int, vocabulary: int, **more: Any
) -> Config:
    return _config(
        model_type, hidden_size=hidden, intermediate_size=inner, num_hidden_layers=layers,
        num_attention_heads=heads, vocab_size=vocabulary, **more,
    )  # fmt: skip


def _moe(kv: int, experts: int, top_k: int, width: int, **more: Any) -> Config:
    return {
        "num_key_value_heads": kv, "num_experts": experts, "num_experts_per_tok": top_k,
        "moe_intermediate_size": width, "decoder_sparse_step": 1, **more,
    }  # fmt: skip


def _latent(q_rank: int | None, experts: int, shared: int, top_k: int, width: int) -> Config:
    return {
        "q_lora_rank": q_rank, "kv_lora_rank": 512, "qk_nope_head_dim": 128,
        "qk_rope_head_dim": 64, "v_head_dim": 128, "n_routed_experts": experts,
        "n_shared_experts": shared, "num_experts_per_tok": top_k, "moe_intermediate_size": width,
        "moe_layer_freq": 1, "max_position_embeddings": 163840,
    }  # fmt: skip


def _whisper(
    width: int, encoder: int, decoder: int, heads: int, vocabulary: int, mels: int
) -> Config:
    return _config(
        "whisper", d_model=width, encoder_layers=encoder, decoder_layers=decoder,
        encoder_attention_heads=heads, decoder_attention_heads=heads, encoder_ffn_dim=4 * width,
        decoder_ffn_dim=4 * width, vocab_size=vocabulary, num_mel_bins=mels,
    )  # fmt: skip


_GEMMA_2 = {"head_dim": 256, "sliding_window": 4096}

#: name -> configuration, parameters
PUBLISHED: dict[str, tuple[Config, int]] = {
    "llama-2-7b": (
        _decoder("llama", 4096, 11008, 32, 32, 32000, num_key_value_heads=32,
                 hidden_act="silu", max_position_embeddings=4096, torch_dtype="float16"),
        6_738_415_616),
    "llama-2-70b": (
        _decoder("llama", 8192, 28672, 80, 64, 32000, num_key_value_heads=8), 68_976_648_192),
    "llama-3-8b": (
        _decoder("llama", 4096, 14336, 32, 32, 128256, num_key_value_heads=8,
                 max_position_embeddings=8192, torch_dtype="bfloat16"), 8_030_261_248),
    "llama-3.2-1b": (
        _decoder("llama", 2048, 8192, 16, 32, 128256, num_key_value_heads=8, head_dim=64,
                 tie_word_embeddings=True), 1_235_814_400),
    "mistral-7b": (
        _decoder("mistral", 4096, 14336, 32, 32, 32000, num_key_value_heads=8,
                 sliding_window=4096, max_position_embeddings=32768, torch_dtype="bfloat16"),
        7_241_732_096),
    "mistral-nemo": (
        _decoder("mistral", 5120, 14336, 40, 32, 131072, num_key_value_heads=8, head_dim=128,
                 sliding_window=None), 12_247_782_400),
    "mixtral-8x7b": (
        _decoder("mixtral", 4096, 14336, 32, 32, 32000, num_key_value_heads=8,
                 num_local_experts=8, num_experts_per_tok=2, sliding_window=None,
                 torch_dtype="bfloat16"), 46_702_792_704),
    "qwen2-0.5b": (
        _decoder("qwen2", 896, 4864, 24, 14, 151936, num_key_value_heads=2,
                 tie_word_embeddings=True), 494_032_768),
    "qwen2-7b": (
        _decoder("qwen2", 3584, 18944, 28, 28, 152064, num_key_value_heads=4,
                 sliding_window=131072, use_sliding_window=False, max_window_layers=28),
        7_615_616_512),
    "qwen1.5-moe-a2.7b": (
        _decoder("qwen2_moe", 2048, 5632, 24, 16, 151936,
                 **_moe(16, 60, 4, 1408, shared_expert_intermediate_size=5632)), 14_315_784_192),
    "qwen3-8b": (
        _decoder("qwen3", 4096, 12288, 36, 32, 151936, num_key_value_heads=8, head_dim=128),
        8_190_735_360),
    "qwen3-30b-a3b": (
        _decoder("qwen3_moe", 2048, 6144, 48, 32, 151936,
                 **_moe(4, 128, 8, 768, head_dim=128, mlp_only_layers=[])), 30_532_122_624),
    "gemma-2b": (
        _decoder("gemma", 2048, 16384, 18, 8, 256000, num_key_value_heads=1, head_dim=256,
                 hidden_act="gelu"), 2_506_172_416),
    "gemma-7b": (
        _decoder("gemma", 3072, 24576, 28, 16, 256000, num_key_value_heads=16, head_dim=256),
        8_537_680_896),
    "gemma-2-2b": (
        _decoder("gemma2", 2304, 9216, 26, 8, 256000, num_key_value_heads=4, **_GEMMA_2),
        2_614_341_888),
    "gemma-2-9b": (
        _decoder("gemma2", 3584, 14336, 42, 16, 256000, num_key_value_heads=8, **_GEMMA_2),
        9_241_705_984),
    "gemma-3-1b": (
        _decoder("gemma3_text", 1152, 6912, 26, 4, 262144, num_key_value_heads=1, head_dim=256,
                 sliding_window=512, sliding_window_pattern=6), 999_885_952),
    "phi-2": (
        _decoder("phi", 2560, 10240, 32, 32, 51200, partial_rotary_factor=0.4,
                 resid_pdrop=0.1), 2_779_683_840),
    "phi-3-mini": (
        _decoder("phi3", 3072, 8192, 32, 32, 32064, num_key_value_heads=32,
                 sliding_window=2047), 3_821_079_552),
    "phi-4-mini": (
        _decoder("phi3", 3072, 8192, 32, 24, 200064, num_key_value_heads=8,
                 partial_rotary_factor=0.75, tie_word_embeddings=True), 3_836_021_760),
    "gpt-2": (
        _config("gpt2", n_embd=768, n_layer=12, n_head=12, n_positions=1024, vocab_size=50257,
                activation_function="gelu_new"), 124_439_808),
    "gpt-2-xl": (
        _config("gpt2", n_embd=1600, n_layer=48, n_head=25, n_positions=1024, vocab_size=50257),
        1_557_611_200),
    "gpt-j-6b": (
        _config("gptj", n_embd=4096, n_layer=28, n_head=16, rotary_dim=64, vocab_size=50400,
                tie_word_embeddings=False), 6_050_882_784),
    "gpt-neox-20b": (
        _decoder("gpt_neox", 6144, 24576, 44, 64, 50432, rotary_pct=0.25,
                 hidden_act="gelu_fast"), 20_554_567_680),
    "pythia-6.9b": (
        _decoder("gpt_neox", 4096, 16384, 32, 32, 50432, rotary_pct=0.25), 6_857_302_016),
    # Tied, as transformers loads them; the checkpoints hold the output layer a second time.
    "falcon-7b": (
        _config("falcon", hidden_size=4544, num_hidden_layers=32, num_attention_heads=71,
                multi_query=True, parallel_attn=True, bias=False, vocab_size=65024),
        6_921_720_704),
    "falcon-40b": (
        _config("falcon", hidden_size=8192, num_hidden_layers=60, num_attention_heads=128,
                num_kv_heads=8, new_decoder_architecture=True, vocab_size=65024), 41_303_293_952),
    "falcon-rw-1b": (
        _config("falcon", hidden_size=2048, num_hidden_layers=24, num_attention_heads=32,
                multi_query=False, parallel_attn=False, bias=True, alibi=True, vocab_size=50304),
        1_311_625_216),
    "opt-125m": (
        _config("opt", hidden_size=768, num_hidden_layers=12, num_attention_heads=12,
                ffn_dim=3072, word_embed_proj_dim=768, vocab_size=50272), 125_239_296),
    "opt-350m": (
        _config("opt", hidden_size=1024, num_hidden_layers=24, num_attention_heads=16,
                ffn_dim=4096, word_embed_proj_dim=512, do_layer_norm_before=False,
                vocab_size=50272), 331_196_416),
    "bloom-560m": (
        _config("bloom", hidden_size=1024, n_layer=24, n_head=16, vocab_size=250880),
        559_214_592),
    "bert-base": (
        _decoder("bert", 768, 3072, 12, 12, 30522, max_position_embeddings=512,
                 type_vocab_size=2, hidden_act="gelu", architectures=["BertForMaskedLM"]),
        109_482_240),
    "roberta-base": (
        _decoder("roberta", 768, 3072, 12, 12, 50265, max_position_embeddings=514,
                 type_vocab_size=1), 124_645_632),
    "distilbert-base": (
        _config("distilbert", dim=768, n_layers=6, n_heads=12, hidden_dim=3072, vocab_size=30522),
        66_362_880),
    "t5-base": (
        _config("t5", d_model=768, d_kv=64, d_ff=3072, num_layers=12, num_heads=12,
                vocab_size=32128), 222_903_552),
    # The hub's count; transformers 5 ties its output layer, which the checkpoint does not.
    "flan-t5-base": (
        _config("t5", d_model=768, d_kv=64, d_ff=2048, num_layers=12, num_heads=12,
                vocab_size=32128, feed_forward_proj="gated-gelu", tie_word_embeddings=False),
        247_577_856),
    "whisper-base": (_whisper(512, 6, 6, 8, 51865, 80), 72_593_920),
    "whisper-large-v3-turbo": (_whisper(1280, 32, 4, 20, 51866, 128), 808_878_080),
    "vit-b-16": (
        _config("vit", hidden_size=768, num_hidden_layers=12, num_attention_heads=12,
                intermediate_size=3072, architectures=["ViTForImageClassification"],
                id2label={str(i): f"LABEL_{i}" for i in range(1000)}), 86_567_656),
    "vit-base-in21k": (
        _config("vit", hidden_size=768, num_hidden_layers=12, num_attention_heads=12,
                intermediate_size=3072, architectures=["ViTModel"]), 86_389_248),
    "deepseek-v2-lite": (
        _decoder("deepseek_v2", 2048, 10944, 27, 16, 102400, first_k_dense_replace=1,
                 **_latent(None, 64, 2, 6, 1408)), 15_706_484_224),
    "deepseek-v2": (
        _decoder("deepseek_v2", 5120, 12288, 60, 128, 102400, first_k_dense_replace=1,
                 **_latent(1536, 160, 2, 6, 1536)), 235_741_434_880),
    # Without the 58 x 256 biases of routing, which no gradient trains: the checkpoint's main
    # model holds 671,026,419,200.
    "deepseek-v3": (
        _decoder("deepseek_v3", 7168, 18432, 61, 128, 129280, first_k_dense_replace=3,
                 **_latent(1536, 256, 1, 8, 2048)), 671_026_404_352),
}  # fmt: skip
