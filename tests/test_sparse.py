"""A sparse weight: values as the dense layer's, bytes and work saved apart."""

from typing import Any

import numpy as np
import pytest

import perfmodel
from perfmodel.errors import InputError
from perfmodel.kernels.naive import naive_kernel


def _row(more: str = "", hardware: str = "h100-sxm", dtype: str = "fp16") -> dict[str, Any]:
    inline = f"sparse_affine:m=64,n=512,k=1024{more}"
    (row,) = perfmodel.analyze(inline, hardware, dtype=dtype).operators
    return row


@pytest.mark.parametrize(
    ("pattern", "kept", "of"), [("structured", 2, 4), ("structured", 1, 4), ("unstructured", 2, 5)]
)
def test_values_are_those_of_the_dense_layer(pattern: str, kept: int, of: int) -> None:
    random = np.random.default_rng(0)
    inputs, units = 20, 3
    stored = inputs * kept // of
    x, values = random.normal(size=(4, inputs)), random.normal(size=(units, stored))
    dense, indices = np.zeros((units, inputs)), np.zeros((units, stored), dtype=int)
    for o in range(units):
        if pattern == "structured":
            places = [random.choice(of, kept, replace=False) for _ in range(inputs // of)]
            indices[o] = np.concatenate(places)
            columns = [g * of + p for g, group in enumerate(places) for p in group]
        else:
            columns = list(random.choice(inputs, stored, replace=False))
            indices[o] = columns
        dense[o, columns] = values[o]
    y = naive_kernel("sparse_affine")(
        x, weights={"values": values, "indices": indices}, units=units, kept=kept, of=of,
        pattern=pattern, compute="sparse",
    )  # fmt: skip
    np.testing.assert_allclose(y, x @ dense.T)


def test_two_of_four_halves_work_and_stores_two_bits_a_weight() -> None:
    row = _row()
    assert row["macs"] == 64 * 512 * 1024 / 2
    assert row["bytes_read"] == 64 * 1024 * 2 + 512 * 512 * (2 + 2 / 8)
    assert row["parameters"] == 512 * 512


def test_zeros_that_are_multiplied_save_bytes_and_no_work() -> None:
    dense = perfmodel.analyze("affine:m=64,n=512,k=1024,bias=false", "h100-sxm", dtype="fp16")
    row = _row(",compute=dense")
    assert row["macs"] == dense.operators[0]["macs"]
    assert row["bytes_read"] == _row()["bytes_read"]


def test_unstructured_weights_carry_columns_and_skip_on_the_vector_engine() -> None:
    row = _row(",kept=1,of=8,pattern=unstructured")
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
