"""The linter finds the usual mistakes wherever they are planted in the catalogue."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from perfmodel.catalog import builtin_names, parse_document, resolve
from perfmodel.errors import InputError, InvalidFileError
from perfmodel.machine.read import machine_from_document

NAMES = builtin_names("hardware")


def problems(text: str) -> list[str]:
    try:
        machine_from_document(parse_document(text, "device.yaml"))
    except InvalidFileError as error:
        return [str(problem) for problem in error.problems]
    except InputError as error:
        return [str(error)]
    return []


def text_of(name: str) -> str:
    return resolve(name, "hardware").read_text(encoding="utf-8")


def twice_the_first_peak(text: str) -> str:
    found = re.search(r"peak: ([\d.]+) ([TPG]F?L?OP/s)", text)
    assert found
    return text.replace(found[0], f"peak: {2 * float(found[1]):g} {found[2]}", 1)


def prefix_of_the_first_peak(text: str) -> str:
    found = re.search(r"peak: ([\d.]+) T", text)
    return text.replace(found[0], f"peak: {found[1]} G", 1) if found else text + "\nno: 1\n"


def bandwidth_as_capacity(text: str) -> str:
    *_, last = re.finditer(r"\bbandwidth: ([\d.]+ [GT]B)/s", text.split("\nsources:")[0])
    return text[: last.start()] + f"bandwidth: {last[1]}" + text[last.end() :]


def one_tenth_more_units(text: str) -> str:
    found = re.search(r"count: (\d+)", text)
    assert found
    more = int(found[1]) + max(1, int(found[1]) // 10)
    return text.replace(found[0], f"count: {more}", 1)


PLANTED: dict[Callable[[str], str], str] = {
    twice_the_first_peak: "stated peak",
    prefix_of_the_first_peak: "stated peak|unknown key",
    bandwidth_as_capacity: "where a bandwidth belongs",
    one_tenth_more_units: "stated peak",
}


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_a_mistake_is_found_in_every_device(plant):
    for name in NAMES:
        planted = plant(text_of(name))
        assert planted != text_of(name), name
        found = problems(planted)
        assert any(re.search(PLANTED[plant], line) for line in found), (name, found)
        assert all(line.startswith("device.yaml:") for line in found)


# published slips: who has them, what they are, what the linter says of them
SLIPS = {
    "L4 with the 60 multiprocessors of the full die": (
        "l4",
        "count: 58             #",
        "count: 60             #",
        "60 units",
    ),
    "P4 with 24 multiprocessors": (
        "p4",
        "count: 20          #",
        "count: 24          #",
        "24 units",
    ),
    "H100 with one clock for all": (
        "h100-sxm",
        "peak: 1830 MHz",
        "peak: 1980 MHz",
        "2 % is allowed",
    ),
    "H100 with the sparse figure": (
        "h100-sxm",
        "bf16: {accumulate: fp32, ops_per_cycle: 4096, peak: 989.4 TFLOP/s}",
        "bf16: {accumulate: fp32, ops_per_cycle: 4096, peak: 1979 TFLOP/s}",
        "is it the sparse (2:4) figure?",
    ),
    "H100 with NVLink's bandwidth": (
        "h100-sxm",
        "3.35 TB/s",
        "900 GB/s",
        "'nvlink' in both directions",
    ),
    "A link in both directions": (
        "l4",
        "bandwidth_per_direction: 32 GB/s",
        "bandwidth_per_direction: 320 GB/s",
        "'pcie' is as fast as the memory",
    ),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_a_published_slip_is_refused(slip):
    name, old, new, words = SLIPS[slip]
    text = text_of(name)
    assert old in text, f"{name} no longer says {old!r}"
    found = problems(text.replace(old, new, 1))
    assert any(words in line for line in found), found


@pytest.mark.parametrize("name", NAMES)
def test_every_number_has_a_source_or_is_null(name):
    """Without provenance every number written is missed by its path, and nothing else is."""
    head, _, _ = text_of(name).partition("\nprovenance:\n")
    data = parse_document(head, "device.yaml").data
    assert not problems(text_of(name))
    found = problems(f"{head}\nprovenance: {{}}\n")
    missed = {line.split("'")[1] for line in found if "has no provenance" in line}
    written = set()
    for engine, spec in data["compute"].items():
        written |= {f"compute.{engine}.count"}
        for dtype, rate in spec["rates"].items():
            keys = rate.keys() & {"peak", "ops_per_cycle", "achievable"}
            written |= {f"compute.{engine}.rates.{dtype}.{key}" for key in keys}
    for level, spec in data["memory"].items():
        keys = {"capacity", "bandwidth", "achievable"} & spec.keys()
        written |= {f"memory.{level}.{key}" for key in keys if spec[key] is not None}
    assert written <= missed
    assert {f"clocks.{clock}" for clock in data["clocks"]} <= missed
    assert ("tdp" in missed) == (data["tdp"] is not None)
