"""Fourier transforms by the library's own; complex numbers as pairs are a view."""

from __future__ import annotations

from typing import Any

from perfmodel.kernels.fast._spectra import transform
from perfmodel.kernels.registry import kernel


def _power(n: int, least: int) -> int:
    while least < n:
        least *= 2
    return least


def _of_reals(xp: Any, x: Any, y: Any, op: Any) -> None:
    """Set y[..., N] to the spectra of rows, half of them mirrored where all is wanted."""
    n = x.shape[-1] if op.exact else _power(x.shape[-1], 4)
    half = n // 2 + 1
    transform(xp, "rfft", x, n, -1, y[..., :half])
    if op.full and n - half:
        xp.conjugate(y[..., n - half : 0 : -1], out=y[..., half:])


def _complex(y: Any) -> Any:
    """Return a view of pairs as complex numbers."""
    return y.view("complex64" if str(y.dtype) == "float32" else "complex128")[..., 0]


@kernel("fft")
def fft(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """One transform a row, padded to a power of two unless it is to be exact."""
    out = ws.output(a)
    if op.real:
        _of_reals(xp, a.x, _complex(out), op)
        return out
    x = _complex(a.x)
    n = x.shape[-1] if op.exact else _power(x.shape[-1], 1)
    transform(xp, "fft", x, n, -1, _complex(out))
    return out


@kernel("stft")
def stft(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """Frames as a view of the padded signal, times the window, then one transform a frame."""
    out, x = ws.output(a), a.x.reshape(-1, a.x.shape[-1])
    size, count = op.n_fft, out.shape[-3]
    if op.centred:
        samples, before = x.shape[1], size // 2
        length = max(before + samples, (count - 1) * op.stride + size)
        padded = ws.once("padded", lambda: xp.zeros((x.shape[0], length), dtype=x.dtype))
        xp.copyto(padded[:, before : before + samples], x)
        x = padded
    row, item = x.strides
    frames = xp.lib.stride_tricks.as_strided(
        x, (x.shape[0], count, size), (row, op.stride * item, item)
    )
    windowed = ws.buffer("windowed", frames.shape, x.dtype)
    xp.multiply(frames, a.weights["window"], out=windowed)
    _of_reals(xp, windowed, _complex(out.reshape(x.shape[0], count, -1, 2)), op)
    return out
