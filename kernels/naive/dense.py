"""Naive matrix product and affine layer."""

from __future__ import annotations

import numpy as np

from ._numbers import Array, Gradients, Weights, mac


def matmul(a: Array, b: Array, *, weights: Weights) -> Array:
    *batch, M, K = a.shape
    N = b.shape[-1]
    y = np.empty((*batch, M, N), dtype=a.dtype)
    for at in np.ndindex(*batch):
        matrix = b if b.ndim == 2 else b[at]
        for m in range(M):
            for n in range(N):
                acc = 0.0
                for k in range(K):
                    acc = mac(acc, a[(*at, m, k)], matrix[k, n])
                y[(*at, m, n)] = acc
    return y


def affine(x: Array, *, weights: Weights, units: int, bias: bool) -> Array:
    weight = weights["weight"]
    *samples, inputs = x.shape
    y = np.empty((*samples, units), dtype=x.dtype)
    for at in np.ndindex(*samples):
        for o in range(units):
            acc = 0.0
            for i in range(inputs):
                acc = mac(acc, weight[o, i], x[(*at, i)])
            y[(*at, o)] = acc + weights["bias"][o] if bias else acc
    return y


def matmul_grad(
    part: str, dy: Array, a: Array, b: Array, *, output: Array, weights: Weights
) -> Gradients:
    *batch, M, K = a.shape
    N = b.shape[-1]
    if part == "a":
        da = np.empty_like(a)
        for at in np.ndindex(*batch):
            matrix = b if b.ndim == 2 else b[at]
            for m in range(M):
                for k in range(K):
                    acc = 0.0
                    for n in range(N):
                        acc = mac(acc, dy[(*at, m, n)], matrix[k, n])
                    da[(*at, m, k)] = acc
        return {"input 0": da}
    db = np.full_like(b, 0.0)
    for at in np.ndindex(*batch):
        target = db if b.ndim == 2 else db[at]
        for k in range(K):
            for n in range(N):
                for m in range(M):
                    target[k, n] = mac(target[k, n], a[(*at, m, k)], dy[(*at, m, n)])
    return {"input 1": db}


def affine_grad(
    part: str, dy: Array, x: Array, *, output: Array, weights: Weights, units: int, bias: bool
) -> Gradients:
    weight = weights["weight"]
    *samples, inputs = x.shape
    places = list(np.ndindex(*samples))
    if part == "input":
        dx = np.empty_like(x)
        for at in places:
            for i in range(inputs):
                acc = 0.0
                for o in range(units):
                    acc = mac(acc, dy[(*at, o)], weight[o, i])
                dx[(*at, i)] = acc
        return {"input 0": dx}
    if part == "weight":
        dw = np.full_like(weight, 0.0)
        for o in range(units):
            for i in range(inputs):
                for at in places:
                    dw[o, i] = mac(dw[o, i], dy[(*at, o)], x[(*at, i)])
        return {"weight": dw}
    db = dy[places[0]].copy()
    for at in places[1:]:
        for o in range(units):
            db[o] = db[o] + dy[(*at, o)]
    return {"bias": db}
