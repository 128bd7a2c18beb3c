"""Pass: one library call as memory and arithmetic see it, and what a run of calls comes to.

A kernel states its passes by running on arrays without data (`perfmodel.kernels.dry`):
what it would call, on how many bytes, in which order. Nothing is written twice, so
the statement cannot drift from the code.

Kinds
-----
``gemm`` : BLAS's matrix product, c[m,n] = a[m,k] b[k,n], ``batch`` times in one library call.
``gemv`` : BLAS's matrix times vector (m or n is 1). ``dot``: both are 1.
``gemm_loop`` : a product that the library runs by its own plain loop, since BLAS takes
    neither the format (integers, fp16) nor the shape (k = 1) nor the strides.
``copy`` : values as they are; ``inner`` tells runs of a row, ``unit`` whether each side is
    contiguous within a run (a transposition is not). ``cast``: the format changes too;
    ``dtype`` is the new one. ``fill``: one value, nothing is read.
``take``, ``put`` : rows of ``inner`` elements read from, or written to, places that an
    array of indices (the last of ``reads``) names. ``add_at``: rows added there.
``sum``, ``max``, ``min``, ``argmax``, ... : reductions. ``elements`` counts what is read;
    ``inner`` is the reduced run where the reduced axis is the contiguous one; with
    ``_rows`` behind the kind (``sum_rows``) the kept axis is contiguous, and the call adds
    row to row. ``sum_runs``: over runs between given places (``reduceat``).
``cumsum`` : running sums. ``sort``, ``argsort``, ``argpartition``: rows of ``inner`` elements.
``fft``, ``ifft``, ``rfft``, ``irfft`` : one-dimensional transforms of ``inner`` points,
    ``elements`` points in all.
``fused`` : a chain compiled as one kernel (CuPy only); ``fused_rows``: one with sums along
    rows of ``inner`` elements.
``python`` : what the interpreter does between the calls, ``calls`` steps: views taken,
    buffers looked up, and one for the run itself. Only where it is asked for.
any other : an elementwise function of that name (NumPy's): ``add``, ``multiply``,
    ``divide``, ``maximum``, ``greater``, ``exp``, ``tanh``, ``sqrt``, ``clip``, ...
    ``where`` chooses by a mask, the first of ``reads``, also where it is a masked copy.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

#: kinds of matrix products
PRODUCTS = ("gemm", "gemv", "dot", "gemm_loop")
#: kinds that move values and compute nothing
MOVES = ("copy", "cast", "fill", "take", "put")


@dataclass(frozen=True)
class Pass:
    """One library call, ``calls`` times.

    Parameters
    ----------
    kind : what is called, see the module's first lines.
    dtype : the format computed in ('fp32', 'int64', 'bool', 'complex64', ...).
    elements : results a call; for a reduction, elements read; m n batch for a product.
    reads : bytes of each array read, in order; one read twice, and values repeated by
        broadcasting, count once, scalars not at all.
    writes : bytes written.
    reuse : for each of ``reads``, the bytes touched between its last touch and the end of
        this read, itself included, each byte once: a cache of that size still holds it.
        Where parts of the array were touched at different times, their mean. Kernels
        are taken as run again and again on the same arrays.
    write_reuse : the same for what is written.
    in_place : bytes of what is written that the same call reads.
    fresh : the result is newly allocated; large ones fault their pages in.
    m, n, k, batch : sizes of a product, 0 otherwise.
    trans_a, trans_b : the operand's columns, not its rows, are contiguous in memory.
    inner : elements of the library's innermost loop: the whole array where all operands
        are contiguous, a row where one is broadcast or sliced. What a call costs a row
        is elements / inner times.
    unit : every operand is contiguous (or one repeated value) along the innermost loop.
    calls : how often it runs.
    """

    kind: str
    dtype: str
    elements: float
    reads: tuple[float, ...] = ()
    writes: float = 0
    reuse: tuple[float, ...] = ()
    write_reuse: float = 0
    in_place: float = 0
    fresh: bool = False
    m: float = 0
    n: float = 0
    k: float = 0
    batch: float = 0
    trans_a: bool = False
    trans_b: bool = False
    inner: float = 0
    unit: bool = True
    calls: float = 1

    @property
    def bytes(self) -> float:
        """Bytes read and written by all calls."""
        return (sum(self.reads) + self.writes) * self.calls

    @property
    def flops(self) -> float:
        """Operations of all calls: 2 m n k for a product, 0 for a move, else one an element."""
        if self.kind in PRODUCTS:
            return 2.0 * self.m * self.n * self.k * self.batch * self.calls
        return 0.0 if self.kind in MOVES else self.elements * self.calls


def merged(passes: Iterable[Pass]) -> tuple[Pass, ...]:
    """Return the passes in order of first appearance, equal ones as one with more calls."""
    counts: dict[Pass, float] = {}
    for p in passes:
        key = p if p.calls == 1 else replace(p, calls=1)
        counts[key] = counts.get(key, 0) + p.calls
    return tuple(replace(p, calls=calls) for p, calls in counts.items())
