"""Embeddings: values, sparse gradients, and what skewed lookups save."""

from typing import Any

import numpy as np
import pytest

import perfmodel
from perfmodel.core.popularity import Zipf
from perfmodel.errors import InputError
from perfmodel.kernels.naive import naive_kernel
from perfmodel.ops import get_operator
from perfmodel.readers.inline import parse_inline

TABLE = np.random.default_rng(0).normal(size=(7, 3))
INDICES = np.array([6, 0, 2, 2, 5, 1, 2])
OFFSETS = np.array([0, 3, 4])
SIZES: dict[str, Any] = {"rows": 7, "width": 3}


@pytest.mark.parametrize("mode", ["sum", "mean"])
def test_a_bag_is_the_sum_or_mean_of_its_rows(mode: str) -> None:
    bag, weights = naive_kernel("embedding_bag"), {"table": TABLE}
    reduce = getattr(np, mode)
    found = bag(INDICES, OFFSETS, weights=weights, **SIZES, mode=mode, zipf="")
    parts = np.split(TABLE[INDICES], OFFSETS[1:])
    np.testing.assert_allclose(found, [reduce(part, axis=0) for part in parts])
    square = INDICES[:6].reshape(2, 3)
    found = bag(square, weights=weights, **SIZES, mode=mode, zipf="")
    np.testing.assert_allclose(found, reduce(TABLE[square], axis=1))


def test_a_lookup_by_one_hot_rows_is_a_lookup() -> None:
    found = naive_kernel("one_hot_affine")(INDICES, weights={"table": TABLE}, **SIZES)
    np.testing.assert_array_equal(found, TABLE[INDICES])


def test_sparse_gradients_are_the_rows_of_the_dense_ones() -> None:
    dense = np.zeros_like(TABLE)
    dy = np.random.default_rng(1).normal(size=(7, 3))
    np.add.at(dense, INDICES, dy)
    common: dict[str, Any] = {"output": None, "weights": {"table": TABLE}, **SIZES}
    rows: Any = naive_kernel("embedding_grad")("table", dy, INDICES, **common)
    np.testing.assert_allclose(rows["table"], dense[np.unique(INDICES)])
    full: Any = naive_kernel("one_hot_affine_grad")("table", dy, INDICES, **common)
    np.testing.assert_allclose(full["table"], dense)


@pytest.mark.parametrize("mode", ["sum", "mean"])
def test_sparse_gradients_of_bags_are_the_rows_of_the_dense_ones(mode: str) -> None:
    dense = np.zeros_like(TABLE)
    dy = np.random.default_rng(1).normal(size=(3, 3))
    for b, bag in enumerate(np.split(INDICES, OFFSETS[1:])):
        np.add.at(dense, bag, dy[b] / (len(bag) if mode == "mean" else 1))
    rows: Any = naive_kernel("embedding_bag_grad")(
        "table", dy, INDICES, OFFSETS, output=None, weights={"table": TABLE}, **SIZES,
        mode=mode, zipf="",
    )  # fmt: skip
    np.testing.assert_allclose(rows["table"], dense[np.unique(INDICES)])


@pytest.mark.parametrize("exponent", [0.0, 0.7, 1.0, 1.3])
@pytest.mark.parametrize("lookups", [100, 3000, 100_000])
def test_distinct_rows_and_shares_are_those_of_the_sum_over_ranks(
    exponent: float, lookups: int
) -> None:
    rows = 5000
    p = np.arange(1, rows + 1.0) ** -exponent
    p /= p.sum()
    zipf = Zipf(exponent, rows)
    exact = (1 - (1 - p) ** lookups).sum()
    assert zipf.distinct(lookups, rows) == pytest.approx(exact, rel=0.05)
    assert zipf.share(500) == pytest.approx(p[:500].sum(), rel=0.05)
    exact = (1 - (1 - p[:500]) ** lookups).sum() + lookups * p[500:].sum()
    assert zipf.misses(lookups, 500) == pytest.approx(exact, rel=0.05)


def _traffic(zipf: str, capacity: float) -> float:
    inline = "embedding_bag:lookups=65536,width=64,rows=1000000,bags=2048"
    (node,) = parse_inline(f"{inline},zipf={zipf}").bind().nodes
    return float(node.op.work(node.tensors).traffic(capacity))


def test_bytes_from_memory_fall_with_skew_and_with_capacity() -> None:
    capacity = 2**20
    by_skew = [_traffic(z, capacity) for z in ("", "0", "0.5", "0.9", "1.1", "1.5")]
    assert by_skew == sorted(by_skew, reverse=True)
    assert by_skew[-1] < 0.2 * by_skew[0]
    by_capacity = np.array([_traffic("1.05", c) for c in np.logspace(0, 10, 400)])
    assert np.all(np.diff(by_capacity) <= 1e-6 * by_capacity[:-1])
    assert np.abs(np.diff(by_capacity)).max() < 0.05 * by_capacity[0]  # no step
    every_row = 65536 * 64 * 4
    assert by_capacity[0] == pytest.approx(_traffic("", 0), rel=1e-3)
    assert by_capacity[-1] < every_row


def test_skewed_lookups_keep_time_over_the_ideal() -> None:
    for zipf in ("0", "1.05", "2"):
        inline = f"embedding_bag:lookups=65536,width=64,rows=1000000,bags=2048,zipf={zipf}"
        (row,) = perfmodel.analyze(inline, "a100-80gb-sxm").operators
        assert row["time_low_s"] <= row["time_s"]


@pytest.mark.parametrize("zipf", ["much", "-1", "nan"])
def test_a_skew_that_is_no_number_is_refused(zipf: str) -> None:
    op = get_operator("embedding_bag").example
    with pytest.raises(InputError, match="zipf: found"):
        perfmodel.analyze(f"{op},zipf={zipf}", "h100-sxm")


def test_arrays_of_sizes_count_skew_as_numbers_do() -> None:
    sizes = np.array([10.0, 1e3, 1e6])
    together = Zipf(1.05, sizes).misses(5e4, sizes / 7)
    alone = [Zipf(1.05, s).misses(5e4, s / 7) for s in sizes.tolist()]
    assert np.asarray(together).tolist() == alone
