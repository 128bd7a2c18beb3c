"""Number formats: how many bits a value takes, and which wider format can stand in.

`Precision` says the format of each role of tensor: weights, activations, KV cache.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from perfmodel.errors import InputError, did_you_mean, shorten

Role = Literal["weight", "activation", "kv", "index", "state"]


@dataclass(frozen=True)
class Format:
    """A number format: bits in memory; `wider` formats hold all its values, nearest first."""

    name: str
    bits: int
    integer: bool = False
    wider: tuple[str, ...] = ()

    @property
    def bytes(self) -> float:
        """Bytes a value takes in memory (half a byte for 4-bit formats)."""
        return self.bits / 8


#: tf32 is held in memory as fp32; only the matrix engine reads it with 10 bits of mantissa.
FORMATS = {
    f.name: f
    for f in (
        Format("fp64", 64),
        Format("fp32", 32, wider=("fp64",)),
        Format("tf32", 32, wider=("fp32", "fp64")),
        Format("bf16", 16, wider=("fp32", "fp64")),
        Format("fp16", 16, wider=("fp32", "fp64")),
        Format("fp8_e4m3", 8, wider=("fp16", "bf16", "fp32", "fp64")),
        Format("fp8_e5m2", 8, wider=("fp16", "bf16", "fp32", "fp64")),
        Format("int64", 64, integer=True),
        Format("int32", 32, integer=True, wider=("int64", "fp64")),
        Format("int8", 8, integer=True, wider=("fp16", "bf16", "int32", "fp32", "fp64")),
        Format("int4", 4, integer=True, wider=("int8", "fp16", "bf16", "int32", "fp32", "fp64")),
        Format("bool", 8, integer=True, wider=("int8", "int32")),
    )
}

_ALIASES = {
    "float64": "fp64", "double": "fp64", "float32": "fp32", "float": "fp32", "single": "fp32",
    "bfloat16": "bf16", "float16": "fp16", "half": "fp16", "fp8": "fp8_e4m3",
    "float8_e4m3": "fp8_e4m3", "float8_e4m3fn": "fp8_e4m3", "float8_e5m2": "fp8_e5m2",
    "e4m3": "fp8_e4m3", "e5m2": "fp8_e5m2", "i8": "int8", "i4": "int4",
}  # fmt: skip

#: formats that a whole network can be asked to run in
NETWORK_FORMATS = (
    "fp64", "fp32", "tf32", "bf16", "fp16", "fp8_e4m3", "fp8_e5m2", "int8", "int4",
)  # fmt: skip


def get_format(name: str) -> Format:
    """Return the format called ``name`` (aliases such as 'float16' too)."""
    canonical = _ALIASES.get(name.lower(), name.lower())
    if canonical not in FORMATS:
        raise InputError(f"unknown number format {shorten(name)}", mend=did_you_mean(name, FORMATS))
    return FORMATS[canonical]


@dataclass(frozen=True)
class Precision:
    """The format of each role of tensor.

    Parameters
    ----------
    name : as the user wrote it, canonical.
    weight, activation, kv : format names.
    """

    name: str
    weight: str
    activation: str
    kv: str

    def of(self, role: Role) -> str:
        """Return the format of a tensor of ``role``."""
        if role == "index":
            return "int64"
        if role == "weight":
            return self.weight
        return self.kv if role == "kv" else self.activation


def parse_precision(text: str) -> Precision:
    """Return the Precision that holds every tensor in the format ``text``, such as 'fp16'."""
    form = get_format(text.strip())
    if form.name not in NETWORK_FORMATS:
        raise InputError(
            f"a network cannot run in {form.name}", mend=f"one of {', '.join(NETWORK_FORMATS)}"
        )
    return Precision(form.name, form.name, form.name, form.name)
