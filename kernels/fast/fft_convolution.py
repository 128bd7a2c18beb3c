"""Convolution by Fourier transforms: a product of spectra at each frequency."""

from __future__ import annotations

from typing import Any

from perfmodel.kernels.fast._windows import Images, Outputs, filters, slide_of
from perfmodel.kernels.registry import kernel


def _refuses(op: Any, t: Any) -> str | None:
    return "FFT runs no groups" if op.groups != 1 else None


def good_size(n: int) -> int:
    """Return the least number from ``n`` on with no prime factor over 5."""
    while True:
        rest = n
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return n
        n += 1


@kernel("conv1d", "conv2d", algorithm="fft", refuses=_refuses)
def fft(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """Spectra of images and filters, their products at each frequency, back, strided if need be.

    Filters are transformed once; their spectrum is conjugated, since deep learning's
    convolution is a correlation, and nothing wraps into the outputs kept.
    """
    s, out = slide_of(op, a.tensors), Outputs(xp, ws, a, op.layout)
    images = Images(xp, ws, a.x, s)
    weight = filters(xp, ws, a.weights["weight"], op)
    K, C = weight.shape[:2]
    height, width = (1, *s.padded)[-2:]
    rows, columns = good_size(height), good_size(width)
    kind = "complex64" if str(a.x.dtype) == "float32" else "complex128"
    places, half = rows * (columns // 2 + 1), columns // 2 + 1
    spectra = ws.once("spectra", lambda: _of_filters(xp, ws, weight, s, rows, columns, kind))
    bias = a.weights.get("bias")
    one = ws.buffer("one", (C, height, half), kind)
    X = ws.buffer("X", (C, rows, half), kind)
    columns_of_x = ws.buffer("x", (places, C, 1), kind)
    Y = ws.buffer("Y", (places, K, 1), kind)
    turned = ws.buffer("turned", (K, rows, half), kind)
    back = ws.buffer("back", (K, rows, half), kind)
    real = ws.buffer("real", (K, rows, columns), a.x.dtype)
    P, Q = (1, *s.outputs)[-2:]
    u, v = (1, *s.stride)[-2:]
    for n in range(s.batch):
        xp.fft.rfft(images[n].reshape(C, height, width), n=columns, axis=-1, out=one)
        xp.fft.fft(one, n=rows, axis=-2, out=X)
        xp.copyto(columns_of_x[:, :, 0], X.reshape(C, places).T)
        xp.matmul(spectra, columns_of_x, out=Y)
        xp.copyto(turned.reshape(K, places), Y[:, :, 0].T)
        xp.fft.ifft(turned, axis=-2, out=back)
        xp.fft.irfft(back, n=columns, axis=-1, out=real)
        y = out[n].reshape(K, P, Q)
        kept = real[:, : (P - 1) * u + 1 : u, : (Q - 1) * v + 1 : v]
        if bias is None:
            xp.copyto(y, kept)
        else:
            xp.add(kept, bias.reshape(K, 1, 1), out=y)
        out.done(n)
    return out.out


def _of_filters(xp: Any, ws: Any, weight: Any, s: Any, rows: int, columns: int, kind: str) -> Any:
    """Return conjugated spectra of filters, dilated with zeros, as [places, K, C]."""
    K, C = weight.shape[:2]
    r, c = (1, *s.kernel)[-2:]
    d, e = (1, *s.dilation)[-2:]
    spread = xp.zeros((K * C, rows, columns), dtype=weight.dtype)
    xp.copyto(spread[:, : d * (r - 1) + 1 : d, : e * (c - 1) + 1 : e], weight.reshape(K * C, r, c))
    spectrum = xp.fft.fft(xp.fft.rfft(spread, axis=-1), axis=-2)
    xp.conjugate(spectrum, out=spectrum)
    made = ws.buffer("filters' spectra", (spectrum.shape[1] * spectrum.shape[2], K, C), kind)
    xp.copyto(made, spectrum.reshape(K, C, -1).transpose(2, 0, 1))
    return made
