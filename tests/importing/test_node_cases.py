"""ONNX's own node tests through the importer: inferred shapes equal the expected outputs'."""

from __future__ import annotations

import string
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import perfmodel
from perfmodel.errors import InputError
from perfmodel.readers.convert import as_yaml
from perfmodel.readers.onnx.handlers import treatments
from perfmodel.readers.onnx.workload import read_onnx

onnx = pytest.importorskip("onnx")

#: cases whose shape no importer can know, or that are not of the default domain
EXCUSED = {
    "preview": ("test_adagrad", "test_adam", "test_flexattention", "test_momentum",
                "test_nesterov_momentum"),
    "opset 1": ("test_not_",),
    # Their sequences' lengths are not in the file.
    "a sequence of unknown length": ("test_sequence_map_",),
    # Numbers in bfloat16 and float16 that the harness cannot store, and loops that run
    # until a computed condition says so.
    "a loop of unknown length": ("test_range_", "test_loop11"),
}  # fmt: skip
#: inputs of at most this many numbers become constants, as exporters write them
SMALL = 64


@cache
def cases() -> list[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import onnx.backend.test.case.node as node

        return list(node.collect_testcases(None))


def _as_exported(case: Any) -> tuple[Any, dict[str, Any]]:
    """Return the case's model with its small inputs as initializers, and its inputs."""
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    names = [i.name for i in model.graph.input]
    values = [np.asarray(v) if isinstance(v, np.generic) else v for v in case.data_sets[0][0]]
    fed = dict(zip(names, values, strict=False))
    for name, value in fed.items():
        if not isinstance(value, np.ndarray) or value.size > SMALL:
            continue
        decides = np.issubdtype(value.dtype, np.integer) and value.ndim <= 1
        if value.dtype.kind in "iufb" and (name != names[0] or decides):
            model.graph.input.remove(next(i for i in model.graph.input if i.name == name))
            model.graph.initializer.append(onnx.numpy_helper.from_array(value, name))
    return model, fed


def _differs(case: Any, file: Path) -> str | None:
    model, fed = _as_exported(case)
    file.write_bytes(model.SerializeToString())
    try:
        workload = read_onnx(file)
        shapes = {}
        for item in workload.inputs:
            value = fed.get(item.name)
            found = getattr(value, "shape", getattr(value, "dims", None))
            if found is not None:
                shapes[item.name] = tuple(found)
        workload = workload.with_inputs(shapes, {})
        net, _, outputs = workload.imported({}, workload.precision)
    except InputError as error:
        return str(error)
    unknown = [n.name for n in net.nodes if n.op.coverage == "unknown"]
    if unknown:
        return f"unknown: {unknown}"
    for made, expected in zip(outputs, case.data_sets[0][1], strict=False):
        if isinstance(expected, np.ndarray) and not made.bound and made.shape != expected.shape:
            return f"{made.shape}, expected {expected.shape}"
    return None


@pytest.mark.parametrize("letter", string.ascii_lowercase)
def test_inferred_shapes_are_the_expected_outputs(letter: str, tmp_path: Path) -> None:
    excused = tuple(prefix for prefixes in EXCUSED.values() for prefix in prefixes)
    wrong = {}
    for i, case in enumerate(cases()):
        if case.name.startswith(f"test_{letter}"):
            found = _differs(case, tmp_path / f"{i}.onnx")
            if found is not None and not case.name.startswith(excused):
                wrong[case.name] = found
    assert not wrong


def test_there_are_node_cases() -> None:
    assert len(cases()) > 1500


def test_every_operator_of_the_default_domain_is_treated() -> None:
    table = treatments()
    defined = {s.name for s in onnx.defs.get_all_schemas() if s.domain == ""}
    assert len(defined) > 180
    assert not {name for name in defined if ("", name) not in table}
    assert set(table.values()) == {"modelled", "free", "bounded"}


def test_what_control_flow_makes_survives_a_conversion(tmp_path: Path) -> None:
    compared, refused = 0, {}
    for case in cases():
        if not case.name.startswith(("test_scan", "test_loop13", "test_if_")):
            continue
        model, _ = _as_exported(case)
        file, written = tmp_path / f"{case.name}.onnx", tmp_path / f"{case.name}.yaml"
        file.write_bytes(model.SerializeToString())
        try:
            written.write_text(as_yaml(perfmodel.load_workload(str(file)), {}))
        except InputError as error:
            refused[case.name] = str(error)
            continue
        direct = perfmodel.analyze(str(file), "h100-sxm").totals
        converted = perfmodel.analyze(str(written), "h100-sxm").totals
        for key in ("parameters", "macs", "flops", "bytes", "peak_memory_bytes"):
            assert direct[key] == converted[key], (case.name, key)
        compared += 1
    assert compared >= 3
    # Constants alone, or sequences: no graph of tensors.
    said = ("takes no input", "no operator")
    assert not {k: v for k, v in refused.items() if not any(s in v for s in said)}
