"""The built-in devices, and what the checker of hardware files refuses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

import perfmodel
from perfmodel.catalog import builtin_names, resolve
from perfmodel.core.formats import FORMATS
from perfmodel.errors import InputError, InvalidFileError

NAMES = builtin_names("hardware")
TERA, GIGA, GIB = 1e12, 1e9, 2.0**30

# Dense 16-bit matrix peak, DRAM bandwidth, DRAM capacity, units of the main engine.
HEADLINES = {
    # Ampere Architecture In-Depth, Table 3: "Peak FP16 Tensor TFLOPS with FP32 Accumulate 125",
    # "Memory Bandwidth 900 GB/sec", "SMs 80".
    "v100-sxm2-16gb": ("fp16", 125 * TERA, 900 * GIGA, 16 * GIGA, 80),
    # the same table: 312 (624 is sparse), "SMs 108"; A100 data sheet, 80GB SXM: "2,039GB/s"
    "a100-80gb-sxm": ("bf16", 312 * TERA, 2039 * GIGA, 80 * GIGA, 108),
    # H100 data sheet, SXM: "1,979 teraFLOPS" with sparsity, "80GB", "3.35TB/s"; 132 SMs
    "h100-sxm": ("bf16", 1979 * TERA / 2, 3.35 * TERA, 80 * GIGA, 132),
    # H200 data sheet, SXM: "1,979 TFLOPS" with sparsity, "141GB", "4.8TB/s"
    "h200-sxm": ("bf16", 1979 * TERA / 2, 4.8 * TERA, 141 * GIGA, 132),
    # L4 data sheet: "FP16 Tensor Core 242 teraFLOPs" with sparsity, "24GB", "300GB/s"; 7424 cores
    "l4": ("fp16", 242 * TERA / 2, 300 * GIGA, 24 * GIGA, 58),
    # CDNA 3 white paper, Table 2: "FP16 1,307.4 TF", "up to 5.3 TB/sec", "192 GB HBM3", 304 CUs
    "mi300x": ("fp16", 1307.4 * TERA, 5.3 * TERA, 192 * GIGA, 304),
    # ARK: 28 cores, 2 AVX-512 FMA units, 6 x DDR4-2933, 1 TB; fp32 at the AVX-512 clock, 2.4 GHz
    "xeon-platinum-8280": ("fp32", 28 * 64 * 2.4 * GIGA, 6 * 8 * 2.933 * GIGA, 1 * TERA, 28),
    # AMD: 96 cores, all-core boost 3.55 GHz, 12 x DDR5-4800, 6 TB; fp32 with two 256-bit FMA pipes
    "epyc-9654": ("fp32", 96 * 32 * 3.55 * GIGA, 460.8 * GIGA, 6 * TERA, 96),
    # Cloud TPU, v4: "275 teraflops (bf16 or int8)", "32 GiB, 1200 GBps"; 2 TensorCores x 4 MXUs
    "tpu-v4": ("bf16", 275 * TERA, 1200 * GIGA, 32 * GIB, 8),
    # Cloud TPU, v5e: "197 TFLOPs", "16 GB, 819 GBps"; four MXUs
    "tpu-v5e": ("bf16", 197 * TERA, 819 * GIGA, 16 * GIGA, 4),
}


def a100() -> str:
    return resolve("a100-80gb-sxm", "hardware").read_text(encoding="utf-8")


def refusals(tmp_path: Path, text: str) -> list[str]:
    """Return the problems for which ``text`` is refused as a hardware file, one line each."""
    file = tmp_path / "device.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        perfmodel.load_hardware(str(file))
    error = caught.value
    problems = error.problems if isinstance(error, InvalidFileError) else [error]
    return [str(problem) for problem in problems]


def refusal(tmp_path: Path, text: str) -> str:
    return "\n".join(refusals(tmp_path, text))


def planted(text: str, old: str, new: str) -> str:
    assert old in text, f"the a100 file no longer says {old!r}"
    return text.replace(old, new, 1)


def place(text: str, fragment: str, after: str = "") -> str:
    """Return the ``device.yaml:line:column`` at which ``fragment`` stands."""
    start = text.index(fragment, text.index(after))
    line = text.count("\n", 0, start) + 1
    return f"device.yaml:{line}:{start - text.rfind(chr(10), 0, start)}"


def test_the_catalogue_has_the_ten_devices():
    assert set(HEADLINES) <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_builtin_device_loads_under_its_own_name(name):
    machine = perfmodel.load_hardware(name)
    assert machine.name == name
    assert machine.vendor
    assert machine.title
    assert perfmodel.load_hardware(machine) is machine


@pytest.mark.parametrize("name", HEADLINES)
def test_headline_figures_are_the_vendors(name):
    dtype, peak, bandwidth, capacity, units = HEADLINES[name]
    machine = perfmodel.load_hardware(name)
    engine, rate, _ = machine.rate("matrix", dtype)
    assert rate.dtype == dtype
    assert rate.peak == pytest.approx(peak, rel=0.001)
    assert engine.count == units
    assert machine.last_level.bandwidth == pytest.approx(bandwidth, rel=0.001)
    assert machine.capacity == pytest.approx(capacity, rel=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_every_rate_and_count_is_positive(name):
    for engine, rate in perfmodel.load_hardware(name).roofs():
        assert engine.count > 0
        assert rate.peak > 0
        assert rate.achievable is None or 0 < rate.achievable <= rate.peak


@pytest.mark.parametrize("name", NAMES)
def test_every_rate_says_what_a_unit_does_in_a_cycle(name):
    for engine, rate in perfmodel.load_hardware(name).roofs():
        assert rate.ops_per_cycle is not None, (engine.name, rate.dtype)


@pytest.mark.parametrize("name", NAMES)
def test_a_narrower_format_is_never_slower_on_the_same_engine(name):
    for engine, rate in perfmodel.load_hardware(name).roofs():
        for wider in FORMATS[rate.dtype].wider:
            if wider in engine.rates:
                assert rate.peak >= engine.rates[wider].peak, (engine.name, rate.dtype, wider)


@pytest.mark.parametrize("name", NAMES)
def test_an_fp32_network_runs_on_every_device(name):
    machine = perfmodel.load_hardware(name)
    for kind in ("matrix", "vector", "special"):
        assert machine.rate(kind, "fp32") is not None


@pytest.mark.parametrize("name", NAMES)
def test_bandwidth_falls_with_distance_and_capacity_grows_from_cache_to_memory(name):
    memory = perfmodel.load_hardware(name).memory
    known = [level.bandwidth for level in memory if level.bandwidth is not None]
    assert known == sorted(known, reverse=True)
    assert all(
        level.capacity * level.instances < memory[-1].capacity
        for level in memory[:-1]
        if level.capacity is not None
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_link_is_slower_than_the_memory(name):
    machine = perfmodel.load_hardware(name)
    for link in machine.links:
        assert link.bandwidth_per_direction < machine.last_level.bandwidth


@pytest.mark.parametrize("name", NAMES)
def test_every_provenance_entry_has_a_url_or_says_that_it_is_assumed_or_derived(name):
    for source in perfmodel.load_hardware(name).provenance:
        if source.method in ("assumed", "derived"):
            assert source.note, source.field
        else:
            assert re.match(r"https://\S+$", source.url or ""), source.field
            assert len(source.quote or "") > 2, source.field


@pytest.mark.parametrize("name", NAMES)
def test_no_provenance_is_a_placeholder_or_a_sparse_figure(name):
    for source in perfmodel.load_hardware(name).provenance:
        assert source.quote not in ("x", "?", "TODO")
        assert source.note not in ("x", "?", "TODO")
        if source.field.endswith(".sparse_2_4"):
            assert source.sparsity == "sparse", source.field
        elif "compute" not in source.field:
            assert source.sparsity in (None, "dense"), source.field
        elif not source.field.endswith((".count", ".tile")):
            assert source.sparsity == "dense", source.field


@pytest.mark.parametrize("name", NAMES)
def test_every_source_of_a_builtin_file_is_used_or_named_in_a_note(name):
    data = yaml.safe_load(resolve(name, "hardware").read_text(encoding="utf-8"))
    entries = data["provenance"].values()
    notes = " ".join(entry.get("note", "") for entry in entries)
    for key in data["sources"]:
        assert key in {entry.get("source") for entry in entries} or key in notes


def test_the_a100_file_itself_passes_from_a_path(tmp_path):
    file = tmp_path / "device.yaml"
    file.write_text(a100(), encoding="utf-8")
    assert perfmodel.load_hardware(str(file)) == perfmodel.load_hardware("a100-80gb-sxm")


def test_a_sparse_peak_is_refused(tmp_path):
    text = planted(a100(), "312 TFLOP/s", "624 TFLOP/s")
    message = refusal(tmp_path, text)
    assert place(text, "624 TFLOP/s") in message
    assert "sparse" in message


def test_a_figure_marked_sparse_is_refused(tmp_path):
    text = planted(a100(), "sparsity: dense", "sparsity: sparse")
    message = refusal(tmp_path, text)
    assert place(text, "compute.tensor-core:") in message
    assert "sparse" in message


def test_a_peak_that_says_neither_dense_nor_sparse_is_refused(tmp_path):
    message = refusal(tmp_path, planted(a100(), "    sparsity: dense\n", ""))
    assert re.search(r"device\.yaml:\d+:\d+", message)
    assert "sparsity: dense" in message


# What is planted in the a100 file, and what one line of the answer must say.
PLANTED = {
    "capacity for a bandwidth": ("2039 GB/s", "2039 GB", ["2039 GB", "capacity", "bandwidth"]),
    "binary bandwidth": ("2039 GB/s", "1899 GiB/s", ["1899 GiB/s", "decimal", "2039.04 GB/s"]),
    "bits": ("2039 GB/s", "2039 Gb/s", ["2039 Gb/s", "bits"]),
    "bare number": ("2039 GB/s", "2039", ["2039", "unit"]),
    "decimal cache": ("40 MiB", "40 MB", ["40 MB", "decimal", "MiB"]),
    "wrong unit of a rate": ("156 TFLOP/s", "156 TFLOPS", ["TFLOPS", "156 TFLOP/s"]),
    "thousandfold too small": ("156 TFLOP/s", "156 GFLOP/s", ["stated peak", "0.001 times"]),
    "far level faster than the near one": (
        "7.219 TB/s",
        "1.555 TB/s",
        ["'hbm' is faster than the nearer level 'l2'"],
    ),
    "unknown clock": (
        "clock: boost\n    tile",
        "clock: bost\n    tile",
        ["unknown clock 'bost'", "boost"],
    ),
    "unknown format": ("      tf32:", "      fp19:", ["unknown number format", "fp19"]),
    "alias of a format": ("      tf32:", "      float32:", ["float32", "fp32"]),
    "unknown source": (
        "source: architecture",
        "source: architectur",
        ["unknown source 'architectur'", "architecture"],
    ),
    "misspelt key": (
        "ops_per_cycle: 128, peak: 19.5",
        "ops_per_cyle: 128, peak: 19.5",
        ["unknown key 'ops_per_cyle'", "ops_per_cycle"],
    ),
    "provenance of nothing": (
        "  clocks.boost:",
        "  clocks.bost:",
        ["'clocks.bost' names no number", "clocks.boost"],
    ),
    "no bandwidth of the memory": (
        "bandwidth: 2039 GB/s",
        "bandwidth: null",
        ["'hbm' has no bandwidth"],
    ),
    "achievable above the peak": (
        "peak: 156 TFLOP/s",
        "peak: 156 TFLOP/s, achievable: 200 TFLOP/s",
        ["achievable", "above the peak"],
    ),
    "datasheet without a quote": (
        ', quote: "mma.sync.aligned.m16n8k16"',
        "",
        ["'datasheet' needs a quote"],
    ),
}


@pytest.mark.parametrize("mistake", PLANTED)
def test_a_planted_mistake_is_refused_with_its_place_and_mend(mistake, tmp_path):
    old, new, words = PLANTED[mistake]
    lines = refusals(tmp_path, planted(a100(), old, new))
    line = next((at for at in lines if all(word in at for word in words)), None)
    assert line is not None, lines
    assert re.search(r"device\.yaml:\d+:\d+: ", line)
    assert len(line) < 400


def test_the_place_of_a_mistake_is_where_it_stands(tmp_path):
    for old, new in (("2039 GB/s", "2039 GB"), ("40 MiB", "40 MB"), ("156 TFLOP/s", "157.5 TOPS")):
        text = planted(a100(), old, new)
        assert place(text, new) in refusal(tmp_path, text)


def test_a_wrong_count_is_refused_for_every_rate_of_the_engine(tmp_path):
    text = planted(a100(), "count: 108            #", "count: 128            #")
    message = refusal(tmp_path, text)
    for peak in ("312 TFLOP/s", "156 TFLOP/s", "1248 TOP/s"):
        assert place(text, peak) in message
    assert "128 units" in message


def test_the_boost_clock_of_another_part_is_refused(tmp_path):
    message = refusal(tmp_path, planted(a100(), "boost: 1410 MHz", "boost: 1530 MHz"))
    assert "2 % is allowed" in message


def test_a_removed_provenance_entry_is_named_with_its_number(tmp_path):
    text = re.sub(r"\n  clocks\.boost: \{.*\}", "", a100(), count=1)
    assert text != a100()
    message = refusal(tmp_path, text)
    assert f"{place(text, '1410 MHz')}: 'clocks.boost' has no provenance" in message


def test_a_link_pasted_as_the_memory_bandwidth_is_refused(tmp_path):
    # onnx-tool's H20: NVLink's 900 GB/s in the field of HBM; here the L2 gets the link's figure
    text = planted(a100(), "bandwidth: 7.219 TB/s", "bandwidth: 600 GB/s")
    message = refusal(tmp_path, text)
    assert place(text, "2039 GB/s") in message
    assert "'hbm' is faster than the nearer level 'l2'" in message


def test_all_mistakes_of_a_file_are_reported_at_once(tmp_path):
    text = planted(a100(), "312 TFLOP/s", "624 TFLOP/s")
    text = planted(text, "40 MiB", "40 MB")
    text = planted(text, "source: architecture", "source: architectur")
    message = refusal(tmp_path, text)
    assert "sparse" in message
    assert "40 MB" in message
    assert "unknown source" in message
