"""Attention and norms that a module writes out in primitive calls are taken as what they are."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

import perfmodel
from perfmodel.readers.convert import as_yaml

torch = pytest.importorskip("torch")


class Block(torch.nn.Module):
    """Layer norm and attention, by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v = (torch.nn.Linear(64, 64) for _ in range(3))
        self.gain, self.shift = (torch.nn.Parameter(torch.ones(64)) for _ in range(2))

    def forward(self, x: Any) -> Any:
        centred = x - x.mean(-1, keepdim=True)
        variance = centred.pow(2).mean(-1, keepdim=True)
        x = centred / torch.sqrt(variance + 1e-5) * self.gain + self.shift
        b, s, _ = x.shape
        q, k, v = (f(x).view(b, s, 4, 16).transpose(1, 2) for f in (self.q, self.k, self.v))
        scores = torch.matmul(q, k.transpose(-1, -2)) / math.sqrt(16)
        y = torch.matmul(torch.softmax(scores, -1), v)
        return y.transpose(1, 2).reshape(b, s, 64)


@pytest.mark.filterwarnings("ignore")
def test_attention_written_out_in_a_module_is_recognised(tmp_path: Path) -> None:
    network = perfmodel.from_torch(Block().eval(), (torch.ones(2, 32, 64),))
    whole = perfmodel.analyze(network, "h100-sxm")
    plain = perfmodel.analyze(network, "h100-sxm", patterns=False)
    kinds = [r["op"] for r in whole.operators]
    assert "attention" in kinds
    assert "softmax" not in kinds
    assert {p["op"] for p in whole.data["coverage"]["patterns"]} >= {"attention", "layer_norm"}
    assert "softmax" in [r["op"] for r in plain.operators]
    for key in ("parameters", "macs"):
        assert whole.totals[key] == plain.totals[key]
    assert whole.totals["bytes"] < plain.totals["bytes"]
    file = tmp_path / "block.yaml"
    file.write_text(as_yaml(network, {}))
    again = perfmodel.analyze(str(file), "h100-sxm").totals
    for key in ("parameters", "macs", "flops", "bytes"):
        assert again[key] == whole.totals[key]
