"""Number formats: how many bits a value takes, and which wider format can stand in.

`Precision` says the format of each role of tensor (weights, activations, KV cache),
and in which format a matrix engine sums their products.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

from perfmodel.core.dims import Dim, ceil_div
from perfmodel.errors import InputError, did_you_mean, shorten

Role = Literal["weight", "frozen", "activation", "kv", "index", "state"]


@dataclass(frozen=True)
class Format:
    """A number format.

    Parameters
    ----------
    bits : bits of a value in memory, its scale apart.
    integer : whether its operations are OP rather than FLOP.
    wider : formats that hold all its values, nearest first; an engine without a
        rate for this one runs in the first of them that it has.
    group, scale_bits : values that share one scale, and its bits; 0 for none.
    """

    name: str
    bits: int
    integer: bool = False
    wider: tuple[str, ...] = ()
    group: int = 0
    scale_bits: int = 0

    def holds(self, other: str) -> bool:
        """Tell whether this format has all values of the one called ``other``."""
        return self.name == other or self.name in FORMATS[other].wider

    @property
    def bytes(self) -> float:
        """Bytes a value takes in memory (half a byte for 4-bit formats), its scale apart."""
        return self.bits / 8

    def bytes_of(self, elements: Dim) -> Dim:
        """Return the bytes of ``elements`` values with the scales of their groups."""
        values = elements * self.bits // 8 if self.bits % 8 == 0 else elements * self.bytes
        if not self.group:
            return values
        return values + ceil_div(elements, self.group) * (self.scale_bits // 8)


_FLOATS = ("fp32", "fp64")
_FP8 = ("fp16", "bf16", *_FLOATS)
_INT8 = ("fp16", "bf16", "int32", *_FLOATS)

#: tf32 is held in memory as fp32; only the matrix engine reads it with 10 bits of mantissa.
#: The mx formats share an 8-bit exponent among 32 values (OCP Microscaling Formats
#: specification 1.0); nvfp4 an fp8 scale among 16 (NVIDIA, Blackwell architecture).
FORMATS = {
    f.name: f
    for f in (
        Format("fp64", 64),
        Format("fp32", 32, wider=("fp64",)),
        Format("tf32", 32, wider=_FLOATS),
        Format("bf16", 16, wider=_FLOATS),
        Format("fp16", 16, wider=_FLOATS),
        Format("fp8_e4m3", 8, wider=_FP8),
        Format("fp8_e5m2", 8, wider=_FP8),
        Format("mxfp8", 8, wider=("fp8_e4m3", *_FP8), group=32, scale_bits=8),
        Format("mxfp4", 4, wider=("mxfp8", "fp8_e4m3", *_FP8), group=32, scale_bits=8),
        Format("nvfp4", 4, wider=("mxfp4", "mxfp8", "fp8_e4m3", *_FP8), group=16, scale_bits=8),
        Format("int64", 64, integer=True),
        Format("int32", 32, integer=True, wider=("int64", "fp64")),
        Format("int16", 16, integer=True, wider=("int32", "int64", *_FLOATS)),
        Format("int8", 8, integer=True, wider=_INT8),
        Format("int4", 4, integer=True, wider=("int8", *_INT8)),
        Format("int2", 2, integer=True, wider=("int4", "int8", *_INT8)),
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
    "fp64", "fp32", "tf32", "bf16", "fp16", "fp8_e4m3", "fp8_e5m2", "mxfp8", "mxfp4", "nvfp4",
    "int8", "int4",
)  # fmt: skip

#: weights of 4 bits come in groups of this many with an fp16 scale, unless said otherwise
DEFAULT_GROUP = 128
_GROUPED = re.compile(r"int([48])g([1-9]\d{0,4})")
#: what stands between a format and the one that its products are summed in
ACCUMULATE = "-acc-"
_MIXED = re.compile(r"w(4|8|16)(?:g([1-9]\d{0,4}))?a(4|8|16)(?:kv(4|8|16))?(?:-(fp16|bf16))?")


def get_format(name: str) -> Format:
    """Return the format called ``name`` (aliases such as 'float16' too)."""
    canonical = _ALIASES.get(name.lower(), name.lower())
    if (match := _GROUPED.fullmatch(canonical)) and canonical not in FORMATS:
        plain = FORMATS[f"int{match.group(1)}"]
        FORMATS[canonical] = replace(
            plain, name=canonical, wider=(plain.name, *plain.wider), group=int(match.group(2)),
            scale_bits=16,
        )  # fmt: skip
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
    accumulate : the format in which matrix products are summed, at the least;
        None for what the device takes by itself.
    """

    name: str
    weight: str
    activation: str
    kv: str
    accumulate: str | None = None

    def of(self, role: Role) -> str:
        """Return the format of a tensor of ``role``."""
        if role == "index":
            return "int64"
        if role in ("weight", "frozen"):
            return self.weight
        return self.kv if role == "kv" else self.activation


