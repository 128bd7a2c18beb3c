"""Fused kernels for CuPy: where a chain of plain calls would be absurd on a GPU.

An expression in CUDA C++ takes the place of the chain; it is compiled once.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from hashlib import sha1
from importlib import import_module
from typing import Any

from perfmodel.errors import InputError


def cupy() -> Any:
    """Return CuPy; InputError where it, or a GPU that it can use, is missing."""
    try:
        module = import_module("cupy")
    except ImportError:
        raise InputError(
            "the backend cupy needs the package 'cupy', which is not installed",
            mend="run: pip install cupy-cuda12x (with your CUDA's number), or take --backend numpy",
        ) from None
    try:
        module.cuda.runtime.getDeviceCount()
    except Exception as error:
        raise InputError(
            f"the backend cupy found no GPU ({error})", mend="take --backend numpy"
        ) from None
    return module


def on_gpu(xp: Any) -> bool:
    """Whether arrays of ``xp`` lie on a GPU, or would."""
    return bool(xp.__name__ == "cupy")


def is_dry(xp: Any) -> bool:
    """Whether ``xp`` records calls instead of computing."""
    return hasattr(xp, "recorder")


def _stated(xp: Any, kind: str, reads: Sequence[Any], y: Any, inner: float) -> None:
    """Record a fused kernel: each array once, one pass."""
    xp.recorder.record(kind, y.dtype, float(y.size), reads, (y,), inner=float(inner))


def elementwise(xp: Any, expression: str, *arrays: Any) -> None:
    """Set the last array to an expression in CUDA C++ of the others, called a, b, ...

    The expression computes in the type C: fp32 for arrays of fp16.
    """
    *inputs, y = arrays
    if is_dry(xp):
        _stated(xp, "fused", inputs, y, y.size)
        return
    half = str(y.dtype) == "float16"
    _compiled(len(inputs), expression, "float" if half else "T")(*inputs, y)


@cache
def _compiled(inputs: int, expression: str, wide: str) -> Any:
    names = "abcdefgh"[:inputs]
    given = " ".join(f"const C {name} = {name}_in;" for name in names)
    body = f"typedef {wide} C; {given} y = static_cast<T>({expression});"
    parameters = ", ".join(f"T {name}_in" for name in names)
    digest = sha1(body.encode()).hexdigest()[:12]
    return cupy().ElementwiseKernel(parameters, "T y", body, f"perfmodel_{digest}")


def _rows(code: str, y: Any, *arguments: Any) -> None:
    """Run a kernel of one thread block a row; sums are fp64 for fp64, else fp32."""
    real = {"float16": "half", "float32": "float", "float64": "double"}[str(y.dtype)]
    kernel = _compiled_rows(code, real, "double" if real == "double" else "float")
    kernel((y.shape[0],), (256,), arguments)


@cache
def _compiled_rows(code: str, real: str, wide: str) -> Any:
    return cupy().RawKernel(code.replace("REAL", real).replace("SUM", wide), "rows")


def softmax(xp: Any, x: Any, y: Any, log_form: bool) -> None:
    """Set y[rows, C], contiguous, to the softmax of x or its logarithm."""
    if is_dry(xp):
        _stated(xp, "fused_rows", (x,), y, x.shape[1])
        return
    _rows(SOFTMAX, y, x, y, xp.int32(x.shape[1]), xp.int32(log_form))


def norm(xp: Any, x: Any, gamma: Any, beta: Any, y: Any, centre: bool) -> None:
    """Set y[rows, C], contiguous, to x normalized, scaled, and shifted where there is a beta."""
    if is_dry(xp):
        given = (x, gamma) if beta is None else (x, gamma, beta)
        _stated(xp, "fused_rows", given, y, x.shape[1])
        return
    shift = xp.uintp(0) if beta is None else beta
    _rows(NORM, y, x, gamma, shift, y, xp.int32(x.shape[1]), xp.int32(centre))


def bags(xp: Any, table: Any, indices: Any, offsets: Any, y: Any) -> None:
    """Set y[bags, D] to sums of the table's rows between offsets: a thread an output."""
    if is_dry(xp):
        rows = table[: min(indices.size, table.shape[0])]
        _stated(xp, "take", (rows, indices, offsets), y, y.shape[1])
        return
    _compiled_bags()(table, indices, offsets, indices.size, y.shape[1], y.shape[0], y)


@cache
def _compiled_bags() -> Any:
    return cupy().ElementwiseKernel(
        "raw T table, raw I indices, raw J offsets, int64 lookups, int64 width, int64 bags",
        "T y",
        """
        long long bag = i / width, end = bag + 1 < bags ? (long long)offsets[bag + 1] : lookups;
        T total = 0;
        for (long long at = offsets[bag]; at < end; ++at)
            total += table[indices[at] * width + i % width];
        y = total;
        """,
        "perfmodel_bags",
    )


#: sums and maxima over a row by one thread block of 256 threads
_REDUCE = r"""
#include <cuda_fp16.h>
typedef REAL real;
typedef SUM sum;
__device__ sum all(sum value, bool largest) {
  __shared__ sum part[256];
  part[threadIdx.x] = value;
  __syncthreads();
  for (int half = 128; half; half /= 2) {
    if (threadIdx.x < half) {
      sum other = part[threadIdx.x + half], own = part[threadIdx.x];
      part[threadIdx.x] = largest ? max(own, other) : own + other;
    }
    __syncthreads();
  }
  sum result = part[0];
  __syncthreads();
  return result;
}
"""

SOFTMAX = (
    _REDUCE
    + r"""
extern "C" __global__ void rows(const real* x, real* y, int columns, int log_form) {
  x += (long long)blockIdx.x * columns;
  y += (long long)blockIdx.x * columns;
  sum largest = -INFINITY, total = 0;
  for (int c = threadIdx.x; c < columns; c += 256) largest = max(largest, (sum)x[c]);
  largest = all(largest, true);
  for (int c = threadIdx.x; c < columns; c += 256) total += exp((sum)x[c] - largest);
  total = all(total, false);
  sum shift = largest + log(total);
  for (int c = threadIdx.x; c < columns; c += 256)
    y[c] = (real)(log_form ? (sum)x[c] - shift : exp((sum)x[c] - largest) / total);
}
"""
)

NORM = (
    _REDUCE
    + r"""
extern "C" __global__ void rows(const real* x, const real* gamma, const real* beta, real* y,
                                int columns, int centre) {
  x += (long long)blockIdx.x * columns;
  y += (long long)blockIdx.x * columns;
  sum mean = 0, square = 0;
  if (centre) {
    for (int c = threadIdx.x; c < columns; c += 256) mean += (sum)x[c];
    mean = all(mean, false) / columns;
  }
  for (int c = threadIdx.x; c < columns; c += 256)
    square += ((sum)x[c] - mean) * ((sum)x[c] - mean);
  sum factor = rsqrt(all(square, false) / columns + (sum)1e-5);
  for (int c = threadIdx.x; c < columns; c += 256)
    y[c] = (real)(((sum)x[c] - mean) * factor * (sum)gamma[c] + (beta ? (sum)beta[c] : (sum)0));
}
"""
)
