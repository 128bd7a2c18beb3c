"""Quantized programs: codes made, and codes brought back (``quantized_decomposed``)."""

from __future__ import annotations

from dataclasses import replace

from perfmodel.core.formats import FORMATS
from perfmodel.ops.quantization import QUANTIZED
from perfmodel.readers.torch.call import Call
from perfmodel.readers.torch.handlers import Made, handles
from perfmodel.readers.tracing.integers import real

DECOMPOSED = "quantized_decomposed"


@handles("quantize_per_tensor", "quantize_per_channel", "quantize_per_token", domain=DECOMPOSED)
def quantize(call: Call) -> Made:
    """``clamp(round(x / scale) + zero_point)``; of codes with another scale, nothing more."""
    x, to = call.x("input"), call.dtype
    if x.whole is not None and not x.is_constant and x.whole.dtype == to:
        return replace(x.whole, name="")
    if to not in QUANTIZED:
        return call.bytes_only()
    several = call.op == "quantize_per_channel"
    return call.emit(
        "quantize",
        x,
        precision=call.net.precision,
        to=to,
        per_channel=several,
        axis=call.axis(x, "axis", 1) if several else 1,
        zero_point=FORMATS[to].integer and call.arg("zero_point", 0) != 0,
    )


@handles("dequantize_per_tensor", "dequantize_per_channel", "dequantize_per_token",
         domain=DECOMPOSED)  # fmt: skip
def dequantize(call: Call) -> Made:
    """``(x - zero_point) scale``; stored codes stay codes, a weight of so many bits."""
    x = call.x("input")
    if x.is_constant and x.tensor is None:
        codes = replace(x, learned=True)
        return replace(codes, data=None, whole=codes)
    return real(call, x, call.dtype)


@handles("choose_qparams", "choose_qparams_symmetric", domain=DECOMPOSED, treatment="bounded")
def choose(call: Call) -> Made:
    """The scale that a tensor's own range asks for: it is read once."""
    return call.bytes_only()
