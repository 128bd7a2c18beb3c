"""DeepSeek V2 and V3: latent attention and experts, after the built-in network.

Defaults of absent keys are those of configuration_deepseek.py in the published
repositories (deepseek-ai/DeepSeek-V2, DeepSeek-V3), on which transformers' follow.
"""

from __future__ import annotations

from typing import Any

from perfmodel.readers.huggingface.decoder import decoder_phases
from perfmodel.readers.huggingface.facts import Facts
from perfmodel.readers.huggingface.registry import architecture
from perfmodel.readers.huggingface.template import Sections, builtin_sections

_ROUTING = (
    "Routing is the softmax of `moe`; the network compares sigmoids with a bias, within some of"
    " the groups of experts."
)
_PREDICTION = "The module for multi-token prediction (num_nextn_predict_layers) is left out."


@architecture("deepseek_v2")
def deepseek_v2(facts: Facts) -> dict[str, Any]:
    """DeepSeek V2; V2-Lite makes its queries in one product."""
    return _deepseek(facts)


@architecture("deepseek_v3")
def deepseek_v3(facts: Facts) -> dict[str, Any]:
    """DeepSeek V3 and R1, without the module for multi-token prediction."""
    facts.notes.append(_ROUTING)
    if facts.size("num_nextn_predict_layers", 0, least=0):
        facts.notes.append(_PREDICTION)
    return _deepseek(facts)


def _deepseek(facts: Facts) -> Sections:
    sections = builtin_sections("deepseek-v3")
    sections["phases"] = decoder_phases(facts.size("max_position_embeddings", 2048))
    dims, nodes, blocks = sections["dims"], sections["nodes"], sections["blocks"]
    for dim, key in (
        ("hidden", "hidden_size"), ("heads", "num_attention_heads"), ("kv_rank", "kv_lora_rank"),
        ("nope_dim", "qk_nope_head_dim"), ("rope_dim", "qk_rope_head_dim"),
        ("value_dim", "v_head_dim"), ("intermediate", "intermediate_size"),
        ("vocabulary", "vocab_size"),
    ):  # fmt: skip
        dims[dim] = facts.size(key)
    if dims["rope_dim"] % 2:
        found = f"qk_rope_head_dim: found {dims['rope_dim']}, expected an even number"
        raise facts.fail("qk_rope_head_dim", found)
    dims["sequence"] = sections["phases"]["prefill"]["sequence"]
    attention = blocks["latent_attention"]["nodes"]
    rank = facts.size("q_lora_rank", 1536, null=None)
    if rank is None:
        del dims["q_rank"], attention["q_a_proj"], attention["q_a_norm"]
        attention["q_nope"]["inputs"] = attention["q_pe"]["inputs"] = "norm"
    else:
        dims["q_rank"] = rank
    if facts.flag("attention_bias", False):
        for name in {"q_a_proj", "kv_a_proj", "k_pe", "o_proj"} & set(attention):
            attention[name]["bias"] = True
    facts.refuse("hidden_act", "silu")
    _experts(facts, sections)
    if facts.flag("tie_word_embeddings", False):
        nodes["embedding"]["share"] = {"table": "words"}
        nodes["lm_head"]["share"] = {"weight": "words"}
    return sections


def _experts(facts: Facts, sections: Sections) -> None:
    """Set the experts, the shared ones and the layers without any."""
    dims, nodes, blocks = sections["dims"], sections["nodes"], sections["blocks"]
    facts.refuse("moe_layer_freq", 1)
    layers, routed = facts.layers(), facts.size("n_routed_experts", None)
    dense = facts.size("first_k_dense_replace", 0, least=0)
    if routed is None or dense >= layers:
        dense = layers
    dims |= {"layers": layers, "dense_layers": dense}
    if dense == 0:
        del nodes["dense"], blocks["dense_layer"], dims["dense_layers"]
        nodes["sparse"]["repeat"] = "layers"
    if dense == layers:
        del nodes["sparse"], blocks["moe_layer"]
        for dim in ("expert_intermediate", "experts", "experts_per_token", "shared_experts"):
            del dims[dim]
        return
    chosen, shared = facts.size("num_experts_per_tok"), facts.size("n_shared_experts", 0, least=0)
    if chosen > routed:
        raise facts.fail(
            "num_experts_per_tok", f"num_experts_per_tok {chosen} is over the {routed} experts"
        )
    dims |= {
        "expert_intermediate": facts.size("moe_intermediate_size"),
        "experts": routed,
        "experts_per_token": chosen,
        "shared_experts": shared,
    }
    if not shared:
        block = blocks["moe_layer"]["nodes"]
        del block["shared"], block["experts_add"], dims["shared_experts"]
        block["moe_add"]["inputs"] = ["moe", "self"]
