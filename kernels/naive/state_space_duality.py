"""Naive scan of a state-space layer with one decay a head, step by step and in chunks."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._attending import accumulate, dot, sum_in_order
from ._numbers import Array, Gradients, Number, Weights, exp, mac

Rows = list[list[Number]]


def ssd_scan(
    x: Array, delta: Array, b: Array, c: Array, *, weights: Weights, heads: int, groups: int,
    chunk: int, algorithm: str,
) -> Array:  # fmt: skip
    y = np.empty_like(x)
    P, N, shared = x.shape[2] // heads, b.shape[2] // groups, heads // groups
    for i, g in np.ndindex(len(x), groups):
        into, out = (tensor[i, :, g * N : (g + 1) * N] for tensor in (b, c))
        scores = _scores(into, out, chunk) if algorithm != "recurrent" else []
        for h in range(g * shared, (g + 1) * shared):
            values, decay = x[i, :, h * P : (h + 1) * P], weights["decay"][h]
            if algorithm == "recurrent":
                made = _step_by_step(values, delta[i, :, h], into, out, decay)
            else:
                head = _Head(values, delta[i, :, h], into, decay, chunk)
                made = _by_chunks(head, scores, out)
            skip = weights["skip"][h]
            for t, p in np.ndindex(values.shape):
                y[i, t, h * P + p] = made[t][p] + skip * values[t, p]
    return y


def _step_by_step(x: Array, delta: Array, b: Array, c: Array, decay: Number) -> Rows:
    (T, P), N = x.shape, b.shape[1]
    state: Rows = [[0.0] * N for _ in range(P)]
    made: Rows = []
    for t in range(T):
        factor = exp(delta[t] * decay)
        row = []
        for p in range(P):
            u = delta[t] * x[t, p]
            state[p] = [factor * state[p][n] + u * b[t, n] for n in range(N)]
            row.append(sum_in_order([state[p][n] * c[t, n] for n in range(N)]))
        made.append(row)
    return made


def _scores(b: Array, c: Array, chunk: int) -> list[Rows]:
    """Return ``c b^T`` of every chunk, the whole square."""
    made = []
    for start in range(0, len(b), chunk):
        steps = range(start, min(start + chunk, len(b)))
        made.append([[dot(c[t], b[s]) for s in steps] for t in steps])
    return made


class _Head:
    """Decays, ``delta x`` and states of one head, in chunks."""

    def __init__(self, x: Array, delta: Array, b: Array, decay: Number, chunk: int) -> None:
        (T, P), N = x.shape, b.shape[1]
        self.steps = [range(s, min(s + chunk, T)) for s in range(0, T, chunk)]
        self.u = [[delta[t] * x[t, p] for p in range(P)] for t in range(T)]
        self.log = [delta[t] * decay for t in range(T)]
        for steps in self.steps:
            for t in steps[1:]:
                self.log[t] = self.log[t - 1] + self.log[t]
        self.fades = [self._between(steps) for steps in self.steps]
        #: of every chunk but the last: what is left of a step at its end, and u times that
        self.left: list[Number] = []
        self.weighted: Rows = []
        made = []
        for steps in self.steps[:-1]:
            end = steps[-1]
            state = np.full((P, N), 0.0, dtype=x.dtype)
            for t in steps:
                self.left.append(exp(self.log[end] - self.log[t]) if t < end else None)
                self.weighted.append(self.fading(t, self.u[t]))
                for p in range(P):
                    accumulate(state[p], self.weighted[t][p], b[t])
            made.append(state)
        #: of every chunk but the first, the factor of a state passed through it
        self.through = [exp(self.log[steps[-1]]) for steps in self.steps[1:-1]]
        self.states = made[:1]
        for factor, state in zip(self.through, made[1:], strict=True):
            self.states.append(_added(self.states[-1], factor, state))
        #: of every step after the first chunk, what is left of the state before its chunk
        self.since = {t: exp(self.log[t]) for steps in self.steps[1:] for t in steps}

    def _between(self, steps: range) -> Rows:
        return [[exp(self.log[t] - self.log[s]) for s in steps if s < t] for t in steps]

    def fading(self, t: int, values: list[Number]) -> list[Number]:
        factor = self.left[t]
        return values if factor is None else [value * factor for value in values]

    def faded(self, scores: Rows, at: int) -> Rows:
        """Return a chunk's scores times their decays, zeros after the diagonal."""
        made = []
        for t, (row, fades) in enumerate(zip(scores, self.fades[at], strict=True)):
            before = [score * fade for score, fade in zip(row, fades, strict=False)]
            after: list[Number] = [0.0] * (len(row) - t - 1)
            made.append([*before, row[t], *after])
        return made


def _added(state: Array, factor: Number, more: Array) -> Array:
    out = np.empty_like(state)
    for at in np.ndindex(state.shape):
        out[at] = state[at] * factor + more[at]
    return out


