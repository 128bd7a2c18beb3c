"""Einstein summation as NumPy computes it, all operands at once."""

from __future__ import annotations

import numpy as np

CASES = {
    "einsum": [
        ({"equation": equation}, shapes, {}, lambda *t, e=equation: np.einsum(e, *t[:-1]))
        for equation, shapes in (
            ("ij,jk->ik", [(2, 3), (3, 4)]),
            ("bij,bjk->bki", [(2, 3, 4), (2, 4, 5)]),
            ("ab,bc,cd->da", [(3, 4), (4, 2), (2, 5)]),
            ("ab,ac,ad->bcd", [(4, 2), (4, 3), (4, 1)]),
            ("i,j->ji", [(3,), (4,)]),
            ("abc,b->c", [(2, 3, 4), (3,)]),
        )
    ],
}
APART: set[str] = set()
