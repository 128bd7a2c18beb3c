"""Sparse weights: values as the dense layers', bytes and work saved apart."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from naive_references.convolution import convolved

import perfmodel
from perfmodel.catalog import builtin_names, resolve
from perfmodel.errors import InputError
from perfmodel.graph import Node
from perfmodel.kernels.naive import naive_kernel
from perfmodel.machine import ComputeEngine, Machine
from perfmodel.model import estimate

#: devices whose matrix engine skips the zeros of 2:4 weights
KNOW = (
    "a10", "a30", "a40", "a100-40gb-pcie", "a100-40gb-sxm", "a100-80gb-pcie", "a100-80gb-sxm",
    "b200-sxm", "b300-sxm", "gb200", "gb300", "gh200", "h100-pcie", "h100-sxm", "h200-sxm",
    "jetson-orin", "l4", "l40s", "mi300x", "mi325x", "rtx-3090", "rtx-4090", "rtx-5090",
    "rtx-pro-6000-server",
)  # fmt: skip
CONV = "sparse_conv2d:n=32,c=256,h=28,w=28,k=256,r=3,s=3,pad=1"


def _row(
    more: str = "",
    hardware: str | Machine = "h100-sxm",
    dtype: str = "fp16",
    m: int = 64,
    **options: Any,
) -> dict[str, Any]:
    inline = f"sparse_affine:m={m},n=512,k=1024{more}"
    return _rows(inline, hardware, dtype, **options)[0]


def _rows(
    inline: str, hardware: str | Machine = "h100-sxm", dtype: str = "fp16", **options: Any
) -> list[dict[str, Any]]:
    return perfmodel.analyze(inline, hardware, dtype=dtype, **options).operators


def _mask(
    random: np.random.Generator, rows: int, depth: int, pattern: str, kept: int, of: int
) -> tuple[Any, list[list[int]]]:
    """Return the indices of random stored weights, and the columns they name."""
    indices, columns = [], []
    for _ in range(rows):
        if pattern == "structured":
            places = [random.choice(of, kept, replace=False) for _ in range(depth // of)]
            indices.append(np.concatenate(places))
            columns.append([int(g * of + p) for g, group in enumerate(places) for p in group])
        else:
            indices.append(random.choice(depth, depth * kept // of, replace=False))
            columns.append([int(c) for c in indices[-1]])
    return np.array(indices), columns


@pytest.mark.parametrize("algorithm", ["sparse", "dense"])
@pytest.mark.parametrize(
    ("pattern", "kept", "of"), [("structured", 2, 4), ("structured", 1, 4), ("unstructured", 2, 5)]
)
def test_values_are_those_of_the_dense_layer(
    pattern: str, kept: int, of: int, algorithm: str
) -> None:
    random = np.random.default_rng(0)
    inputs, units = 20, 3
    indices, columns = _mask(random, units, inputs, pattern, kept, of)
    x, values = random.normal(size=(4, inputs)), random.normal(size=indices.shape)
    dense = np.zeros((units, inputs))
    for o, there in enumerate(columns):
        dense[o, there] = values[o]
    y = naive_kernel("sparse_affine")(
        x, weights={"values": values, "indices": indices}, units=units, kept=kept, of=of,
        pattern=pattern, algorithm=algorithm,
    )  # fmt: skip
    np.testing.assert_allclose(y, x @ dense.T)


@pytest.mark.parametrize("algorithm", ["sparse", "dense"])
@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize(
    ("pattern", "kept", "of"), [("structured", 2, 4), ("structured", 3, 4), ("unstructured", 1, 3)]
)
def test_values_are_those_of_the_dense_convolution(
    pattern: str, kept: int, of: int, layout: str, algorithm: str
) -> None:
    random = np.random.default_rng(0)
    filters, channels, groups, taps = 4, 4, 2, (3, 2)
    depth = channels * taps[0] * taps[1]
    indices, columns = _mask(random, filters, depth, pattern, kept, of)
    x, values = random.normal(size=(2, channels * groups, 7, 6)), random.normal(size=indices.shape)
    dense = np.zeros((filters, depth))
    for k, there in enumerate(columns):
        dense[k, there] = values[k]
    # Tap by tap, channels innermost.
    weight = dense.reshape(filters, *taps, channels).transpose(0, 3, 1, 2)
    expected = convolved(
        x, weight, stride=(2, 1), pads=((1, 2), (0, 1)), dilation=(1, 2), groups=groups
    )
    y = naive_kernel("sparse_conv2d")(
        np.moveaxis(x, 1, -1) if layout == "nhwc" else x,
        weights={"values": values, "indices": indices}, out_channels=filters, kernel=taps,
        stride=(2, 1), padding=(1, 0, 2, 1), dilation=(1, 2), groups=groups, layout=layout,
        kept=kept, of=of, pattern=pattern, algorithm=algorithm,
    )  # fmt: skip
    np.testing.assert_allclose(np.moveaxis(y, -1, 1) if layout == "nhwc" else y, expected)


def test_two_of_four_halves_work_and_stores_two_bits_a_weight() -> None:
    row = _row()
    assert row["macs"] == 64 * 512 * 1024 / 2
    assert row["bytes_read"] == 64 * 1024 * 2 + 512 * 512 * (2 + 2 / 8)
    assert row["parameters"] == 512 * 512


def test_zeros_that_are_multiplied_save_bytes_and_no_work() -> None:
    dense = perfmodel.analyze("affine:m=64,n=512,k=1024,bias=false", "h100-sxm", dtype="fp16")
    row = _row(",algorithm=dense")
    assert row["macs"] == dense.operators[0]["macs"]
    assert row["bytes_read"] == _row()["bytes_read"]


def test_unstructured_weights_carry_columns_and_skip_on_the_vector_engine() -> None:
    row = _row(",kept=1,of=8,pattern=unstructured,algorithm=sparse")
    stored = 512 * 1024 // 8
    assert row["bytes_read"] == 64 * 1024 * 2 + stored * (2 + 4)
    assert row["macs"] == 0
    assert row["flops"] == 2 * 64 * stored


def test_patterns_that_cannot_be_are_refused() -> None:
    with pytest.raises(InputError, match="of in a structured pattern"):
        _row(",kept=1,of=8")
    with pytest.raises(InputError, match="of less kept"):
        _row(",kept=5")
    with pytest.raises(InputError, match="modulo of"):
        _row(",kept=1,of=3,pattern=unstructured")
    with pytest.raises(InputError, match="inputs modulo of"):
        _rows("sparse_affine:m=8,n=8,k=6")
    with pytest.raises(InputError, match="inputs modulo of"):
        _rows("sparse_conv2d:n=1,c=6,h=4,w=4,k=2,r=2,s=2")
    with pytest.raises(InputError, match=r"zeros where 2 of 4 weights are kept, found 1"):
        _row(",kept=1,algorithm=sparse")


def _compute(row: dict[str, Any]) -> float:
    return float(row["utilization"] * row["time_s"])


@pytest.mark.parametrize("name", builtin_names("hardware"))
@pytest.mark.parametrize("inline", ["sparse_affine:m=8192,n=4096,k=4096", CONV])
def test_two_of_four_skips_only_where_the_engine_knows_it(name: str, inline: str) -> None:
    (row,), (dense,) = _rows(inline, name), _rows(f"{inline},algorithm=dense", name)
    assert row["bytes_read"] == dense["bytes_read"]
    if name in KNOW:
        assert (row["algorithm"], dense["algorithm"]) == ("sparse", "dense")
        assert row["macs"] * 2 == dense["macs"]
        assert _compute(row) == pytest.approx(_compute(dense) / 2)
    else:
        assert row == {**dense, "algorithm": "dense"}


@pytest.mark.parametrize("name", builtin_names("hardware"))
def test_devices_that_know_2_4_are_those_whose_makers_say_so(name: str) -> None:
    engines = perfmodel.load_hardware(name).engines
    assert any(engine.sparse_2_4 for engine in engines) == (name in KNOW)


def test_skipping_is_refused_where_no_engine_can() -> None:
    with pytest.raises(InputError) as refused:
        _row(",algorithm=sparse", "v100-sxm2-16gb")
    assert "v100-sxm2-16gb has no engine that skips the zeros of 2:4" in str(refused.value)
    assert "algorithm=auto or dense" in str(refused.value)
    with pytest.raises(InputError, match="no engine that skips"):
        _row(",algorithm=sparse", "h100-sxm", dtype="fp64")


def test_a_format_that_falls_back_skips_as_the_one_it_runs_in() -> None:
    assert _row(hardware="a100-80gb-sxm", dtype="fp8", m=8192)["algorithm"] == "sparse"


def _speeding(machine: Machine, faster: float) -> Machine:
    """Return the machine with that speed-up on 2:4 weights in fp16."""

    def change(engine: ComputeEngine) -> ComputeEngine:
        return replace(engine, sparse_2_4={"fp16": faster}) if engine.sparse_2_4 else engine

    return replace(machine, engines=tuple(change(e) for e in machine.engines))


def test_the_speed_up_is_the_one_that_the_device_states() -> None:
    h100 = perfmodel.load_hardware("h100-sxm")
    dense = _row(",algorithm=dense", h100, m=8192)
    times = [_compute(_row("", _speeding(h100, f), m=8192)) for f in (1.25, 1.6, 2.0)]
    assert times == [pytest.approx(_compute(dense) / f) for f in (1.25, 1.6, 2.0)]


def test_work_that_skips_takes_the_dense_time_on_an_engine_that_cannot() -> None:
    workload = perfmodel.load_workload("sparse_affine:m=8192,n=4096,k=4096")
    (node,) = workload.bind(dtype="fp16").nodes
    assert isinstance(node, Node)
    sparse, dense = (a.work for a in node.algorithms())
    v100 = perfmodel.load_hardware("v100-sxm2-16gb")
    assert estimate(sparse, v100).compute == pytest.approx(float(estimate(dense, v100).compute))


def test_training_multiplies_the_zeros_backward() -> None:
    # A 2:4 weight's transpose is not 2:4, and the weight's gradient has two dense operands.
    rows = {r["name"].partition(".")[2]: r for r in _rows(CONV, phase="training")}
    (dense,) = _rows(f"{CONV},algorithm=dense")
    assert rows[""]["algorithm"] == "sparse"
    for part in ("grad_input", "grad_weight"):
        assert rows[part]["macs"] == dense["macs"]
    stored = 256 * 256 * 9 / 2
    assert rows["grad_weight"]["bytes_written"] == stored * 2


def test_training_skips_zeros_that_the_vector_engine_can() -> None:
    more = ",kept=1,of=8,pattern=unstructured,algorithm="
    skipped, multiplied = (
        {r["name"].partition(".")[2]: r for r in _rows(CONV + more + name, phase="training")}
        for name in ("sparse", "dense")
    )
    for part in ("", "grad_input", "grad_weight"):
        assert skipped[part]["flops"] * 8 == multiplied[part]["flops"]
        assert (skipped[part]["macs"], 2 * multiplied[part]["macs"]) == (
            0, multiplied[part]["flops"])  # fmt: skip
        assert skipped[part]["bytes_read"] == multiplied[part]["bytes_read"]


def test_a_convolution_of_one_tap_is_the_affine_layer() -> None:
    affine = _row("", m=64)
    (conv,) = _rows("sparse_conv2d:n=1,c=1024,h=8,w=8,k=512,r=1,s=1")
    same = ("macs", "flops", "bytes_read", "bytes_written", "time_s", "algorithm", "parameters")
    assert {k: conv[k] for k in same} == {k: affine[k] for k in same}


def test_the_faster_way_is_taken_for_weights_without_a_pattern() -> None:
    few = _row(",kept=1,of=64,pattern=unstructured", "xeon-platinum-8280", "fp32", m=4096)
    half = _row(",kept=1,of=2,pattern=unstructured", "h100-sxm", m=4096)
    assert (few["algorithm"], half["algorithm"]) == ("sparse", "dense")


SPEED_UP = "sparse_2_4: {tf32: 2.0, bf16: 2.0, fp16: 2.0, int8: 2.0, int4: 2.0}"
#: what is planted in the a100 file, and what one line of the answer says
BAD = {
    "faster than all products skipped": (
        "fp16: 2.0", "fp16: 2.1", "2.1 times as fast; expected over 1 and at most 2"),
    "no faster": ("fp16: 2.0", "fp16: 1.0", "1 times as fast"),
    "a format without a dense rate": (
        "fp16: 2.0", "fp8_e4m3: 2.0", "'fp8_e4m3', of which this matrix engine has no dense"),
    "no number": ("fp16: 2.0", "fp16: twice", "expected a number"),
    "no provenance": ("tensor-core.sparse_2_4:", "tensor-core.rates.fp16.peak:",
        "'compute.tensor-core.sparse_2_4.tf32' has no provenance"),
    "the provenance of dense figures": (
        "sparsity: sparse", "sparsity: dense", "add 'provenance: {compute.tensor-core.sparse_2_4"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", BAD)
def test_a_wrong_speed_up_in_a_device_file_is_refused(mistake: str, tmp_path: Path) -> None:
    old, new, says = BAD[mistake]
    text = resolve("a100-80gb-sxm", "hardware").read_text(encoding="utf-8")
    assert SPEED_UP in text
    assert text.count(old) == 1
    file = tmp_path / "device.yaml"
    file.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(InputError) as refused:
        perfmodel.load_hardware(str(file))
    line = next((at for at in str(refused.value).splitlines() if says in at), None)
    assert line is not None, str(refused.value)
    assert "device.yaml:" in line


def test_a_vector_engine_states_no_speed_up(tmp_path: Path) -> None:
    text = resolve("a100-80gb-sxm", "hardware").read_text(encoding="utf-8")
    moved = text.replace(f"    {SPEED_UP}\n", "").replace(
        "  special-function-unit:\n    kind",
        "    sparse_2_4: {fp16: 2.0}\n  special-function-unit:\n    kind",
    )
    moved = moved.replace("tensor-core.sparse_2_4:", "cuda-core.sparse_2_4:")
    file = tmp_path / "device.yaml"
    file.write_text(moved, encoding="utf-8")
    with pytest.raises(InputError, match="this vector engine has no dense matrix rate"):
        perfmodel.load_hardware(str(file))
