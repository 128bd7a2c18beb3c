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
    With ``exact`` the transform has n points whatever n is. Where n is no power of
    two it is Bluestein's convolution with a chirp: two transforms of M, the least
    power of two from 2 n - 1 on (that of the chirp is stored), and M products between,
    n before and n after, 6 operations each, so ``2 (5 M log2 M - 6 M + 6) + 6 M + 12 n``;
    before, a real row takes 2 n, and after, half the spectrum ``6 (n/2+1)``. ``full``
    writes the mirrored half of a real row's spectrum too, a change of sign each.
    Where a row does not fit into the inner level, a transform passes through
    memory once for every factor that does.

    Backward, the adjoint: the same butterflies with conjugate factors, which is an
    inverse transform without its 1/N, so the operations of the forward pass.
    Source: Cooley and Tukey, Math. Comp. 19 (1965); Press et al., *Numerical
    Recipes*, 3rd ed., sections 12.2 and 12.3; Bluestein, IEEE Trans. Audio
    Electroacoustics 18 (1970).
    """

    name = "fft"
    category = "transform"
    sizes = {"n": REQUIRED, "batch": 1, "real": False, "exact": False, "full": False}
    example = "fft:n=4096,batch=256"
    small = (
        {"n": 8, "batch": 2},
        {"n": 5},
        {"n": 1, "batch": 3},
        {"n": 16, "real": True},
        {"n": 7, "batch": 2, "real": True},
        {"n": 2, "real": True},
        {"n": 6, "batch": 2, "exact": True},
        {"n": 8, "exact": True},
        {"n": 5, "batch": 2, "real": True, "exact": True},
        {"n": 1, "real": True, "exact": True, "full": True},
        {"n": 7, "real": True, "exact": True, "full": True},
        {"n": 5, "real": True, "full": True},
    )

    real: bool = flag(False, doc="the input is real, the output half the spectrum")
    exact: bool = flag(False, doc="a transform of n points, not of the next power of two")
    full: bool = flag(False, doc="the output of a real input is the whole spectrum")

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (x,) = inputs
        if self.real:
            if not x.shape:
                raise InputError("fft expects x[..., n], found a scalar")
            return Inferred((x.like(*x.shape[:-1], *_spectrum(self, x.shape[-1])),))
        if len(x.shape) < 2:
            raise InputError(f"fft expects x[..., n, 2], found {x}")
        self.need_same(x.shape[-1], 2, "real and imaginary part")
        points = x.shape[-2] if self.exact else _padded(x.shape[-2], 1)
        return Inferred((x.like(*x.shape[:-2], points, 2),))

    def work(self, t: Bound) -> Work:
        return self._transform(t, WorkBuilder().read(t.x).write(t.y))

    def gradients(self, t: Bound) -> list[Gradient]:
        builder = WorkBuilder().read(gradient_of(t.y)).write(gradient_of(t.x))
        return [Gradient("input", (t.x,), (), self._transform(t, builder, adjoint=True))]

    def _transform(self, t: Bound, builder: WorkBuilder, adjoint: bool = False) -> Work:
        x = t.x
        n, rows = (
            (x.shape[-1], product(x.shape[:-1]))
            if self.real
            else (x.shape[-2], product(x.shape[:-2]))
        )
        builder.count("vector", x.dtype, rows * _row_ops(self, n, self.real, adjoint))
        builder.access("factors", "read", x.like(_factors(self, n, self.real)).bytes)
        return builder.build(extra_traffic=_passes(t, _length(self, n, self.real)))

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        row = (sizes["n"],) if sizes["real"] else (sizes["n"], 2)
        x = Tensor((sizes["batch"], *row), precision.activation, name="x")
        return cls(real=sizes["real"], exact=sizes["exact"], full=sizes["full"]), [x]


@dataclass(frozen=True)
class Stft(Operator):
    """Short-time Fourier transform: ``x[..., T] -> y[..., F, N/2+1, 2]``, ``window[n]``.

    Each of ``F = T // stride + 1`` frames, centred at every ``stride``-th sample
    and padded by zeros at the ends (or of ``F = (T - n) // stride + 1`` that begin
    there), takes n multiplications by the window and a
    real transform of N, the next power of two: see `fft`.

    Backward, the adjoint of each frame times the window goes through memory, and a
    second kernel adds up what the frames give to a sample (overlap-add).
    Source: Allen and Rabiner, Proceedings of the IEEE 65 (1977).
    """

    name = "stft"
    category = "transform"
    sizes = {
        "samples": REQUIRED, "n_fft": REQUIRED, "stride": "n_fft", "batch": 1, "centred": True,
        "exact": False, "full": False,
    }  # fmt: skip
    example = "stft:samples=480000,n_fft=512,stride=256"
    small = (
        {"samples": 16, "n_fft": 8, "stride": 4},
        {"samples": 11, "n_fft": 5, "stride": 3, "batch": 2},
        {"samples": 9, "n_fft": 2, "stride": 4},
        {"samples": 3, "n_fft": 9, "stride": 2},
        {"samples": 11, "n_fft": 5, "stride": 4},
        {"samples": 10, "n_fft": 6, "stride": 2, "centred": False, "exact": True},
        {"samples": 9, "n_fft": 3, "stride": 2, "centred": False, "exact": True, "full": True},
    )

    n_fft: Dim = size(doc="length of a frame, n")
    stride: Dim = size(doc="samples from one frame to the next")
    centred: bool = flag(True, doc="frames are centred at their sample, else they begin at it")
    exact: bool = flag(False, doc="transforms of n points, not of the next power of two")
    full: bool = flag(False, doc="the output is the whole spectrum")

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (x,) = inputs
        if not x.shape:
            raise InputError("stft expects x[..., T], found a scalar")
        samples = x.shape[-1]
        if not self.centred:
            self.need_positive(samples - self.n_fft + 1, "samples - n_fft + 1")
            samples = samples - self.n_fft
        frames = samples // self.stride + 1
        window = Tensor((self.n_fft,), precision.activation, "state", "window")
        y = x.like(*x.shape[:-1], frames, *_spectrum(self, self.n_fft))
        return Inferred((y,), (window,))

    def work(self, t: Bound) -> Work:
        length = _length(self, self.n_fft)
        builder = self._frames(t).read(t.x).write(t.y)
        return builder.build(extra_traffic=_passes(t, length))

    def gradients(self, t: Bound) -> list[Gradient]:
        x, rows, frames = t.x, product(t.x.shape[:-1]), t.y.shape[-3]
        builder = self._frames(t, adjoint=True).read(gradient_of(t.y)).write(gradient_of(x))
        builder.count("vector", x.dtype, rows * self._overlaps(x.shape[-1], frames))
        passed = x.like(rows, frames, self.n_fft).bytes
        builder.access("frames.grad", "write", passed).access("frames.grad", "read", passed)
        extra = _passes(t, _length(self, self.n_fft))
        work = builder.build(launches=2, extra_traffic=extra, workspace=passed)
        return [Gradient("input", (x,), t.weights, work)]

    def _frames(self, t: Bound, adjoint: bool = False) -> WorkBuilder:
        x, frames, rows = t.x, t.y.shape[-3], product(t.x.shape[:-1])
        builder = WorkBuilder().read(*t.weights)
        each = _row_ops(self, self.n_fft, adjoint=adjoint) + self.n_fft
        builder.count("vector", x.dtype, rows * frames * each)
        return builder.access("factors", "read", x.like(_factors(self, self.n_fft)).bytes)

    def _overlaps(self, samples: Dim, frames: Dim) -> Dim:
        """Return the additions of frames' values to a sample that has one already."""
        n, step, before = self.n_fft, self.stride, self.n_fft // 2 if self.centred else 0
        reach = (frames - 1) * step + n - before  # where the last frame ends
        outside = _overhang(before, step, frames) + _overhang(reach - samples, step, frames)
        inside = frames * n - outside
        return inside - where(step > n, inside, minimum(samples, reach))

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        x = Tensor((sizes["batch"], sizes["samples"]), precision.activation, name="x")
        names = ("n_fft", "stride", "centred", "exact", "full")
        return cls(**{name: sizes[name] for name in names}), [x]


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


