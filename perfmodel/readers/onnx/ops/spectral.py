"""Fourier transforms and what goes with them."""

from __future__ import annotations

from perfmodel.core.dims import product
from perfmodel.readers.onnx.call import Call
from perfmodel.readers.onnx.handlers import MICROSOFT, Made, handles
from perfmodel.readers.tracing.values import Value


@handles("STFT")
def stft(call: Call) -> Made:
    """Frames of a signal, each transformed: ``x[B,T,1] -> y[B,F,n/2+1,2]``."""
    signal, step = call.input(0), call.known(1, "the number of frames")[0]
    window, length = call.optional(2), call.optional(3)
    n = call.known(3, "the length of a frame")[0] if length is not None else None
    if n is None:
        n = window.shape[0] if window is not None else signal.shape[1]
    onesided = bool(call.attr("onesided", 1))
    frames = 1 + (signal.shape[1] - n) // step
    bins = n // 2 + 1 if onesided else n
    rows = call.view(signal, (signal.shape[0], signal.shape[1])) \
        if signal.rank == 3 and signal.shape[-1] == 1 else signal  # fmt: skip
    shape = (signal.shape[0], frames, bins, 2)
    if rows.rank == 2 and onesided and isinstance(n, int) and n & (n - 1) == 0:
        (y,) = call.emit("stft", rows, n_fft=n, stride=step)
        if y.elements == product(shape):
            return call.view(y, shape)
    return call.opaque(shape)


@handles("DFT")
def dft(call: Call) -> Made:
    """One transform along an axis; real signals give half the bins where asked."""
    x = call.input(0)
    axis = call.attr("axis", 1) if call.opset < 20 else -2
    if call.opset >= 20 and call.optional(2) is not None:
        axis = call.known(2, "the axis")[0]
    axis = axis + x.rank if axis < 0 else axis
    shape = list(x.shape)
    if call.optional(1) is not None:
        shape[axis] = call.known(1, "the length of the transform")[0]
    if call.attr("onesided", 0):
        if call.attr("inverse", 0):
            shape[axis] = shape[axis] if call.optional(1) is not None else 2 * (shape[axis] - 1)
        else:
            shape[axis] = shape[axis] // 2 + 1
    shape[-1] = 1 if call.attr("onesided", 0) and call.attr("inverse", 0) else 2
    return call.opaque(shape)


@handles("HannWindow", "HammingWindow", "BlackmanWindow")
def window(call: Call) -> Made:
    """The weights of a frame: made before anything runs, where their number is known."""
    size = call.known(0, "the length of the window")[0]
    return Value(call.name, "fp32", (size,), stored=call.outputs[0])


@handles("MelWeightMatrix")
def mel_weights(call: Call) -> Made:
    """The matrix from bins to mel bands."""
    bands, n = (call.known(i, "the shape of the matrix")[0] for i in (0, 1))
    return Value(call.name, "fp32", (n // 2 + 1, bands), stored=call.outputs[0])


@handles("Rfft", "Irfft", domain=MICROSOFT)
def rfft(call: Call) -> Made:
    """Real transforms of the last axis."""
    x = call.input(0)
    if call.op == "Rfft":
        return call.opaque((*x.shape[:-1], x.shape[-1] // 2 + 1, 2))
    return call.opaque((*x.shape[:-2], 2 * (x.shape[-2] - 1)))
