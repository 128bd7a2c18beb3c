"""Small networks with random weights, one of each family, with the sizes that stay open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.export import Dim

F = nn.functional


@dataclass
class Case:
    """A module, its inputs for a batch, and which axes are open."""

    module: Callable[[], nn.Module]
    inputs: Callable[[int], tuple[Any, ...]]
    open: Any = None
    #: multiply-accumulates that PyTorch counts though a causal mask hides them, for a batch
    hidden: Callable[[int], int] = field(default=lambda n: 0)
    quantized: int = 0


def conv(c: int, k: int, size: int = 3, stride: int = 1, groups: int = 1) -> nn.Sequential:
    layer = nn.Conv2d(c, k, size, stride, size // 2, groups=groups, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(k))


class Bottleneck(nn.Module):
    def __init__(self, c: int, inner: int, stride: int = 1) -> None:
        super().__init__()
        self.a, self.b = conv(c, inner, 1), conv(inner, inner, 3, stride)
        self.c = conv(inner, 4 * inner, 1)
        self.skip = conv(c, 4 * inner, 1, stride) if stride > 1 or c != 4 * inner else None

    def forward(self, x: Any) -> Any:
        y = self.c(F.relu(self.b(F.relu(self.a(x)))))
        return F.relu(y + (x if self.skip is None else self.skip(x)))


def resnet() -> nn.Module:
    return nn.Sequential(
        conv(3, 16, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1), Bottleneck(16, 8), Bottleneck(32, 8),
        Bottleneck(32, 16, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip


class Squeeze(nn.Module):
    def __init__(self, c: int) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(c, c // 4, 1), nn.Conv2d(c // 4, c, 1)

    def forward(self, x: Any) -> Any:
        s = F.adaptive_avg_pool2d(x, 1)
        return x * F.hardsigmoid(self.up(F.relu(self.down(s))))


class Inverted(nn.Module):
    def __init__(self, c: int, k: int, stride: int) -> None:
        super().__init__()
        wide = 4 * c
        self.body = nn.Sequential(
            conv(c, wide, 1), nn.Hardswish(), conv(wide, wide, 5, stride, wide), nn.Hardswish(),
            Squeeze(wide), conv(wide, k, 1),
        )  # fmt: skip
        self.adds = stride == 1 and c == k

    def forward(self, x: Any) -> Any:
        return x + self.body(x) if self.adds else self.body(x)


def mobilenet() -> nn.Module:
    return nn.Sequential(
        conv(3, 16, 3, 2), nn.ReLU6(), Inverted(16, 16, 1), Inverted(16, 24, 2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(24, 10),
    )  # fmt: skip


class ConvNext(nn.Module):
    def __init__(self, c: int = 16) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(c, c, 7, padding=3, groups=c)
        self.norm, self.gamma = nn.LayerNorm(c), nn.Parameter(torch.ones(c))
        self.up, self.down = nn.Linear(c, 4 * c), nn.Linear(4 * c, c)

    def forward(self, x: Any) -> Any:
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        y = self.gamma * self.down(F.gelu(self.up(y)))
        return x + y.permute(0, 3, 1, 2)


class Dense(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(nn.BatchNorm2d(8 * i), nn.ReLU(), nn.Conv2d(8 * i, 8, 3, padding=1))
            for i in range(1, 5)
        )

    def forward(self, x: Any) -> Any:
        found = [x]
        for layer in self.layers:
            found.append(layer(torch.cat(found, 1)))
        return F.avg_pool2d(torch.cat(found, 1), 2)


class Inception(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.three = nn.Conv2d(8, 4, 1), nn.Conv2d(8, 6, 3, padding=1)
        self.five = nn.Sequential(nn.Conv2d(8, 4, (1, 5), padding=(0, 2)),
                                  nn.Conv2d(4, 6, (5, 1), padding=(2, 0)))  # fmt: skip
        self.pool = nn.Sequential(nn.MaxPool2d(3, 1, 1), nn.Conv2d(8, 4, 1))
        self.prelu = nn.PReLU(20)

    def forward(self, x: Any) -> Any:
        parts = [self.one(x), self.three(x), self.five(x), self.pool(x)]
        return self.prelu(torch.cat(parts, 1)).mean((2, 3))


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 16, 3, padding=1)
        self.up = nn.ConvTranspose2d(16, 8, 2, 2)
        self.wide = nn.ConvTranspose2d(8, 8, 3, 2, 1, output_padding=1, groups=2)
        self.norm, self.out = nn.GroupNorm(4, 16), nn.Conv2d(16, 2, 1)

    def forward(self, x: Any) -> Any:
        a = F.silu(self.a(x))
        b = F.leaky_relu(self.b(F.max_pool2d(a, 2)), 0.1)
        y = self.out(self.norm(torch.cat([a, self.up(b)], 1)))
        z = F.interpolate(self.wide(self.up(b)), scale_factor=0.5, mode="bilinear")
        return y + z[:, :2]


class Attention(nn.Module):
    """Grouped queries, rotary positions, a causal mask that the kernel makes."""

    def __init__(
        self, width: int = 32, heads: int = 4, kv: int = 2, norm: Any = nn.RMSNorm
    ) -> None:
        super().__init__()
        self.heads, self.kv, self.dim = heads, kv, width // heads
        self.q = nn.Linear(width, width, bias=False)
        self.k = nn.Linear(width, kv * self.dim, bias=False)
        self.v = nn.Linear(width, kv * self.dim, bias=False)
        self.o, self.norm = nn.Linear(width, width, bias=False), norm(width)
        self.gate, self.up = (nn.Linear(width, 3 * width, bias=False) for _ in range(2))
        self.down, self.second = nn.Linear(3 * width, width, bias=False), norm(width)

    def forward(self, x: Any, cos: Any, sin: Any) -> Any:
        b, t, _ = x.shape
        h = self.norm(x)
        q = self.q(h).view(b, t, self.heads, self.dim).transpose(1, 2)
        k = self.k(h).view(b, t, self.kv, self.dim).transpose(1, 2)
        v = self.v(h).view(b, t, self.kv, self.dim).transpose(1, 2)
        q, k = (y * cos + self.turn(y) * sin for y in (q, k))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        x = x + self.o(y.transpose(1, 2).reshape(b, t, -1))
        h = self.second(x)
        return x + self.down(F.silu(self.gate(h)) * self.up(h))

    @staticmethod
    def turn(x: Any) -> Any:
        a, b = x.chunk(2, -1)
        return torch.cat([-b, a], -1)


class Llama(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(50, 32)
        self.layers = nn.ModuleList(Attention() for _ in range(2))
        self.norm, self.head = nn.RMSNorm(32), nn.Linear(32, 50, bias=False)
        self.head.weight = self.embed.weight
        angles = torch.outer(torch.arange(64).float(), 100.0 ** -(torch.arange(0, 8, 2) / 8))
        self.register_buffer("cos", torch.cat([angles, angles], -1).cos())
        self.register_buffer("sin", torch.cat([angles, angles], -1).sin())

    def forward(self, tokens: Any) -> Any:
        x, t = self.embed(tokens), tokens.shape[1]
        for layer in self.layers:
            x = layer(x, self.cos[:t], self.sin[:t])
        return self.head(self.norm(x))


class EncoderDecoder(nn.Module):
    """As T5: relative positions as a learned bias, cross attention, one table for all."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(40, 16)
        self.bias = nn.Embedding(8, 2)
        self.encoder = nn.ModuleList(nn.Linear(16, 16, bias=False) for _ in range(4))
        self.decoder = nn.ModuleList(nn.Linear(16, 16, bias=False) for _ in range(4))

    def attend(self, x: Any, y: Any, layers: Any, bias: Any) -> Any:
        q, k, v = (
            m(z).unflatten(-1, (2, 8)).transpose(1, 2)
            for m, z in zip(layers, (x, y, y), strict=False)
        )
        scores = torch.einsum("bhqd,bhkd->bhqk", q, k)
        scores = scores if bias is None else scores + bias
        out = torch.matmul(F.softmax(scores, -1), v)
        return x + layers[3](out.transpose(1, 2).flatten(2))

    def forward(self, source: Any, target: Any) -> Any:
        x, y = self.embed(source), self.embed(target)
        place = torch.arange(source.shape[1])
        near = (place[:, None] - place[None]).abs().clamp(max=7)
        x = self.attend(x, x, self.encoder, self.bias(near).permute(2, 0, 1)[None])
        y = self.attend(y, x, self.decoder, None)
        return F.linear(y, self.embed.weight)


