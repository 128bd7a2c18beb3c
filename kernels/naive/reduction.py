"""Naive softmax, log-softmax and k-winners-take-all."""

from __future__ import annotations

import numpy as np

from ._numbers import Array, Gradients, Number, Weights, constant, exp, log, softmax_row


def softmax(x: Array, *, weights: Weights, algorithm: str = "two_pass") -> Array:
    row_of = _online_row if algorithm == "online" else softmax_row
    y = np.empty(x.shape, dtype=x.dtype)
    for row in np.ndindex(*x.shape[:-1]):
        for c, value in enumerate(row_of(list(x[row]))):
            y[(*row, c)] = value
    return y


def softmax_grad(
    part: str,
    dy: Array,
    x: Array,
    *,
    output: Array,
    weights: Weights,
    algorithm: str = "two_pass",
) -> Gradients:
    dx = np.empty(dy.shape, dtype=dy.dtype)
    for row in np.ndindex(*dy.shape[:-1]):
        slopes, values = list(dy[row]), list(output[row])
        dot = _sum([d * y for d, y in zip(slopes, values, strict=True)])
        for c, (d, y) in enumerate(zip(slopes, values, strict=True)):
            dx[(*row, c)] = y * (d - dot)
    return {"input 0": dx}


def log_softmax(x: Array, *, weights: Weights, algorithm: str = "two_pass") -> Array:
    y = np.empty(x.shape, dtype=x.dtype)
    for row in np.ndindex(*x.shape[:-1]):
        values = list(x[row])
        if algorithm == "online":
            largest, total = _online_sum(values)
            offset = largest + log(total)
            for c, value in enumerate(values):
                y[(*row, c)] = value - offset
            continue
        largest = values[0]
        for value in values[1:]:
            largest = max(largest, value)
        shifted = [value - largest for value in values]
        log_sum = log(_sum([exp(value) for value in shifted]))
        for c, value in enumerate(shifted):
            y[(*row, c)] = value - log_sum
    return y


def log_softmax_grad(
    part: str, dy: Array, x: Array, *, output: Array, weights: Weights, algorithm: str
) -> Gradients:
    dx = np.empty(dy.shape, dtype=dy.dtype)
    for row in np.ndindex(*dy.shape[:-1]):
        slopes = list(dy[row])
        total = _sum(slopes)
        for c, (d, y) in enumerate(zip(slopes, output[row], strict=True)):
            dx[(*row, c)] = d - exp(y) * total
    return {"input 0": dx}


def k_winners_take_all(x: Array, *, weights: Weights, k: int) -> Array:
    y = np.full(x.shape, 0.0, dtype=x.dtype)
    for row in np.ndindex(*x.shape[:-1]):
        for c in _tournament(list(x[row]), k):
            y[(*row, c)] = x[(*row, c)]
    return y


def k_winners_take_all_grad(
    part: str, dy: Array, x: Array, *, output: Array, weights: Weights, k: int
) -> Gradients:
    dx = np.empty(dy.shape, dtype=dy.dtype)
    for at in np.ndindex(*dy.shape):
        y = output[at]
        dx[at] = dy[at] if (y > 0.0) | (y < 0.0) else 0.0
    return {"input 0": dx}


def _online_sum(values: list[Number]) -> tuple[Number, Number]:
    """Return the largest value, and the sum of exponentials below it."""
    largest, total = values[0], constant(values[0], 1.0)
    for value in values[1:]:
        before, largest = largest, max(largest, value)
        total = total * exp(before - largest) + exp(value - largest)
    return largest, total


def _online_row(values: list[Number]) -> list[Number]:
    largest, total = _online_sum(values)
    reciprocal = 1.0 / total
    return [exp(value - largest) * reciprocal for value in values]


def _tournament(values: list[Number], k: int) -> list[int]:
    """Return the places of the k largest: a knockout tournament, replayed for each next one."""
    count, rounds = len(values), (len(values) - 1).bit_length()
    leaves = 2**rounds
    gone = constant(values[0], float("-inf"))
    values = values + [gone] * (leaves - count)
    # tree[i] is the winner of the match of tree[2i] and tree[2i + 1]; tree[1] won all.
    tree = [0] * leaves + list(range(leaves))
    for match in range(leaves - 1, 0, -1):
        left, right = tree[2 * match : 2 * match + 2]
        # Nobody stands at the places after the last value: the other side wins unopposed.
        tree[match] = left if right >= count or values[left] > values[right] else right
    chosen = [tree[1]]
    while len(chosen) < k:
        values[chosen[-1]] = gone
        match = (leaves + chosen[-1]) // 2
        while match:
            left, right = tree[2 * match : 2 * match + 2]
            tree[match] = left if values[left] > values[right] else right
            match //= 2
        chosen.append(tree[1])
    return chosen


def _sum(values: list[Number]) -> Number:
    total = values[0]
    for value in values[1:]:
        total = total + value
    return total
