"""Small networks for images, one of each family, with random weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812


def norm_conv(a: int, b: int, k: Any, s: int = 1, p: Any = 0, g: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(a, b, k, s, p, groups=g), nn.BatchNorm2d(b))


class Basic(nn.Module):
    def __init__(self, a: int, b: int, s: int) -> None:
        super().__init__()
        self.one, self.two = norm_conv(a, b, 3, s, 1), norm_conv(b, b, 3, 1, 1)
        self.side = norm_conv(a, b, 1, s) if s > 1 or a != b else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.two(F.relu(self.one(x))) + self.side(x))


class Bottleneck(nn.Module):
    def __init__(self, a: int, b: int) -> None:
        super().__init__()
        self.one, self.two = norm_conv(a, b, 1), norm_conv(b, b, 3, 1, 1)
        self.three = norm_conv(b, a, 1)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.three(F.relu(self.two(F.relu(self.one(x))))) + x)


def resnet() -> nn.Module:
    return nn.Sequential(
        norm_conv(3, 8, 7, 2, 3), nn.ReLU(), nn.MaxPool2d(3, 2, 1), Basic(8, 8, 1),
        Basic(8, 16, 2), Bottleneck(16, 4), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(16, 10),
    )  # fmt: skip


def vgg() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(),
        nn.MaxPool2d(2, 2), nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2, 2),
        nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(256, 32), nn.ReLU(), nn.Dropout(),
        nn.Linear(32, 10), nn.Softmax(1),
    )  # fmt: skip


class Squeeze(nn.Module):
    def __init__(self, c: int, gate: nn.Module) -> None:
        super().__init__()
        self.down, self.up, self.gate = nn.Conv2d(c, c // 4, 1), nn.Conv2d(c // 4, c, 1), gate

    def forward(self, x: Tensor) -> Tensor:
        s = self.up(F.relu(self.down(F.adaptive_avg_pool2d(x, 1))))
        return x * self.gate(s)


class Inverted(nn.Module):
    def __init__(self, a: int, b: int, k: int, s: int, act: nn.Module, gate: nn.Module) -> None:
        super().__init__()
        w = 4 * a
        self.body = nn.Sequential(
            norm_conv(a, w, 1), act, norm_conv(w, w, k, s, k // 2, g=w), act, Squeeze(w, gate),
            norm_conv(w, b, 1),
        )  # fmt: skip
        self.adds = a == b and s == 1

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x) if self.adds else self.body(x)


def mobilenet() -> nn.Module:
    act, gate = nn.Hardswish(), nn.Hardsigmoid()
    return nn.Sequential(
        norm_conv(3, 8, 3, 2, 1), act, Inverted(8, 8, 3, 1, act, gate),
        Inverted(8, 12, 5, 2, act, gate), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(12, 16), act, nn.Linear(16, 10),
    )  # fmt: skip


def efficientnet() -> nn.Module:
    act, gate = nn.SiLU(), nn.Sigmoid()
    return nn.Sequential(
        norm_conv(3, 8, 3, 2, 1), act, Inverted(8, 8, 3, 1, act, gate),
        Inverted(8, 12, 5, 2, act, gate), norm_conv(12, 32, 1), act, nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Dropout(0.2), nn.Linear(32, 10),
    )  # fmt: skip


class Dense(nn.Module):
    def __init__(self, a: int, growth: int) -> None:
        super().__init__()
        self.before, self.narrow = nn.BatchNorm2d(a), nn.Conv2d(a, 4 * growth, 1)
        self.norm = nn.BatchNorm2d(4 * growth)
        self.wide = nn.Conv2d(4 * growth, growth, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.narrow(F.relu(self.before(x)))
        return torch.cat([x, self.wide(F.relu(self.norm(y)))], 1)


def densenet() -> nn.Module:
    return nn.Sequential(
        norm_conv(3, 8, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(2), Dense(8, 4), Dense(12, 4),
        nn.Sequential(nn.ReLU(), nn.Conv2d(16, 8, 1), nn.AvgPool2d(2)), Dense(8, 4),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 10),
    )  # fmt: skip


class Branches(nn.Module):
    def __init__(self, c: int) -> None:
        super().__init__()
        self.one = norm_conv(c, 4, 1)
        self.three = nn.Sequential(norm_conv(c, 4, 1), nn.ReLU(), norm_conv(4, 6, 3, 1, 1))
        self.seven = nn.Sequential(
            norm_conv(c, 4, (1, 7), 1, (0, 3)), nn.ReLU(), norm_conv(4, 4, (7, 1), 1, (3, 0))
        )
        self.pool = nn.Sequential(nn.AvgPool2d(3, 1, 1), norm_conv(c, 2, 1))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(torch.cat([b(x) for b in (self.one, self.three, self.seven, self.pool)], 1))


def inception() -> nn.Module:
    return nn.Sequential(
        norm_conv(3, 8, 3, 2), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True), Branches(8),
        Branches(16), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10),
    )  # fmt: skip


class Next(nn.Module):
    def __init__(self, c: int) -> None:
        super().__init__()
        self.deep, self.norm = nn.Conv2d(c, c, 7, padding=3, groups=c), nn.LayerNorm(c)
        self.up, self.down = nn.Linear(c, 4 * c), nn.Linear(4 * c, c)
        self.scale = nn.Parameter(torch.rand(c))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.deep(x).permute(0, 2, 3, 1))
        return x + (self.scale * self.down(F.gelu(self.up(y)))).permute(0, 3, 1, 2)


class LastNorm(nn.Module):
    def __init__(self, c: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(c)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def convnext() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 4, 4), LastNorm(8), Next(8), Next(8), LastNorm(8), nn.Conv2d(8, 16, 2, 2),
        Next(16), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LayerNorm(16), nn.Linear(16, 10),
    )  # fmt: skip


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = norm_conv(3, 8, 3, 1, 1), norm_conv(8, 16, 3, 1, 1)
        self.c = norm_conv(16, 16, 3, 1, 1)
        self.up = nn.ConvTranspose2d(16, 16, 3, 2, padding=1, output_padding=1)
        self.d = norm_conv(32, 8, 3, 1, 1)
        self.last = nn.Conv2d(16, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        a = F.relu(self.a(x))
        b = F.relu(self.b(F.max_pool2d(a, 2)))
        c = F.relu(self.c(F.max_pool2d(b, 2)))
        d = F.relu(self.d(torch.cat([self.up(c), b], 1)))
        wide = F.interpolate(d, scale_factor=2, mode="bilinear", align_corners=False)
        return self.last(torch.cat([wide, a], 1))


class Head(nn.Module):
    """Boxes and scores of a grid of places, as a detector's head has them."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(norm_conv(3, 8, 3, 2, 1), nn.SiLU(), norm_conv(8, 16, 3, 2, 1))
        self.boxes, self.classes = nn.Conv2d(16, 4, 1), nn.Conv2d(16, 3, 1)
        at = torch.arange(4, dtype=torch.float32)
        places = torch.stack(torch.meshgrid(at, at, indexing="ij"), -1).reshape(1, 16, 2)
        self.register_buffer("places", places)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = F.silu(self.body(x))
        raw = self.boxes(y).flatten(2).transpose(1, 2)
        centre, size = raw[..., :2] + self.places, raw[..., 2:].exp()
        scores = self.classes(y).flatten(2).sigmoid()
        return torch.cat([centre - size / 2, centre + size / 2], -1), scores
