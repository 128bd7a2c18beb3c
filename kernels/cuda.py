"""Fused kernels for CuPy: where a chain of plain calls would be absurd on a GPU.

An expression in CUDA C++ takes the place of the chain; it is compiled once.
"""

from __future__ import annotations

from functools import cache
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


@cache
def elementwise(inputs: int, expression: str) -> Any:
    """Return a compiled function ``f(a, b, ..., y)``; the expression sets ``y``."""
    names = ", ".join(f"T {name}" for name in "abcdefgh"[:inputs])
    digest = sum(map(ord, expression))
    return cupy().ElementwiseKernel(names, "T y", expression, f"perfmodel_{digest}")


@cache
def rows(code: str, name: str) -> Any:
    """Return a compiled kernel of one thread block a row, from CUDA C++ source."""
    return cupy().RawKernel(code, name)


#: sums and maxima over a row by one thread block of 256 threads
_REDUCE = r"""
__device__ float all(float value, bool largest) {
  __shared__ float part[256];
  part[threadIdx.x] = value;
  __syncthreads();
  for (int half = 128; half; half /= 2) {
    if (threadIdx.x < half) {
      float other = part[threadIdx.x + half], own = part[threadIdx.x];
      part[threadIdx.x] = largest ? fmaxf(own, other) : own + other;
    }
    __syncthreads();
  }
  float result = part[0];
  __syncthreads();
  return result;
}
"""

SOFTMAX = (
    _REDUCE
    + r"""
extern "C" __global__ void softmax(const float* x, float* y, int columns, int log_form) {
  x += (long long)blockIdx.x * columns;
  y += (long long)blockIdx.x * columns;
  float largest = -INFINITY, total = 0;
  for (int c = threadIdx.x; c < columns; c += 256) largest = fmaxf(largest, x[c]);
  largest = all(largest, true);
  for (int c = threadIdx.x; c < columns; c += 256) total += __expf(x[c] - largest);
  total = all(total, false);
  float shift = largest + logf(total);
  for (int c = threadIdx.x; c < columns; c += 256)
    y[c] = log_form ? x[c] - shift : __expf(x[c] - largest) / total;
}
"""
)

NORM = (
    _REDUCE
    + r"""
extern "C" __global__ void norm(const float* x, const float* gamma, const float* beta, float* y,
                                int columns, int centre) {
  x += (long long)blockIdx.x * columns;
  y += (long long)blockIdx.x * columns;
  float mean = 0, square = 0;
  if (centre) {
    for (int c = threadIdx.x; c < columns; c += 256) mean += x[c];
    mean = all(mean, false) / columns;
  }
  for (int c = threadIdx.x; c < columns; c += 256) square += (x[c] - mean) * (x[c] - mean);
  float factor = rsqrtf(all(square, false) / columns + 1e-5f);
  for (int c = threadIdx.x; c < columns; c += 256)
    y[c] = (x[c] - mean) * factor * gamma[c] + (beta ? beta[c] : 0.0f);
}
"""
)
