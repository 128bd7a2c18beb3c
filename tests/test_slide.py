"""SLIDE: an affine layer's values at the active neurons, and what a share of them saves."""

from typing import Any

import numpy as np
import pytest

import perfmodel
from perfmodel.core import Work
from perfmodel.errors import InputError
from perfmodel.kernels.naive import naive_kernel
from perfmodel.readers.inline import parse_inline

SIZES: dict[str, Any] = {"units": 9, "sampled": "0.4", "bits": 2, "tables": 3}
HASHINGS = ["simhash", "dwta"]


def _layer(hashing: str) -> tuple[Any, dict[str, Any], Any]:
    random = np.random.default_rng(0)
    x = random.normal(size=(5, 3))
    weights = {"weight": random.normal(size=(9, 3)), "bias": random.normal(size=9)}
    if hashing == "dwta":
        weights["positions"] = np.array([random.permutation(6) % 3 for _ in range(2)]).reshape(
            3, 2, 2
        )
    else:
        weights["hyperplanes"] = random.normal(size=(3, 2, 3))
    kept: Any = naive_kernel("slide_affine_kept")(x, weights=weights, **SIZES)
    return x, weights, kept["active"]


@pytest.mark.parametrize("hashing", HASHINGS)
def test_active_neurons_are_those_of_the_affine_layer(hashing: str) -> None:
    x, weights, active = _layer(hashing)
    full = x @ weights["weight"].T + weights["bias"]
    found = naive_kernel("slide_affine")(x, weights=weights, **SIZES)
    np.testing.assert_allclose(found, np.take_along_axis(full, active, axis=1))
    assert all(len(set(row)) == 4 for row in active.tolist())
    assert len({tuple(row) for row in active.tolist()}) > 1


@pytest.mark.parametrize("hashing", HASHINGS)
def test_sparse_gradients_are_the_rows_of_the_dense_ones(hashing: str) -> None:
    x, weights, active = _layer(hashing)
    dy = np.random.default_rng(1).normal(size=active.shape)
    dense = np.zeros((5, 9))
    np.put_along_axis(dense, active, dy, axis=1)
    made: Any = naive_kernel("slide_affine_grad")(
        "weight", dy, x, output=None, weights=weights, kept={"active": active}, **SIZES
    )
    rows = np.unique(active)
    np.testing.assert_allclose(made["weight"], (dense.T @ x)[rows])
    np.testing.assert_allclose(made["bias"], dense.sum(axis=0)[rows])


def _work(share: str, m: int = 1, hashing: str = "simhash") -> Work:
    inline = f"slide_affine:m={m},n=670000,k=128,sampled={share},hashing={hashing}"
    (node,) = parse_inline(inline).bind().nodes
    work: Work = node.op.work(node.tensors)
    return work


def test_half_a_percent_of_the_neurons_costs_half_a_percent_and_the_hashes() -> None:
    assert _work("0.005").macs == 128 * (3350 + 9 * 50)
    assert _work("1/200").macs == _work("0.005").macs
    assert _work("1").macs == 128 * (670000 + 9 * 50)


def test_winner_take_all_compares_and_multiplies_nothing() -> None:
    signs, winners = _work("0.005"), _work("0.005", hashing="dwta")
    assert signs.macs - winners.macs == 128 * 9 * 50
    assert winners.ops["vector", "fp32"] == 3350 + 9 * 50 * (8 - 1)


def test_a_bucket_is_told_by_the_place_of_the_largest_value_alone() -> None:
    _, weights, _ = _layer("dwta")
    x = np.array([[0.1, 0.9, 0.4]])
    for other in (3 * x, x**3, np.exp(x)):
        kept = [
            naive_kernel("slide_affine_kept")(t, weights=weights, **SIZES)["active"]  # type: ignore[call-overload]
            for t in (x, other)
        ]
        np.testing.assert_array_equal(*kept)


def test_a_large_batch_reads_all_rows_and_no_more_where_they_stay() -> None:
    work = _work("0.005", m=4096)
    rows = sum(a.bytes for a in work.accesses if a.tensor == "weight")
    assert rows == 670000 * 128 * 4
    assert work.traffic(1e12) < work.traffic(2**20) < work.traffic(0)


@pytest.mark.parametrize("share", ["0", "1.5", "half"])
def test_a_share_that_is_none_is_refused(share: str) -> None:
    with pytest.raises(InputError, match="sampled: found"):
        perfmodel.analyze(f"slide_affine:m=1,n=10,k=2,sampled={share}", "h100-sxm")
