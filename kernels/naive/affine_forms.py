"""Naive affine layer of low rank."""

from __future__ import annotations

import numpy as np

from ._attending import accumulate, dot
from ._numbers import Array, Gradients, Weights


def low_rank_affine(x: Array, *, weights: Weights, units: int, rank: int, bias: bool) -> Array:
    y = np.empty((*x.shape[:-1], units), dtype=x.dtype)
    for at in np.ndindex(*x.shape[:-1]):
        latent = [dot(row, x[at]) for row in weights["down"]]
        for o, row in enumerate(weights["up"]):
            value = dot(row, latent)
            y[(*at, o)] = value + weights["bias"][o] if bias else value
    return y


def low_rank_affine_kept(
    x: Array, *, weights: Weights, units: int, rank: int, bias: bool
) -> Gradients:
    return {"latent": x @ weights["down"].T}


def low_rank_affine_grad(
    part: str, dy: Array, x: Array, *, output: Array, weights: Weights, kept: Weights, units: int,
    rank: int, bias: bool,
) -> Gradients:  # fmt: skip
    places = list(np.ndindex(*x.shape[:-1]))
    if part == "bias":
        db = dy[places[0]].copy()
        for at in places[1:]:
            for o in range(units):
                db[o] = db[o] + dy[(*at, o)]
        return {"bias": db}
    dx = np.full_like(x, 0.0)
    made = {name: np.full_like(weights[name], 0.0) for name in ("down", "up")}
    for at in places:
        for o in range(units):
            accumulate(made["up"][o], dy[(*at, o)], kept["latent"][at])
        for r in range(rank):
            dlatent = dot(dy[at], weights["up"][:, r])
            accumulate(made["down"][r], dlatent, x[at])
            accumulate(dx[at], dlatent, weights["down"][r])
    return {"input 0": dx, **made}
