"""Networks exported here: parameters, MACs and every shape, by PyTorch and by the runtime."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import perfmodel
from perfmodel.readers.convert import as_yaml
from perfmodel.readers.onnx.importer import Importer
from perfmodel.readers.onnx.workload import read_onnx

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
counting = pytest.importorskip("counting")
cases = pytest.importorskip("cases")

TOTALS = ("parameters", "macs", "flops", "bytes", "peak_memory_bytes")
BATCHES = (2, 3)


@dataclass(frozen=True)
class Export:
    """An exported network beside the module that it was."""

    case: Any
    module: Any
    model: Any
    file: Path

    def inputs(self, batch: int) -> tuple[Any, ...]:
        made: tuple[Any, ...] = self.case.inputs(batch)
        return made

    def feeds(self, batch: int) -> dict[str, Any]:
        names = [i.name for i in self.model.graph.input]
        return {n: v.numpy() for n, v in zip(names, self.inputs(batch), strict=True)}

    def sizes(self, batch: int) -> dict[str, int]:
        """Return the open sizes by name."""
        given = zip(self.case.axes, self.inputs(batch), strict=True)
        return {name: x.shape[axis] for axes, x in given for axis, name in axes.items()}


@pytest.fixture(
    scope="module", params=[(n, e) for n, c in cases.CASES.items() for e in c.exporters],
    ids=lambda p: f"{p[0]} by {p[1]}",
)  # fmt: skip
def export(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[Export]:
    name, exporter = request.param
    case = cases.CASES[name]
    pytest.importorskip(case.needs)
    torch.manual_seed(0)
    module = cases.made(case)
    model = cases.exported(module, case.inputs(2), exporter, case.axes)
    file = tmp_path_factory.mktemp("export") / "model.onnx"
    file.write_bytes(model.SerializeToString())
    yield Export(case, module, model, file)  # noqa: PT022


def test_parameters_are_the_modules(export: Export) -> None:
    totals = perfmodel.analyze(str(export.file), "h100-sxm", **export.sizes(2)).totals
    assert totals["parameters"] == cases.parameters(export.case, export.module)


@pytest.mark.parametrize("batch", BATCHES)
def test_macs_are_those_of_pytorch_and_of_the_runtime(export: Export, batch: int) -> None:
    totals = perfmodel.analyze(str(export.file), "h100-sxm", **export.sizes(batch)).totals
    assert totals["macs"] == counting.count(export.model, export.feeds(batch))
    if export.case.counted:
        assert totals["macs"] == cases.macs(export.module, export.inputs(batch))
    assert not totals["unmodelled"]


def test_every_shape_is_the_runtimes(export: Export, monkeypatch: pytest.MonkeyPatch) -> None:
    found: dict[str, Any] = {}
    inner = Importer.graph

    def graph(self: Importer, proto: Any, scope: dict[str, Any]) -> Any:
        made = inner(self, proto, scope)
        found.update(scope)
        return made

    monkeypatch.setattr(Importer, "graph", graph)
    feeds = export.feeds(2)
    workload = read_onnx(export.file).with_inputs({n: v.shape for n, v in feeds.items()}, {})
    workload.imported({}, workload.precision)
    seen = counting.observed(export.model, feeds)
    assert {n: found[n].shape for n in seen} == {n: v.shape for n, v in seen.items()}
    assert not [n for n in seen if found[n].bound]


def test_a_converted_network_analyses_to_the_same_numbers(export: Export, tmp_path: Path) -> None:
    file = tmp_path / "model.yaml"
    file.write_text(as_yaml(perfmodel.load_workload(str(export.file)), export.sizes(2)))
    for batch in BATCHES:
        sizes = export.sizes(batch)
        direct = perfmodel.analyze(str(export.file), "h100-sxm", **sizes).totals
        converted = perfmodel.analyze(str(file), "h100-sxm", **sizes).totals
        assert {k: direct[k] for k in TOTALS} == {k: converted[k] for k in TOTALS}
        assert direct["time_s"] == pytest.approx(converted["time_s"], rel=1e-9)
