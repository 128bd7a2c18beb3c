"""Fourier transforms, counted as a radix-2 algorithm computes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from perfmodel.core import (
    REQUIRED,
    Bound,
    Dim,
    Gradient,
    Inferred,
    Operator,
    Precision,
    Tensor,
    Work,
    WorkBuilder,
    flag,
    gradient_of,
    size,
)
from perfmodel.core.dims import Array, ceil_div, is_scalar, maximum, minimum, product, where
from perfmodel.core.powers import ceil_log2, linear_log2
from perfmodel.core.work import Traffic
from perfmodel.errors import InputError


@dataclass(frozen=True)
class Fft(Operator):
    """Discrete Fourier transform of rows: ``x[..., n, 2] -> y[..., N, 2]``, complex as pairs.

    Rows are padded by zeros to N, the next power of two. Radix 2, decimation in
    time: ``N/2 log2 N`` butterflies of 10 real operations, of which those with
    the factor 1 skip 6: ``5 N log2 N - 6 N + 6``, less than the customary
    ``5 N log2 N``.

    With ``real``, ``x[..., n] -> y[..., N/2+1, 2]``: one complex transform of
    ``M = N/2`` pairs of neighbours, then ``8 M - 13`` operations to part them.
    Where a row does not fit into the inner level, a transform passes through
    memory once for every factor that does.

    Backward, the adjoint: the same butterflies with conjugate factors, which is an
    inverse transform without its 1/N, so the operations of the forward pass.
    Source: Cooley and Tukey, Math. Comp. 19 (1965); Press et al., *Numerical
    Recipes*, 3rd ed., sections 12.2 and 12.3.
    """

    name = "fft"
    category = "transform"
    sizes = {"n": REQUIRED, "batch": 1, "real": False}
    example = "fft:n=4096,batch=256"
    small = (
        {"n": 8, "batch": 2},
        {"n": 5},
        {"n": 1, "batch": 3},
        {"n": 16, "real": True},
        {"n": 7, "batch": 2, "real": True},
        {"n": 2, "real": True},
    )

    real: bool = flag(False, doc="the input is real, the output half the spectrum")

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (x,) = inputs
        if self.real:
            if not x.shape:
                raise InputError("fft expects x[..., n], found a scalar")
            spectrum = _padded(x.shape[-1], 4) / 2 + 1
            return Inferred((x.like(*x.shape[:-1], _whole(spectrum), 2),))
        if len(x.shape) < 2:
            raise InputError(f"fft expects x[..., n, 2], found {x}")
        self.need_same(x.shape[-1], 2, "real and imaginary part")
        return Inferred((x.like(*x.shape[:-2], _padded(x.shape[-2], 1), 2),))

    def work(self, t: Bound) -> Work:
        return self._transform(t, WorkBuilder().read(t.x).write(t.y))

    def gradients(self, t: Bound) -> list[Gradient]:
        builder = WorkBuilder().read(gradient_of(t.y)).write(gradient_of(t.x))
        return [Gradient("input", (t.x,), (), self._transform(t, builder))]

    def _transform(self, t: Bound, builder: WorkBuilder) -> Work:
        x = t.x
        n, rows = (
            (x.shape[-1], product(x.shape[:-1]))
            if self.real
            else (x.shape[-2], product(x.shape[:-2]))
        )
        length = _padded(n, 4 if self.real else 1)
        per_row = _real_ops(length) if self.real else _complex_ops(length)
        builder.count("vector", x.dtype, rows * per_row)
        builder.access("factors", "read", x.like(length).bytes)
        return builder.build(extra_traffic=_passes(t, length))

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        row = (sizes["n"],) if sizes["real"] else (sizes["n"], 2)
        x = Tensor((sizes["batch"], *row), precision.activation, name="x")
        return cls(real=sizes["real"]), [x]


@dataclass(frozen=True)
class Stft(Operator):
    """Short-time Fourier transform: ``x[..., T] -> y[..., F, N/2+1, 2]``, ``window[n]``.

    Each of ``F = T // stride + 1`` frames, centred at every ``stride``-th sample
    and padded by zeros at the ends, takes n multiplications by the window and a
    real transform of N, the next power of two: see `fft`.

    Backward, the adjoint of each frame times the window goes through memory, and a
    second kernel adds up what the frames give to a sample (overlap-add).
    Source: Allen and Rabiner, Proceedings of the IEEE 65 (1977).
    """

    name = "stft"
    category = "transform"
    sizes = {"samples": REQUIRED, "n_fft": REQUIRED, "stride": "n_fft", "batch": 1}
    example = "stft:samples=480000,n_fft=512,stride=256"
    small = (
        {"samples": 16, "n_fft": 8, "stride": 4},
        {"samples": 11, "n_fft": 5, "stride": 3, "batch": 2},
        {"samples": 9, "n_fft": 2, "stride": 4},
        {"samples": 3, "n_fft": 9, "stride": 2},
        {"samples": 11, "n_fft": 5, "stride": 4},
    )

    n_fft: Dim = size(doc="length of a frame, n")
    stride: Dim = size(doc="samples from one frame to the next")

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (x,) = inputs
        if not x.shape:
            raise InputError("stft expects x[..., T], found a scalar")
        frames = x.shape[-1] // self.stride + 1
        spectrum = _whole(_padded(self.n_fft, 4) / 2 + 1)
        window = Tensor((self.n_fft,), precision.activation, "state", "window")
        return Inferred((x.like(*x.shape[:-1], frames, spectrum, 2),), (window,))

    def work(self, t: Bound) -> Work:
        builder, length = self._frames(t), _padded(self.n_fft, 4)
        return builder.read(t.x).write(t.y).build(extra_traffic=_passes(t, length))

    def gradients(self, t: Bound) -> list[Gradient]:
        x, rows, frames = t.x, product(t.x.shape[:-1]), t.y.shape[-3]
        builder = self._frames(t).read(gradient_of(t.y)).write(gradient_of(x))
        builder.count("vector", x.dtype, rows * self._overlaps(x.shape[-1], frames))
        passed = x.like(rows, frames, self.n_fft).bytes
        builder.access("frames.grad", "write", passed).access("frames.grad", "read", passed)
        extra = _passes(t, _padded(self.n_fft, 4))
        work = builder.build(launches=2, extra_traffic=extra, workspace=passed)
        return [Gradient("input", (x,), t.weights, work)]

    def _frames(self, t: Bound) -> WorkBuilder:
        x, frames, rows = t.x, t.y.shape[-3], product(t.x.shape[:-1])
        length = _padded(self.n_fft, 4)
        builder = WorkBuilder().read(*t.weights)
        builder.count("vector", x.dtype, rows * frames * (_real_ops(length) + self.n_fft))
        return builder.access("factors", "read", x.like(length).bytes)

    def _overlaps(self, samples: Dim, frames: Dim) -> Dim:
        """Return the additions of frames' values to a sample that has one already."""
        n, step, before = self.n_fft, self.stride, self.n_fft // 2
        reach = (frames - 1) * step + n - before  # where the last frame ends
        outside = _overhang(before, step, frames) + _overhang(reach - samples, step, frames)
        inside = frames * n - outside
        return inside - where(step > n, inside, minimum(samples, reach))

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        x = Tensor((sizes["batch"], sizes["samples"]), precision.activation, name="x")
        return cls(n_fft=sizes["n_fft"], stride=sizes["stride"]), [x]


