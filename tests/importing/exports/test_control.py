"""Branches, loops and a detector's choice of boxes, exported and run beside the module."""

from __future__ import annotations

import io
import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import perfmodel
from perfmodel.readers.convert import as_yaml
from perfmodel.readers.onnx.workload import read_onnx

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
counting = pytest.importorskip("counting")
cases = pytest.importorskip("cases")
images, sequences = pytest.importorskip("zoo_images"), pytest.importorskip("zoo_sequences")

BATCH = ({0: "batch"},)


def _notes(result: Any) -> str:
    return "; ".join(result.data["coverage"]["notes"])


def _same_after_conversion(source: Path, folder: Path, **more: Any) -> None:
    file = folder / "model.yaml"
    network = perfmodel.load_workload(str(source), **more)
    file.write_text(as_yaml(network, {"batch": 2}))
    for batch in (2, 3):
        direct = perfmodel.analyze(network, "h100-sxm", batch=batch).totals
        converted = perfmodel.analyze(str(file), "h100-sxm", batch=batch).totals
        for key in ("parameters", "macs", "flops", "bytes", "peak_memory_bytes"):
            assert direct[key] == converted[key], key


@pytest.fixture(scope="module")
def branching(tmp_path_factory: Any) -> tuple[Any, Path]:
    module = sequences.Branching().eval()
    model = cases.exported(module, (torch.ones(2, 8),), "dynamo", BATCH)
    file = tmp_path_factory.mktemp("branching") / "model.onnx"
    onnx.save(model, file)
    return module, file


def _condition(file: Path) -> str:
    node = next(n for n in onnx.load(file).graph.node if n.op_type == "If")
    return str(node.input[0])


@pytest.mark.parametrize("taken", [0, 1])
def test_the_branch_that_a_value_picks_is_counted(
    branching: tuple[Any, Path], taken: int, tmp_path: Path
) -> None:
    module, file = branching
    values = {_condition(file): (taken,)}
    found = perfmodel.analyze(str(file), "h100-sxm", batch=2, values=values).totals
    picked = torch.nn.Sequential(module.wide, torch.nn.ReLU(), module.back)
    x = torch.ones(2, 8)
    assert found["macs"] == cases.macs(picked if taken else module.narrow, (x,))
    assert found["parameters"] == sum(p.numel() for p in module.parameters())
    _same_after_conversion(file, tmp_path, values=values)


def test_without_a_value_the_larger_branch_is_counted_and_said(
    branching: tuple[Any, Path],
) -> None:
    module, file = branching
    result = perfmodel.analyze(str(file), "h100-sxm", batch=2)
    assert result.totals["macs"] == cases.macs(module, (torch.ones(2, 8),))
    assert result.totals["parameters"] == sum(p.numel() for p in module.parameters())
    assert "the larger branch is taken" in _notes(result)


@pytest.fixture(scope="module")
def repeating(tmp_path_factory: Any) -> tuple[Any, Path]:
    module = sequences.Repeating().eval()
    file = io.BytesIO()
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                torch.jit.script(module), (torch.ones(2, 8), torch.tensor(3), torch.tensor(True)),
                file, dynamo=False, input_names=["x", "times", "flag"], opset_version=17,
                dynamic_axes={"x": {0: "batch"}},
            )  # fmt: skip
    finally:
        logging.disable(logging.NOTSET)
    path = tmp_path_factory.mktemp("repeating") / "model.onnx"
    path.write_bytes(file.getvalue())
    return module, path


@pytest.mark.parametrize(("times", "flag"), [(1, 1), (5, 1), (5, 0)])
def test_a_loop_runs_as_often_as_its_value_says(
    repeating: tuple[Any, Path], times: int, flag: int, tmp_path: Path
) -> None:
    module, file = repeating
    values = {"times": (times,), "flag": (flag,)}
    result = perfmodel.analyze(str(file), "h100-sxm", batch=2, values=values)
    inputs = (torch.ones(2, 8), torch.tensor(times), torch.tensor(bool(flag)))
    assert result.totals["macs"] == cases.macs(module, inputs)
    assert result.totals["parameters"] == sum(p.numel() for p in module.parameters())
    assert not _notes(result)
    _same_after_conversion(file, tmp_path, values=values)


def test_a_loop_without_a_value_runs_once_and_says_so(repeating: tuple[Any, Path]) -> None:
    module, file = repeating
    result = perfmodel.analyze(str(file), "h100-sxm", batch=2)
    assert result.totals["macs"] == 2 * (8 * 8 + 8 * 4)
    assert result.totals["parameters"] == sum(p.numel() for p in module.parameters())
    assert "once is taken" in _notes(result)


@pytest.fixture(scope="module", params=cases.BOTH)
def detector(request: pytest.FixtureRequest, tmp_path_factory: Any) -> tuple[Any, Path]:
    """A head, and behind it the choice of boxes that overlap none better."""
    module = cases.made(cases.Case(images.Head, lambda b: (torch.randn(b, 3, 16, 16),)))
    model = cases.exported(module, (torch.randn(2, 3, 16, 16),), request.param, BATCH)
    boxes, scores = (o.name for o in model.graph.output)
    made = onnx.helper.make_node
    numbers = {"most": np.array([5]), "overlap": np.array([0.5], dtype="float32"),
               "least": np.array([0.1], dtype="float32"), "two": np.array([2])}  # fmt: skip
    model.graph.initializer.extend(onnx.numpy_helper.from_array(v, k) for k, v in numbers.items())
    model.graph.node.extend(
        [
            made("NonMaxSuppression", [boxes, scores, "most", "overlap", "least"], ["chosen"]),
            made("Gather", ["chosen", "two"], ["which"], axis=1),
            made("Cast", ["which"], ["number"], to=7),
            made("Squeeze", ["number", "axis"], ["flat"]),
            made("Gather", [boxes, "flat"], ["kept"], axis=1),
        ]
    )
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([1]), "axis"))
    del model.graph.output[:]
    model.graph.output.append(onnx.helper.make_tensor_value_info("kept", 1, None))
    file = tmp_path_factory.mktemp("detector") / "model.onnx"
    onnx.save(model, file)
    return module, file


def test_a_detector_counts_its_convolutions_and_bounds_its_boxes(
    detector: tuple[Any, Path], tmp_path: Path
) -> None:
    module, file = detector
    result = perfmodel.analyze(str(file), "h100-sxm", batch=2)
    x = torch.randn(2, 3, 16, 16)
    assert result.totals["macs"] == cases.macs(module, (x,))
    assert result.totals["macs"] == counting.count(onnx.load(file), {"in0": x.numpy()})
    places = module.places.numel()
    learned = sum(p.numel() for p in module.parameters())
    norms = sum(p.numel() for m in module.modules() if isinstance(m, torch.nn.BatchNorm2d)
                for p in m.parameters())  # fmt: skip
    assert result.totals["parameters"] == learned - norms + places
    assert "as many boxes as it finds" in _notes(result)
    workload = read_onnx(file)
    _, _, (kept,) = workload.imported({"batch": 2}, workload.precision)
    seen = counting.observed(onnx.load(file), {"in0": x.numpy()})["kept"]
    assert kept.bound
    assert len(kept.shape) == seen.ndim
    assert kept.shape[1] >= seen.shape[1]
    _same_after_conversion(file, tmp_path)
