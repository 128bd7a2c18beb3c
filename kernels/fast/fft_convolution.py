"""Convolution by Fourier transforms: a product of spectra at each frequency."""

from __future__ import annotations

from typing import Any

from perfmodel.kernels.fast._products import product
from perfmodel.kernels.fast._spectra import transform
from perfmodel.kernels.fast._windows import Images, Outputs, filters, slid
from perfmodel.kernels.registry import kernel

#: bytes of the spectra of images whose products are one call a frequency
IMAGES_BYTES = 1 << 25


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
    s, out = slid(op, ws, a), Outputs(xp, ws, a, op.layout)
    images = Images(xp, ws, a.x, s)
    weight = filters(xp, ws, a.weights["weight"], op)
    K, C = weight.shape[:2]
    height, width = (1, *s.padded)[-2:]
    rows, columns = good_size(height), good_size(width)
    kind = "complex64" if str(a.x.dtype) == "float32" else "complex128"
    places, half = rows * (columns // 2 + 1), columns // 2 + 1
    spectra = ws.once("spectra", lambda: _of_filters(xp, ws, weight, s, rows, columns, kind))
    bias = a.weights.get("bias")
    together = max(1, min(s.batch, IMAGES_BYTES // (places * max(C, K) * spectra.itemsize)))
    one = ws.buffer("one", (C, height, half), kind)
    X = ws.buffer("X", (C, rows, half), kind)
    turned = ws.buffer("turned", (K, rows, half), kind)
    back = ws.buffer("back", (K, rows, half), kind)
    real = ws.buffer("real", (K, rows, columns), a.x.dtype)
    P, Q = (1, *s.outputs)[-2:]
    u, v = (1, *s.stride)[-2:]
    for first in range(0, s.batch, together):
        batch = range(first, min(first + together, s.batch))
        by_place = ws.buffer("x", (places, C, len(batch)), kind)
        Y = ws.buffer("Y", (places, K, len(batch)), kind)
        for i, n in enumerate(batch):
            transform(xp, "rfft", images[n].reshape(C, height, width), columns, -1, one)
            transform(xp, "fft", one, rows, -2, X)
            xp.copyto(by_place[:, :, i], X.reshape(C, places).T)
        product(xp, spectra, by_place, Y)
        for i, n in enumerate(batch):
            xp.copyto(turned.reshape(K, places), Y[:, :, i].T)
            transform(xp, "ifft", turned, rows, -2, back)
            transform(xp, "irfft", back, columns, -1, real)
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
