"""Skewed lookups: how often rows of a table repeat when a few are popular.

The row of rank r is looked up with probability proportional to ``r**-exponent``
(Zipf's law). Ranks are treated as continuous, so that every count is continuous
in the number of lookups, of rows, and of rows that a cache holds.
Source: Breslau et al., "Web caching and Zipf-like distributions", INFOCOM 1999.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from perfmodel.core.dims import Array, Dim, clip, is_scalar, minimum, total

#: nodes and weights of the integral over log rank
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(48)


@dataclass(frozen=True, eq=False)
class Zipf:
    """Popularity of ``rows`` rows; an exponent of 0 makes all alike."""

    exponent: float
    rows: Dim

    def share(self, hottest: Dim) -> Dim:
        """Return the share of all lookups that go to the ``hottest`` rows."""
        return self._mass(clip(hottest, 0, self.rows)) / self._mass(self.rows)

    def distinct(self, lookups: Dim, hottest: Dim) -> Dim:
        """Return how many of the ``hottest`` rows ``lookups`` lookups are expected to find."""
        hottest = clip(hottest, 0, self.rows)
        rate = lookups / self._mass(self.rows)
        span = _log(2 * hottest + 1)

        def density(node: float) -> Dim:
            position = span * ((node + 1) / 2)  # log of the rank over the first's, 1/2
            rank = _exp(position) / 2
            expected = rate * _power(rank, -self.exponent)
            return rank * (1 - _exp(-expected))

        found = (
            span
            / 2
            * total(float(w) * density(float(x)) for x, w in zip(_NODES, _WEIGHTS, strict=True))
        )
        return minimum(found, lookups * self.share(hottest))

    def misses(self, lookups: Dim, held: Dim) -> Dim:
        """Return the lookups that a cache of the ``held`` most popular rows does not serve.

        Each of those rows comes in once; every lookup of another row misses.
        """
        held = clip(held, 0, self.rows)
        return self.distinct(lookups, held) + lookups * (1 - self.share(held))

    def _mass(self, hottest: Dim) -> Dim:
        """Integrate rank ** -exponent over the ranks of the ``hottest`` rows."""
        bound = hottest + 0.5
        if self.exponent == 1:
            return _log(bound * 2)
        power = 1 - self.exponent
        mass: Dim = (_power(bound, power) - 0.5**power) / power
        return mass


def _same_path(function: Callable[..., Any], *values: Any) -> Dim:
    """Apply a NumPy function to numbers as to arrays: its loops for the two may round apart."""
    made = function(*(np.atleast_1d(np.asarray(v, dtype=np.float64)) for v in values))
    if is_scalar(*values):
        return float(made[0])
    out: Array = made
    return out


def _log(value: Dim) -> Dim:
    return _same_path(np.log, value)


def _exp(value: Dim) -> Dim:
    return _same_path(np.exp, value)


def _power(value: Dim, exponent: float) -> Dim:
    return _same_path(lambda v: np.power(v, exponent), value)
