"""How good predictions are: errors as fractions of the measured time."""

from __future__ import annotations

from typing import Any

import numpy as np

from perfmodel.core.dims import Array

Score = dict[str, Any]


def score(predicted: Array, measured: Array, low: Array, high: Array) -> Score:
    """Return the score of some rows.

    With e = predicted / measured - 1: ``mape`` is the mean of |e|, ``median_ape`` its
    median, ``bias`` the mean of e. ``rank_correlation`` is Spearman's, None where it
    has no meaning (under two rows, or all equal). ``coverage_90`` is the share of
    measured times inside [low, high].
    """
    error = predicted / measured - 1
    inside = (low <= measured) & (measured <= high)
    return {
        "rows": len(measured),
        "mape": float(np.mean(np.abs(error))),
        "median_ape": float(np.median(np.abs(error))),
        "bias": float(np.mean(error)),
        "rank_correlation": rank_correlation(predicted, measured),
        "coverage_90": float(np.mean(inside)),
    }


def rank_correlation(first: Array, second: Array) -> float | None:
    """Return Spearman's rank correlation: Pearson's of the ranks, equal values sharing theirs."""
    ranks = [_ranks(values) - (len(values) + 1) / 2 for values in (first, second)]
    spread = float(np.sqrt(np.prod([np.sum(r * r) for r in ranks])))
    return float(np.clip(np.sum(ranks[0] * ranks[1]) / spread, -1, 1)) if spread > 0 else None


def _ranks(values: Array) -> Array:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: Array = np.cumsum(counts) - (counts - 1) / 2
    return ranks[inverse]
