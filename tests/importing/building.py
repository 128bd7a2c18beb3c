"""Small ONNX models, put together from nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

import perfmodel

KINDS = {np.dtype(k): v for k, v in (
    ("float32", 1), ("uint8", 2), ("int8", 3), ("int16", 5), ("int32", 6), ("int64", 7),
    ("bool", 9), ("float16", 10), ("float64", 11),
)}  # fmt: skip


def node(op: str, inputs: str, outputs: str = "y", domain: str = "", **attributes: Any) -> Any:
    """Return a node; ``inputs`` and ``outputs`` are names between spaces, _ for none."""
    read, made = (["" if n == "_" else n for n in names.split()] for names in (inputs, outputs))
    return helper.make_node(op, read, made, domain=domain, **attributes)


def model(
    nodes: Sequence[Any],
    inputs: Mapping[str, Any],
    stored: Mapping[str, Any] | None = None,
    opset: int = 17,
    outputs: str = "y",
) -> Any:
    """Return a model; an input is a shape, or an array whose shape and format it has."""
    given = [
        helper.make_tensor_value_info(
            name,
            KINDS[v.dtype] if isinstance(v, np.ndarray) else 1,
            v.shape if isinstance(v, np.ndarray) else v,
        )
        for name, v in inputs.items()
    ]
    constants = [numpy_helper.from_array(np.asarray(v), k) for k, v in (stored or {}).items()]
    made = [onnx.ValueInfoProto(name=name) for name in outputs.split()]
    graph = helper.make_graph(list(nodes), "net", given, made, constants)
    domains = {n.domain for n in nodes} - {""}
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, 1) for d in domains)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def zeros(*shape: int, dtype: str = "float32") -> Any:
    """Return an array for ``stored``."""
    return np.zeros(shape, dtype=dtype)


def analyzed(built: Any, folder: Path, **more: Any) -> Any:
    """Return the analysis of a model on one device."""
    file = folder / "model.onnx"
    file.write_bytes(built.SerializeToString())
    return perfmodel.analyze(str(file), "h100-sxm", **more)


def shapes(built: Any, folder: Path) -> list[tuple[Any, ...]]:
    """Return the shapes of the graph's outputs."""
    from perfmodel.readers.onnx.workload import read_onnx

    file = folder / "model.onnx"
    file.write_bytes(built.SerializeToString())
    workload = read_onnx(file)
    _, _, outputs = workload.imported({}, workload.precision)
    return [v.shape for v in outputs]


def parsed(text: str, stored: Mapping[str, Any] | None = None, opset: int = 17) -> Any:
    """Return the model that ``text`` writes in ONNX's textual form, without its header."""
    domains = "".join(f', "{d}": 1' for d in ("loc", "ai.onnx.ml", "com.microsoft") if d in text)
    header = f'<ir_version: 10, opset_import: ["": {opset}{domains}]>\n'
    built = onnx.parser.parse_model(header + text)
    for name, value in (stored or {}).items():
        built.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    return built
