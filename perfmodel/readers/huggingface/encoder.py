"""Encoders: BERT and its kin, and the vision transformer, after the built-in networks.

Defaults of absent keys are those of transformers' configuration_bert.py,
configuration_roberta.py, configuration_distilbert.py and configuration_vit.py. Heads for
a task, as `architectures` names them, are left out, but for the vision transformer's.
"""

from __future__ import annotations

from typing import Any

from perfmodel.readers.huggingface.facts import Facts
from perfmodel.readers.huggingface.registry import architecture
from perfmodel.readers.huggingface.template import (
    Sections,
    builtin_sections,
    remove,
    set_activation,
    set_dropout,
)

HEADLESS = (
    "The encoder and its pooler, as the base class of transformers; the head for a task that"
    " `architectures` names is left out, and in training the dropout of attention probabilities."
)


def _encoder(
    facts: Facts, *, hidden: str, heads: str, layers: str, inner: str, act: str, dropout: str
) -> Sections:
    sections = builtin_sections("bert-base")
    width, count = facts.size(hidden), facts.size(heads)
    facts.divides(heads, count, hidden, width)
    positions = facts.size("max_position_embeddings", 512)
    sections["dims"] |= {
        "sequence": min(sections["dims"]["sequence"], positions),
        "layers": facts.layers(layers),
        "hidden": width,
        "heads": count,
        "intermediate": facts.size(inner),
        "vocabulary": facts.size("vocab_size"),
        "positions": positions,
    }
    block = sections["blocks"]["encoder"]
    block["nodes"] = set_activation(block["nodes"], "gelu", facts.activation(act, "gelu"))
    set_dropout(sections, facts.dropout(dropout, 0.1))
    facts.notes.append(HEADLESS)
    return sections


@architecture("bert", "roberta")
def bert(facts: Facts) -> dict[str, Any]:
    """BERT and RoBERTa, which differ in sizes alone."""
    facts.refuse("is_decoder")
    facts.refuse("add_cross_attention")
    facts.refuse("position_embedding_type", "absolute")
    sections = _encoder(
        facts,
        hidden="hidden_size",
        heads="num_attention_heads",
        layers="num_hidden_layers",
        inner="intermediate_size",
        act="hidden_act",
        dropout="hidden_dropout_prob",
    )
    sections["nodes"]["segment_embedding"]["rows"] = facts.size("type_vocab_size", 2)
    return sections


@architecture("distilbert")
def distilbert(facts: Facts) -> dict[str, Any]:
    """DistilBERT: no segments, no pooler, no dropout behind attention."""
    sections = _encoder(
        facts,
        hidden=facts.named("dim", "hidden_size"),
        heads=facts.named("n_heads", "num_attention_heads"),
        layers=facts.named("n_layers", "num_hidden_layers"),
        inner="hidden_dim",
        act="activation",
        dropout="dropout",
    )
    block = sections["blocks"]["encoder"]
    if "attention_dropout" in block["nodes"]:
        block["nodes"] = remove(block["nodes"], ("x",), ["attention_dropout"])
    gone = ("segment_embedding", "segment_add", "first_token", "pooler", "pooler_tanh")
    nodes = {k: v for k, v in sections["nodes"].items() if k not in gone}
    nodes["position_add"] = {"op": "add", "inputs": ["word_embedding", "position_embedding"]}
    del sections["inputs"]["segments"], sections["outputs"]
    return {**sections, "nodes": nodes}


@architecture("vit")
def vit(facts: Facts) -> dict[str, Any]:
    """Vision transformer, with its classifier where `architectures` names it, or its pooler."""
    sections = builtin_sections("vit-b-16")
    image, patch = facts.size("image_size", 224), facts.size("patch_size", 16)
    facts.divides("patch_size", patch, "image_size", image)
    width, heads = facts.size("hidden_size"), facts.size("num_attention_heads")
    facts.divides("num_attention_heads", heads, "hidden_size", width)
    classes = _classes(facts)
    sections["dims"] |= {
        "height": image,
        "width": image,
        "patch": patch,
        "layers": facts.layers(),
        "hidden": width,
        "heads": heads,
        "intermediate": facts.size("intermediate_size"),
        "classes": classes or facts.size("pooler_output_size", width),
    }
    sections["inputs"]["image"]["shape"][1] = facts.size("num_channels", 3)
    block = sections["blocks"]["encoder"]
    block["nodes"] = set_activation(block["nodes"], "gelu", facts.activation(default="gelu"))
    bias = facts.flag("qkv_bias", True)
    for name in ("query", "key", "value"):
        block["nodes"][name]["bias"] = bias
    if not classes:
        sections["nodes"]["pooler_act"] = {"op": facts.activation("pooler_act", "tanh")}
    if facts.dropout("hidden_dropout_prob", 0.0):
        facts.notes.append("Training leaves dropout out.")
    return sections


def _classes(facts: Facts) -> int:
    """Return the classes of the classifier; 0 where the network has none."""
    named = facts.data.get("architectures")
    if not isinstance(named, list) or "ViTForImageClassification" not in named:
        return 0
    labels = facts.part("id2label")
    # Two labels are what the configuration's base class assumes.
    return len(labels.data) if labels and labels.data else int(facts.size("num_labels", 2))
