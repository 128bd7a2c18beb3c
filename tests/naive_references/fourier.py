"""Fourier transforms as NumPy computes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def parts(z: Array) -> Array:
    return np.stack([z.real, z.imag], axis=-1)


def stft(x: Array, w: Mapping[str, Array]) -> Array:
    padded = np.pad(x, ((0, 0), (2, 3)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, 5, axis=-1)[..., ::3, :]
    return parts(np.fft.rfft(frames * w["window"], 8))


CASES = {
    "fft": [
        ({"real": False}, [(2, 3, 16, 2)], {},
         lambda x, w: parts(np.fft.fft(x[..., 0] + 1j * x[..., 1]))),
        ({"real": False}, [(3, 5, 2)], {},
         lambda x, w: parts(np.fft.fft(x[..., 0] + 1j * x[..., 1], 8))),
        *(({"real": True}, [shape], {}, lambda x, w, n=n: parts(np.fft.rfft(x, n)))
          for shape, n in (((2, 32), 32), ((3, 11), 16), ((1, 3), 4), ((2, 1), 4))),
        *(({"real": True, "exact": True, "full": full}, [(2, n)], {},
           lambda x, w, f=full: parts((np.fft.fft if f else np.fft.rfft)(x)))
          for n in (1, 2, 3, 8, 11, 12) for full in (False, True)),
        *(({"real": False, "exact": True}, [(2, n, 2)], {},
           lambda x, w: parts(np.fft.fft(x[..., 0] + 1j * x[..., 1]))) for n in (1, 2, 7, 12)),
    ],
    "stft": [
        ({"n_fft": 5, "stride": 3}, [(2, 20)], {"window": (5,)}, stft),
        ({"n_fft": 6, "stride": 4, "centred": False, "exact": True}, [(2, 19)], {"window": (6,)},
         lambda x, w: parts(np.fft.rfft(np.lib.stride_tricks.sliding_window_view(
             x, 6, axis=-1)[..., ::4, :] * w["window"]))),
    ],
}  # fmt: skip
APART: set[str] = set()
