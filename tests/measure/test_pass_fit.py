"""Costs are found again from calls that were timed, disturbed samples among them."""

from __future__ import annotations

import numpy as np
import pytest
from measure.libraries import CAPACITIES, LEVELS, made_up, product, stream

from perfmodel.kernels.passes import Pass
from perfmodel.measure.least_squares import fit_logs
from perfmodel.measure.pass_fit import fit_calls, fit_levels, fit_page, fit_product, spreads
from perfmodel.measure.pass_model import by_level, pass_seconds, product_seconds

ARRAYS = {"add": 3, "copy": 2, "fill": 1}


def _timed(passes: list[Pass], seed: int, noise: float = 0.03) -> list[tuple[Pass, float]]:
    rng = np.random.default_rng(seed)
    off = np.exp(noise * rng.standard_normal(len(passes)))
    off[rng.random(len(passes)) < 0.05] *= 4  # some were disturbed
    return list(zip(passes, pass_seconds(passes, made_up()) * off, strict=True))


def test_a_line_is_found_among_wrong_samples() -> None:
    rng, x = np.random.default_rng(1), np.geomspace(1, 1e6, 60)
    measured = (3e-7 + 2e-10 * x) * np.exp(0.02 * rng.standard_normal(60))
    measured[::10] *= 5
    found = np.exp(
        fit_logs(
            lambda p: np.exp(p[0]) + np.exp(p[1]) * x,
            np.log([1e-6, 1e-9]),
            np.array([3.0, 3.0]),
            measured,
        )
    )
    assert found == pytest.approx([3e-7, 2e-10], rel=0.05)


def test_what_no_sample_tells_stays() -> None:
    start = np.log([1e-6, 7e-9])
    found = fit_logs(lambda p: np.exp(p[0]) * np.ones(9), start, np.ones(2), np.full(9, 2e-6))
    assert np.exp(found) == pytest.approx([2e-6, 7e-9], rel=0.01)


def test_levels_are_found_from_streams() -> None:
    sizes = np.geomspace(3e2, 4e7, 24)
    rows = _timed([stream(k, n, a) for k, a in ARRAYS.items() for n in sizes], seed=2)
    found = fit_levels(rows, CAPACITIES)
    distances = np.array([3e5, 5e6, 2e8])
    assert by_level(distances, found, "read") == pytest.approx(
        by_level(distances, LEVELS, "read"), rel=0.25
    )
    assert [v.capacity for v in found[:-1]] == sorted(v.capacity or 0 for v in found[:-1])


def test_calls_that_the_fit_did_not_see_are_predicted() -> None:
    kinds = {**ARRAYS, "exp": 2}
    sizes = np.geomspace(16, 2e6, 8)
    rows = _timed([stream(k, n, a) for k, a in kinds.items() for n in sizes], seed=3)
    found = fit_calls(rows, LEVELS)
    library = made_up()
    other = [stream(k, n, a) for k, a in kinds.items() for n in np.geomspace(40, 1e6, 5)]
    fitted = type(library)(**{**vars(library), "calls": found})
    assert pass_seconds(other, fitted) == pytest.approx(pass_seconds(other, library), rel=0.12)
    assert found["exp.fp32"].n == 8
    assert found["exp.fp32"].element == pytest.approx(4.6e-10, rel=0.05)


def test_products_that_the_fit_did_not_see_are_predicted() -> None:
    rng = np.random.default_rng(4)

    def drawn(count: int) -> list[Pass]:
        sides = np.exp(rng.uniform(0.7, 6.5, (count, 3))).round()
        flags = rng.random((count, 2)) < 0.3
        return [
            product(*s, trans_a=bool(f[0]), trans_b=bool(f[1]))
            for s, f in zip(sides, flags, strict=True)
        ]

    found = fit_product(_timed(drawn(80), seed=5), LEVELS)
    from perfmodel.measure.pass_columns import columns

    c = columns(drawn(40))
    fitted, true = (product_seconds(p, c, LEVELS) for p in (found, made_up().products["fp32"]))
    assert np.mean(np.abs(fitted / true - 1)) < 0.05


def test_new_pages_are_what_a_large_new_array_costs_more() -> None:
    library = made_up()
    old = stream("add", 4e7, 3)
    new = Pass(**{**{f: getattr(old, f) for f in old.__dataclass_fields__}, "fresh": True})
    rows = [(new, float(pass_seconds([new], library)[0]))]
    assert fit_page(rows, library.calls, LEVELS) == pytest.approx(1e-10, rel=0.05)
    assert fit_page([(old, 1.0)], library.calls, LEVELS) == 0


def test_spreads_hold_nine_in_ten_of_rows_to_come() -> None:
    rng, inside = np.random.default_rng(6), []
    for _ in range(300):
        factor = spreads([("product", x) for x in 0.2 * rng.standard_normal(60)])["product"]
        inside.append(np.mean(np.abs(0.2 * rng.standard_normal(200)) <= np.log(factor)))
    assert 0.88 <= np.mean(inside) <= 0.94
