"""Every kernel at the operators' small sizes, in every format, against the naive loops."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from perfmodel.kernels.naive import naive_kernel
from perfmodel.kernels.registry import case, kernels
from perfmodel.ops import get_operator

#: relative to the largest value: rounding of the format, over a few operations
TOLERANCE = {"fp64": 1e-9, "fp32": 2e-5, "fp16": 2e-2}
#: erf by polynomial
COARSE = {"gelu": 1e-6, "geglu": 1e-6}

CASES = [
    (name, algorithm, dtype, number)
    for name, ways in kernels().items()
    for algorithm in ways
    for dtype in ("fp32", "fp64", "fp16")
    for number in range(2 if dtype == "fp16" else len(get_operator(name).small))
]


def reference(op: Any, a: Any) -> tuple[Any, ...]:
    """Run the naive kernel on the same numbers in double precision."""

    def wide(x: Any) -> Any:
        return x.astype("float64") if x.dtype.kind == "f" else x

    attributes = {f.name: getattr(op, f.name) for f in dataclasses.fields(op)}
    made = naive_kernel(op.name)(
        *map(wide, a.inputs),
        weights={n: wide(w) for n, w in a.weights.items()},
        **{n: wide(c) for n, c in a.caches.items()},
        **attributes,
    )
    return made if isinstance(made, tuple) else (made,)


def check(found: tuple[Any, ...], expected: tuple[Any, ...], tolerance: float) -> None:
    assert len(found) == len(expected)
    for y, wanted in zip(found, expected, strict=True):
        assert y.shape == wanted.shape
        scale = max(1.0, np.abs(wanted.astype("float64")).max(initial=0.0))
        error = np.abs(y.astype("float64") - wanted.astype("float64")).max(initial=0.0)
        assert error <= tolerance * scale


@pytest.mark.parametrize(("name", "algorithm", "dtype", "number"), CASES)
def test_a_kernel_computes_what_the_naive_loops_compute(
    name: str, algorithm: str, dtype: str, number: int
) -> None:
    kernel = kernels()[name][algorithm]
    found = case(name, get_operator(name).small[number], dtype)
    if why := kernel.refusal(found):
        pytest.skip(why)
    built = kernel.build(found, seed=number)
    again = kernel.run(built)  # buffers that a run leaves behind do not disturb the next
    formats = {dtype, *(t.dtype for t in found.tensors.outputs)}
    tolerance = max(COARSE.get(name, 0.0), *(TOLERANCE.get(f, 0.0) for f in formats), 0.0)
    check(again, reference(found.op, built.arrays), tolerance)
    for y, tensor in zip(again, found.tensors.outputs, strict=True):
        assert y.shape == tuple(tensor.shape)
        if tensor.role != "index":
            assert str(y.dtype) == {"fp32": "float32", "fp64": "float64", "fp16": "float16"}.get(
                tensor.dtype, tensor.dtype
            )
    assert kernel.dry_shapes(found) == tuple(y.shape for y in again)
