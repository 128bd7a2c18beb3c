"""Number formats: bytes of values and of scales, by role; what the field gets wrong."""

import pytest

import perfmodel
from perfmodel.core.formats import FORMATS, get_format, parse_precision
from perfmodel.errors import InputError


def _affine(dtype: str, m: int = 8, n: int = 512, k: int = 1024) -> dict[str, float]:
    inline = f"affine:m={m},n={n},k={k},bias=false"
    (row,) = perfmodel.analyze(inline, "h100-sxm", dtype=dtype).operators
    return {"read": row["bytes_read"], "written": row["bytes_written"], "flops": row["flops"]}


@pytest.mark.parametrize(
    ("dtype", "weight", "activation"),
    [
        ("fp32", 4, 4),
        ("tf32", 4, 4),
        ("bf16", 2, 2),
        ("fp16", 2, 2),
        ("fp8", 1, 1),
        ("int8", 1, 1),
        ("int4", 0.5, 0.5),
        # Scales: 8 bits for 32 values, 8 for 16, 16 for 128 and for 64.
        ("mxfp8", 1 + 1 / 32, 1 + 1 / 32),
        ("mxfp4", 0.5 + 1 / 32, 0.5 + 1 / 32),
        ("nvfp4", 0.5 + 1 / 16, 0.5 + 1 / 16),
        ("w8a16", 1, 2),
        ("w4a16", 0.5 + 2 / 128, 2),
        ("w4g64a16", 0.5 + 2 / 64, 2),
        ("w4a8", 0.5 + 2 / 128, 1),
        ("w4a16-bf16", 0.5 + 2 / 128, 2),
    ],
)
def test_weights_and_activations_take_their_own_bytes(
    dtype: str, weight: float, activation: float
) -> None:
    # One peer charges the activations of w4a16 half a byte.
    found = _affine(dtype)
    assert found["read"] == 512 * 1024 * weight + 8 * 1024 * activation
    assert found["written"] == 8 * 512 * activation
    assert found["flops"] == 2 * 8 * 512 * 1024


def test_the_kv_cache_has_a_format_of_its_own() -> None:
    cache = [
        perfmodel.analyze("llama-2-7b", "h100-sxm", phase="decode", dtype=d).totals[
            "kv_cache_bytes"
        ]
        for d in ("fp16", "w8a16kv8", "w4a16kv4")
    ]
    assert cache == [1_073_741_824, 536_870_912, 268_435_456]


def test_a_last_group_that_is_not_full_has_a_scale_too() -> None:
    assert get_format("int4g128").bytes_of(129) == 64.5 + 2 * 2
    assert get_format("mxfp8").bytes_of(33) == 33 + 2


def test_every_wider_format_is_known_and_no_narrower() -> None:
    for form in FORMATS.values():
        for name in form.wider:
            assert FORMATS[name].bits >= form.bits
            assert not (FORMATS[name].integer and not form.integer)


@pytest.mark.parametrize("text", ["w3a16", "w4a12", "w16g4a16", "w4", "fp17", "", "w4g0a16"])
def test_what_is_no_precision_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        parse_precision(text)


def test_a_folded_batch_norm_costs_nothing() -> None:
    inline = "batch_norm:n=32,c=256,h=56,w=56"
    (row,) = perfmodel.analyze(f"{inline},folded=true", "a100-80gb-sxm").operators
    assert row["time_s"] == row["flops"] == row["bytes_read"] == row["parameters"] == 0
    (row,) = perfmodel.analyze(inline, "a100-80gb-sxm").operators
    assert row["time_s"] > 0
    training = perfmodel.analyze(f"{inline},folded=true", "a100-80gb-sxm", phase="training")
    assert training.operators[0]["flops"] > 0  # there is nothing to fold with in training