def _overhang(first: Dim, step: Dim, frames: Dim) -> Dim:
    """Return the sum of ``max(0, first - i step)`` over the frames i."""
    hanging = minimum(ceil_div(maximum(first, 0), step), frames)
    return hanging * first - step * (hanging * (hanging - 1) // 2)


def _padded(length: Dim, least: int) -> Dim:
    """Return the next power of two, at least ``least``."""
    levels: Any = ceil_log2(length)
    if is_scalar(levels):
        return maximum(2 ** int(levels), least)
    padded: Array = np.ldexp(1.0, np.asarray(levels).astype(int))
    return maximum(padded, least)


def _whole(value: Dim) -> Dim:
    return int(value) if is_scalar(value) else value


def _complex_ops(length: Dim) -> Dim:
    return 5 * length * linear_log2(length) - 6 * length + 6


def _real_ops(length: Dim) -> Dim:
    return _complex_ops(length / 2) + 8 * (length / 2) - 13


def _passes(t: Bound, length: Dim) -> Traffic:
    """Return the traffic of rows that pass more than once: log2 of a row over that of a block."""
    row = t.x.like(2 * length).bytes

    def extra(capacity: Dim) -> Dim:
        fits = maximum(2, length * minimum(1, capacity / row))
        passes = maximum(1, linear_log2(length)) / maximum(1, linear_log2(fits))
        return 2 * t.y.bytes * maximum(0, passes - 1)

    return extra
