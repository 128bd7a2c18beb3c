"""Naive radix-2 Fourier transforms and their adjoints."""

from __future__ import annotations

import cmath

import numpy as np

from ._numbers import Array, Gradients, Number, Weights, constant

Pair = tuple[Number, Number]


def fft(x: Array, *, weights: Weights, real: bool) -> Array:
    rows = x.shape[:-1] if real else x.shape[:-2]
    made: dict[tuple[int, ...], list[Pair]] = {}
    for at in np.ndindex(*rows):
        if real:
            made[at] = _real_transform(_padded(list(x[at]), 4))
        else:
            parts = (_padded(list(x[at][:, i]), 1) for i in (0, 1))
            made[at] = _transform(list(zip(*parts, strict=True)))
    return _stacked(rows, made, x)


def stft(x: Array, *, weights: Weights, n_fft: int, stride: int) -> Array:
    samples = x.shape[-1]
    rows = (*x.shape[:-1], samples // stride + 1)
    made: dict[tuple[int, ...], list[Pair]] = {}
    for at in np.ndindex(*rows):
        signal, start = x[at[:-1]], at[-1] * stride - n_fft // 2
        frame = []
        for i, factor in enumerate(weights["window"]):
            inside = 0 <= start + i < samples
            frame.append((signal[start + i] if inside else 0.0) * factor)
        made[at] = _real_transform(_padded(frame, 4))
    return _stacked(rows, made, x)


def fft_grad(
    part: str, dy: Array, x: Array, *, output: Array, weights: Weights, real: bool
) -> Gradients:
    dx = np.empty_like(x)
    for at in np.ndindex(*dy.shape[:-2]):
        spectrum = [(a, b) for a, b in dy[at]]
        if real:
            dx[at] = _real_adjoint(spectrum)[: x.shape[-1]]
        else:
            for i, pair in enumerate(_transform(spectrum, 1)[: x.shape[-2]]):
                dx[(*at, i, 0)], dx[(*at, i, 1)] = pair
    return {"input 0": dx}


def stft_grad(
    part: str, dy: Array, x: Array, *, output: Array, weights: Weights, n_fft: int, stride: int
) -> Gradients:
    dx, samples = np.full_like(x, 0.0), x.shape[-1]
    reached: set[tuple[int, ...]] = set()
    for at in np.ndindex(*dy.shape[:-2]):
        frame, start = _real_adjoint([(a, b) for a, b in dy[at]]), at[-1] * stride - n_fft // 2
        for i, factor in enumerate(weights["window"]):
            value, place = frame[i] * factor, (*at[:-1], start + i)
            if 0 <= start + i < samples:
                dx[place] = dx[place] + value if place in reached else value
                reached.add(place)
    return {"input 0": dx}


def _padded(row: list[Number], least: int) -> list[Number]:
    length = least
    while length < len(row):
        length *= 2
    return row + [constant(row[0], 0.0)] * (length - len(row))


def _stacked(rows: tuple[int, ...], made: dict[tuple[int, ...], list[Pair]], x: Array) -> Array:
    y = np.empty((*rows, len(next(iter(made.values()))), 2), dtype=x.dtype)
    for at, spectrum in made.items():
        for k, value in enumerate(spectrum):
            y[(*at, k, 0)], y[(*at, k, 1)] = value
    return y


def _times(value: Pair, factor: complex) -> Pair:
    (a, b), (c, d) = value, (factor.real, factor.imag)
    return a * c - b * d, a * d + b * c


def _transform(z: list[Pair], sign: int = -1) -> list[Pair]:
    """Return sums of z times ``exp(sign 2 pi i j k / n)``."""
    if len(z) == 1:
        return z
    half = len(z) // 2
    even, odd = _transform(z[0::2], sign), _transform(z[1::2], sign)
    low, high = [], []
    for k, ((a, b), turned) in enumerate(zip(even, odd, strict=True)):
        if k:
            turned = _times(turned, cmath.exp(sign * 1j * cmath.pi * k / half))
        c, d = turned
        low.append((a + c, b + d))
        high.append((a - c, b - d))
    return low + high


def _real_transform(row: list[Number]) -> list[Pair]:
    """Transform pairs of neighbours as complex numbers, and part the two spectra."""
    z = _transform(list(zip(row[0::2], row[1::2], strict=True)))
    half = len(z)
    out: list[Pair] = [(0.0, 0.0)] * (half + 1)
    out[0], out[half] = (z[0][0] + z[0][1], 0.0), (z[0][0] - z[0][1], 0.0)
    out[half // 2] = (z[half // 2][0], -z[half // 2][1])
    for k in range(1, half // 2):
        (a, b), (c, d) = z[k], z[half - k]
        even = ((a + c) * 0.5, (b - d) * 0.5)
        odd = _times((a - c, b + d), cmath.exp(-1j * cmath.pi * k / half) / 2j)
        out[k] = (even[0] + odd[0], even[1] + odd[1])
        out[half - k] = (even[0] - odd[0], odd[1] - even[1])
    return out


def _real_adjoint(spectrum: list[Pair]) -> list[Number]:
    """Return the gradient of a row of reals: each step of the transform, transposed."""
    half = len(spectrum) - 1
    z: list[Pair] = [(0.0, 0.0)] * half
    z[0] = (spectrum[0][0] + spectrum[half][0], spectrum[0][0] - spectrum[half][0])
    z[half // 2] = (spectrum[half // 2][0], -spectrum[half // 2][1])
    for k in range(1, half // 2):
        (a, b), (c, d) = spectrum[k], spectrum[half - k]
        even = ((a + c) * 0.5, (b - d) * 0.5)
        odd = _times((a - c, b + d), (cmath.exp(-1j * cmath.pi * k / half) / 2j).conjugate())
        z[k] = (even[0] + odd[0], even[1] + odd[1])
        z[half - k] = (even[0] - odd[0], odd[1] - even[1])
    return [part for pair in _transform(z, 1) for part in pair]
