"""Arrays without data walk their axes as NumPy's own iterator does."""

from __future__ import annotations

import numpy as np

from perfmodel.kernels.dry import _outer_to_inner


def test_axes_are_walked_in_numpys_order() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        rank = int(rng.integers(1, 5))
        shape = [int(n) for n in rng.integers(2, 5, rank)]
        orders = [rng.permutation(rank) for _ in range(rng.integers(1, 3))]
        operands = [np.empty([shape[i] for i in p]).transpose(np.argsort(p)) for p in orders]
        flags = [["readonly"]] * len(operands) + [["writeonly", "allocate"]]
        walked = np.nditer([*operands, None], order="K", op_flags=flags).operands[-1].strides
        expected = sorted(range(rank), key=lambda i: -walked[i])
        assert _outer_to_inner(list(range(rank)), tuple(x.strides for x in operands)) == expected
