"""Steps of some rows, on master copies, and over gradients added up in place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from oracle import bind

import perfmodel
from perfmodel.core import Work, parse_precision
from perfmodel.errors import InputError
from perfmodel.kernels.naive import naive_kernel
from perfmodel.ops import get_operator, registry
from perfmodel.readers.inline import complete_sizes, parse_inline

BY_ROWS = {"sgd": 0, "momentum": 1, "adagrad": 1, "adam": 2}
OF_ALL = {"adamw": 2, "lamb": 2, "adafactor": 0}


def work(name: str, dtype: str, **sizes: Any) -> Work:
    cls, precision = get_operator(name), parse_precision(dtype)
    op, inputs = cls.from_sizes(complete_sizes(cls, sizes), precision)
    return op.work(bind(op, inputs, precision))


def test_every_optimizer_is_known_here() -> None:
    known = {n for n, op in registry().items() if op.category == "optimizer"}
    assert known == BY_ROWS.keys() | OF_ALL.keys()


def test_adagrad_divides_by_the_root_of_the_sum_of_squares() -> None:
    random = np.random.default_rng(0)
    p, g, s = random.normal(size=7), random.normal(size=7), random.uniform(1, 2, 7)
    found, squares = naive_kernel("adagrad")(p, g, s, weights={})
    np.testing.assert_allclose(squares, s + g**2, rtol=1e-12)
    np.testing.assert_allclose(found, p - 0.1 * g / (np.sqrt(s + g**2) + 1e-8), rtol=1e-12)


@pytest.mark.parametrize("name", BY_ROWS)
def test_a_step_of_rows_is_the_dense_step_of_those_rows(name: str) -> None:
    random = np.random.default_rng(0)
    tensors = [random.uniform(0.5, 1.5, (4, 3)) for _ in range(2 + BY_ROWS[name])]
    p, g, *states = tensors
    rows = np.array([2, 0, 3, 1])
    # Row i of the gradient belongs to row rows[i] of the table.
    dense = np.empty_like(g)
    dense[rows] = g
    kernel = naive_kernel(name)
    expected = kernel(p, dense, *states, weights={})
    found = kernel(p.ravel(), g.ravel(), *(s.ravel() for s in states), rows, weights={})
    both = zip(*(made if isinstance(made, tuple) else (made,) for made in (found, expected)),
               strict=True)  # fmt: skip
    for a, b in both:
        np.testing.assert_array_equal(a.reshape(4, 3), b)


@pytest.mark.parametrize("name", [n for n in BY_ROWS | OF_ALL if n != "adafactor"])
def test_a_master_copy_is_read_written_and_copied(name: str) -> None:
    plain, master = (work(name, "bf16", elements=1000, master=m) for m in (False, True))
    # fp32 in place of bf16 twice, and the bf16 copy; lamb reads the parameter twice besides.
    moved = (master.bytes_read + master.bytes_written) - (plain.bytes_read + plain.bytes_written)
    assert moved == 1000 * (2 * (4 - 2) + 2)
    assert master.flops == plain.flops
    states = 4 * (BY_ROWS | OF_ALL)[name]
    update = 4 if name == "lamb" else 0
    assert master.bytes_read == 1000 * (4 + 2 + states + update)
    assert master.bytes_written == 1000 * (4 + 2 + states + update)


def test_clearing_writes_the_gradient_once_more() -> None:
    for name in BY_ROWS:
        plain, cleared = (work(name, "bf16", elements=1000, clear=c) for c in (False, True))
        assert cleared.bytes_written - plain.bytes_written == 2 * 1000
        assert cleared.bytes_read == plain.bytes_read


def test_rows_read_their_numbers() -> None:
    plain, rows = (work("adam", "fp32", elements=1000, rows=r) for r in (0, 10))
    assert rows.bytes_read - plain.bytes_read == 8 * 10
    assert rows.flops == plain.flops


def test_rows_must_divide_the_parameters() -> None:
    workload = parse_inline("sgd:elements=10,rows=3")
    with pytest.raises(InputError, match="parameters modulo rows: found 1, expected 0"):
        workload.bind()


NET = """\
schema: perfmodel/workload@1
name: net
title: A table and a layer
family: mlp
source: a test
phases: {inference: {}, training: {}}
dims: {batch: 3}
inputs: {ids: {shape: [batch], role: index}}
nodes:
  table: {op: embedding, rows: 1000, width: 4, sparse: true}
  fc: {op: affine, units: 2}
