"""How long a device takes over attention cut into blocks of queries and parts of the keys."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from perfmodel.core import Dim
from perfmodel.core.dims import Array, maximum
from perfmodel.core.work import AttentionSizes
from perfmodel.model.tiles import combine

#: queries (of all heads that share a key head) that a block computes at a time
ROWS = (16, 64, 128)
#: parts that the keys may be cut into, each computed by a unit of its own
SPLITS = (1, 2, 4, 8, 16, 32)
#: bytes that one unit can draw in a clock cycle
DRAW = 40.0
#: seconds that a block of queries takes at the least
BLOCK_SECONDS = 4.0e-6
#: seconds that adding up the parts of split keys takes more
SPLIT_SECONDS = 5.0e-6
#: products and streams of attention reach these shares of what long ones reach
COMPUTE_SHARE, MEMORY_SHARE = 0.72, 0.76


@dataclass(frozen=True)
class Blocking:
    """A device as attention sees it.

    ``units`` at ``rate`` products a second each, ``draw`` the bytes that each can read
    in a second; ``hard`` as for tiles.
    """

    units: float
    rate: float
    draw: float
    hard: bool


def attention_seconds(a: AttentionSizes, memory: Dim, on: Blocking) -> tuple[Array, Array]:
    """Return (seconds, seconds of the blocks alone) of one fused attention kernel.

    Blocks run in waves of as many as there are units. Of a wave, each block takes
    BLOCK_SECONDS and the longer of its products and of drawing its keys and values;
    all blocks together take what all pairs take, and a block's on the diagonal:

        alone = waves BLOCK_SECONDS + max(all products / units, waves max(one block's, drawing))
        time = norm(alone, memory) + SPLIT_SECONDS where split

    The best of ROWS x SPLITS is taken.
    """
    best: Dim = np.inf
    alone_best: Dim = 0.0
    for rows in ROWS:
        blocks = np.ceil(np.asarray(a.rows, np.float64) / rows) * a.groups
        wasted = a.pairs + rows * a.keys
        together = a.groups * wasted * a.width / (on.rate * on.units)
        for splits in SPLITS:
            waves = np.ceil(blocks * splits / on.units)
            keys = a.keys / splits
            one = rows * keys * a.width / on.rate * (0.5 if a.causal else 1.0)
            draw = keys * a.key_bytes / on.draw
            alone = waves * BLOCK_SECONDS + maximum(together, waves * maximum(one, draw))
            time = combine(on.hard, alone, memory) + (0.0 if splits == 1 else SPLIT_SECONDS)
            better = time < best
            best, alone_best = np.where(better, time, best), np.where(better, alone, alone_best)
    return np.asarray(best), np.asarray(alone_best)
