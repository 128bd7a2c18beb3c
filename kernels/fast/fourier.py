"""Fourier transforms by the library's own; complex numbers as pairs are a view."""

from __future__ import annotations

from typing import Any

from perfmodel.kernels.registry import kernel


def _power(n: int, least: int) -> int:
    while least < n:
        least *= 2
    return least


@kernel("fft")
def fft(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """One transform a row, padded to a power of two."""
    out = ws.output(a)
    kind = "complex64" if str(out.dtype) == "float32" else "complex128"
    y = out.view(kind)[..., 0]
    if op.real:
        xp.fft.rfft(a.x, n=_power(a.x.shape[-1], 4), axis=-1, out=y)
        return out
    x = a.x.view(kind)[..., 0]
    xp.fft.fft(x, n=_power(x.shape[-1], 1), axis=-1, out=y)
    return out


@kernel("stft")
def stft(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """Frames as a view of the padded signal, times the window, then one transform a frame."""
    out, x = ws.output(a), a.x.reshape(-1, a.x.shape[-1])
    kind = "complex64" if str(out.dtype) == "float32" else "complex128"
    samples, size = x.shape[1], op.n_fft
    count = samples // op.stride + 1
    before = size // 2
    length = max(before + samples, (count - 1) * op.stride + size)
    padded = ws.once("padded", lambda: xp.zeros((x.shape[0], length), dtype=x.dtype))
    xp.copyto(padded[:, before : before + samples], x)
    row, item = padded.strides
    frames = xp.lib.stride_tricks.as_strided(
        padded, (x.shape[0], count, size), (row, op.stride * item, item)
    )
    windowed = ws.buffer("windowed", frames.shape, x.dtype)
    xp.multiply(frames, a.weights["window"], out=windowed)
    y = out.reshape(x.shape[0], count, -1, 2).view(kind)[..., 0]
    xp.fft.rfft(windowed, n=_power(size, 4), axis=-1, out=y)
    return out
