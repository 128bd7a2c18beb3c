"""Networks quantized by ONNX Runtime's tools: the counts of the network in real numbers."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import perfmodel
from perfmodel.readers.convert import as_yaml

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
counting = pytest.importorskip("counting")
cases = pytest.importorskip("cases")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    tools = pytest.importorskip("onnxruntime.quantization")


class Images(tools.CalibrationDataReader):  # type: ignore[name-defined,misc]
    """Two batches of noise."""

    def __init__(self) -> None:
        self.rest = [np.random.default_rng(i).random((2, 3, 32, 32), "float32") for i in range(2)]

    def get_next(self) -> dict[str, Any] | None:
        return {"in0": self.rest.pop()} if self.rest else None


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


@pytest.fixture(scope="module", params=["QDQ", "QOperator", "dynamic"])
def quantized(request: pytest.FixtureRequest, tmp_path_factory: Any) -> tuple[str, Path, Any]:
    """Return the case's name, the quantized file, and the module that it was."""
    name = "lstm" if request.param == "dynamic" else "mobilenet"
    case, folder = cases.CASES[name], tmp_path_factory.mktemp("quantized")
    module = cases.made(case)
    plain, file = folder / "plain.onnx", folder / "model.onnx"
    onnx.save(cases.exported(module, case.inputs(2), "script", case.axes), plain)
    with quiet():
        if request.param == "dynamic":
            tools.quantize_dynamic(plain, file)
        else:
            form = getattr(tools.QuantFormat, request.param)
            tools.quantize_static(plain, file, Images(), quant_format=form, per_channel=True)
    return name, file, module


def test_codes_change_no_count(quantized: tuple[str, Path, Any]) -> None:
    name, file, module = quantized
    totals = perfmodel.analyze(str(file), "h100-sxm", batch=2).totals
    assert totals["parameters"] == cases.parameters(cases.CASES[name], module)
    feeds = {"in0": cases.CASES[name].inputs(2)[0].numpy()}
    assert totals["macs"] == counting.count(onnx.load(file), feeds)
    assert not totals["unmodelled"]


def test_dense_layers_run_on_codes(quantized: tuple[str, Path, Any]) -> None:
    name, file, _ = quantized
    plain = perfmodel.analyze(str(file.parent / "plain.onnx"), "h100-sxm", batch=2)
    found = perfmodel.analyze(str(file), "h100-sxm", batch=2)
    weights = [p.totals["weight_bytes"] for p in (found, plain)]
    assert weights[0] < 0.55 * weights[1]
    if name == "mobilenet":
        dense = [o for o in found.operators if o["class"] == "dense"]
        assert {o["dtype"] for o in dense} == {"int8"}


def test_a_quantized_network_converts_to_the_same_numbers(
    quantized: tuple[str, Path, Any], tmp_path: Path
) -> None:
    _, source, _ = quantized
    file = tmp_path / "model.yaml"
    file.write_text(as_yaml(perfmodel.load_workload(str(source)), {"batch": 2}))
    for batch in (2, 3):
        direct = perfmodel.analyze(str(source), "h100-sxm", batch=batch).totals
        converted = perfmodel.analyze(str(file), "h100-sxm", batch=batch).totals
        for key in ("parameters", "macs", "flops", "bytes", "peak_memory_bytes"):
            assert direct[key] == converted[key], key
