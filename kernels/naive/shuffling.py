"""Naive shuffles of channels and places."""

from __future__ import annotations

from ._numbers import Array, Gradients, Weights
from ._places import Place, copied


def pixel_shuffle(x: Array, *, weights: Weights, factor: int) -> Array:
    N, C, H, W = x.shape
    shape = (N, C // factor**2, H * factor, W * factor)
    return copied(x, shape, lambda at: _deep(at, factor))


def pixel_shuffle_grad(
    part: str, dy: Array, x: Array, *, output: Array, weights: Weights, factor: int
) -> Gradients:
    return {"input 0": copied(dy, x.shape, lambda at: _wide(at, factor))}


def pixel_unshuffle(x: Array, *, weights: Weights, factor: int) -> Array:
    N, C, H, W = x.shape
    shape = (N, C * factor**2, H // factor, W // factor)
    return copied(x, shape, lambda at: _wide(at, factor))


def pixel_unshuffle_grad(
    part: str, dy: Array, x: Array, *, output: Array, weights: Weights, factor: int
) -> Gradients:
    return {"input 0": copied(dy, x.shape, lambda at: _deep(at, factor))}


def _deep(at: Place, factor: int) -> Place:
    n, c, h, w = at
    return n, (c * factor + h % factor) * factor + w % factor, h // factor, w // factor


def _wide(at: Place, factor: int) -> Place:
    n, c, h, w = at
    i, j = c // factor % factor, c % factor
    return n, c // factor**2, h * factor + i, w * factor + j


def channel_shuffle(x: Array, *, weights: Weights, groups: int) -> Array:
    return copied(x, x.shape, lambda at: _dealt(at, groups, x.shape[1] // groups))


def channel_shuffle_grad(
    part: str, dy: Array, x: Array, *, output: Array, weights: Weights, groups: int
) -> Gradients:
    return {"input 0": copied(dy, x.shape, lambda at: _dealt(at, x.shape[1] // groups, groups))}


def _dealt(at: Place, hands: int, cards: int) -> Place:
    n, c, h, w = at
    return n, c % hands * cards + c // hands, h, w
