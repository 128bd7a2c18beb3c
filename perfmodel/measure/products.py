"""Matrix products of all shapes: square and thin, in batches, of transposed operands."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from perfmodel.measure.clocks import Call
from perfmodel.measure.tasks import CallTask, probe_of, values

#: products m n k of the largest task, and bytes of its operands
MOST, BYTES = 4e8, 128e6
_LARGE = (512, 768, 1024)


def product(
    dtype: str, m: int, n: int, k: int, batch: int = 1, trans: str = "nn", roof: str | None = None
) -> CallTask:
    """Return C[batch,m,n] = A[batch,m,k] B[batch,k,n]; 't' in ``trans``: stored transposed."""

    def build(xp: Any, rng: Any) -> Call:
        a = values(xp, rng, (batch, k, m) if trans[0] == "t" else (batch, m, k), dtype)
        b = values(xp, rng, (batch, n, k) if trans[1] == "t" else (batch, k, n), dtype)
        a = a.transpose(0, 2, 1) if trans[0] == "t" else a
        b = b.transpose(0, 2, 1) if trans[1] == "t" else b
        if batch == 1:
            a, b = a[0], b[0]
        out = values(xp, rng, (m, n) if batch == 1 else (batch, m, n), dtype)
        return lambda: xp.matmul(a, b, out=out)

    thin = min(m, n, k) == 1
    size = 4.0 * batch * (m * k + k * n + m * n)
    name = f"product {dtype} m={m} n={n} k={k} batch={batch} {trans}"
    return CallTask(name, probe_of(size) if thin else "compute", build, roof)


def product_tasks(rng: np.random.Generator, density: float) -> list[CallTask]:
    """Return products with sides drawn log-uniformly from 2 to 4096, and thin ones."""
    tasks = [
        product(dtype, side, side, side, roof=f"matrix.{dtype}")
        for dtype in ("fp32", "fp64")
        for side in _LARGE
    ]
    for dtype, count in (("fp32", 40), ("fp64", 24)):
        for place in range(round(count * density)):
            m, n, k, batch = _shape(rng, least=2)
            tasks.append(product(dtype, m, n, k, batch, _TRANS[place % len(_TRANS)]))
        for place in range(round(6 * density)):
            m, n, k, batch = _shape(rng, least=16, most=MOST / 100)
            for side in ("row", "column"):
                trans = _TRANS[place % len(_TRANS)]
                thin = (1, n) if side == "row" else (m, 1)
                tasks.append(product(dtype, *thin, 8 * k, batch, trans))
    for dtype in ("fp32", "fp64"):
        for _ in range(round(4 * density)):
            m, n, _, batch = _shape(rng, least=2, most=1e6)
            tasks.append(product(dtype, m, n, 1, batch))
    tasks += [
        product("fp16", *_shape(rng, least=2, most=1e6)[:3]) for _ in range(round(4 * density))
    ]
    return _distinct(tasks)


#: kernels transpose neither operand most of the time, then the second, as for keys
_TRANS = ("nn", "nt", "nn", "tn", "nn", "nt", "nn", "tt")


def _shape(rng: np.random.Generator, least: int, most: float = MOST) -> tuple[int, int, int, int]:
    while True:
        m, n, k = (round(math.exp(rng.uniform(math.log(least), 8.3))) for _ in range(3))
        batch = 1 if rng.random() < 0.7 else round(math.exp(rng.uniform(0.7, 4.2)))
        size = 4.0 * batch * (m * k + k * n + m * n)
        if batch * m * n * k <= most and size <= BYTES:
            return m, n, k, batch


def _distinct(tasks: list[CallTask]) -> list[CallTask]:
    return list({task.name: task for task in tasks}.values())
