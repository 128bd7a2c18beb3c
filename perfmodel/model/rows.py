"""How kernels that work row by row (softmax, normalizations) use a GPU's memory.

A block of threads takes a row: it reads it, and reads it again for its statistics. The
rows that all units hold at once are read again from the last cache where they fit it,
else from memory.
"""

from __future__ import annotations

from dataclasses import dataclass

from perfmodel.core import Dim, Work
from perfmodel.core.dims import clip, minimum
from perfmodel.machine import Efficiency, Machine
from perfmodel.model.tiles import combine


@dataclass(frozen=True)
class RowKernel:
    """How a category's kernels treat rows.

    ``held`` rows a unit holds at once; each row is read ``again`` so many times, and
    costs its unit ``seconds``. Rows of up to ``short`` bytes stay in registers: they
    are read once and cost nothing.
    """

    held: float
    again: float
    seconds: float
    short: float = 0.0


KERNELS = {
    # 128 threads a row, and 2048 threads a unit
    "normalization": RowKernel(16, 1, 0.36e-6),
    # a warp a row up to 1024 numbers of 4 bytes, else 1024 threads
    "reduction": RowKernel(2, 2, 0.85e-6, short=4096),
}
#: bytes of the rows held at once, over the last cache, between which they stop to fit it
FITS = (0.3, 1.5)


def row_seconds(
    work: Work, category: str, memory: Dim, machine: Machine, eff: Efficiency, hard: bool
) -> Dim:
    """Return the seconds of ``work`` whose compulsory bytes take ``memory``.

    again = rows x row's bytes x times, missed by the share of held rows that fit no cache
    time = norm(memory + again / bandwidth, rows x seconds of a row / units)
    """
    kernel = KERNELS.get(category)
    rows = work.rows
    if kernel is None or rows is None or machine.kind != "gpu":
        return memory
    units = float(machine.engines[0].count)
    row = work.bytes_written / rows
    # Between one and two short rows the change is gradual.
    long: Dim = 1.0
    if kernel.short:
        long = clip(row / kernel.short - 1.0, 0.0, 1.0)
    cache = machine.memory[-2].capacity if len(machine.memory) > 1 else None
    bandwidth = machine.last_level.bandwidth
    assert bandwidth is not None
    share = eff["memory_share"] * eff["row_share"]
    if cache is not None:
        held = minimum(rows, units * kernel.held) * row
        missed = clip((held / cache - FITS[0]) / (FITS[1] - FITS[0]), 0.0, 1.0)
        again = kernel.again * work.bytes_written * missed * long
        memory = memory + again / (bandwidth * share)
    return combine(hard, memory, rows * long * (kernel.seconds / units / eff["row_share"]))