def _length(op: Fft | Stft, n: Dim, real: bool = True) -> Dim:
    """Return the length of the transforms by radix 2 that a row takes."""
    padded = _padded(n, 4 if real else 1)
    return where(padded == n, n, _padded(2 * n - 1, 1)) if op.exact else padded


def _spectrum(op: Fft | Stft, n: Dim) -> tuple[Dim, Dim]:
    """Return the places of a real row's spectrum, as real and imaginary parts."""
    points = n if op.exact else _padded(n, 4)
    return (points if op.full else points // 2 + 1), 2


def _row_ops(op: Fft | Stft, n: Dim, real: bool = True, adjoint: bool = False) -> Dim:
    """Return the operations of one row's transform."""
    padded = _padded(n, 4 if real else 1)
    plain = _real_ops(padded) if real else _complex_ops(padded)
    points = n if op.exact else padded
    mirrored = (points - points // 2 - 1) * (2 if adjoint else 1) if real and op.full else 0
    if not op.exact:
        return plain + mirrored
    length = _padded(2 * n - 1, 1)
    before = (3 if adjoint else 2) * n if real else 6 * n
    after = 6 * (n // 2 + 1) if real else 6 * n
    chirped = 2 * _complex_ops(length) + 6 * length + before + after
    return where(padded == n, plain, chirped) + mirrored


def _factors(op: Fft | Stft, n: Dim, real: bool = True) -> Dim:
    """Return the stored numbers: powers of the root, the chirp and its transform."""
    length = _length(op, n, real)
    if not op.exact:
        return length
    padded = _padded(n, 4 if real else 1)
    return length + where(padded == n, 0, 2 * (length + n))


def _passes(t: Bound, length: Dim) -> Traffic:
    """Return the traffic of rows that pass more than once: log2 of a row over that of a block."""
    row = t.x.like(2 * length).bytes

    def extra(capacity: Dim) -> Dim:
        fits = maximum(2, length * minimum(1, capacity / row))
        passes = maximum(1, linear_log2(length)) / maximum(1, linear_log2(fits))
        return 2 * t.y.bytes * maximum(0, passes - 1)

    return extra
