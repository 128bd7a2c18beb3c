"""Patterns as exporters write them: BERT, and Llama with grouped queries."""

from __future__ import annotations

import logging
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import perfmodel
from perfmodel.readers.convert import as_yaml

pytest.importorskip("onnx")
torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")
transformers = pytest.importorskip("transformers")

SIZES: Any = {
    "vocab_size": 50, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
    "intermediate_size": 64, "max_position_embeddings": 32,
}  # fmt: skip


def exported(network: Any, folder: Path, **more: Any) -> str:
    """Return an export of a network that takes tokens."""

    class First(torch.nn.Module):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__()
            self.net = network

        def forward(self, tokens: Any) -> Any:
            return self.net(tokens)[0]

    file = str(folder / "net.onnx")
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                First().eval(), (torch.zeros(2, 12, dtype=torch.long),), file,
                input_names=["tokens"], verbose=False, **more,
            )  # fmt: skip
    finally:
        logging.disable(logging.NOTSET)
    return file


def bert(folder: Path) -> str:
    config = transformers.BertConfig(**SIZES, attn_implementation="eager")
    network = transformers.BertModel(config, add_pooling_layer=False)
    # Without a layer norm of its own this opset has it written out.
    return exported(network, folder, dynamo=False, opset_version=13)


def llama(folder: Path) -> str:
    config = transformers.LlamaConfig(
        **SIZES, num_key_value_heads=2, use_cache=False, attn_implementation="sdpa"
    )
    return exported(transformers.LlamaModel(config), folder, dynamo=True, external_data=False)


@pytest.mark.parametrize(
    ("make", "counts", "kv_heads"),
    [(bert, {"layer_norm": 5, "attention": 2, "gelu": 2}, 4),
     (llama, {"rms_norm": 5, "attention": 2, "silu": 2}, 2)],
)  # fmt: skip
def test_exports_are_recognised(make: Any, counts: Any, kv_heads: int, tmp_path: Path) -> None:
    known = perfmodel.load_workload(make(tmp_path))
    plain = known.with_patterns(False)
    graph = known.bind()
    assert Counter(p.op for p in graph.patterns) == counts
    kinds = {n.op.name for n in graph.nodes} | {getattr(n.op, "function", "") for n in graph.nodes}
    assert not kinds & {"softmax", "matmul", "sqrt", "reduce_mean", "erf", "sigmoid", "isnan"}
    for node in graph.nodes:
        if node.op.name == "attention":
            assert node.op.q_heads == 4  # type: ignore[attr-defined]
            assert node.op.kv_heads == kv_heads  # type: ignore[attr-defined]
            assert node.tensors.inputs[1].shape == (2, 12, kv_heads * 8)
    a, b = (perfmodel.analyze(w, "h100-sxm").totals for w in (known, plain))
    assert a["parameters"] == b["parameters"]
    assert a["macs"] == b["macs"]
    assert a["bytes"] < b["bytes"]
    file = tmp_path / "net.yaml"
    file.write_text(as_yaml(known, {}))
    again = perfmodel.analyze(str(file), "h100-sxm").totals
    assert again == a
