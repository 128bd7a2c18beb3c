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
#: bandwidth that one unit can draw, over its even share of the device's
DRAW = 2.0


@dataclass(frozen=True)
class Blocking:
    """A device as attention sees it.

    ``units`` at ``rate`` products a second each; a block takes ``block`` seconds at the
    least, a split ``latency`` more; ``bytes_per_s`` is the achievable bandwidth; ``hard``
    as for tiles.
    """

    units: float
    rate: float
    block: float
    latency: float
    bytes_per_s: float
    hard: bool


def attention_seconds(a: AttentionSizes, memory: Dim, on: Blocking) -> tuple[Array, Array]:
    """Return (seconds, seconds of the blocks alone) of one fused attention kernel.

    Blocks run in waves of as many as there are units. Of a wave, each block takes
    ``block`` seconds and the longer of its products and of drawing its keys and values;
    all blocks together take what all pairs take, and half a block on the diagonal:

        alone = waves block + max(all products / units, waves one block's products, drawing)
        time = norm(alone, memory) + latency of a split

    The best of ROWS x SPLITS is taken.
    """
    best: Dim = np.inf
    alone_best: Dim = 0.0
    for rows in ROWS:
        blocks = np.ceil(np.asarray(a.rows, np.float64) / rows) * a.groups
        wasted = a.pairs + 0.5 * rows * a.keys
        together = a.groups * wasted * a.width / (on.rate * on.units)
        for splits in SPLITS:
            waves = np.ceil(blocks * splits / on.units)
            keys = a.keys / splits
            one = rows * keys * a.width / on.rate * (0.5 if a.causal else 1.0)
            draw = keys * a.key_bytes * on.units / (on.bytes_per_s * DRAW)
            alone = waves * on.block + maximum(together, waves * maximum(one, draw))
            time = combine(on.hard, alone, memory) + (0.0 if splits == 1 else on.latency)
            better = time < best
            best, alone_best = np.where(better, time, best), np.where(better, alone, alone_best)
    return np.asarray(best), np.asarray(alone_best)
