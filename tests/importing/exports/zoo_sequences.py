"""Small networks for sequences, with random weights; transformers' own where it is installed."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class Recurrent(nn.Module):
    """Words, two recurrent layers, a class a word."""

    def __init__(self, kind: str, **more: Any) -> None:
        super().__init__()
        self.words = nn.Embedding(20, 6)
        self.unit = getattr(nn, kind)(6, 8, batch_first=True, **more)
        self.last = nn.Linear(16 if more.get("bidirectional") else 8, 5)

    def forward(self, ids: Tensor) -> Tensor:
        return self.last(self.unit(self.words(ids))[0])


class Bag(nn.Module):
    """The mean of each sample's words: a loop over samples in the file."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.last = nn.EmbeddingBag(20, 6, mode="mean"), nn.Linear(6, 4)

    def forward(self, ids: Tensor) -> Tensor:
        return self.last(self.words(ids))


class Branching(nn.Module):
    """A branch chosen by a value."""

    def __init__(self) -> None:
        super().__init__()
        self.narrow, self.wide = nn.Linear(8, 4), nn.Linear(8, 16)
        self.back = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        def large(x: Tensor) -> Tensor:
            return self.back(self.wide(x).relu())

        def small(x: Tensor) -> Tensor:
            return self.narrow(x)

        return torch.cond(x.sum() > 0, large, small, (x,))


class Repeating(nn.Module):
    """A loop as often as an input says, and a branch on another."""

    def __init__(self) -> None:
        super().__init__()
        self.step, self.last = nn.Linear(8, 8), nn.Linear(8, 4)

    def forward(self, x: Tensor, times: Tensor, flag: Tensor) -> Tensor:
        for _ in range(int(times)):
            x = torch.relu(self.step(x))
        return self.last(x) if bool(flag) else x[:, :4]


class Outputs(nn.Module):
    """A model of transformers with plain tensors in and out."""

    def __init__(self, inner: nn.Module, names: tuple[str, ...], output: str) -> None:
        super().__init__()
        self.inner, self.names, self.output = inner, names, output

    def forward(self, *given: Tensor) -> Tensor:
        found = self.inner(**dict(zip(self.names, given, strict=True)), return_dict=True)
        return getattr(found, self.output)


class Two(Outputs):
    def forward(self, a: Tensor, b: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(a, b)


class One(Outputs):
    def forward(self, a: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(a)


def bert() -> nn.Module:
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=32, attn_implementation="eager",
    )  # fmt: skip
    return Two(BertModel(config, add_pooling_layer=False), ("input_ids", "attention_mask"),
               "last_hidden_state")  # fmt: skip


def gpt2() -> nn.Module:
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=50, n_positions=32, n_embd=16, n_layer=2, n_head=2, use_cache=False,
        attn_implementation="eager",
    )  # fmt: skip
    return One(GPT2LMHeadModel(config), ("input_ids",), "logits")


def llama() -> nn.Module:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=50, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, use_cache=False, attn_implementation="eager",
        tie_word_embeddings=False,
    )  # fmt: skip
    return One(LlamaForCausalLM(config), ("input_ids",), "logits")


def t5() -> nn.Module:
    from transformers import T5Config, T5ForConditionalGeneration

    config = T5Config(
        vocab_size=50, d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2, use_cache=False,
        decoder_start_token_id=0, tie_word_embeddings=False, attn_implementation="eager",
    )  # fmt: skip
    return Two(T5ForConditionalGeneration(config), ("input_ids", "decoder_input_ids"), "logits")


def vit() -> nn.Module:
    from transformers import ViTConfig, ViTModel

    config = ViTConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        image_size=16, patch_size=8, attn_implementation="eager",
    )  # fmt: skip
    return One(ViTModel(config, add_pooling_layer=False), ("pixel_values",), "last_hidden_state")
