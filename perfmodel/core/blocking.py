"""Traffic of blocked loops: how often operands are read again when a level is small.

The model is the classical one (J.-W. Hong and H. T. Kung, "I/O complexity: the
red-blue pebble game", STOC 1981): keep one block of an operand resident in the
inner level and stream the other two. All functions are continuous in every
size and do not increase with capacity.
"""

from __future__ import annotations

from perfmodel.core.dims import Dim, clip, maximum, minimum, sqrt

#: bytes of a partial sum kept in the inner level, unless asked otherwise (fp32 accumulators)
ACCUMULATOR_BYTES = 4


def missed(bytes: Dim, capacity: Dim) -> Dim:
    """Return the part of ``bytes`` that an inner level of ``capacity`` cannot hold."""
    return maximum(0, bytes - capacity)


def missed_share(bytes: Dim, capacity: Dim) -> Dim:
    """Return the share of ``bytes``, 0 to 1, that an inner level of ``capacity`` cannot hold."""
    return missed(bytes, capacity) / maximum(bytes, 1)


#: bytes of a value in the narrowest format, and less than that
LEAST_BYTES = 1e-3


def gemm_extra_traffic(
    m: Dim,
    n: Dim,
    k: Dim,
    a_bytes: Dim,
    b_bytes: Dim,
    c_bytes: Dim,
    capacity: Dim,
    accumulator_bytes: float = ACCUMULATOR_BYTES,
) -> Dim:
    """Return the bytes beyond reading A[m,k], B[k,n] and writing C[m,n] once.

    The least of three schedules, each with one operand resident in ``capacity``:

    - C resident (blocks bm x bn of accumulators): A is read n/bn times, B m/bm times;
    - A resident (blocks bm x bk): B is read m/bm times, C moved 2 k/bk - 1 times;
    - B resident (blocks bk x bn): A is read n/bn times, C moved 2 k/bk - 1 times.
    """
    m, n, k = maximum(m, 1), maximum(n, 1), maximum(k, 1)  # an empty product moves nothing
    capacity = maximum(capacity, accumulator_bytes)
    cells = capacity / maximum(accumulator_bytes, c_bytes / (m * n))
    bm = minimum(m, sqrt(cells))
    bn = clip(cells / bm, 1, n)
    bm = clip(cells / bn, 1, m)
    c_resident = a_bytes * (n / bn - 1) + b_bytes * (m / bm - 1)

    a_resident = _input_resident(m, k, a_bytes, b_bytes, c_bytes, capacity)
    b_resident = _input_resident(n, k, b_bytes, a_bytes, c_bytes, capacity)
    return minimum(c_resident, a_resident, b_resident)


def _input_resident(
    rows: Dim, depth: Dim, held: Dim, streamed: Dim, c_bytes: Dim, capacity: Dim
) -> Dim:
    cells = capacity / maximum(held / (rows * depth), LEAST_BYTES)
    block_rows = clip(cells / depth, 1, rows)
    block_depth = clip(cells / block_rows, 1, depth)
    return streamed * (rows / block_rows - 1) + c_bytes * 2 * (depth / block_depth - 1)