def _by_chunks(head: _Head, scores: list[Rows], c: Array) -> Rows:
    P, made = len(head.u[0]), []
    for at, steps in enumerate(head.steps):
        masked = head.faded(scores[at], at)
        for row, t in zip(masked, steps, strict=True):
            out: list[Number] = [0.0] * P
            if at:
                state = head.states[at - 1]
                out = [dot(state[p], c[t]) * head.since[t] for p in range(P)]
            for s, score in zip(steps, row, strict=True):
                out = [mac(out[p], head.u[s][p], score) for p in range(P)]
            made.append(out)
    return made


def ssd_scan_grad(
    part: str, dy: Array, x: Array, delta: Array, b: Array, c: Array, *, output: Array,
    weights: Weights, heads: int, groups: int, chunk: int, algorithm: str,
) -> Gradients:  # fmt: skip
    dx, ddelta, db, dc = (np.full_like(tensor, 0.0) for tensor in (x, delta, b, c))
    P, N, shared = x.shape[2] // heads, b.shape[2] // groups, heads // groups
    to_decay: Rows = [[] for _ in range(heads)]
    to_skip: Rows = [[] for _ in range(heads)]
    for i, g in np.ndindex(len(x), groups):
        pairs = slice(g * N, (g + 1) * N)
        into, out, dinto, dout = (tensor[i, :, pairs] for tensor in (b, c, db, dc))
        scores = _scores(into, out, chunk)
        dscores: list[Any] = [None] * len(scores)
        for h in range(g * shared, (g + 1) * shared):
            mine, decay, skip = slice(h * P, (h + 1) * P), weights["decay"][h], weights["skip"][h]
            values, dt, dout_h = x[i, :, mine], delta[i, :, h], dy[i, :, mine]
            head = _Head(values, dt, into, decay, chunk)
            du = _through_states(head, dout_h, (into, out), (dinto, dout))
            for at in range(len(head.steps)):
                made = _through_squares(head, at, scores[at], dout_h, du)
                if dscores[at] is not None:
                    made = [
                        [one + other for one, other in zip(a, b_, strict=True)]
                        for a, b_ in zip(dscores[at], made, strict=True)
                    ]
                dscores[at] = made
            exponents = []
            for t in range(len(x[i])):
                of_x, of_y, of_u = (
                    sum_in_order([one * other for one, other in zip(a, b_, strict=True)])
                    for a, b_ in (
                        (dout_h[t], values[t]), (dout_h[t], output[i, t, mine]), (values[t], du[t])
                    )
                )  # fmt: skip
                exponents.append(of_y - skip * of_x - dt[t] * of_u)
                ddelta[i, t, h] = of_u
                to_skip[h].append(of_x)
                for p in range(P):
                    dx[i, t, h * P + p] = dt[t] * du[t][p] + skip * dout_h[t, p]
            for t in reversed(range(len(x[i]))):
                if t + 1 < len(x[i]):
                    exponents[t] = exponents[t] + exponents[t + 1]
                to_decay[h].append(dt[t] * exponents[t])
                ddelta[i, t, h] = ddelta[i, t, h] + decay * exponents[t]
        for at, start in enumerate(range(0, len(into), chunk)):
            for t, row in enumerate(dscores[at]):
                full = [*row, *[0.0] * (len(dscores[at]) - len(row))]
                for s, value in enumerate(full):
                    accumulate(dout[start + t], value, into[start + s])
                    accumulate(dinto[start + s], value, out[start + t])
    made_: Gradients = {f"input {n}": each for n, each in enumerate((dx, ddelta, db, dc))}
    for name, parts in (("decay", to_decay), ("skip", to_skip)):
        made_[name] = np.array([sum_in_order(values) for values in parts], dtype=x.dtype)
    return made_


def _through_states(
    head: _Head, dy: Array, read: tuple[Array, Array], made: tuple[Array, Array]
) -> list[Array]:
    """Return the part of u's gradient that states carry; add to those of b and c."""
    (b, c), (db, dc) = read, made
    weighted = {t: [g * since for g in dy[t]] for t, since in head.since.items()}
    arriving = []
    for at, steps in enumerate(head.steps[1:]):
        state = np.full_like(head.states[at], 0.0)
        for t in steps:
            for p, value in enumerate(weighted[t]):
                accumulate(state[p], value, c[t])
                accumulate(dc[t], value, head.states[at][p])
        arriving.append(state)
    for at in reversed(range(len(head.through))):
        arriving[at] = _added(arriving[at + 1], head.through[at], arriving[at])
    du = [np.full_like(row, 0.0) for row in dy]
    for steps, state in zip(head.steps, arriving, strict=False):
        for t in steps:
            du[t][:] = head.fading(t, [dot(row, b[t]) for row in state])
            for p, value in enumerate(head.weighted[t]):
                accumulate(db[t], value, state[p])
    return du


def _through_squares(head: _Head, at: int, scores: Rows, dy: Array, du: list[Array]) -> Rows:
    """Add to u's gradient what a chunk's square gives; return its scores' gradients."""
    steps, masked = head.steps[at], head.faded(scores, at)
    made = []
    for i, t in enumerate(steps):
        for score, s in zip(masked[i], steps, strict=True):
            accumulate(du[s], score, dy[t])
        row = [dot(dy[t], head.u[s]) for s in steps]
        fades = head.fades[at][i]
        made.append([*(value * fade for value, fade in zip(row, fades, strict=False)), row[i]])
    return made
