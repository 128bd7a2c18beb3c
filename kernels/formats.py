"""Which number formats array libraries hold, and under which name."""

from __future__ import annotations

from functools import cache
from typing import Any

NUMPY = {
    "fp64": "float64", "fp32": "float32", "fp16": "float16", "int64": "int64", "int32": "int32",
    "int16": "int16", "int8": "int8", "bool": "bool",
}  # fmt: skip
#: indices of 2 bits are kept a byte each
HELD = {**NUMPY, "int2": "int8"}
OURS = {theirs: ours for ours, theirs in NUMPY.items()}
#: what BLAS multiplies and NumPy's vector loops are written for
NATIVE = ("fp32", "fp64")
#: formats computed in a wider one, which holds sums of their products
CONVERTED = {"fp16": "fp32", "int8": "fp32"}


@cache
def name_of(dtype: Any) -> str:
    """Return our name of a library's dtype, or its own where we have none."""
    return OURS.get(str(dtype), str(dtype))
