"""Fourier transforms and what goes with them.

Transforms of a length that is no power of two are Bluestein's, as ONNX Runtime's are:
see `perfmodel/ops/fourier.py` for the count. None of it is a matrix product, so that it
has operations and no MACs.
"""

from __future__ import annotations

from typing import Any

from perfmodel.core.dims import same
from perfmodel.readers.onnx.call import Call
from perfmodel.readers.onnx.formats import FORMAT_OF
from perfmodel.readers.onnx.handlers import MICROSOFT, Made, handles
from perfmodel.readers.tracing.values import Value


@handles("STFT")
def stft(call: Call) -> Made:
    """Frames of a real signal, each transformed: ``x[B,T,1] -> y[B,F,n/2+1,2]``."""
    signal, step = call.input(0), call.known(1, "the number of frames")[0]
    window, length = call.optional(2), call.optional(3)
    n = call.known(3, "the length of a frame")[0] if length is not None else None
    if n is None:
        n = window.shape[0] if window is not None else signal.shape[1]
    onesided = bool(call.attr("onesided", 1))
    if signal.rank == 3 and not same(signal.shape[2], 1):
        frames = 1 + (signal.shape[1] - n) // step
        return call.opaque((signal.shape[0], frames, n // 2 + 1 if onesided else n, 2))
    rows = call.view(signal, signal.shape[:2])
    stored = {"window": window} if window is not None and same(window.elements, n) else {}
    return call.emit(
        "stft", rows, stored=stored, n_fft=n, stride=step, centred=False, exact=True,
        full=not onesided,
    )  # fmt: skip


@handles("DFT")
def dft(call: Call) -> Made:
    """One transform along an axis; real signals give half the bins where asked."""
    x = call.input(0)
    axis = call.attr("axis", 1) if call.opset < 20 else -2
    if call.opset >= 20 and call.optional(2) is not None:
        axis = call.known(2, "the axis")[0]
    axis = axis + x.rank if axis < 0 else axis
    length = x.shape[axis]
    if call.optional(1) is not None:
        length = call.known(1, "the length of the transform")[0]
    inverse, onesided = call.attr("inverse", 0), bool(call.attr("onesided", 0))
    real = same(x.shape[-1], 1)
    if inverse and onesided:
        # From half a spectrum to real numbers.
        if call.optional(1) is None:
            length = 2 * (x.shape[axis] - 1)
        return call.opaque((*x.shape[:axis], length, *x.shape[axis + 1 : -1], 1))
    rows = _fitted(call, x, axis, length)
    # Counts do not depend on where the axis stands: it is taken as the last one.
    others = [d for i, d in enumerate(x.shape[:-1]) if i != axis]
    flat = call.view(rows, (*others, length) if real else (*others, length, 2))
    (y,) = call.emit("fft", flat, real=real, exact=True, full=real and not onesided)
    bins = length // 2 + 1 if onesided else length
    if onesided and not real:
        (y,) = call.emit("slice", y, axis=len(others), start=0, length=bins, suffix=".half")
    return call.view(y, (*x.shape[:axis], bins, *x.shape[axis + 1 : -1], 2))


def _fitted(call: Call, x: Value, axis: int, length: Any) -> Value:
    """Return ``x`` cut, or padded by zeros, to the length of the transform."""
    size = x.shape[axis]
    if same(size, length):
        return x
    if length < size:
        return call.emit("slice", x, axis=axis, start=0, length=length, suffix=".cut")[0]
    before, after = [0] * x.rank, [0] * x.rank
    after[axis] = length - size
    return call.emit("pad", x, before=tuple(before), after=tuple(after), suffix=".padded")[0]


@handles("HannWindow", "HammingWindow", "BlackmanWindow")
def window(call: Call) -> Made:
    """The weights of a frame: made before anything runs, where their number is known."""
    size = call.known(0, "the length of the window")[0]
    return Value(call.name, _format(call), (size,), stored=call.outputs[0], learned=False)


@handles("MelWeightMatrix")
def mel_weights(call: Call) -> Made:
    """The matrix from bins to mel bands."""
    bands, n = (call.known(i, "the shape of the matrix")[0] for i in (0, 1))
    return Value(call.name, _format(call), (n // 2 + 1, bands), stored=call.outputs[0],
                 learned=False)  # fmt: skip


def _format(call: Call) -> str:
    return FORMAT_OF.get(call.attr("output_datatype", 1), "fp32")


@handles("Rfft", "Irfft", domain=MICROSOFT)
def rfft(call: Call) -> Made:
    """Transforms of the last axes, as many as ``signal_ndim`` says, from or to real numbers."""
    x, axes = call.input(0), int(call.attr("signal_ndim", 1))
    if call.op == "Irfft":
        return call.opaque((*x.shape[:-2], 2 * (x.shape[-2] - 1)))
    (y,) = call.emit("fft", x, real=True, exact=True)
    for i in range(2, axes + 1):
        # The further axes of a plane or a volume: complex by now.
        place = y.rank - 1 - i
        others = [d for j, d in enumerate(y.shape[:-1]) if j != place]
        flat = call.view(y, (*others, y.shape[place], 2))
        (turned,) = call.emit("fft", flat, exact=True, suffix=f".axis{place}")
        y = call.view(turned, y.shape)
    return y
