"""Naive optimizers: one step over one parameter tensor, at the first step's corrections."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import index

import numpy as np

from ._numbers import Array, Number, Weights, mean, sqrt
from ._places import Place

#: new tensors; a lone one without a tuple
Made = Array | tuple[Array, ...]

STEP_SIZE = 0.1
DECAY = 0.01
MOMENTUM = 0.9
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
#: 1 / (1 - beta) for the first moment, its root for the second
FIRST, SECOND = 1.0 / (1.0 - BETA1), (1.0 / (1.0 - BETA2)) ** 0.5
FACTOR_BETA, SQUARE_EPSILON, LEAST_SCALE = 0.8, 1e-30, 1e-3


def sgd(
    p: Array,
    g: Array,
    rows: Array | None = None,
    *,
    weights: Weights,
    master: bool = False,
    clear: bool = False,
) -> Made:
    out = np.empty(p.shape, dtype=p.dtype)
    for at, source in _places(p, rows):
        out[at] = p[at] - STEP_SIZE * g[source]
    return _made(g, master, clear, out)


def momentum(
    p: Array, g: Array, v: Array, rows: Array | None = None, *, weights: Weights,
    master: bool = False, clear: bool = False,
) -> Made:  # fmt: skip
    out, velocity = (np.empty(p.shape, dtype=p.dtype) for _ in range(2))
    for at, source in _places(p, rows):
        velocity[at] = MOMENTUM * v[at] + g[source]
        out[at] = p[at] - STEP_SIZE * velocity[at]
    return _made(g, master, clear, out, velocity)


def adagrad(
    p: Array, g: Array, s: Array, rows: Array | None = None, *, weights: Weights,
    master: bool = False, clear: bool = False,
) -> Made:  # fmt: skip
    out, squares = (np.empty(p.shape, dtype=p.dtype) for _ in range(2))
    for at, source in _places(p, rows):
        squares[at] = s[at] + g[source] * g[source]
        out[at] = p[at] - STEP_SIZE * g[source] / (sqrt(squares[at]) + EPSILON)
    return _made(g, master, clear, out, squares)


def adam(
    p: Array, g: Array, m: Array, v: Array, rows: Array | None = None, *, weights: Weights,
    master: bool = False, clear: bool = False,
) -> Made:  # fmt: skip
    return _made(g, master, clear, *_adam(p, g, m, v, rows, lambda value: value))


def adamw(
    p: Array,
    g: Array,
    m: Array,
    v: Array,
    *,
    weights: Weights,
    master: bool = False,
    clear: bool = False,
) -> Made:
    shrunk = 1.0 - STEP_SIZE * DECAY
    return _made(g, master, clear, *_adam(p, g, m, v, None, lambda value: value * shrunk))


def lamb(
    p: Array,
    g: Array,
    m: Array,
    v: Array,
    *,
    weights: Weights,
    master: bool = False,
    clear: bool = False,
) -> Made:
    update, first, second, out = (np.empty(p.shape, dtype=p.dtype) for _ in range(4))
    for at in np.ndindex(*p.shape):
        first[at], second[at] = _moments(g[at], m[at], v[at])
        adapted = FIRST * first[at] / (SECOND * sqrt(second[at]) + EPSILON)
        update[at] = adapted + DECAY * p[at]
    step = STEP_SIZE * (_norm(p) / _norm(update))
    for at in np.ndindex(*p.shape):
        out[at] = p[at] - step * update[at]
    return _made(g, master, clear, out, first, second)


def adafactor(
    p: Array, g: Array, of_rows: Array, of_cols: Array, *, weights: Weights, master: bool = False,
    clear: bool = False,
) -> Made:  # fmt: skip
    squares = np.empty(g.shape, dtype=g.dtype)
    for at in np.ndindex(*g.shape):
        squares[at] = g[at] * g[at] + SQUARE_EPSILON
    new_rows, new_cols, out = (np.empty(a.shape, dtype=p.dtype) for a in (of_rows, of_cols, p))
    for i, row in enumerate(squares):
        new_rows[i] = _blend(of_rows[i], _sum(list(row)))
    for j, column in enumerate(squares.T):
        new_cols[j] = _blend(of_cols[j], _sum(list(column)))
    scale = max(_root_mean_square(p), LEAST_SCALE) * STEP_SIZE

    share = 1.0 / _sum(list(new_rows))
    row_factors = [1.0 / sqrt(r * share) for r in new_rows]
    col_factors = [1.0 / sqrt(c) for c in new_cols]

    def update(i: int, j: int) -> Number:
        return g[i, j] * row_factors[i] * col_factors[j]

    updates = np.empty(g.shape, dtype=g.dtype)
    for i, j in np.ndindex(*g.shape):
        updates[i, j] = update(i, j)
    step = scale / max(_root_mean_square(updates), 1.0)
    for i, j in np.ndindex(*p.shape):
        out[i, j] = p[i, j] - step * update(i, j)
    return _made(g, master, clear, out, new_rows, new_cols)


def _made(g: Array, master: bool, clear: bool, *made: Array) -> Made:
    """Return the new tensors, the parameter in its own format, and zeros over the gradient."""
    copies = [made[0].copy()] if master else []
    zeros = [np.full(g.shape, 0.0)] if clear else []
    both = (*made, *copies, *zeros)
    return both if len(both) > 1 else both[0]


def _places(p: Array, rows: Array | None) -> Iterator[tuple[Place, Place]]:
    """Yield each place of p and that of its gradient; row i of the gradient is row rows[i] of p."""
    if rows is None:
        yield from ((at, at) for at in np.ndindex(*p.shape))
        return
    width = p.size // rows.size
    for i, row in enumerate(rows):
        for d in range(width):
            yield (index(row) * width + d,), (i * width + d,)


def _adam(
    p: Array, g: Array, m: Array, v: Array, rows: Array | None, decayed: Callable[[Number], Number]
) -> tuple[Array, ...]:
    out, first, second = (np.empty(p.shape, dtype=p.dtype) for _ in range(3))
    for at, source in _places(p, rows):
        first[at], second[at] = _moments(g[source], m[at], v[at])
        step = (STEP_SIZE * FIRST) * first[at] / (SECOND * sqrt(second[at]) + EPSILON)
        out[at] = decayed(p[at]) - step
    return out, first, second


def _moments(g: Number, m: Number, v: Number) -> tuple[Number, Number]:
    return BETA1 * m + (1.0 - BETA1) * g, BETA2 * v + (1.0 - BETA2) * (g * g)


def _blend(old: Number, new: Number) -> Number:
    return FACTOR_BETA * old + (1.0 - FACTOR_BETA) * new


def _norm(values: Array) -> Number:
    return sqrt(_sum([value * value for value in values.flat]))


def _root_mean_square(values: Array) -> Number:
    return sqrt(mean([value * value for value in values.flat]))


def _sum(values: list[Number]) -> Number:
    total = values[0]
    for value in values[1:]:
        total = total + value
    return total
