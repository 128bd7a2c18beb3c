"""Seconds of library calls: monotone, continuous, the sum of what a call does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from measure.libraries import LEVELS, made_up, product, stream

from perfmodel.kernels.passes import Pass
from perfmodel.measure.pass_columns import family, way
from perfmodel.measure.pass_model import by_level, kernel_seconds, parts, pass_seconds

SIZES = np.geomspace(1, 3e7, 400)


def _seconds(passes: list[Pass]) -> np.ndarray:
    return pass_seconds(passes, made_up())


@pytest.mark.parametrize(("kind", "arrays"), [("add", 3), ("exp", 2), ("fill", 1), ("copy", 2)])
def test_more_elements_never_take_less_time(kind: str, arrays: int) -> None:
    assert np.all(np.diff(_seconds([stream(kind, n, arrays) for n in SIZES])) >= 0)


@pytest.mark.parametrize("side", ["m", "n", "k", "batch"])
def test_a_larger_product_never_takes_less_time(side: str) -> None:
    rng = np.random.default_rng(3)
    for _ in range(40):
        base = dict(zip("mnk", np.exp(rng.uniform(0.8, 7, 3)), strict=True)) | {"batch": 1.0}
        grown = np.geomspace(2, 2000, 60)
        times = _seconds([product(**{**base, side: x}) for x in grown])
        assert np.all(np.diff(times) >= 0), base


def test_seconds_have_no_jump() -> None:
    near = np.geomspace(100, 3e7, 30_000)
    steps = np.diff(np.log(_seconds([stream("add", n, 3) for n in near])))
    assert steps.max() < 10 * np.log(near[1] / near[0])
    sides = np.geomspace(2, 1500, 30_000)
    steps = np.diff(np.log(_seconds([product(s, s, s) for s in sides])))
    assert steps.max() < 10 * np.log(sides[1] / sides[0])


def test_a_byte_costs_what_its_level_does() -> None:
    far = np.array([1e2, 2e5, 8e6, 1e10])
    assert by_level(far, LEVELS, "read") == pytest.approx([v.read for v in LEVELS], rel=0.03)
    assert np.all(np.diff(by_level(np.geomspace(1, 1e10, 500), LEVELS, "write")) >= 0)


def test_what_was_touched_long_ago_takes_longer() -> None:
    near, far = _seconds([stream("copy", 1e4, 2), stream("copy", 1e4, 2, again=1e9)])
    assert far > 2 * near


def test_written_in_place_costs_no_second_trip() -> None:
    apart = stream("add", 1e7, 3)
    within = replace(apart, in_place=apart.writes)
    assert _seconds([within])[0] < _seconds([apart])[0]


def test_calls_add_up() -> None:
    one = stream("exp", 5e4, 2)
    assert _seconds([replace(one, calls=7)])[0] == pytest.approx(7 * _seconds([one])[0])


def test_a_product_of_a_vector_is_another_call() -> None:
    assert way(product(8, 8, 8)) == "gemm"
    row = replace(product(1, 64, 32), kind="gemv")
    assert way(row) == "gemv_sums"
    assert way(replace(row, trans_b=True)) == "gemv_dots"
    column = replace(product(64, 1, 32), kind="gemv")
    assert (way(column), way(replace(column, trans_a=True))) == ("gemv_dots", "gemv_sums")


def test_the_way_of_a_function_follows_its_operands() -> None:
    rows, cols = 16, 100
    row = Pass("add", "fp32", 1600, (6400, 4.0 * cols), 6400, (0, 0), 0, inner=cols)
    assert way(row) == "add_loops"
    assert way(replace(row, reads=(6400, 4.0 * rows))) == "add_column"
    assert way(replace(row, reads=(6400,), reuse=(0,), inner=1600)) == "add_scalar"
    assert way(replace(row, unit=False)) == "add_strided"
    assert way(Pass("cast", "fp32", 100, (200,), 400, (0,), 0, inner=100)) == "cast2"
    assert way(Pass("sum", "fp32", 1600, (6400,), 64, (0,), 0, inner=100)) == "sum"


def test_an_unknown_kind_has_the_cost_of_its_family() -> None:
    known, unknown = stream("exp", 1e5, 2), stream("sin", 1e5, 2)
    assert family(unknown) == "special"
    assert _seconds([unknown]) == pytest.approx(_seconds([known]))


def test_the_interval_is_the_spread_of_the_operators_class() -> None:
    passes = [stream("exp", 1e6, 2)]
    total, low, high = kernel_seconds(passes, made_up(), 0, "dense")
    assert (low, high) == pytest.approx((total / 1.3, total * 1.3))
    total, low, high = kernel_seconds(passes, made_up(), 0, "recurrent")
    assert (low, high) == pytest.approx((total / 1.5, total * 1.5))


def test_python_code_between_calls_takes_its_time() -> None:
    none, some = (kernel_seconds([stream("exp", 9, 2)], made_up(), n)[0] for n in (0, 100))
    assert some - none == pytest.approx(100 * 2e-7)


def test_what_binds_follows_the_size() -> None:
    bounds = [parts([stream("add", n, 3)], made_up())["bound"] for n in (10, 3e7)]
    assert bounds == ["overhead", "bandwidth"]
    assert parts([stream("exp", 1e5, 2)], made_up())["bound"] == "compute"
    passes = [stream("exp", 1e5, 2), product(9, 9, 9)]
    split = parts(passes, made_up(), 30)["split"]
    assert sum(split.values()) == pytest.approx(kernel_seconds(passes, made_up(), 30)[0])
