"""`efficiency` and `accuracy` in a hardware file: strict, with units, bounds and provenance."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from perfmodel.catalog import parse_document, resolve
from perfmodel.cli import main
from perfmodel.errors import InvalidFileError
from perfmodel.machine import PARAMETERS, efficiency_of, load_hardware
from perfmodel.machine.efficiency import FAMILIES, Efficiency, Estimate, Spread
from perfmodel.machine.efficiency_file import with_efficiency, write_efficiency
from perfmodel.machine.read import machine_from_document

TEXT = resolve("l4", "hardware").read_text(encoding="utf-8")
FROM = "n: 50, residual: 0.08, date: 2026-11-28, source: kernels.csv"


def with_block(block: str) -> str:
    head, sources, rest = TEXT.partition("\nsources:")
    return f"{head}\n{block}{sources}{rest}"


def read(block: str):
    return machine_from_document(parse_document(with_block(block), "l4.yaml"))


def test_what_a_file_states_is_taken_and_the_rest_comes_from_the_rules():
    machine = read(
        "efficiency:\n"
        f"  launch_eager: {{value: 24.5 us, method: fitted, {FROM}}}\n"
        "  memory_share: {value: 0.71, method: carried over, source: v100-pcie-32gb}\n"
        "accuracy:\n"
        f"  product: {{factor: 1.25, method: measured, {FROM}}}\n"
    )
    rules, found = efficiency_of(load_hardware("l4")), efficiency_of(machine)
    assert found.parameters["launch_eager"] == Estimate(
        24.5e-6, "fitted", 50, 0.08, "2026-11-28", "kernels.csv"
    )
    assert found["memory_share"] == 0.71
    assert found.parameters["memory_share"].method == "carried over"
    assert found.spread["product"] == 1.25
    for name in set(PARAMETERS) - {"launch_eager", "memory_share"}:
        assert found.parameters[name] == rules.parameters[name]
    for family in set(FAMILIES) - {"product"}:
        assert found.spreads[family] == rules.spreads[family]


def test_a_file_without_efficiency_states_none():
    assert load_hardware("l4").efficiency is None


def test_what_is_written_is_read_back():
    parameters = {
        name: Estimate((p.least + p.most) / 7, "fitted", 3, 0.125, "2026-11-28", 'odd "name": #1')
        for name, p in PARAMETERS.items()
        if p.least <= (p.least + p.most) / 7
    }
    spreads = {
        f: Spread(1.5, "measured", 9, 0.1, "2026-11-28", "\N{GREEK SMALL LETTER MU}")
        for f in FAMILIES
    }
    machine = read(write_efficiency(Efficiency(parameters, spreads)))
    assert machine.efficiency is not None
    assert machine.efficiency.spreads == spreads
    for name, item in machine.efficiency.parameters.items():
        assert item.value == pytest.approx(parameters[name].value, rel=1e-5)
        assert vars(item) | {"value": 0} == vars(parameters[name]) | {"value": 0}


def test_writing_twice_replaces_and_keeps_every_other_line():
    known = efficiency_of(load_hardware("l4"))
    once = with_efficiency(TEXT, "l4-a", "l4", known)
    twice = with_efficiency(once, "l4-a", "l4", known)
    assert twice == once
    lines = once.splitlines()
    assert [line for line in TEXT.splitlines() if line not in lines] == ["name: l4"]


WRONG = {
    "unknown parameter": (
        "efficiency:\n  matrx_share: {value: 1, method: default}\n",
        "matrx_share:",
        ["unknown parameter 'matrx_share'", "known: |did you mean"],
    ),
    "unknown family": (
        "accuracy:\n  gemm: {factor: 1.2, method: default}\n",
        "gemm:",
        ["unknown family of kernels 'gemm'"],
    ),
    "no unit": (
        "efficiency:\n  launch_eager: {value: 24, method: default}\n",
        "24,",
        ["launch_eager: bare number 24", "2.5 us"],
    ),
    "another unit": (
        "efficiency:\n  launch_eager: {value: 24 MB, method: default}\n",
        "24 MB",
        ["launch_eager: found '24 MB'", "capacity", "time"],
    ),
    "a unit where none is": (
        "efficiency:\n  memory_share: {value: 80 %, method: default}\n",
        "80 %",
        ["memory_share: found '80 %'", "plain number"],
    ),
    "above its bound": (
        "efficiency:\n  memory_share: {value: 1.02, method: default}\n",
        "1.02",
        ["memory_share is 1.02, expected 0.05 to 1"],
    ),
    "below its bound": (
        "efficiency:\n  cache_gain: {value: 0.5, method: default}\n",
        "0.5,",
        ["cache_gain is 0.5, expected 1 to 20"],
    ),
    "far too long": (
        "efficiency:\n  launch_eager: {value: 24 ms, method: default}\n",
        "24 ms",
        ["launch_eager is 24 ms, expected 0 s to 10 ms"],
    ),
    "unknown method": (
        "efficiency:\n  memory_share: {value: 0.8, method: guessed}\n",
        "guessed",
        ["'measured', 'fitted', 'carried over' or 'default'"],
    ),
    "fitted to nothing": (
        "efficiency:\n  memory_share: {value: 0.8, method: fitted}\n",
        "{value",
        ["method 'fitted' needs n, residual, date, source"],
    ),
    "measured without a date": (
        "efficiency:\n"
        "  memory_share: {value: 0.8, method: measured, n: 3, residual: 0.1, source: a}\n",
        "{value",
        ["method 'measured' needs date"],
    ),
    "carried over from nowhere": (
        "efficiency:\n  memory_share: {value: 0.8, method: carried over}\n",
        "{value",
        ["method 'carried over' needs source"],
    ),
    "no such day": (
        "efficiency:\n  memory_share: {value: 0.8, method: default, date: 2026-02-30}\n",
        "2026-02-30",
        ["expected a date as 2026-11-28"],
    ),
    "no rows": (
        f"efficiency:\n  memory_share: {{value: 0.8, method: fitted, {FROM.replace('50', '0')}}}\n",
        "0, residual",
        ["greater than or equal to 1"],
    ),
    "an unknown key": (
        "efficiency:\n  memory_share: {value: 0.8, methode: default}\n",
        "methode",
        ["unknown key 'methode'", "method"],
    ),
    "a factor below 1": (
        "accuracy:\n  product: {factor: 0.9, method: default}\n",
        "0.9",
        ["greater than or equal to 1"],
    ),
    "a list": ("efficiency: [0.8]\n", "[0.8]", ["expected a mapping"]),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_wrong_entry_is_refused_where_it_stands(mistake, tmp_path, capsys):
    block, fragment, words = WRONG[mistake]
    text = with_block(block)
    start = text.index(fragment, text.index(block))
    line = text.count("\n", 0, start) + 1
    column = start - text.rfind("\n", 0, start)
    with pytest.raises(InvalidFileError) as caught:
        machine_from_document(parse_document(text, "l4.yaml"))
    first = str(caught.value.problems[0])
    assert first.startswith(f"l4.yaml:{line}:{column}: "), first
    for word in words:
        assert re.search(word, first), first
    file = tmp_path / "l4.yaml"
    file.write_text(text, encoding="utf-8")
    assert main(["check", str(file)]) == 2
    assert f"l4.yaml:{line}:{column}" in capsys.readouterr().err
    assert main(["analyze", "relu:elements=8", "-H", str(Path(file))]) == 2


@pytest.mark.parametrize("width", [80, 200])
@pytest.mark.parametrize("device", ["l4", "gaudi2", "xeon-platinum-8480", "tpu-v4", "jetson-orin"])
def test_the_page_of_a_device_fits_and_has_every_part(device, width, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    assert main(["show", "hardware", device]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= width
    for part in (
        "roofs",
        "memory, nearest first",
        "efficiency",
        "accuracy known",
        "sources",
        "[1]",
    ):
        assert part in out
    for name in PARAMETERS:
        assert name in out
    assert "never measured" in out


def test_the_page_as_json_is_in_si_and_its_ridges_are_peak_over_bandwidth(capsys):
    import json

    assert main(["show", "hardware", "a100-80gb-sxm", "--format", "json"]) == 0
    data = json.loads(capsys.readouterr().out)
    levels = {level["level"]: level["bandwidth_bytes_per_s"] for level in data["memory"]}
    assert levels["hbm"] == 2039e9
    roofs = {(r["kind"], r["format"]): r for r in data["roofs"]}
    assert roofs["matrix", "bf16"]["ridges"]["hbm"] == pytest.approx(312e12 / 2039e9)
    assert roofs["matrix", "bf16"]["ridges"]["l2"] == pytest.approx(312e12 / levels["l2"])
    assert {e["parameter"] for e in data["efficiency"]} == set(PARAMETERS)
    assert all(item["source"] in (None, *range(1, 20)) for item in data["provenance"])
    assert main(["show", "hardware", "a100-80gb-sxm", "--format", "markdown"]) == 0
    assert "| tensor-core | matrix | 108 | bf16 | 312 TFLOP/s |" in capsys.readouterr().out
