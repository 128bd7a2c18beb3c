"""NVIDIA's devices: figures of the data sheets, and what variants of one chip must share."""

from __future__ import annotations

import pytest

import perfmodel

TERA, GIGA = 1e12, 1e9
MIB = 2.0**20

# Format, dense matrix peak, DRAM bandwidth and capacity, multiprocessors, L2, boost MHz, watts.
HEADLINES = {
    # Tesla P4 data sheet: 5.5 TeraFLOPS, 8 GB, 192 GB/s; no tensor cores
    "p4": ("fp32", 5.5 * TERA, 192 * GIGA, 8 * GIGA, 20, 2 * MIB, 1063, 75),
    # Tesla P100 PCIe data sheet: 9.3 TeraFLOPS, 16 GB, 732 GB/s; no tensor cores
    "p100-pcie-16gb": ("fp32", 9.3 * TERA, 732 * GIGA, 16 * GIGA, 56, 4 * MIB, 1303, 250),
    # V100 data sheet: 112 (PCIe) and 125 (SXM2) TFLOPS, 32 GB, 900 GB/s
    "v100-pcie-32gb": ("fp16", 112 * TERA, 900 * GIGA, 32 * GIGA, 80, 6 * MIB, 1380, 250),
    "v100-sxm2-32gb": ("fp16", 125 * TERA, 900 * GIGA, 32 * GIGA, 80, 6 * MIB, 1530, 300),
    # T4: 65 TFLOPS mixed precision, 16 GB of GDDR6 at 10 Gbps on 256 bits
    "t4": ("fp16", 65 * TERA, 320 * GIGA, 16 * GIGA, 40, 4 * MIB, 1590, 70),
    # A10 data sheet: "125 TF | 250 TF*", 24 GB, 600 GB/s
    "a10": ("bf16", 125 * TERA, 600 * GIGA, 24 * GIGA, 72, 6 * MIB, 1695, 150),
    # A30 data sheet: "165 teraFLOPS | 330 teraFLOPS*", 24 GB, 933 GB/s
    "a30": ("bf16", 165 * TERA, 933 * GIGA, 24 * GIGA, 56, 24 * MIB, 1440, 165),
    # A40 data sheet: "149.7 | 299.4*", 48 GB, 696 GB/s
    "a40": ("bf16", 149.7 * TERA, 696 * GIGA, 48 * GIGA, 84, 6 * MIB, 1740, 300),
    # A100 data sheet, one column a variant
    "a100-40gb-pcie": ("bf16", 312 * TERA, 1555 * GIGA, 40 * GIGA, 108, 40 * MIB, 1410, 250),
    "a100-40gb-sxm": ("bf16", 312 * TERA, 1555 * GIGA, 40 * GIGA, 108, 40 * MIB, 1410, 400),
    "a100-80gb-pcie": ("bf16", 312 * TERA, 1935 * GIGA, 80 * GIGA, 108, 40 * MIB, 1410, 300),
    # L40S data sheet: "362.05 | 733*", 48 GB, 864 GB/s
    "l40s": ("bf16", 362.05 * TERA, 864 * GIGA, 48 * GIGA, 142, 96 * MIB, 2520, 350),
    # H100 data sheet, PCIe: 1,513 teraFLOPS with sparsity; HBM2e of 1593 MHz on 5120 bits
    "h100-pcie": ("bf16", 1513 * TERA / 2, 2039 * GIGA, 80 * GIGA, 114, 50 * MIB, 1755, 350),
    # GH200 data sheet: 1,979 teraFLOPS with sparsity, 96 GB of HBM3, 4 TB/s; 1000 W with Grace
    "gh200": ("bf16", 1979 * TERA / 2, 4 * TERA, 96 * GIGA, 132, 60 * MIB, 1980, 1000),
    # GA102 white paper, RTX 3090: 71 TFLOPS with FP32 accumulate, 24 GB, 936 GB/s
    "rtx-3090": ("bf16", 71.2 * TERA, 936 * GIGA, 24 * GIGA, 82, 6 * MIB, 1695, 350),
    # Ada white paper, RTX 4090: 165.2 TFLOPS with FP32 accumulate, 24 GB, 1008 GB/s
    "rtx-4090": ("bf16", 165.2 * TERA, 1008 * GIGA, 24 * GIGA, 128, 72 * MIB, 2520, 450),
}

