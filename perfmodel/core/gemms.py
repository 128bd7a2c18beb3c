"""Matrix products, batched or grouped, and convolutions as such: the work of several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from perfmodel.core.blocking import ACCUMULATOR_BYTES, gemm_extra_traffic
from perfmodel.core.dims import Dim, total
from perfmodel.core.tensor import Tensor
from perfmodel.core.work import Work, WorkBuilder


@dataclass(frozen=True, eq=False)
class Gemm:
    """``groups`` products c[m,n] = a[m,k] b[k,n], the tensors' bytes shared evenly among them.

    For a convolution the matrices are implicit: an element of the image stands
    in several places of its matrix, and moves once.
    """

    a: Tensor
    b: Tensor
    c: Tensor
    m: Dim
    n: Dim
    k: Dim
    groups: Dim = 1

    @property
    def macs(self) -> Dim:
        """Multiply-accumulates of all groups."""
        return self.groups * self.m * self.n * self.k

    def extra_traffic(self, capacity: Dim, accumulator_bytes: float = ACCUMULATOR_BYTES) -> Dim:
        """Return the bytes beyond moving a, b and c once."""
        a, b, c = (t.bytes / self.groups for t in (self.a, self.b, self.c))
        return self.groups * gemm_extra_traffic(
            self.m, self.n, self.k, a, b, c, capacity, accumulator_bytes
        )


@dataclass(frozen=True, eq=False)
class GemmTraffic:
    """The Traffic of products one after the other, with partial sums of any size."""

    gemms: tuple[Gemm, ...]
    accumulator_bytes: float = ACCUMULATOR_BYTES

    def __call__(self, capacity: Dim) -> Dim:
        """Return the bytes beyond moving each operand once."""
        return total(g.extra_traffic(capacity, self.accumulator_bytes) for g in self.gemms)

    def summing_in(self, accumulator_bytes: float) -> GemmTraffic:
        """Return the traffic where a partial sum takes so many bytes."""
        return replace(self, accumulator_bytes=accumulator_bytes)


def gemms_work(builder: WorkBuilder, gemms: Sequence[Gemm], launches: Dim = 1) -> Work:
    """Return the Work of ``builder`` with the operations of ``gemms``."""
    for gemm in gemms:
        builder.count("matrix", gemm.a.dtype, 2 * gemm.macs)
    macs, extra = total(g.macs for g in gemms), GemmTraffic(tuple(gemms))
    return builder.build(macs=macs, launches=launches, extra_traffic=extra)
