"""Decoders after GPT-2: layer norms, plain feed-forward networks, biases.

Defaults of absent keys are those of the configuration classes of transformers
(src/transformers/models/<model_type>/configuration_<model_type>.py, releases 4.46 to 5);
norms and residuals stand as in modeling_<model_type>.py there.
"""

from __future__ import annotations

from typing import Any

from perfmodel.readers.huggingface.decoder import Decoder, attention_dims
from perfmodel.readers.huggingface.facts import Facts
from perfmodel.readers.huggingface.layers import Dims, Layer, Mlp, Order
from perfmodel.readers.huggingface.llama_like import build, common_dims, rotary, whole_rotary
from perfmodel.readers.huggingface.registry import architecture

ALIBI = (
    "The bias of attention scores by distance (ALiBi), an addition for each pair of query and"
    " key, is left out."
)


def _dims(facts: Facts, heads: str, hidden: str, kv_heads: int | None = None) -> Dims:
    count, width = facts.size(heads), facts.size(hidden)
    facts.divides(heads, count, hidden, width)
    shared = count if kv_heads is None else kv_heads
    return {
        **attention_dims(facts, heads, shared, width // count, hidden),
        "intermediate": "4 * hidden",
        "vocabulary": facts.size("vocab_size"),
    }


@architecture("gpt2")
def gpt2(facts: Facts) -> dict[str, Any]:
    """GPT-2: learned positions, a tied output layer."""
    facts.refuse("add_cross_attention")
    dims = _dims(facts, facts.named("n_head", "num_attention_heads"), _hidden(facts))
    inner = facts.size("n_inner", None)
    if inner is not None:
        dims["intermediate"] = inner
    positions = facts.size(facts.named("n_positions", "max_position_embeddings"), 1024)
    layer = Layer(
        Mlp(facts.activation("activation_function", "gelu_new"), gated=False, bias=True),
        norm="layer_norm",
        qkv_bias=True,
        out_bias=True,
        rotary="none",
        dropout=facts.dropout("resid_pdrop", 0.1),
    )
    return Decoder(
        dims,
        [layer] * facts.layers("n_layer", "num_hidden_layers"),
        reach=positions,
        tied=facts.flag("tie_word_embeddings", True),
        norm="layer_norm",
        positions=positions,
        embedding_dropout=facts.dropout("embd_pdrop", 0.1),
    ).sections()


def _hidden(facts: Facts) -> str:
    return facts.named("n_embd", "hidden_size", "n_embed")


@architecture("gptj")
def gptj(facts: Facts) -> dict[str, Any]:
    """GPT-J: both branches read one norm; 64 columns of each head turn."""
    heads, hidden = facts.named("n_head", "num_attention_heads"), _hidden(facts)
    dims = _dims(facts, heads, hidden)
    inner = facts.size("n_inner", None)
    if inner is not None:
        dims["intermediate"] = inner
    width = facts.size(hidden) // facts.size(heads)
    turned = facts.size("rotary_dim", 64, null=width, most=width)
    layer = Layer(
        Mlp(facts.activation("activation_function", "gelu_new"), gated=False, bias=True),
        norm="layer_norm",
        order="shared",
        dropout=facts.dropout("resid_pdrop", 0.0),
    )
    return Decoder(
        dims,
        [rotary(facts, dims, turned / width, layer)] * facts.layers("n_layer", "num_hidden_layers"),
        reach=facts.size(facts.named("n_positions", "max_position_embeddings"), 2048),
        tied=facts.flag("tie_word_embeddings", False),
        norm="layer_norm",
        head_bias=True,
        embedding_dropout=facts.dropout("embd_pdrop", 0.0),
    ).sections()


@architecture("gpt_neox")
def gpt_neox(facts: Facts) -> dict[str, Any]:
    """GPT-NeoX and Pythia: two norms side by side; a quarter of each head turns."""
    dims = _dims(facts, "num_attention_heads", "hidden_size")
    dims["intermediate"] = facts.size("intermediate_size")
    bias, drop = facts.flag("attention_bias", True), facts.dropout("hidden_dropout", 0.0)
    layer = Layer(
        Mlp(facts.activation(default="gelu"), gated=False, bias=True),
        norm="layer_norm",
        order="parallel" if facts.flag("use_parallel_residual", True) else "sequential",
        qkv_bias=bias,
        out_bias=bias,
        dropout=drop,
    )
    layer = rotary(facts, dims, facts.rotary_factor("rotary_pct", 0.25), layer)
    layers = [layer] * facts.layers()
    return build(facts, dims, layers, norm="layer_norm", embedding_dropout=drop)


@architecture("phi")
def phi(facts: Facts) -> dict[str, Any]:
    """Phi 1 to 2: both branches read one norm; half of each head turns."""
    dims = common_dims(facts)
    layer = Layer(
        Mlp(facts.activation(default="gelu_new"), gated=False, bias=True),
        norm="layer_norm",
        order="shared",
        qkv_bias=True,
        out_bias=True,
        qk_norm="layer_norm" if facts.flag("qk_layernorm", False) else None,
        dropout=facts.dropout("resid_pdrop", 0.0),
    )
    layer = rotary(facts, dims, facts.rotary_factor("partial_rotary_factor", 0.5), layer)
    drop = facts.dropout("embd_pdrop", 0.0)
    layers = [layer] * facts.layers()
    return build(
        facts, dims, layers, norm="layer_norm", head_bias=True, embedding_dropout=drop
    )  # fmt: skip


@architecture("falcon")
def falcon(facts: Facts) -> dict[str, Any]:
    """Falcon: 7B shares one key and value head, 40B eight; norms by its two designs."""
    heads = facts.named("num_attention_heads", "n_head")
    new = facts.flag("new_decoder_architecture", False)
    side_by_side = facts.flag("parallel_attn", True)
    shared = facts.size(heads)
    if new:
        shared = facts.size("num_kv_heads", shared)
    elif facts.flag("multi_query", True):
        shared = 1
    dims = _dims(facts, heads, facts.named("hidden_size", "n_embed"), shared)
    inner = facts.size("ffn_hidden_size", None)
    if inner is not None:
        dims["intermediate"] = inner
    order: Order = "shared" if side_by_side else "sequential"
    if new and side_by_side and facts.size("num_ln_in_parallel_attn", 2, most=2) == 2:
        order = "parallel"
    if new and not side_by_side:
        raise facts.fail(
            "parallel_attn", "parallel_attn: found False beside new_decoder_architecture"
        )
    bias, alibi = facts.flag("bias", False), facts.flag("alibi", False)
    if alibi:
        facts.notes.append(ALIBI)
    else:
        whole_rotary(facts, dims)
    layer = Layer(
        Mlp(facts.activation("activation", "gelu"), gated=False, bias=bias),
        norm="layer_norm",
        order=order,
        qkv_bias=bias,
        out_bias=bias,
        rotary="none" if alibi else "whole",
        dropout=facts.dropout("hidden_dropout", 0.0),
    )
    layers = [layer] * facts.layers("num_hidden_layers", "n_layer")
    # Absent, tied: the checkpoint of 7B holds the output layer too, as a second copy.
    tied = facts.flag("tie_word_embeddings", True)
    return build(facts, dims, layers, norm="layer_norm", tied=tied)


@architecture("opt")
def opt(facts: Facts) -> dict[str, Any]:
    """OPT: learned positions, two rows of which stand before the first."""
    facts.refuse("layer_norm_elementwise_affine", True)
    before = facts.flag("do_layer_norm_before", True)
    dims = _dims(facts, "num_attention_heads", "hidden_size")
    dims["intermediate"] = facts.size("ffn_dim")
    bias, reach = facts.flag("enable_bias", True), facts.size("max_position_embeddings", 2048)
    layer = Layer(
        Mlp(facts.activation("activation_function", "relu"), gated=False, bias=bias),
        norm="layer_norm",
        order="sequential" if before else "after",
        qkv_bias=bias,
        out_bias=bias,
        rotary="none",
        dropout=facts.dropout("dropout", 0.1),
    )
    last = before and not facts.flag("_remove_final_layer_norm", False)
    width = facts.size("word_embed_proj_dim", None)
    return Decoder(
        dims,
        [layer] * facts.layers(),
        reach=reach,
        tied=facts.flag("tie_word_embeddings", True),
        norm="layer_norm" if last else None,
        positions=reach + 2,
        embedding_width=None if width == dims["hidden"] else width,
    ).sections()


@architecture("bloom")
def bloom(facts: Facts) -> dict[str, Any]:
    """BLOOM: no positions but a bias of scores by distance; a norm behind the embedding."""
    facts.refuse("apply_residual_connection_post_layernorm")
    facts.notes.append(ALIBI)
    heads = facts.named("n_head", "num_attention_heads")
    dims = _dims(facts, heads, facts.named("hidden_size", "n_embed"))
    layer = Layer(
        Mlp("gelu_tanh", gated=False, bias=True),
        norm="layer_norm",
        qkv_bias=True,
        out_bias=True,
        rotary="none",
        dropout=facts.dropout("hidden_dropout", 0.0),
    )
    return Decoder(
        dims,
        [layer] * facts.layers("n_layer", "num_hidden_layers"),
        reach=facts.size("seq_length", 2048),
        tied=facts.flag("tie_word_embeddings", True),
        norm="layer_norm",
        embedding_norm="layer_norm",
    ).sections()