# Cards with the same multiprocessors at the same clocks; only memory, links and power differ.
TWINS = [
    ("v100-sxm2-16gb", "v100-sxm2-32gb"),
    ("a100-80gb-sxm", "a100-80gb-pcie"),
    ("a100-80gb-sxm", "a100-40gb-sxm"),
    ("a100-80gb-sxm", "a100-40gb-pcie"),
    ("h100-sxm", "gh200"),
]

# A smaller or slower part of the same chip family: each rate is scaled by units and clock alone.
SCALED = [
    ("v100-sxm2-32gb", "v100-pcie-32gb"),
    ("a100-80gb-sxm", "a30"),
    ("h100-sxm", "h100-pcie"),
    ("a40", "a10"),
]


def level(machine, name):
    return next(one for one in machine.memory if one.name == name)


@pytest.mark.parametrize("name", HEADLINES)
def test_headline_figures_are_nvidias(name):
    dtype, peak, bandwidth, capacity, units, l2, clock, watts = HEADLINES[name]
    machine = perfmodel.load_hardware(name)
    engine, rate, _ = machine.rate("matrix", dtype)
    assert rate.dtype == dtype
    assert rate.peak == pytest.approx(peak, rel=0.001)
    assert engine.count == units
    assert machine.last_level.bandwidth == pytest.approx(bandwidth, rel=0.001)
    assert machine.capacity == pytest.approx(capacity, rel=1e-12)
    assert level(machine, "l2").capacity == l2
    assert machine.clocks["boost"] == clock * 1e6
    assert machine.tdp == watts


@pytest.mark.parametrize(("one", "other"), TWINS)
def test_variants_that_differ_in_memory_only_compute_alike(one, other):
    first, second = perfmodel.load_hardware(one), perfmodel.load_hardware(other)
    assert first.engines == second.engines
    assert first.clocks == second.clocks
    for name in ("registers", "l1"):
        assert level(first, name) == level(second, name)


@pytest.mark.parametrize(("one", "other"), SCALED)
def test_a_smaller_part_does_as_much_per_unit_and_cycle(one, other):
    first, second = perfmodel.load_hardware(one), perfmodel.load_hardware(other)
    for whole, part in zip(first.engines, second.engines, strict=True):
        assert whole.tile == part.tile
        assert {d: r.ops_per_cycle for d, r in whole.rates.items()} == {
            d: r.ops_per_cycle for d, r in part.rates.items()
        }


@pytest.mark.parametrize("name", ["rtx-3090", "rtx-4090"])
def test_geforce_sums_in_fp32_at_half_the_rate_of_the_data_center_card(name):
    sibling = {"rtx-3090": "a40", "rtx-4090": "l40s"}[name]
    for dtype, share in (("tf32", 2), ("bf16", 2), ("fp16", 2), ("int8", 1)):
        _, slow, _ = perfmodel.load_hardware(name).rate("matrix", dtype)
        _, full, _ = perfmodel.load_hardware(sibling).rate("matrix", dtype)
        assert slow.ops_per_cycle * share == full.ops_per_cycle, dtype


@pytest.mark.parametrize("name", ["p4", "p100-pcie-16gb", "v100-pcie-32gb", "t4"])
def test_a_format_before_its_time_runs_in_a_wider_one(name):
    for dtype in ("tf32", "bf16", "fp8_e4m3"):
        _, rate, _ = perfmodel.load_hardware(name).rate("matrix", dtype)
        assert rate.dtype in ("fp16", "fp32")


def test_pascal_multiplies_int8_four_at_a_time_only_on_the_inference_card():
    _, p4, _ = perfmodel.load_hardware("p4").rate("matrix", "int8")
    _, fp32, _ = perfmodel.load_hardware("p4").rate("matrix", "fp32")
    assert p4.peak == pytest.approx(4 * fp32.peak)
    _, p100, _ = perfmodel.load_hardware("p100-pcie-16gb").rate("matrix", "int8")
    assert p100.dtype == "fp16"
