"""Units round-trip, and whatever carries none is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfmodel.errors import InputError
from perfmodel.units import UNITS, format_capacity, format_si, parse_quantity

PAIRS = [(d, u, f) for d, units in UNITS.items() for u, f in units.items()]


@pytest.mark.parametrize(("dimension", "unit", "factor"), PAIRS)
def test_every_unit_is_its_factor(dimension: str, unit: str, factor: float) -> None:
    assert parse_quantity(f"1 {unit}", dimension) == factor
    assert parse_quantity(f"2.5e1{unit}", dimension) == pytest.approx(25 * factor, rel=1e-15)


def test_bandwidth_is_decimal_and_caches_are_binary() -> None:
    assert parse_quantity("1 GB/s", "bandwidth") == 1e9
    assert parse_quantity("1 GiB", "capacity") == 2**30
    assert parse_quantity("40 MiB", "capacity") == 41_943_040
    assert parse_quantity("2.5 us", "time") == 2.5e-6
    with pytest.raises(InputError, match="decimal"):
        parse_quantity("1 GiB/s", "bandwidth")


@given(st.floats(1e-11, 1e19), st.sampled_from(["B/s", "FLOP/s", "s"]))
def test_what_is_printed_reads_back(value: float, unit: str) -> None:
    dimension = {"B/s": "bandwidth", "FLOP/s": "rate", "s": "time"}[unit]
    text = format_si(value, unit, digits=15)
    if text.split()[1] in UNITS[dimension]:
        assert parse_quantity(text, dimension) == pytest.approx(value, rel=1e-13)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (3.35e12, "B/s", "3.35 TB/s"),
        (0, "s", "0 s"),
        (1.5e-3, "s", "1.5 ms"),
        (999.96e9, "FLOP/s", "1 TFLOP/s"),
        (123456, "B", "123 kB"),
        (312e12, "FLOP/s", "312 TFLOP/s"),
        (7, "", "7"),
    ],
)
def test_numbers_are_written_with_a_prefix(value: float, unit: str, text: str) -> None:
    assert format_si(value, unit) == text


def test_capacities_are_binary_where_that_is_exact() -> None:
    assert format_capacity(40 * 2**20) == "40 MiB"
    assert format_capacity(80e9) == "80 GB"
    assert format_capacity(192 * 1024) == "192 KiB"
    assert format_capacity(None) == "unknown"


@pytest.mark.parametrize(
    "text", ["", " ", "fast", "1", "1e9", "GB/s", "1 2 GB/s", "nan GB/s", "--1 GB/s"]
)
def test_what_is_no_bandwidth_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        parse_quantity(text, "bandwidth")


@pytest.mark.parametrize("value", [1, 1.5, None, True, [], {}])
def test_what_is_not_text_is_refused(value: object) -> None:
    with pytest.raises(InputError, match="bandwidth"):
        parse_quantity(value, "bandwidth")
