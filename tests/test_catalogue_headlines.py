"""Headline figures of Blackwell, Instinct and Gaudi devices, typed from the vendors' tables."""

from __future__ import annotations

import pytest

import perfmodel

TERA, GIGA = 1e12, 1e9

# Format, its dense matrix peak, fp32 vector peak, DRAM bandwidth, DRAM capacity, units.
# What a vendor prints with 2:4 sparsity is written here as half of the printed figure.
HEADLINES = {
    # Blackwell data sheet, HGX B200 column: 4.5 PFLOPS sparse, 75 TFLOPS, "180GB", "7.7TB/s"
    "b200-sxm": ("bf16", 4500 / 2, 75, 7.7 * TERA, 180, 148),
    # the same, GB200 NVL72 column: 5 PFLOPS sparse, 80 TFLOPS, "186GB", "8TB/s"
    "gb200": ("bf16", 5000 / 2, 80, 8 * TERA, 186, 152),
    # HGX B300, 8 GPUs: FP4 108 PFLOPS dense, FP32 600 TFLOPS; "270 GB", "7.7 TB/s"
    "b300-sxm": ("nvfp4", 108000 / 8, 600 / 8, 7.7 * TERA, 270, 148),
    # GB300 NVL72, 72 GPUs: FP4 1,080 PFLOPS dense; "279 GB", "8 TB/s"
    "gb300": ("nvfp4", 1080000 / 72, 80, 8 * TERA, 279, 152),
    # RTX Blackwell white paper, Table 3: BF16 with FP32 accumulate 209.5 (419 sparse), FP32 104.8
    "rtx-5090": ("bf16", 419 / 2, 104.8, 1792 * GIGA, 32, 170),
    # its specification: TF32 234 (dense), 1597 GB/s, 96 GB, 24,064 cores; 120 rounds 117
    "rtx-pro-6000-server": ("tf32", 234, 117, 1597 * GIGA, 96, 24064 // 128),
    # Technical Brief: 170 sparse TOPs of int8 on the GPU, 5.3 FP32 TFLOPs, 204.8 GB/s
    "jetson-orin": ("int8", 170 / 2, 5.3, 204.8 * GIGA, 64, 2048 // 128),
    # CDNA 2 white paper, Table 1 and endnote 5: Matrix FP16 184.6, Vector FP32 23.1, 1.2288 TB/s
    "mi100": ("fp16", 184.6, 23.1, 1.2288 * TERA, 32, 120),
    # CDNA 2 white paper, product offerings: 104 CU, FP16 181.0, FP32 vector 22.6, 1.6384 TB/s
    "mi210": ("fp16", 181, 22.6, 1.6384 * TERA, 64, 104),
    # the same: 220 CU of both dies, FP16 383.0, FP32 vector 47.9, 3.2768 TB/s
    "mi250x": ("fp16", 383, 47.9, 3.2768 * TERA, 128, 220),
    # its data sheet: FP16 1,307.4, FP32 163.4, 256 GB, 6 TB/s
    "mi325x": ("fp16", 1307.4, 163.4, 6 * TERA, 256, 304),
    # CDNA 4 white paper: 256 CU, BF16 2.5 PF (5.03 sparse), 288 GB, 8 TB/s
    "mi355x": ("bf16", 5033 / 2, 157.3, 8 * TERA, 288, 256),
    # Hot Chips 2024: BF16 432 TFLOPs, 96 GB, 2.46 TB/s; vector BF16 11 TFLOPs, fp32 half of it
    "gaudi2": ("bf16", 432, 11 / 2, 2.46 * TERA, 96, 2),
    # Hot Chips 2024: BF16 1835 TFLOPs, vector BF16 28.7, 128 GB, 3.67 TB/s, 8 MMEs
    "gaudi3": ("bf16", 1835, 28.7 / 2, 3.67 * TERA, 128, 8),
}


@pytest.mark.parametrize("name", HEADLINES)
def test_headline_figures_are_the_vendors(name):
    dtype, peak, vector, bandwidth, capacity, units = HEADLINES[name]
    machine = perfmodel.load_hardware(name)
    engine, rate, _ = machine.rate("matrix", dtype)
    assert (rate.dtype, engine.kind, engine.count) == (dtype, "matrix", units)
    assert rate.peak == pytest.approx(peak * TERA, rel=0.005)
    _, fp32, _ = machine.rate("vector", "fp32")
    assert fp32.dtype == "fp32"
    assert fp32.peak == pytest.approx(vector * TERA, rel=0.01)
    assert machine.last_level.bandwidth == pytest.approx(bandwidth, rel=0.001)
    assert machine.capacity == pytest.approx(capacity * GIGA, rel=1e-12)


@pytest.mark.parametrize(("superchip", "module"), [("gb200", "b200-sxm"), ("gb300", "b300-sxm")])
def test_the_gpu_of_a_superchip_does_as_much_per_unit_and_cycle(superchip, module):
    def per_cycle(name):
        return {
            (engine.name, rate.dtype): rate.ops_per_cycle
            for engine, rate in perfmodel.load_hardware(name).roofs()
        }

    assert per_cycle(superchip) == per_cycle(module)
