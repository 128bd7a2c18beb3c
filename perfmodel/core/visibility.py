"""Which keys the queries of an attention see, and what an online softmax over them costs.

Queries stand at the end of the keys. A causal query sees the keys up to its
own, with a window the last ``window`` of them; without causality it sees all
keys, or ``window`` of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from perfmodel.core.dims import Dim, ceil_div, maximum, minimum
from perfmodel.errors import InputError

#: keys that an online softmax handles between two rescalings of its sums
KEY_BLOCK = 128


@dataclass(frozen=True, eq=False)
class Visible:
    """Counts of (query, key) pairs of one head; a window of 0 means all keys."""

    q_len: Dim
    kv_len: Dim
    causal: bool
    window: Dim = 0

    @property
    def pairs(self) -> Dim:
        """Visible (query, key) pairs."""
        return self._over_queries(lambda x: x * (x + 1) // 2, lambda seen: seen)

    @property
    def rows(self) -> Dim:
        """Queries that see a key."""
        return self._over_queries(lambda x: x, lambda seen: minimum(seen, 1))

    @property
    def keys_seen(self) -> Dim:
        """Keys that some query sees: a causal window leaves the oldest out."""
        behind = self._limit - 1 if self.causal else self.kv_len
        return minimum(self.kv_len, self.q_len + behind)

    @property
    def blocks(self) -> Dim:
        """Blocks of KEY_BLOCK keys that all queries go through."""

        def up_to(x: Dim) -> Dim:
            full = x // KEY_BLOCK
            return KEY_BLOCK * full * (full + 1) // 2 + (x - full * KEY_BLOCK) * (full + 1)

        return self._over_queries(up_to, lambda seen: ceil_div(seen, KEY_BLOCK))

    def online_softmax_ops(self, value_dim: Dim) -> tuple[Dim, Dim]:
        """Return vector and special operations of a scaled online softmax and its output.

        A pair: scale, compare, subtract, add. A rescaling: subtract, and the
        products with the running sum and output. A row: its output times 1/sum.
        """
        pairs, rows = self.pairs, self.rows
        rescaled = self.blocks - rows  # every block of a row but its first
        vector = 4 * pairs - 2 * rows + rescaled * (2 + value_dim) + rows * value_dim
        return vector, pairs + rescaled + rows

    @property
    def _limit(self) -> Dim:
        return self.window + self.kv_len * (self.window == 0)

    def _over_queries(self, up_to: Callable[[Dim], Dim], each: Callable[[Dim], Dim]) -> Dim:
        """Sum over the queries of ``each(keys seen)``; ``up_to(x)`` sums each(1..x)."""
        window, kv = self._limit, self.kv_len
        if not self.causal:
            return self.q_len * each(minimum(window, kv))

        def first(x: Dim) -> Dim:
            x = maximum(x, 0)
            inside = minimum(x, window)
            return up_to(inside) + (x - inside) * each(window)

        return first(kv) - first(kv - self.q_len)


def refuse_cached(name: str, cached: bool) -> None:
    """Raise InputError where an attention with a KV cache is asked for its gradient.

    A cache holds no activations: what made its keys cannot be passed a gradient.
    """
    if cached:
        raise InputError(
            f"{name}: found a gradient through a KV cache, expected whole sequences",
            mend="train with cached: false and context: 0",
        )
