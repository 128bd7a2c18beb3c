"""Accelerators, CPUs and Apple GPUs of the catalogue against their makers' headline figures."""

from __future__ import annotations

import pytest

import perfmodel

TERA, GIGA, GIB = 1e12, 1e9, 2.0**30

# Format, dense matrix peak, memory bandwidth and capacity, units of the engine that does it.
HEADLINES = {
    # Ten Lessons (ISCA 2021), Table 1: 46 TFLOP/s, 700 GB/s, 16 GiB, 2 cores with one MXU each
    "tpu-v2": ("bf16", 46 * TERA, 700 * GIGA, 16 * GIB, 2),
    # Cloud TPU, v3: "123 teraflops (bf16)", "32 GiB, 900 GBps"; 2 TensorCores x 2 MXUs
    "tpu-v3": ("bf16", 123 * TERA, 900 * GIGA, 32 * GIB, 4),
    # Cloud TPU, v5p: 459 (BF16), 2765 GBps, 95 GiB; 2 TensorCores x 4 MXUs
    "tpu-v5p": ("bf16", 459 * TERA, 2765 * GIGA, 95 * GIB, 8),
    # Cloud TPU, v6e: "918 TFLOPs", "1638 GBps", "32 GB"; "two 256x256 matrix-multiply units"
    "tpu-v6e": ("bf16", 918 * TERA, 1638 * GIGA, 32 * GIGA, 2),
    # AWS: "190 FP16/BF16/cFP8/TF32 TFLOPS", "32GiB and bandwidth of 820 GB/s"; 2 NeuronCores
    "trainium": ("bf16", 190 * TERA, 820 * GIGA, 32 * GIB, 2),
    "inferentia2": ("fp16", 190 * TERA, 820 * GIGA, 32 * GIB, 2),
    # AWS: 8 NeuronCores, 128 x 128 at 2.4 GHz ("79 TFLOPS"), "96 GiB", "2.9 TB/sec"
    "trainium2": ("bf16", 8 * 128 * 128 * 2 * 2.4 * GIGA, 2.9 * TERA, 96 * GIB, 8),
    # 64 cores, 2.45 GHz, two 256-bit FMA pipes; 8 x DDR4-3200; 4 TB
    "epyc-7763": ("fp32", 64 * 32 * 2.45 * GIGA, 204.8 * GIGA, 4 * TERA, 64),
    # ARK: 40 cores, 2.30 GHz, 2 AVX-512 FMA units; 8 x DDR4-3200; 6 TB
    "xeon-platinum-8380": ("fp32", 40 * 64 * 2.3 * GIGA, 204.8 * GIGA, 6 * TERA, 40),
    # ARK: 56 cores, 2.00 GHz, AMX with 1024 operations of bf16; 8 x DDR5-4800; 4 TB
    "xeon-platinum-8480": ("bf16", 56 * 1024 * 2.0 * GIGA, 307.2 * GIGA, 4 * TERA, 56),
    # AWS: 64 cores, 2600 MHz, 2 x SVE of 256 bits; 8 x DDR5-4800
    "graviton3": ("fp32", 64 * 32 * 2.6 * GIGA, 307.2 * GIGA, 512 * GIB, 64),
    # AWS: 96 cores, 2800 MHz, 4 x SVE of 128 bits; 12 x DDR5-5600
    "graviton4": ("fp32", 96 * 32 * 2.8 * GIGA, 537.6 * GIGA, 768 * GIB, 96),
    # Apple: 2.6 TFLOP/s (128 lanes in each of 8 cores at 1278 MHz); LPDDR4X-4266 of 128 bits
    "apple-m1": ("fp32", 8 * 256 * 1.278 * GIGA, 4.266 * 16 * GIGA, 16 * GIGA, 8),
    # Apple: 3.6 TFLOP/s, 100 GB/s (LPDDR5-6400 of 128 bits), 24 GB
    "apple-m2": ("fp32", 10 * 256 * 1.398 * GIGA, 6.4 * 16 * GIGA, 24 * GIGA, 10),
    "apple-m3": ("fp16", 10 * 256 * 1.398 * GIGA, 6.4 * 16 * GIGA, 24 * GIGA, 10),
}


@pytest.mark.parametrize("name", HEADLINES)
def test_headline_figures_are_the_makers(name: str) -> None:
    dtype, peak, bandwidth, capacity, units = HEADLINES[name]
    machine = perfmodel.load_hardware(name)
    found = machine.rate("matrix", dtype)
    assert found is not None
    engine, rate, _ = found
    assert rate.dtype == dtype
    assert rate.peak == pytest.approx(peak, rel=0.001)
    assert engine.count == units
    assert machine.last_level.bandwidth == pytest.approx(bandwidth, rel=0.001)
    assert machine.capacity == pytest.approx(capacity, rel=1e-12)


def test_a_peak_summed_over_unlike_engines_is_not_taken_for_the_matrix_engines() -> None:
    # AWS's page of Trainium2: 667 (bf16) and 1299 (fp8) TFLOP/s, both 35 above the tensor engines
    machine = perfmodel.load_hardware("trainium2")
    for dtype, printed in (("bf16", 667 * TERA), ("fp8_e4m3", 1299 * TERA)):
        found = machine.rate("matrix", dtype)
        assert found is not None
        assert printed - found[1].peak == pytest.approx(35 * TERA, rel=0.2)


def test_amx_takes_bf16_and_int8_but_fp16_and_fp32_run_on_the_vector_units() -> None:
    machine = perfmodel.load_hardware("xeon-platinum-8480")
    engines = {}
    for dtype in ("bf16", "int8", "fp16", "fp32"):
        found = machine.rate("matrix", dtype)
        assert found is not None
        engines[dtype] = found[0].name
    assert engines == {"bf16": "amx", "int8": "amx", "fp16": "avx512", "fp32": "avx512"}
