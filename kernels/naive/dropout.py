"""Naive dropout with its own random numbers: Philox4x32-10 (Salmon et al., SC 2011)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._numbers import Array, Gradients, Number, Weights, constant, word_product, word_xor

WORD = 2**32
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
SEED = (0, 0)


def dropout(x: Array, *, weights: Weights, rate: str, training: bool) -> Any:
    if not training:
        return x
    y, mask = (np.empty(x.shape, dtype=x.dtype) for _ in range(2))
    scale, threshold = 1.0 / (1.0 - float(rate)), float(rate) * WORD
    words: list[Number] = []
    for place, at in enumerate(np.ndindex(*x.shape)):
        if place % 4 == 0:
            words = philox([constant(x[at], n) for n in (place // 4, 0, 0, 0)], SEED)
        dropped = words[place % 4] < threshold
        mask[at] = 0.0 if dropped else 1.0
        y[at] = x[at] * (0.0 if dropped else scale)
    return y, mask


def dropout_grad(
    part: str,
    dy: Any,
    x: Array,
    *,
    output: Any,
    weights: Weights,
    rate: str,
    training: bool,
) -> Gradients:
    if not training:
        return {"input 0": dy}
    slope, mask = dy[0], output[1]
    dx = np.empty(x.shape, dtype=x.dtype)
    for at in np.ndindex(*x.shape):
        dx[at] = slope[at] * (mask[at] * (1.0 / (1.0 - float(rate))))
    return {"input 0": dx}


def philox(counter: list[Number], key: tuple[int, int]) -> list[Number]:
    """Return four random 32-bit words for a counter of four."""
    a, b, c, d = counter
    first, second = key
    for _ in range(10):
        (high_a, low_a), (high_c, low_c) = (
            word_product(word, by) for word, by in zip((a, c), MULTIPLIERS, strict=True)
        )
        a, b = word_xor(word_xor(high_c, b), first), low_c
        c, d = word_xor(word_xor(high_a, d), second), low_a
        first, second = (first + KEY_STEPS[0]) % WORD, (second + KEY_STEPS[1]) % WORD
    return [a, b, c, d]
