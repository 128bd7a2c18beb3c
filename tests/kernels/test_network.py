"""Whole networks, kernel by kernel: every node runs, is fed by its makers, states its passes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import perfmodel
from perfmodel.kernels.network import Network, passes_of
from perfmodel.kernels.passes import PRODUCTS

NETWORKS = {
    "resnet50": {"batch": 1, "height": 64, "width": 64},
    "lstm-ptb-small": {"batch": 2, "sequence": 5},
    "bert-base": {"batch": 1, "sequence": 16, "layers": 2},
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_runs_and_states_its_products(name: str) -> None:
    workload = perfmodel.load_workload(name)
    known = workload.dims("inference")
    dims = {k: v for k, v in NETWORKS[name].items() if k in known}
    graph = workload.bind(dims, phase="inference", dtype="fp32")
    network = Network(graph.nodes)
    network.run()
    last = network.steps[-1]
    (y, *_) = last.run()
    assert y.shape == tuple(graph.nodes[-1].tensors.y.shape)
    assert np.isfinite(y).all()
    stated = passes_of(graph.nodes)
    for node in graph.nodes:
        matrix = sum(
            n for (engine, _), n in node.op.work(node.tensors).ops.items() if engine == "matrix"
        )
        found = sum(p.flops for p in stated[node.name] if p.kind in PRODUCTS)
        assert found == matrix, node.name


def test_the_examples_of_the_page_run() -> None:
    page = (Path(__file__).parents[2] / "docs" / "kernels.md").read_text(encoding="utf-8")
    examples = page.split("```python\n")[1:]
    assert len(examples) == 2
    for example in examples:
        code = example.split("```")[0].replace(
            '"batch": 1', '"batch": 1, "height": 64, "width": 64'
        )
        exec(compile(code, "kernels.md", "exec"), {"print": lambda *_: None})


def test_a_node_reads_what_its_makers_wrote() -> None:
    graph = perfmodel.load_workload("mnist-mlp").bind({"batch": 3}, dtype="fp32")
    network = Network(graph.nodes)
    outputs = {
        id(t): a
        for step in network.steps
        for t, a in zip(step.node.tensors.outputs, step.run(), strict=False)
    }
    fed = 0
    for step in network.steps:
        for tensor, array in zip(step.node.tensors.inputs, step.built.arrays.inputs, strict=True):
            if id(tensor) in outputs:
                fed += 1
                assert np.shares_memory(array, outputs[id(tensor)])
    assert fed >= len(network.steps) - 1
