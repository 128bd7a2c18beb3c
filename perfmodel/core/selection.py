"""Comparisons of selecting the largest of a row."""

from __future__ import annotations

from perfmodel.core.dims import Dim
from perfmodel.core.powers import ceil_log2


def tree_selection(count: Dim, chosen: Dim) -> Dim:
    """Return the comparisons that find the ``chosen`` largest of ``count`` values.

    A tournament of ``count - 1``, then for each further one the matches on the
    path of the last winner (Knuth, *The Art of Computer Programming*, vol. 3,
    section 5.2.3).
    """
    return (count - 1) + (chosen - 1) * ceil_log2(count)