def split_accumulate(text: str) -> tuple[str, str | None]:
    """Return a format, or formats, and the accumulator written behind, canonical.

    ``fp16-acc-fp16`` gives fp16 and fp16; ``w4a16`` gives w4a16 and None.
    """
    operands, found, accumulate = text.partition(ACCUMULATE)
    return operands, get_format(accumulate).name if found else None


def can_accumulate(operand: str, accumulate: str) -> bool:
    """Tell whether products of ``operand`` can be summed in ``accumulate``."""
    wide = FORMATS[accumulate]
    return wide.integer == FORMATS[operand].integer and wide.holds(operand)


def check_accumulate(operand: str, accumulate: str) -> None:
    """Raise InputError unless products of ``operand`` can be summed in ``accumulate``."""
    if can_accumulate(operand, accumulate):
        return
    known = [n for n in (operand, *FORMATS[operand].wider) if can_accumulate(operand, n)]
    raise InputError(
        f"products of {operand} cannot be summed in {accumulate}", mend=f"one of {', '.join(known)}"
    )


def parse_precision(text: str) -> Precision:
    """Return the formats of a network.

    One name, such as ``fp16``, for everything; or the bits of each role, such as
    ``w4a16``, ``w8a8``, ``w4g64a16kv8`` (weights in groups of 64 with an fp16
    scale each, KV cache of 8 bits) and ``w4a16-bf16``. 4 and 8 bits are integers.

    Behind either, ``-acc-`` and a format says in which matrix products are summed:
    ``fp16-acc-fp16``, ``w8a8-acc-int32``. It is the least that is accepted: a
    device takes the fastest of its accumulators that is as wide, and one that has
    none is refused. Without it the device sums as it does by default.
    """
    operands, accumulate = split_accumulate(text.strip().lower())
    precision = _parse_operands(operands)
    if accumulate is None:
        return precision
    check_accumulate(precision.activation, accumulate)
    name = f"{precision.name}{ACCUMULATE}{accumulate}"
    return replace(precision, name=name, accumulate=accumulate)


def _parse_operands(text: str) -> Precision:
    written = text.strip()
    if match := _MIXED.fullmatch(written):
        weight, group, activation, kv, half = match.groups()
        wide = half or "fp16"

        def of(bits: str) -> str:
            return wide if bits == "16" else f"int{bits}"

        grouped = of(weight)
        if weight == "4" or group:
            if weight == "16":
                raise InputError(f"{shorten(text)}: 16-bit weights have no groups")
            grouped = get_format(f"int{weight}g{group or DEFAULT_GROUP}").name
        return Precision(written, grouped, of(activation), of(kv or activation))
    form = get_format(written)
    if form.name not in NETWORK_FORMATS:
        raise InputError(
            f"a network cannot run in {form.name}",
            mend=f"one of {', '.join(NETWORK_FORMATS)}, or as in w4a16",
        )
    return Precision(form.name, form.name, form.name, form.name)
