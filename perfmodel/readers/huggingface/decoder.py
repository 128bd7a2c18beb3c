"""A decoder-only network: its layers in order, embedding and output layer, as a workload."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from perfmodel.readers.huggingface.facts import Facts
from perfmodel.readers.huggingface.layers import Dims, Experts, Layer, Nodes

#: tokens of a prompt, or of a cache, unless the network reaches less or the user sets another
DEFAULT_SEQUENCE = 2048


@dataclass(frozen=True)
class Decoder:
    """What distinguishes one decoder from another.

    Parameters
    ----------
    dims : sizes by the workload's names, as numbers or expressions.
    layers : every layer, first to last.
    reach : tokens that the network's positions reach.
    tied : the output layer is the token embedding.
    norm : operator of the norm before the output layer, if there is one.
    positions : rows of a learned table of positions; 0 for none.
    embedding_width : columns of the token embedding where not ``hidden``: two products
        without bias lead into the layers and out of them.
    """

    dims: Dims
    layers: Sequence[Layer]
    reach: int
    tied: bool
    norm: str | None = "rms_norm"
    head_bias: bool = False
    scaled_embedding: bool = False
    embedding_norm: str | None = None
    embedding_dropout: float = 0.0
    embedding_width: int | None = None
    positions: int = 0
    capped_logits: bool = False

    def sections(self) -> dict[str, Any]:
        """Return phases, dims, inputs, blocks and nodes of a workload file."""
        blocks, stack = _stack(self.layers)
        uniform = len(set(self.layers)) == 1
        phases = decoder_phases(self.reach)
        dims: Dims = {"batch": 1, **phases["prefill"]}
        dims |= {"layers": len(self.layers)} if uniform else {}
        inputs: dict[str, Any] = {"tokens": {"shape": ["batch", "sequence"], "role": "index"}}
        if self.positions:
            inputs["position_ids"] = {"shape": ["sequence"], "role": "index"}
        return {
            "phases": phases,
            "dims": {**dims, **self.dims},
            "inputs": inputs,
            "blocks": blocks,
            "nodes": {**self._embedding(), **stack, **self._output()},
        }

    def _embedding(self) -> Nodes:
        width = self.embedding_width or "hidden"
        words = {"op": "embedding", "inputs": "tokens", "rows": "vocabulary", "width": width}
        nodes: Nodes = {"embedding": {**words, "share": {"table": "words"}} if self.tied else words}
        if self.embedding_width:
            nodes["project_in"] = {"op": "affine", "units": "hidden", "bias": False}
        if self.scaled_embedding:
            nodes["embedding_scale"] = {"op": "mul"}
        if self.positions:
            before = list(nodes)[-1]
            nodes["positions"] = {
                "op": "embedding", "inputs": "position_ids", "rows": self.positions,
                "width": "hidden",
            }  # fmt: skip
            nodes["embedding_add"] = {"op": "add", "inputs": [before, "positions"]}
        if self.embedding_norm:
            nodes["embedding_norm"] = {"op": self.embedding_norm}
        if self.embedding_dropout:
            nodes["embedding_dropout"] = {"op": "dropout", "rate": self.embedding_dropout}
        return nodes

    def _output(self) -> Nodes:
        nodes: Nodes = {"norm": {"op": self.norm}} if self.norm else {}
        if self.embedding_width:
            nodes["project_out"] = {
                "op": "affine", "units": self.embedding_width, "bias": False,
            }  # fmt: skip
        head: dict[str, Any] = {"op": "affine", "units": "vocabulary", "bias": self.head_bias}
        nodes["lm_head"] = {**head, "share": {"weight": "words"}} if self.tied else head
        if self.capped_logits:  # cap * tanh(logits / cap)
            nodes["cap_div"], nodes["cap_tanh"] = {"op": "div"}, {"op": "tanh"}
            nodes["cap_mul"] = {"op": "mul"}
        return nodes


def decoder_phases(reach: int) -> dict[str, dict[str, int]]:
    """Return the phases of a network whose positions reach ``reach`` tokens.

    Decode makes one token from cached ones, at most the last that positions reach.
    """
    tokens = min(DEFAULT_SEQUENCE, reach)
    prompt = {"sequence": tokens, "context": 0}
    cached = min(tokens, reach - 1)
    return {
        "prefill": prompt,
        "decode": {"sequence": 1, "context": cached},
        "training": dict(prompt),
    }


def attention_dims(
    facts: Facts, heads: str, kv_heads: int, head_dim: int, hidden: str = "hidden_size"
) -> Dims:
    """Return the dims of attention, checked: query heads share keys evenly, heads turn in pairs."""
    count, width = facts.size(heads), facts.size(hidden)
    if count % kv_heads:
        key = "num_key_value_heads" if "num_key_value_heads" in facts.data else heads
        raise facts.fail(key, f"{heads} {count} is no multiple of key and value heads {kv_heads}")
    return {
        "hidden": width,
        "heads": count,
        "kv_heads": "heads" if kv_heads == count else kv_heads,
        "head_dim": "hidden / heads" if head_dim * count == width else head_dim,
    }


def _stack(layers: Sequence[Layer]) -> tuple[dict[str, Any], Nodes]:
    """Return a block for each kind of layer, and nodes that repeat them in order.

    Layers that follow a period are one block, ``group``, of as many layers.
    """
    kinds = list(dict.fromkeys(layers))
    names = {kind: _name(kind, kinds) for kind in kinds}
    blocks: dict[str, Any] = {name: {"nodes": kind.nodes()} for kind, name in names.items()}
    if len(kinds) == 1:
        return blocks, {"layers": {"block": names[kinds[0]], "repeat": "layers"}}
    order = [names[layer] for layer in layers]
    period = next(p for p in range(1, len(order) + 1) if order[p:] == order[:-p])
    times = len(order) // period
    if times < 2:
        return blocks, _runs(order)
    blocks["group"] = {"nodes": _runs(order[:period])}
    rest = _runs(order[times * period :], len(_runs(order[:period])))
    return blocks, {"groups": {"block": "group", "repeat": times}, **rest}


def _runs(order: Sequence[str], first: int = 0) -> Nodes:
    nodes: Nodes = {}
    begin = 0
    for i in range(1, len(order) + 1):
        if i == len(order) or order[i] != order[begin]:
            name = f"{order[begin]}_{first + len(nodes)}"
            nodes[name] = {"block": order[begin], "repeat": i - begin}
            begin = i
    return nodes


def _name(kind: Layer, kinds: Sequence[Layer]) -> str:
    if len(kinds) == 1:
        return "decoder"
    parts = []
    if len({k.windowed for k in kinds}) > 1:
        parts.append("local" if kind.windowed else "global")
    if len({k.mlp for k in kinds}) > 1:
        parts.append("sparse" if isinstance(kind.mlp, Experts) else "dense")
    return "_".join([*parts, "layer"])