class ViT(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 32, 8, 8)
        self.token, self.place = (
            nn.Parameter(torch.zeros(1, 1, 32)),
            nn.Parameter(torch.zeros(1, 17, 32)),
        )
        layer = nn.TransformerEncoderLayer(
            32, 4, 64, activation="gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.ModuleList([layer, layer])
        self.head = nn.Linear(32, 5)

    def forward(self, x: Any) -> Any:
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.place
        for layer in self.layers:
            x = layer(x)
        return self.head(x[:, 0])


class Lstm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.head = nn.LSTM(6, 8, 2, batch_first=True), nn.Linear(8, 3)

    def forward(self, x: Any) -> Any:
        return self.head(self.rnn(x)[0])


class Gru(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.GRU(6, 8, 2, batch_first=True, bidirectional=True)
        self.again, self.head = nn.RNN(16, 4, batch_first=True), nn.Linear(4, 3)

    def forward(self, x: Any) -> Any:
        _, last = self.again(self.rnn(x)[0])
        return F.log_softmax(self.head(last[-1]), -1)


class Dlrm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.tables = nn.ModuleList(nn.EmbeddingBag(20, 8, mode="sum") for _ in range(3))
        self.below = nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 8), nn.ReLU())
        self.above = nn.Sequential(nn.Linear(14, 16), nn.ReLU(), nn.Linear(16, 1), nn.Sigmoid())
        pairs = torch.tril_indices(4, 4, -1)
        self.register_buffer("rows", pairs[0])
        self.register_buffer("columns", pairs[1])

    def forward(self, dense: Any, a: Any, b: Any, c: Any) -> Any:
        x = self.below(dense)
        found = [t(i) for t, i in zip(self.tables, (a, b, c), strict=True)]
        all_ = torch.stack([x, *found], 1)
        crossed = torch.bmm(all_, all_.transpose(1, 2))[:, self.rows, self.columns]
        return self.above(torch.cat([x, crossed], 1))


