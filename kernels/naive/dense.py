"""Naive matrix product and affine layer."""

from __future__ import annotations

import numpy as np

from ._numbers import Array, Weights, mac


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