"""


def step(tmp_path: Path, text: str, **settings: Any) -> Any:
    file = tmp_path / "net.yaml"
    file.write_text(text)
    return perfmodel.analyze(str(file), "h100-sxm", phase="training", **settings)


def stepped(result: Any) -> dict[str, dict[str, Any]]:
    return {r["name"]: r for r in result.operators if r["phase"] == "optimizer"}


@pytest.mark.parametrize("optimizer", BY_ROWS)
def test_a_sparse_gradient_steps_the_rows_looked_up(optimizer: str, tmp_path: Path) -> None:
    result = step(tmp_path, NET, optimizer=optimizer)
    row = stepped(result)[f"table.{optimizer}"]
    states = BY_ROWS[optimizer]
    assert row["bytes_read"] == 3 * (4 * 4 * (2 + states) + 8)
    assert row["bytes_written"] == 3 * 4 * 4 * (1 + states)
    memory = result.totals["memory_by_kind"]
    layer = 4 * 2 + 2
    assert memory["gradients"] == 3 * (4 * 4 + 8) + 4 * layer
    # The state is as large as the table, whatever a step touches.
    assert memory["optimizer_state"] == 4 * states * (4000 + layer)


@pytest.mark.parametrize("optimizer", OF_ALL)
def test_optimizers_of_whole_tensors_step_all_rows(optimizer: str, tmp_path: Path) -> None:
    sparse, dense = (
        step(tmp_path, text, optimizer=optimizer)
        for text in (NET, NET.replace(", sparse: true", ""))
    )
    assert sparse.totals["memory_by_kind"] == dense.totals["memory_by_kind"]
    assert stepped(sparse) == stepped(dense)
    assert sparse.totals["memory_by_kind"]["gradients"] == 4 * (4000 + 10)


def test_a_dense_gradient_of_a_table_is_read_and_cleared_whole(tmp_path: Path) -> None:
    result = step(tmp_path, NET.replace(", sparse: true", ""), optimizer="sgd")
    row = stepped(result)["table.sgd"]
    assert row["bytes_read"] == 2 * 4 * 4000
    assert row["bytes_written"] == 2 * 4 * 4000
    layer = stepped(result)["fc.sgd"]
    assert layer["bytes_written"] == 4 * 10, "a layer's gradient is written anew"


def test_no_more_rows_step_than_there_are(tmp_path: Path) -> None:
    result = step(tmp_path, NET, optimizer="sgd", batch=5000)
    assert stepped(result)["table.sgd"]["bytes_written"] == 4 * 4000


@pytest.mark.parametrize(("batch", "rows"), [(300, 600), (700, 1000)])
def test_lookups_of_a_shared_table_step_its_rows_together(
    batch: int, rows: int, tmp_path: Path
) -> None:
    shared = "sparse: true, share: {table: words}}"
    text = NET.replace("sparse: true}", shared).replace(
        "  fc:",
        f"  more: {{op: embedding, inputs: ids, rows: 1000, width: 4, {shared}\n"
        "  sum: {op: add, inputs: [table, more]}\n  fc:",
    )
    result = step(tmp_path, text, optimizer="sgd", batch=batch)
    assert [n for n in stepped(result) if not n.startswith("fc")] == ["table.sgd"]
    assert stepped(result)["table.sgd"]["bytes_written"] == 4 * 4 * rows


def test_a_table_tied_to_a_layer_has_a_dense_gradient(tmp_path: Path) -> None:
    text = NET.replace("sparse: true}", "sparse: true, share: {table: words}}").replace(
        "units: 2}", "units: 1000, bias: false, share: {weight: words}}"
    )
    result = step(tmp_path, text, optimizer="sgd")
    (row,) = stepped(result).values()
    assert (row["bytes_read"], row["bytes_written"]) == (2 * 4 * 4000, 4 * 4000)


def test_a_weight_that_repetitions_share_steps_once(tmp_path: Path) -> None:
    text = NET.replace("  fc:", "  layer: {block: layer, repeat: 3}\n  fc:").replace(
        "nodes:\n",
        "blocks:\n  layer: {nodes: {w: {op: affine, units: 4, share: {weight: w}}}}\nnodes:\n", 1,
    )  # fmt: skip
    result = step(tmp_path, text, optimizer="adam")
    rows = stepped(result)
    assert [(n, r["count"]) for n, r in rows.items() if n.startswith("layer")] == [
        ("layer.w.weight.adam", 1), ("layer.w.bias.adam", 3),
    ]  # fmt: skip
    states = result.totals["memory_by_kind"]["optimizer_state"]
    assert states == 8 * result.totals["parameters"]


def test_narrow_weights_are_stepped_on_their_master_copy(tmp_path: Path) -> None:
    result = step(tmp_path, NET, optimizer="adam", dtype="bf16")
    row = stepped(result)["fc.adam"]
    assert row["bytes_read"] == 10 * (4 + 2 + 4 + 4)
    assert row["bytes_written"] == 10 * (4 + 4 + 4 + 2)
    assert result.totals["memory_by_kind"]["optimizer_state"] == 12 * (4000 + 10)


def test_sparse_steps_over_arrays_equal_a_loop(tmp_path: Path) -> None:
    file = tmp_path / "net.yaml"
    file.write_text(NET)
    frame = perfmodel.sweep(str(file), "h100-sxm", {"batch": [1, 7, 5000]}, phase="training")
    for _, found in frame.iterrows():
        totals = step(tmp_path, NET, batch=int(found["batch"])).totals
        for column in ("time_s", "bytes", "peak_memory_bytes"):
            assert found[column] == totals[column], column
