"""The library's Fourier transforms into a given array."""

from __future__ import annotations

from typing import Any

from perfmodel.kernels.cuda import on_gpu


def transform(xp: Any, name: str, x: Any, n: int, axis: int, out: Any) -> Any:
    """Set out to ``xp.fft.name(x)`` of n points along an axis.

    CuPy's transforms take no ``out``, nor do NumPy's before 2.0.
    """
    call = getattr(xp.fft, name)
    if on_gpu(xp) or xp.__version__.startswith("1."):
        xp.copyto(out, call(x, n=n, axis=axis), casting="same_kind")
        return out
    return call(x, n=n, axis=axis, out=out)
