"""Decoders after Llama: root-mean-square norms, rotary positions, gated feed-forward networks.

Defaults of absent keys are those of the configuration classes of transformers
(src/transformers/models/<model_type>/configuration_<model_type>.py, releases 4.46 to 5).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from perfmodel.readers.huggingface.decoder import Decoder, attention_dims
from perfmodel.readers.huggingface.facts import Facts
from perfmodel.readers.huggingface.layers import Dims, Experts, Layer, Mlp
from perfmodel.readers.huggingface.registry import architecture

LAYER_TYPES = ("full_attention", "sliding_attention")


def common_dims(facts: Facts, *, kv_heads: int | None = None, head_dim: int | None = None) -> Dims:
    """Return the dims that all of them have, with the class's defaults of two keys.

    None stands for as many key and value heads as heads, and for ``hidden / heads``.
    """
    heads = facts.size("num_attention_heads")
    shared = facts.size("num_key_value_heads", heads if kv_heads is None else kv_heads, null=heads)
    width = facts.size("head_dim", head_dim)
    if width is None:
        hidden = facts.size("hidden_size")
        facts.divides("num_attention_heads", heads, "hidden_size", hidden)
        width = hidden // heads
    return {
        **attention_dims(facts, "num_attention_heads", shared, width),
        "intermediate": facts.size("intermediate_size"),
        "vocabulary": facts.size("vocab_size"),
    }


def whole_rotary(facts: Facts, dims: Dims) -> None:
    """Raise InputError unless heads turn in pairs of columns."""
    width = _head_dim(dims)
    if width % 2:
        key = facts.named("head_dim", "hidden_size")
        raise facts.fail(key, f"{key}: heads of {width} columns, expected an even number")


def rotary(facts: Facts, dims: Dims, factor: float, layer: Layer) -> Layer:
    """Return ``layer`` turning ``factor`` of each head, and add the dim that says how much."""
    width = _head_dim(dims)
    turned = int(width * factor)
    if turned == width:
        whole_rotary(facts, dims)
        return layer
    if turned == 0:
        return replace(layer, rotary="none")
    if turned % 2:
        raise facts.fail(
            "hidden_size", f"{turned} of {width} columns turn, expected an even number"
        )
    dims["rotary_dim"] = turned
    return replace(layer, rotary="part")


def windowed(layer: Layer, dims: Dims, window: int | None, where: list[bool]) -> list[Layer]:
    """Return the layers, those that ``where`` marks with a window of tokens."""
    if window is None or not any(where):
        return [layer] * len(where)
    dims["window"] = window
    return [replace(layer, windowed=w) for w in where]


def written_kinds(facts: Facts, count: int) -> list[bool] | None:
    """Return which layers ``layer_types`` gives a window; None where it is absent."""
    types = facts.texts("layer_types", LAYER_TYPES, count)
    return None if types is None else [t == "sliding_attention" for t in types]


def build(facts: Facts, dims: Dims, layers: list[Layer], **more: Any) -> dict[str, Any]:
    """Return the sections of a network of ``layers``."""
    settings = {
        "reach": facts.size("max_position_embeddings", 2048),
        "tied": facts.flag("tie_word_embeddings", False),
        **more,
    }
    return Decoder(dims, layers, **settings).sections()


@architecture("llama")
def llama(facts: Facts) -> dict[str, Any]:
    """Llama 1 to 3, and the many networks published under its name."""
    dims = common_dims(facts)
    whole_rotary(facts, dims)
    bias = facts.flag("attention_bias", False)
    mlp = Mlp(facts.activation(default="silu"), bias=facts.flag("mlp_bias", False))
    return build(facts, dims, [Layer(mlp, qkv_bias=bias, out_bias=bias)] * facts.layers())


@architecture("mistral")
def mistral(facts: Facts) -> dict[str, Any]:
    """Mistral: grouped queries, and a window in version 0.1."""
    dims = common_dims(facts, kv_heads=8)
    whole_rotary(facts, dims)
    layer = Layer(Mlp(facts.activation(default="silu")))
    # Absent, the class's 4096; null, none (Mistral 7B from version 0.2 on).
    window = facts.size("sliding_window", 4096, null=None)
    marks = written_kinds(facts, facts.layers()) or [True] * facts.layers()
    return build(facts, dims, windowed(layer, dims, window, marks))


@architecture("mixtral")
def mixtral(facts: Facts) -> dict[str, Any]:
    """Mixtral: every feed-forward network a mixture of experts."""
    dims = common_dims(facts, kv_heads=8)
    whole_rotary(facts, dims)
    dims["expert_intermediate"] = "intermediate"
    expert_dims(facts, dims, facts.size("num_local_experts", 8), top_k=2)
    window = facts.size("sliding_window", None)
    return build(facts, dims, windowed(Layer(Experts()), dims, window, [True] * facts.layers()))


def expert_dims(facts: Facts, dims: Dims, experts: int, top_k: int) -> None:
    """Add the dims of a mixture of experts, checked."""
    facts.refuse("hidden_act", "silu")
    chosen = facts.size("num_experts_per_tok", top_k)
    if chosen > experts:
        raise facts.fail(
            "num_experts_per_tok", f"num_experts_per_tok {chosen} is over the {experts} experts"
        )
    dims |= {"experts": experts, "experts_per_token": chosen}


@architecture("qwen2")
def qwen2(facts: Facts) -> dict[str, Any]:
    """Qwen 1.5 to 2.5: biases on queries, keys and values alone."""
    dims = common_dims(facts, kv_heads=32)
    whole_rotary(facts, dims)
    layer = Layer(Mlp(facts.activation(default="silu")), qkv_bias=True)
    return build(facts, dims, _qwen_windows(facts, dims, layer))


@architecture("qwen3")
def qwen3(facts: Facts) -> dict[str, Any]:
    """Qwen 3: each head's query and key normalized."""
    dims = common_dims(facts, kv_heads=32, head_dim=128)
    whole_rotary(facts, dims)
    layer = _qwen3_layer(facts)
    return build(facts, dims, _qwen_windows(facts, dims, layer))


