"""Multiply-accumulates of an ONNX model by the textbook, with the shapes that a runtime reports.

Shares no code with perfmodel: every intermediate tensor becomes an output, ONNX Runtime
runs the model once, and each dense node is counted from the shapes of what it read and wrote.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import onnx
import onnxruntime

_NUMPY = {1: np.float32, 2: np.uint8, 3: np.int8, 6: np.int32, 7: np.int64, 9: np.bool_,
          10: np.float16, 11: np.float64}  # fmt: skip


def count(model: Any, feeds: dict[str, Any] | None = None) -> int:
    """Return the multiply-accumulates of one run."""
    shapes = {name: v.shape for name, v in observed(model, feeds or {}).items()}
    return sum(_node(node, shapes) for node in model.graph.node)


def observed(model: Any, feeds: dict[str, Any]) -> dict[str, Any]:
    """Return every tensor of one run, the stored and the fed ones among them.

    Inputs without a feed are zeros, of one place where a size is open.
    """
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    del shown.graph.output[:]
    for node in shown.graph.node:
        for name in node.output:
            if name:
                shown.graph.output.append(onnx.ValueInfoProto(name=name))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.graph_optimization_level = level
    session = onnxruntime.InferenceSession(
        shown.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    stored = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    given = dict(feeds)
    for item in model.graph.input:
        if item.name not in stored and item.name not in given:
            kind = item.type.tensor_type
            shape = [d.dim_value or 1 for d in kind.shape.dim]
            given[item.name] = np.zeros(shape, dtype=_NUMPY[kind.elem_type])
    names = [o.name for o in session.get_outputs()]
    made = session.run(names, given)
    return {**stored, **given, **{n: np.asarray(v) for n, v in zip(names, made, strict=True)
                                  if not isinstance(v, list)}}  # fmt: skip


def _node(node: Any, shapes: dict[str, tuple[int, ...]]) -> int:
    read = [shapes.get(name, ()) for name in node.input]
    if node.op_type in ("Conv", "FusedConv", "ConvInteger"):
        return prod(shapes[node.output[0]]) * prod(read[1][1:])
    if node.op_type == "QLinearConv":
        return prod(shapes[node.output[0]]) * prod(read[3][1:])
    if node.op_type == "QLinearConv":
        return prod(shapes[node.output[0]]) * prod(read[3][1:])
    if node.op_type == "ConvTranspose":
        return prod(read[0]) * prod(read[1][1:])
    if node.op_type in ("MatMul", "MatMulInteger", "QLinearMatMul"):
        return prod(shapes[node.output[0]]) * read[0][-1]
    if node.op_type in ("Gemm", "QGemm"):
        turned = next((a.i for a in node.attribute if a.name == "transA"), 0)
        return prod(shapes[node.output[0]]) * read[0][0 if turned else 1]
    if node.op_type in ("LSTM", "GRU", "RNN", "DynamicQuantizeLSTM"):
        steps, batch, _ = read[0]
        return steps * batch * (prod(read[1]) + prod(read[2]))
    return 0
