"""Naive Fourier transforms by radix 2, and by Bluestein's chirp, and their adjoints."""

from __future__ import annotations

import cmath
from typing import Any

import numpy as np

from ._numbers import Array, Gradients, Number, Weights, constant

Pair = tuple[Number, Number]


def fft(
    x: Array, *, weights: Weights, real: bool, exact: bool = False, full: bool = False
) -> Array:
    rows = x.shape[:-1] if real else x.shape[:-2]
    made: dict[tuple[int, ...], list[Pair]] = {}
    for at in np.ndindex(*rows):
        if real:
            made[at] = _real_row(list(x[at]), exact, full)
        else:
            row = [(a, b) for a, b in x[at]]
            made[at] = (
                _bluestein(row) if exact and not _even(row, 1) else _transform(_padded(row, 1))
            )
    return _stacked(rows, made, x)


def stft(
    x: Array,
    *,
    weights: Weights,
    n_fft: int,
    stride: int,
    centred: bool = True,
    exact: bool = False,
    full: bool = False,
) -> Array:
    samples, before = x.shape[-1], n_fft // 2 if centred else 0
    rows = (*x.shape[:-1], (samples if centred else samples - n_fft) // stride + 1)
    made: dict[tuple[int, ...], list[Pair]] = {}
    for at in np.ndindex(*rows):
        signal, start = x[at[:-1]], at[-1] * stride - before
        frame = []
        for i, factor in enumerate(weights["window"]):
            inside = 0 <= start + i < samples
            frame.append((signal[start + i] if inside else 0.0) * factor)
        made[at] = _real_row(frame, exact, full)
    return _stacked(rows, made, x)


def fft_grad(
    part: str,
    dy: Array,
    x: Array,
    *,
    output: Array,
    weights: Weights,
    real: bool,
    exact: bool,
    full: bool,
) -> Gradients:
    dx = np.empty_like(x)
    for at in np.ndindex(*dy.shape[:-2]):
        spectrum = [(a, b) for a, b in dy[at]]
        if real:
            n = x.shape[-1]
            dx[at] = _real_row_adjoint(spectrum, n, exact, full)[:n]
            continue
        whole = exact and not _even(spectrum, 1)
        pairs = _bluestein(spectrum, 1) if whole else _transform(spectrum, 1)
        for i, pair in enumerate(pairs[: x.shape[-2]]):
            dx[(*at, i, 0)], dx[(*at, i, 1)] = pair
    return {"input 0": dx}


def stft_grad(
    part: str,
    dy: Array,
    x: Array,
    *,
    output: Array,
    weights: Weights,
    n_fft: int,
    stride: int,
    centred: bool,
    exact: bool,
    full: bool,
) -> Gradients:
    dx, samples, before = np.full_like(x, 0.0), x.shape[-1], n_fft // 2 if centred else 0
    reached: set[tuple[int, ...]] = set()
    for at in np.ndindex(*dy.shape[:-2]):
        spectrum = [(a, b) for a, b in dy[at]]
        frame, start = _real_row_adjoint(spectrum, n_fft, exact, full), at[-1] * stride - before
        for i, factor in enumerate(weights["window"]):
            value, place = frame[i] * factor, (*at[:-1], start + i)
            if 0 <= start + i < samples:
                dx[place] = dx[place] + value if place in reached else value
                reached.add(place)
    return {"input 0": dx}


def _even(row: list[Any], least: int) -> bool:
    """Tell whether a row has a length that radix 2 takes."""
    return len(row) >= least and len(row) & (len(row) - 1) == 0


def _real_row(row: list[Number], exact: bool, full: bool) -> list[Pair]:
    length = len(row) if exact else len(_padded(row, 4))
    if exact and not _even(row, 4):
        half = _bluestein([(a, None) for a in row], keep=length // 2 + 1)
    else:
        half = _real_transform(_padded(row, 4))
    if not full:
        return half
    return half + [(a, -b) for a, b in reversed(half[1 : length - length // 2])]


def _real_row_adjoint(spectrum: list[Pair], n: int, exact: bool, full: bool) -> list[Number]:
    """Return the gradient of a row of reals."""
    length = len(spectrum) if full else n if exact else 2 * (len(spectrum) - 1)
    half = spectrum[: length // 2 + 1]
    if full:
        # The gradient to a mirrored place belongs to the place that it mirrors.
        for k in range(1, length - length // 2):
            (a, b), (c, d) = half[k], spectrum[length - k]
            half[k] = (a + c, b - d)
    if exact and not _even([0] * n, 4):
        return [a for a, _ in _bluestein(half, 1, size=n, real=True)]
    return _real_adjoint(half)


def _bluestein(
    row: list[Any], sign: int = -1, *, keep: int = 0, size: int = 0, real: bool = False
) -> list[Any]:
    """Return the transform of any number of points as a convolution with a chirp.

    ``row`` holds pairs, or (value, None) for real ones; ``size`` points where it is
    shorter; ``keep`` points of the result where not all are wanted, or real parts only.
    """
    n, length = size or len(row), 1
    while length < 2 * n - 1:
        length *= 2
    chirp = [cmath.exp(sign * 1j * cmath.pi * (k * k % (2 * n)) / n) for k in range(n)]
    around = [0j] * length
    for k, value in enumerate(chirp):
        around[k] = around[-k] = value.conjugate()
    kernel = np.fft.fft(around) / length  # stored, not counted
    turned = [
        (a * c.real, a * c.imag) if b is None else _times((a, b), c)
        for (a, b), c in zip(row, chirp, strict=False)
    ]
    zero = constant(row[0][0], 0.0)
    spectrum = _transform(turned + [(zero, zero)] * (length - len(turned)))
    folded = [_times(z, complex(c)) for z, c in zip(spectrum, kernel, strict=True)]
    back = _transform(folded, 1)
    if real:
        return [(z[0] * c.real - z[1] * c.imag, None) for z, c in zip(back[:n], chirp, strict=True)]
    return [_times(z, c) for z, c in zip(back[: keep or n], chirp, strict=False)]


def _stacked(rows: tuple[int, ...], made: dict[tuple[int, ...], list[Pair]], x: Array) -> Array:
    y = np.empty((*rows, len(next(iter(made.values()))), 2), dtype=x.dtype)
    for at, spectrum in made.items():
        for k, value in enumerate(spectrum):
            y[(*at, k, 0)], y[(*at, k, 1)] = value
    return y


def _padded(row: list[Any], least: int) -> list[Any]:
    length = least
    while length < len(row):
        length *= 2
    if length == len(row):
        return row
    first = row[0][0] if isinstance(row[0], tuple) else row[0]
    zero: Any = constant(first, 0.0)
    return row + [(zero, zero) if isinstance(row[0], tuple) else zero] * (length - len(row))


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
