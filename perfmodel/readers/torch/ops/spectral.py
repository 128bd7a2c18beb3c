"""Fourier transforms."""

from __future__ import annotations

from perfmodel.readers.torch.call import Call
from perfmodel.readers.torch.handlers import Made, handles


@handles("_fft_r2c", "_fft_c2c")
def fft(call: Call) -> Made:
    """Transforms along axes; complex numbers are pairs on a last axis."""
    x, axes = call.x(), call.arg("dim", [-1])
    real = call.op == "_fft_r2c"
    rank = x.rank if real else x.rank - 1
    y = x
    for step, axis in enumerate(reversed([int(a) % rank for a in axes])):
        first = real and not step
        sizes = list(y.shape if first else y.shape[:-1])
        others = [d for i, d in enumerate(sizes) if i != axis]
        flat = call.view(y, (*others, sizes[axis], *([] if first else [2])))
        full = first and not call.arg("onesided", False)
        (made,) = call.emit("fft", flat, real=first, exact=True, full=full,
                            suffix=f".axis{axis}" if step else "")  # fmt: skip
        sizes[axis] = made.shape[-2]
        y = call.view(made, (*sizes, 2))
    return y


@handles("_fft_c2r", treatment="bounded")
def inverse(call: Call) -> Made:
    """From half a spectrum to real numbers: bytes only."""
    return call.bytes_only()
