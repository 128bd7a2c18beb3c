"""The nine models inside the onnx package: published totals, and convert gives them back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import perfmodel
from perfmodel.cli import main
from perfmodel.readers.convert import as_yaml

onnx = pytest.importorskip("onnx")

FOLDER = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"

#: parameters and multiply-accumulates of one image of 224x224. Parameters: Keras
#: Applications (ResNet-50 25,557,032 without statistics; VGG19 143,667,240; DenseNet-121
#: 8,062,504 with the second scale and shift that Caffe puts after each batch norm), Caffe
#: (CaffeNet 60,965,224), SqueezeNet 1.1 (1,235,496). The others, and all MACs, are what
#: test_counted_apart derives from the graphs with the runtime's shapes.
TOTALS = {
    "bvlc_alexnet": (60_965_224, 654_560_384),
    "densenet121": (8_062_504, 2_834_161_664),
    "inception_v1": (6_998_552, 1_431_556_352),
    "inception_v2": (11_214_888, 2_018_851_840),
    "resnet50": (25_557_032, 4_089_184_256),
    "shufflenet": (1_393_320, 124_664_528),
    "squeezenet": (1_235_496, 349_151_936),
    "vgg19": (143_667_240, 19_632_062_464),
    "zfnet512": (87_250_536, 1_481_727_008),
}


def _file(name: str) -> str:
    return str(FOLDER / f"light_{name}.onnx")


@pytest.mark.parametrize("name", TOTALS)
def test_totals_are_the_published_ones(name: str) -> None:
    totals = perfmodel.analyze(_file(name), "h100-sxm").totals
    assert (totals["parameters"], totals["macs"]) == TOTALS[name]
    assert totals["unmodelled"] == []


@pytest.mark.parametrize("name", TOTALS)
def test_counted_apart(name: str) -> None:
    # Shapes from the runtime, counts by the textbook: nothing of perfmodel takes part.
    counting = pytest.importorskip("counting")
    assert counting.count(onnx.load(_file(name))) == TOTALS[name][1]


@pytest.mark.parametrize("name", TOTALS)
def test_a_converted_model_analyses_to_the_same_numbers(name: str, tmp_path: Path) -> None:
    file = tmp_path / "model.yaml"
    file.write_text(as_yaml(perfmodel.load_workload(_file(name)), {}))
    for dims in ({}, {"batch": 4}):
        direct = perfmodel.analyze(_file(name), "h100-sxm", **dims).totals
        converted = perfmodel.analyze(str(file), "h100-sxm", **dims).totals
        for key in ("parameters", "macs", "flops", "bytes", "peak_memory_bytes"):
            assert direct[key] == converted[key], key
        assert direct["time_s"] == pytest.approx(converted["time_s"], rel=1e-9)


@pytest.mark.parametrize("name", ["resnet50", "squeezenet", "shufflenet"])
def test_a_fixed_batch_is_swept_as_it_is_set(name: str) -> None:
    swept = perfmodel.load_workload(_file(name)).bind({"batch": np.array([1.0, 3.0, 8.0])})
    for i, batch in enumerate((1, 3, 8)):
        single = perfmodel.load_workload(_file(name)).bind({"batch": batch})
        for whole, one in zip(swept.nodes, single.nodes, strict=True):
            made = whole.op.algorithms(whole.tensors)[0].work
            each = one.op.algorithms(one.tensors)[0].work
            assert np.broadcast_to(made.flops, (3,))[i] == each.flops
            assert np.broadcast_to(made.bytes_read, (3,))[i] == each.bytes_read


def test_the_command_reads_converts_and_checks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(tmp_path / "resnet50.yaml")
    assert main(["analyze", _file("resnet50"), "-H", "h100-sxm", "--set", "batch=8"]) == 0
    assert "32.7 GMAC" in capsys.readouterr().out
    assert main(["convert", _file("resnet50"), "-o", file]) == 0
    text = Path(file).read_text()
    assert text.count("conv2d") < 40 < 53
    assert "repeat: 3" in text
    assert main(["check", file]) == 0
    assert main(["convert", _file("resnet50"), "-o", str(tmp_path / "x.json")]) == 2
    assert "must end in .yaml" in capsys.readouterr().err
