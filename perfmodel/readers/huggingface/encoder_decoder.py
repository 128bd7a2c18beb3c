"""Networks of an encoder and a decoder: T5 and Whisper, after the built-in networks.

Defaults of absent keys are those of transformers' configuration_t5.py,
configuration_mt5.py and configuration_whisper.py.
"""

from __future__ import annotations

from typing import Any

from perfmodel.readers.huggingface.facts import Facts
from perfmodel.readers.huggingface.layers import Nodes
from perfmodel.readers.huggingface.registry import architecture
from perfmodel.readers.huggingface.template import (
    Sections,
    builtin_sections,
    remove,
    set_activation,
    set_dropout,
    untie,
)

#: feed_forward_proj -> activation, and whether it is gated; gated-gelu means the tanh form
T5_FORMS = {
    "relu": ("relu", False), "gelu": ("gelu", False), "silu": ("silu", False),
    "gated-relu": ("relu", True), "gated-gelu": ("gelu_tanh", True), "gated-silu": ("silu", True),
}  # fmt: skip


@architecture("t5")
def t5(facts: Facts) -> dict[str, Any]:
    """T5 and, with gated networks and an output layer of its own, T5 1.1 and FLAN-T5."""
    return _t5(facts, form="relu", tied=True)


@architecture("mt5")
def mt5(facts: Facts) -> dict[str, Any]:
    """Multilingual T5."""
    return _t5(facts, form="gated-gelu", tied=False)


def _t5(facts: Facts, form: str, tied: bool) -> Sections:
    sections = builtin_sections("t5-base")
    layers = facts.layers("num_layers")
    decoder_layers = facts.size("num_decoder_layers", layers, most=10 * layers)
    sections["dims"] |= {
        "layers": layers,
        "decoder_layers": "layers" if decoder_layers == layers else decoder_layers,
        "hidden": facts.size("d_model"),
        "heads": facts.size("num_heads"),
        "head_dim": facts.size("d_kv", 64),
        "intermediate": facts.size("d_ff"),
        "vocabulary": facts.size("vocab_size"),
        "buckets": facts.size("relative_attention_num_buckets", 32),
    }
    nodes = sections["nodes"]
    nodes["decoder"]["repeat"] = "decoder_layers"
    feed_forward = sections["blocks"]["feed_forward"]
    act, gated = facts.choice("feed_forward_proj", T5_FORMS, form)
    feed_forward["nodes"] = _t5_form(feed_forward["nodes"], act, gated)
    if not facts.flag("tie_word_embeddings", tied):
        untie(nodes, "lm_head")
        sections["nodes"] = remove(nodes, sections["inputs"], ["scale"])
    set_dropout(sections, facts.dropout("dropout_rate", 0.1))
    facts.notes.append(
        "The decoder reads a given target text; in training the dropout of attention"
        " probabilities is left out."
    )
    return sections


def _t5_form(nodes: Nodes, act: str, gated: bool) -> Nodes:
    nodes = set_activation(nodes, "relu", act)
    if not gated:
        return nodes
    made: Nodes = {}
    for name, item in nodes.items():
        if name == "wi":
            made["wi_0"] = {**item, "inputs": "norm"}
        elif name == act:
            made[act] = item
            made["wi_1"] = {**nodes["wi"], "inputs": "norm"}
            made["gate"] = {"op": "mul", "inputs": [act, "wi_1"]}
        else:
            made[name] = item
    return made


@architecture("whisper")
def whisper(facts: Facts) -> dict[str, Any]:
    """Whisper."""
    facts.refuse("scale_embedding")
    sections = builtin_sections("whisper-base")
    width = facts.size("d_model")
    sizes = {}
    for dim, key in (
        ("layers", "layers"),
        ("heads", "attention_heads"),
        ("intermediate", "ffn_dim"),
    ):
        read = facts.layers if dim == "layers" else facts.size
        own, other = read(f"encoder_{key}"), read(f"decoder_{key}")
        sizes[dim], sizes[f"decoder_{dim}"] = own, dim if own == other else other
        if dim == "heads":
            facts.divides("encoder_attention_heads", own, "d_model", width)
            facts.divides("decoder_attention_heads", other, "d_model", width)
    source, target = (
        facts.size("max_source_positions", 1500),
        facts.size("max_target_positions", 448),
    )
    sections["dims"] |= {
        **sizes,
        "frames": 2 * source,
        "mel_bins": facts.size("num_mel_bins", 80),
        "sequence": target,
        "hidden": width,
        "vocabulary": facts.size("vocab_size"),
    }
    nodes, blocks = sections["nodes"], sections["blocks"]
    nodes["source_positions"]["rows"], nodes["positions"]["rows"] = source, target
    nodes["decoder"]["repeat"] = "decoder_layers"
    for name in ("attention", "cross_attention"):
        heads = {"q_heads": "decoder_heads", "kv_heads": "decoder_heads"}
        blocks["decoder_layer"]["nodes"][name] |= heads
    act = facts.activation("activation_function", "gelu")
    feed_forward = blocks["feed_forward"]
    feed_forward["parameters"] = {"units": None}
    feed_forward["nodes"]["fc1"]["units"] = "units"
    feed_forward["nodes"] = set_activation(feed_forward["nodes"], "gelu", act)
    blocks["encoder_layer"]["nodes"]["feed_forward"]["units"] = "intermediate"
    blocks["decoder_layer"]["nodes"]["feed_forward"]["units"] = "decoder_intermediate"
    if not facts.flag("tie_word_embeddings", True):
        untie(nodes, "proj_out")
    if facts.dropout("dropout", 0.0) or facts.dropout("activation_dropout", 0.0):
        facts.notes.append("Training leaves dropout out.")
    facts.notes.append("The decoder reads a given transcript, as in training and scoring.")
    return sections