def _qwen3_layer(facts: Facts) -> Layer:
    bias = facts.flag("attention_bias", False)
    mlp = Mlp(facts.activation(default="silu"))
    return Layer(mlp, qkv_bias=bias, out_bias=bias, qk_norm="rms_norm")


def _qwen_windows(facts: Facts, dims: Dims, layer: Layer) -> list[Layer]:
    """Return the layers: those from ``max_window_layers`` on have the window, if it is used."""
    count = facts.layers()
    window = facts.size("sliding_window", 4096, null=None)
    first = facts.size("max_window_layers", 28, least=0)
    if not facts.flag("use_sliding_window", False):
        window = None
    marks = written_kinds(facts, count) or [i >= first for i in range(count)]
    return windowed(layer, dims, window, marks)


@architecture("qwen2_moe")
def qwen2_moe(facts: Facts) -> dict[str, Any]:
    """Qwen 1.5 and 2 with experts: a shared one reads every token through a gate."""
    dims = common_dims(facts, kv_heads=16)
    whole_rotary(facts, dims)
    facts.refuse("use_sliding_window")
    act = facts.activation(default="silu")
    dims["shared_intermediate"] = facts.size("shared_expert_intermediate_size", 5632)
    dense = Layer(Mlp(act), qkv_bias=facts.flag("qkv_bias", True))
    shared = Experts(Mlp(act, units="shared_intermediate"))
    return build(facts, dims, _qwen_experts(facts, dims, dense, shared, 60, 1408, 4))


@architecture("qwen3_moe")
def qwen3_moe(facts: Facts) -> dict[str, Any]:
    """Qwen 3 with experts."""
    dims = common_dims(facts, kv_heads=4)
    whole_rotary(facts, dims)
    facts.refuse("use_sliding_window")
    layers = _qwen_experts(facts, dims, _qwen3_layer(facts), Experts(), 128, 768, 8)
    return build(facts, dims, layers)


def _qwen_experts(
    facts: Facts, dims: Dims, dense: Layer, mixture: Experts,
    experts: int, width: int, top_k: int,
) -> list[Layer]:  # fmt: skip
    """Return the layers: every ``decoder_sparse_step``-th has experts, unless listed as dense."""
    count, step = facts.layers(), facts.size("decoder_sparse_step", 1)
    kept_dense = set(facts.sizes("mlp_only_layers"))
    routed = facts.size(facts.named("num_experts", "num_local_experts"), experts, least=0)
    sparse = [routed > 0 and i not in kept_dense and (i + 1) % step == 0 for i in range(count)]
    if any(sparse):
        dims["expert_intermediate"] = facts.size("moe_intermediate_size", width)
        expert_dims(facts, dims, routed, top_k)
    return [replace(dense, mlp=mixture) if s else dense for s in sparse]


@architecture("phi3")
def phi3(facts: Facts) -> dict[str, Any]:
    """Phi 3 and 4; its fused products (qkv_proj, gate_up_proj) are written as their parts."""
    dims = common_dims(facts)
    layer = Layer(Mlp(facts.activation(default="silu")), dropout=facts.dropout("resid_pdrop", 0.0))
    layer = rotary(facts, dims, facts.rotary_factor("partial_rotary_factor", 1.0), layer)
    window = facts.size("sliding_window", None)
    layers = windowed(layer, dims, window, [True] * facts.layers())
    return build(facts, dims, layers, embedding_dropout=facts.dropout("embd_pdrop", 0.0))


def _head_dim(dims: Dims) -> int:
    width = dims["head_dim"]
    return width if isinstance(width, int) else int(dims["hidden"]) // int(dims["heads"])
