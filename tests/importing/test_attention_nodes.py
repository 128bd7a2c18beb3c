"""Attention of the default domain: counts by hand, caches that are added to, not written anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
building = pytest.importorskip("building")
differing = pytest.importorskip("test_single_nodes").differing

B, H, KV, S, P, D = 2, 4, 2, 3, 5, 8
ROWS = {"q": (B, S, H * D), "k": (B, S, KV * D), "v": (B, S, KV * D)}
HEADS = {"q": (B, H, S, D), "k": (B, KV, S, D), "v": (B, KV, S, D)}
PAST = {"pk": (B, KV, P, D), "pv": (B, KV, P, D)}
#: inputs in the node's order, tensors, attributes, outputs, MACs
CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any], str, int]] = {
    "heads": ("q k v", HEADS, {}, "y", 2 * B * H * S * S * D),
    "rows": ("q k v", ROWS, {"q_num_heads": H, "kv_num_heads": KV}, "y", 2 * B * H * S * S * D),
    "a mask": (
        "q k v m", {**HEADS, "m": (S, S)}, {}, "y", 2 * B * H * S * S * D,
    ),
    "a past": (
        "q k v _ pk pv", {**HEADS, **PAST}, {}, "y nk nv", 2 * B * H * S * (P + S) * D,
    ),
    "rows with a past": (
        "q k v _ pk pv", {**ROWS, **PAST}, {"q_num_heads": H, "kv_num_heads": KV}, "y nk nv",
        2 * B * H * S * (P + S) * D,
    ),
    "values of another width": (
        "q k v", {**HEADS, "v": (B, KV, S, 6)}, {}, "y", B * H * S * S * (D + 6),
    ),
}  # fmt: skip


def _model(case: str) -> Any:
    inputs, tensors, attributes, outputs, _ = CASES[case]
    made = building.node("Attention", inputs, outputs, **attributes)
    return building.model([made], tensors, opset=23, outputs=outputs)


@pytest.mark.parametrize("case", CASES)
def test_attention_has_the_runtimes_shapes_and_the_counts_by_hand(
    case: str, tmp_path: Path
) -> None:
    _, tensors, _, _, macs = CASES[case]
    feeds = {k: np.zeros(v, dtype="float32") for k, v in tensors.items()}
    assert not differing(_model(case), tmp_path, feeds)
    assert building.analyzed(_model(case), tmp_path).totals["macs"] == macs


@pytest.mark.parametrize("case", ["a past", "rows with a past"])
def test_a_cache_is_read_whole_and_written_where_it_grows(case: str, tmp_path: Path) -> None:
    found = building.analyzed(_model(case), tmp_path)
    (attention,) = [o for o in found.operators if o["op"] == "attention"]
    fresh = 2 * B * KV * S * D
    assert attention["bytes_written"] == 4 * (B * S * H * D + fresh)
    assert attention["bytes_read"] == 4 * (B * S * H * D + fresh + 2 * B * KV * P * D)


def test_a_cache_that_an_operator_reads_is_a_tensor_of_its_own(tmp_path: Path) -> None:
    nodes = [
        building.node("Attention", "q k v _ pk pv", "y nk nv"), building.node("Relu", "nk", "z"),
    ]  # fmt: skip
    built = building.model(nodes, {**HEADS, **PAST}, opset=23, outputs="y z nv")
    assert building.shapes(built, tmp_path)[1] == (B, KV, P + S, D)
    found = building.analyzed(built, tmp_path)
    (relu,) = [o for o in found.operators if o["op"] == "relu"]
    assert relu["bytes_read"] == 4 * B * KV * (P + S) * D
