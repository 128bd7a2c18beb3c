"""A made-up library whose costs are known exactly."""

from __future__ import annotations

from perfmodel.kernels.passes import Pass
from perfmodel.machine.library import CallCost, LevelCost, Library, ProductCost

LEVELS = (
    LevelCost(3e-12, 4e-12, 24 << 10),
    LevelCost(8e-12, 1.2e-11, 700 << 10),
    LevelCost(1.1e-11, 1.6e-11, 20 << 20),
    LevelCost(4e-11, 5e-11, None),
)
CAPACITIES = (32 << 10, 1 << 20, 32 << 20)
PRODUCT = ProductCost(
    call=8e-7, matrix=1.5e-7, product=2e-11, product_large=2.1e-11,
    a_small=2e-11, b_small=3e-11, c_small=8e-11, a_large=2.5e-10, b_large=2.6e-10,
    c_large=1.2e-10, a_strided=3e-11, b_strided=1.5e-10, exposed=0.6, switch=1.2e6,
)  # fmt: skip


def made_up() -> Library:
    call = CallCost(call=4e-7, element=4e-11, row=1e-8)
    return Library(
        backend="made up", blas="none", threads=1, date="2026-01-01", contended=False,
        page=1e-10, run=2e-6, python=2e-7, levels=LEVELS, products={"fp32": PRODUCT},
        calls={
            "add.fp32": call,
            "exp.fp32": CallCost(call=3e-7, element=4.6e-10, row=2e-8),
            "copy.fp32": CallCost(call=3e-7, element=2e-11, row=1e-8),
            "fill.fp32": CallCost(call=2e-7, element=1e-11, row=1e-8),
            "copy_strided.fp32": CallCost(call=4e-7, element=5e-10, row=2e-8, line=0.4),
            "take.fp32": CallCost(call=6e-7, element=1e-10, row=4e-9, miss=4e-8),
            "dot.fp32": CallCost(call=5e-7, element=3e-11, row=1e-8),
        },
        spread={"all": 1.5, "dense": 1.3},
        clocks={"calls": 4e-7},
    )  # fmt: skip


def stream(kind: str, elements: float, arrays: int, again: float | None = None) -> Pass:
    size = 4.0 * elements
    distance = again or size * arrays
    reads = (size,) * (arrays - 1)
    return Pass(
        kind, "fp32", elements, reads, size, (distance,) * len(reads), distance, inner=elements
    )


def product(m: float, n: float, k: float, batch: float = 1, **more: bool) -> Pass:
    a, b, c = (4.0 * batch * x for x in (m * k, k * n, m * n))
    total = a + b + c
    return Pass(
        "gemm", "fp32", m * n * batch, (a, b), c, (total, total), total,
        m=m, n=n, k=k, batch=batch, **more,
    )  # fmt: skip
