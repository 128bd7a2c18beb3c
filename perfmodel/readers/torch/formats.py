"""Number formats of PyTorch."""

from __future__ import annotations

from typing import Any

#: torch.dtype, as it prints -> number format; complex numbers are pairs of these
_FORMAT_OF = {
    "float64": "fp64", "float32": "fp32", "float16": "fp16", "bfloat16": "bf16",
    "float8_e4m3fn": "fp8_e4m3", "float8_e4m3fnuz": "fp8_e4m3", "float8_e5m2": "fp8_e5m2",
    "float8_e5m2fnuz": "fp8_e5m2", "float8_e8m0fnu": "fp8_e4m3", "complex128": "fp64",
    "complex64": "fp32", "complex32": "fp16", "int64": "int64", "uint64": "int64",
    "int32": "int32", "uint32": "int32", "int16": "int16", "uint16": "int16", "int8": "int8",
    "uint8": "int8", "bool": "bool", "qint8": "int8", "quint8": "int8", "qint32": "int32",
}  # fmt: skip


def format_of(dtype: Any) -> str:
    """Return the number format of a torch.dtype; of what has none, one as wide."""
    name = str(dtype).removeprefix("torch.")
    return _FORMAT_OF.get(name, "int4" if "int4" in name else "int8")


def is_complex(dtype: Any) -> bool:
    """Tell whether a torch.dtype holds pairs."""
    return str(dtype).startswith("torch.complex")