class Quantized(nn.Module):
    """Codes between two layers, and codes for weights, as a converted program has them."""

    def __init__(self) -> None:
        super().__init__()
        import torch.ao.quantization.fx._decomposed

        self.register_buffer("weight", torch.ones(12, 8, dtype=torch.int8))
        self.register_buffer("filter", torch.ones(8, 3, 3, 3, dtype=torch.int8))
        self.bias = nn.Parameter(torch.zeros(8))

    def codes(self, x: Any) -> Any:
        ops = torch.ops.quantized_decomposed
        q = ops.quantize_per_tensor(x, 0.1, 0, -128, 127, torch.int8)
        return ops.dequantize_per_tensor(q, 0.1, 0, -128, 127, torch.int8)

    def real(self, codes: Any) -> Any:
        ops = torch.ops.quantized_decomposed
        return ops.dequantize_per_tensor(codes, 0.1, 0, -128, 127, torch.int8)

    def forward(self, x: Any) -> Any:
        y = F.conv2d(self.codes(x), self.real(self.filter), self.bias)
        y = self.codes(F.relu(self.codes(y))).mean((2, 3))
        return F.linear(self.codes(y), self.real(self.weight))


class Fake(nn.Module):
    """Trained for codes: values rounded to what they could hold, computed as real numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 8, 3), nn.Linear(8, 4)

    @staticmethod
    def rounded(x: Any) -> Any:
        return torch.clamp(torch.round(x / 0.1), -128, 127) * 0.1

    def forward(self, x: Any) -> Any:
        y = F.conv2d(self.rounded(x), self.rounded(self.a.weight), self.a.bias)
        return self.b(y.amax((2, 3)))


class Branching(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.small, self.large = nn.Linear(8, 4), nn.Sequential(nn.Linear(8, 32), nn.Linear(32, 4))

    def forward(self, x: Any) -> Any:
        return torch.cond(x.sum() > 0, lambda y: self.small(y), lambda y: self.large(y), (x,))


def bert() -> nn.Module:
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=60, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=64, max_position_embeddings=40,
    )  # fmt: skip
    return BertModel(config)


def gpt2() -> nn.Module:
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(vocab_size=60, n_positions=40, n_embd=32, n_layer=2, n_head=4,
                        use_cache=False)  # fmt: skip
    return GPT2LMHeadModel(config)


def images(side: int = 32, channels: int = 3) -> Callable[[int], tuple[Any, ...]]:
    return lambda n: (torch.randn(n, channels, side, side),)


def tokens(n: int) -> tuple[Any, ...]:
    return (torch.randint(0, 40, (n, 12)),)


def causal(heads: int, dim: int, layers: int, length: int) -> Callable[[int], int]:
    """Return products of a query with later keys, in scores and in sums of values."""
    pairs = sum(1 for i in range(length) for j in range(length) if j > i)
    return lambda n: n * layers * heads * pairs * 2 * dim


BATCH = Dim("batch", min=1, max=1024)
ONE = ({0: BATCH},)

CASES: dict[str, Case] = {
    "resnet": Case(resnet, images(), ONE),
    "mobilenet": Case(mobilenet, images(), ONE),
    "convnext": Case(ConvNext, images(14, 16), ONE),
    "dense": Case(Dense, images(12, 8), ONE),
    "inception": Case(Inception, images(9, 8), ONE),
    "unet": Case(UNet, images(16), ONE),
    "bert": Case(bert, tokens, {"input_ids": {0: BATCH}}),
    "gpt2": Case(gpt2, tokens, {"input_ids": {0: BATCH}}),
    "llama": Case(Llama, tokens, ONE, causal(4, 8, 2, 12)),
    "encoder_decoder": Case(EncoderDecoder, lambda n: (*tokens(n), torch.ones(n, 7).long()),
                            ({0: BATCH}, {0: BATCH})),
    "vit": Case(ViT, images(), ONE),
    "lstm": Case(Lstm, lambda n: (torch.randn(n, 7, 6),), ONE),
    "gru": Case(Gru, lambda n: (torch.randn(n, 7, 6),), ONE),
    "dlrm": Case(Dlrm, lambda n: (torch.randn(n, 5), *(torch.ones(n, 4).long(),) * 3),
                 ({0: BATCH},) * 4),
    "quantized": Case(Quantized, images(10), ONE, quantized=12 * 8 + 8 * 27),
    "fake_quantized": Case(Fake, images(10), ONE),
    "branching": Case(Branching, lambda n: (torch.randn(n, 8),), ONE),
}  # fmt: skip
