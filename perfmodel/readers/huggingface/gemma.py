"""Gemma 1 to 3: a scaled and tied embedding, wide heads, and from 2 on norms behind each branch.

Defaults of absent keys are those of transformers' configuration_gemma.py,
configuration_gemma2.py and configuration_gemma3.py.
"""

from __future__ import annotations

from typing import Any

from perfmodel.readers.huggingface.facts import Facts
from perfmodel.readers.huggingface.layers import Layer, Mlp
from perfmodel.readers.huggingface.llama_like import (
    build,
    common_dims,
    whole_rotary,
    windowed,
    written_kinds,
)
from perfmodel.readers.huggingface.registry import architecture

CAPPED = (
    "The capping of attention scores (attn_logit_softcapping), a tanh and two multiplications"
    " for each pair of query and key, is left out."
)


@architecture("gemma")
def gemma(facts: Facts) -> dict[str, Any]:
    """Gemma 1."""
    dims = common_dims(facts, kv_heads=16, head_dim=256)
    whole_rotary(facts, dims)
    bias = facts.flag("attention_bias", False)
    layer = Layer(Mlp(_activation(facts)), qkv_bias=bias, out_bias=bias)
    return build(facts, dims, [layer] * facts.layers(), **_embedding(facts))


def _activation(facts: Facts) -> str:
    """Return the activation: the first configurations say gelu and mean its tanh form."""
    if facts.data.get("hidden_activation") is not None:
        return facts.activation("hidden_activation")
    found = facts.activation("hidden_act", "gelu_pytorch_tanh")
    return "gelu_tanh" if found == "gelu" else found


def _embedding(facts: Facts) -> dict[str, Any]:
    return {
        "scaled_embedding": True,
        "tied": facts.flag("tie_word_embeddings", True),
        "reach": facts.size("max_position_embeddings", 8192),
    }


@architecture("gemma2")
def gemma2(facts: Facts) -> dict[str, Any]:
    """Gemma 2: windows in every other layer, from the first on, and capped logits."""
    return _sandwich(facts, period=2, window=4096, cap_attention=50.0, cap_logits=30.0)


@architecture("gemma3_text")
def gemma3_text(facts: Facts) -> dict[str, Any]:
    """Gemma 3: five windowed layers to a full one, each head's query and key normalized.

    Checkpoints that see images write only what differs from these sizes' defaults.
    """
    given = {
        "vocab_size": 262_208, "hidden_size": 2304, "intermediate_size": 9216,
        "num_hidden_layers": 26, "num_attention_heads": 8, **facts.data,
    }  # fmt: skip
    filled = Facts(facts.document, given, facts.root, facts.notes)
    period = facts.size("sliding_window_pattern", facts.size("_sliding_window_pattern", 6))
    facts.refuse("use_bidirectional_attention")
    return _sandwich(
        filled, period=period, window=4096, cap_attention=None, cap_logits=None, qk_norm="rms_norm"
    )


def _sandwich(
    facts: Facts, *, period: int, window: int, cap_attention: float | None,
    cap_logits: float | None, qk_norm: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    dims = common_dims(facts, kv_heads=4, head_dim=256)
    whole_rotary(facts, dims)
    if facts.sets("attn_logit_softcapping", cap_attention):
        facts.notes.append(CAPPED)
    bias, count = facts.flag("attention_bias", False), facts.layers()
    layer = Layer(
        Mlp(facts.activation("hidden_activation", "gelu_pytorch_tanh")),
        order="sandwich",
        qkv_bias=bias,
        out_bias=bias,
        qk_norm=qk_norm,
    )
    width = facts.size("sliding_window", window, null=None)
    marks = written_kinds(facts, count) or [(i + 1) % period > 0 for i in range(count)]
    capped = facts.sets("final_logit_softcapping", cap_logits)
    layers = windowed(layer, dims, width, marks)
    return build(facts, dims, layers, capped_logits=capped, **_embedding(facts))
