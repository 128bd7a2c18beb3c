"""The layer of a decoder, in the variants that published networks have, as nodes of a workload."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Nodes = dict[str, dict[str, Any]]
#: sizes by the workload's names, as numbers or expressions
Dims = dict[str, int | str]

#: where norms and residuals stand: norms first (GPT-2, Llama); both branches read x, each
#: through its own norm (GPT-NeoX) or one (GPT-J); norms after each branch too (Gemma 2);
#: norms after each residual (OPT-350m)
Order = Literal["sequential", "parallel", "shared", "sandwich", "after"]


@dataclass(frozen=True)
class Mlp:
    """A feed-forward network: plain, or gated; sizes are expressions of the workload's dims."""

    activation: str
    gated: bool = True
    bias: bool = False
    units: str = "intermediate"
    dropout: float = 0.0

    def nodes(self, source: str, prefix: str = "") -> Nodes:
        """Return the nodes that read ``source``; the last is the output."""
        into: dict[str, Any] = {"op": "affine", "inputs": source, "units": self.units}
        out = {"op": "affine", "units": "hidden", "bias": self.bias}
        act = self.activation
        if self.gated:
            return {
                f"{prefix}gate_proj": {**into, "bias": self.bias},
                f"{prefix}up_proj": {**into, "bias": self.bias},
                f"{prefix}{act}": {"op": act, "inputs": f"{prefix}gate_proj"},
                f"{prefix}gate": {"op": "mul", "inputs": [f"{prefix}{act}", f"{prefix}up_proj"]},
                f"{prefix}down_proj": out,
            }
        return {
            f"{prefix}fc_in": {**into, "bias": self.bias},
            f"{prefix}{act}": {"op": act},
            f"{prefix}fc_out": out,
        }


@dataclass(frozen=True)
class Experts:
    """A mixture of gated experts; ``shared`` reads every token too, through a learned gate."""

    shared: Mlp | None = None

    def nodes(self, source: str) -> Nodes:
        """Return the nodes that read ``source``; the last is the output."""
        moe = {
            "op": "moe", "inputs": source, "intermediate": "expert_intermediate",
            "experts": "experts", "top_k": "experts_per_token",
        }  # fmt: skip
        if self.shared is None:
            return {"moe": moe}
        return {
            "moe": moe,
            **self.shared.nodes(source, "shared_"),
            "shared_expert_gate": {"op": "affine", "inputs": source, "units": 1, "bias": False},
            "shared_sigmoid": {"op": "sigmoid"},
            "shared_scale": {"op": "mul", "inputs": ["shared_down_proj", "shared_sigmoid"]},
            "experts_add": {"op": "add", "inputs": ["moe", "shared_scale"]},
        }


@dataclass(frozen=True)
class Layer:
    """One decoder layer.

    Parameters
    ----------
    mlp : its feed-forward part.
    norm : operator of its norms.
    order : where norms and residuals stand.
    qkv_bias, out_bias : biases of the projections.
    qk_norm : operator that normalizes each head's query and key, if any.
    rotary : 'whole' heads turn by position, 'part' of each (dim ``rotary_dim``), or 'none'.
    windowed : a token sees the last ``window`` only.
    dropout : rate behind each branch, in training.
    """

    mlp: Mlp | Experts
    norm: str = "rms_norm"
    order: Order = "sequential"
    qkv_bias: bool = False
    out_bias: bool = False
    qk_norm: str | None = None
    rotary: Literal["whole", "part", "none"] = "whole"
    windowed: bool = False
    dropout: float = 0.0

    def nodes(self) -> Nodes:
        """Return the layer's nodes; its input is ``x``, the last node its output."""
        norm = {"op": self.norm}
        before = self.order != "after"
        nodes: Nodes = {"attention_norm": {**norm, "inputs": "x"}} if before else {}
        self._attention(nodes, "attention_norm" if before else "x")
        self._drop(nodes, "attention")
        if self.order in ("parallel", "shared"):
            return self._side_by_side(nodes)
        if self.order == "sandwich":
            nodes["post_attention_norm"] = norm
        nodes["attention_add"] = {"op": "add", "inputs": [_last(nodes), "x"]}
        nodes["mlp_norm" if before else "attention_norm"] = norm
        residual = "attention_add" if before else "attention_norm"
        nodes |= self.mlp.nodes(_last(nodes))
        self._drop(nodes, "mlp")
        if self.order == "sandwich":
            nodes["post_mlp_norm"] = norm
        nodes["mlp_add"] = {"op": "add", "inputs": [_last(nodes), residual]}
        if not before:
            nodes["mlp_norm"] = norm
        return nodes

    def _side_by_side(self, nodes: Nodes) -> Nodes:
        attention, source = _last(nodes), "attention_norm"
        if self.order == "parallel":
            nodes["mlp_norm"], source = {"op": self.norm, "inputs": "x"}, "mlp_norm"
        nodes |= self.mlp.nodes(source)
        self._drop(nodes, "mlp")
        nodes["branches_add"] = {"op": "add", "inputs": [attention, _last(nodes)]}
        nodes["mlp_add"] = {"op": "add", "inputs": ["branches_add", "x"]}
        return nodes

    def _drop(self, nodes: Nodes, branch: str) -> None:
        if self.dropout:
            nodes[f"{branch}_dropout"] = {"op": "dropout", "rate": self.dropout}

    def _attention(self, nodes: Nodes, source: str) -> None:
        heads = {"q": "heads", "k": "kv_heads", "v": "kv_heads"}
        for letter, count in heads.items():
            nodes[f"{letter}_proj"] = {
                "op": "affine", "inputs": source, "units": f"{count} * head_dim",
                "bias": self.qkv_bias,
            }  # fmt: skip
        made = {letter: f"{letter}_proj" for letter in heads}
        for letter in ("q", "k"):
            made[letter] = self._prepare(nodes, letter, made[letter], heads[letter])
        attention = {
            "op": "attention", "inputs": list(made.values()), "q_heads": "heads",
            "kv_heads": "kv_heads", "causal": True, "cached": True, "context": "context",
        }  # fmt: skip
        nodes["attention"] = {**attention, "window": "window"} if self.windowed else attention
        nodes["o_proj"] = {"op": "affine", "units": "hidden", "bias": self.out_bias}

    def _prepare(self, nodes: Nodes, letter: str, made: str, heads: str) -> str:
        """Normalize and turn queries or keys, and return the node that ends it."""
        if self.qk_norm is not None:
            split = ["batch", "sequence", heads, "head_dim"]
            joined = ["batch", "sequence", f"{heads} * head_dim"]
            nodes[f"{letter}_heads"] = {"op": "reshape", "inputs": made, "shape": split}
            nodes[f"{letter}_norm"] = {"op": self.qk_norm}
            nodes[f"{letter}_joined"] = {"op": "reshape", "shape": joined}
            made = f"{letter}_joined"
        if self.rotary != "none":
            rope = {"op": "rope", "inputs": made, "head_dim": "head_dim"}
            part = {"rotary_dim": "rotary_dim"} if self.rotary == "part" else {}
            nodes[f"{letter}_rope"] = {**rope, **part}
            made = f"{letter}_rope"
        return made


def _last(nodes: Nodes) -> str:
    return list(nodes)[-1]
