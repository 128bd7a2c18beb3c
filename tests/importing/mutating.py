"""Mutated ONNX files: bytes changed anywhere, or nodes, attributes, sizes and types changed."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto

import perfmodel
from perfmodel.readers.convert import as_yaml
from perfmodel.report.terminal import print_analysis

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
#: sizes and values at which programs break
SIZES = (-(2**63), -(2**31), -2, -1, 0, 1, 2, 3, 7, 64, 2**16, 2**31, 2**40, 2**62, 2**63 - 1)
FLOATS = (float("nan"), float("inf"), -1.0, 0.0, 1e-30, 0.5, 3.0, 1e30)


@cache
def light_models() -> list[bytes]:
    """Return the nine networks inside the onnx package."""
    return [file.read_bytes() for file in sorted(LIGHT.glob("*.onnx"))]


@cache
def node_models() -> list[bytes]:
    """Return the models of ONNX's node tests."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import onnx.backend.test.case.node as node

        found = [case.model.SerializeToString() for case in node.collect_testcases(None)]
    return [raw for raw in found if len(raw) < 20_000]


def bytes_changed(raw: bytes, rng: random.Random) -> bytes:
    """Change, drop or insert a few bytes, or cut the end off."""
    data = bytearray(raw)
    if rng.random() < 0.1:
        return bytes(data[: rng.randrange(len(data))])
    for _ in range(rng.randint(1, 8)):
        kind, place = rng.random(), rng.randrange(max(len(data), 1))
        if kind < 0.6 and data:
            data[place] = rng.randrange(256)
        elif kind < 0.8:
            del data[place : place + rng.randint(1, 8)]
        else:
            data[place:place] = rng.randbytes(rng.randint(1, 8))
    return bytes(data)


def _graphs(graph: Any) -> list[Any]:
    found = [graph]
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type in (5, 10):
                for inner in (attribute.g, *attribute.graphs):
                    found += _graphs(inner)
    return found


def _names(graph: Any) -> list[str]:
    made = [name for node in graph.node for name in node.output]
    return [*made, *(i.name for i in graph.input), *(t.name for t in graph.initializer), ""]


def _node(graph: Any, rng: random.Random) -> None:
    if not graph.node:
        return
    i = rng.randrange(len(graph.node))
    node, kind = graph.node[i], rng.randrange(9)
    if kind == 0:
        del graph.node[i]
    elif kind == 1:
        graph.node.append(node)
    elif kind == 2:
        other = rng.choice(onnx.defs.get_all_schemas())
        node.op_type, node.domain = other.name, other.domain
    elif kind == 3 and node.input:
        node.input[rng.randrange(len(node.input))] = rng.choice(_names(graph))
    elif kind == 4 and node.input:
        del node.input[rng.randrange(len(node.input))]
    elif kind == 5:
        node.input.append(rng.choice(_names(graph)))
    elif kind == 6 and node.output:
        node.output[rng.randrange(len(node.output))] = rng.choice(_names(graph))
    elif kind == 7:
        node.op_type = rng.choice(graph.node).op_type
    else:
        node.domain = rng.choice(["", "ai.onnx", "ai.onnx.ml", "com.microsoft", "my.own"])


def _attribute(graph: Any, rng: random.Random) -> None:
    nodes = [n for n in graph.node if n.attribute]
    if not nodes:
        return
    node = rng.choice(nodes)
    i = rng.randrange(len(node.attribute))
    attribute, kind = node.attribute[i], rng.randrange(7)
    if kind == 0:
        del node.attribute[i]
    elif kind == 1:
        attribute.i, attribute.f = rng.choice(SIZES), rng.choice(FLOATS)
    elif kind == 2 and attribute.ints:
        attribute.ints[rng.randrange(len(attribute.ints))] = rng.choice(SIZES)
    elif kind == 3 and attribute.ints:
        del attribute.ints[rng.randrange(len(attribute.ints))]
    elif kind == 4:
        attribute.ints.append(rng.choice(SIZES))
    elif kind == 5:
        attribute.type = rng.randrange(15)
    else:
        attribute.name = rng.choice([a.name for n in graph.node for a in n.attribute] + ["axis"])


def _tensor(graph: Any, rng: random.Random) -> None:
    tensors = list(graph.initializer)
    tensors += [a.t for n in graph.node for a in n.attribute if a.type == 4]
    if not tensors:
        return
    tensor, kind = rng.choice(tensors), rng.randrange(5)
    if kind == 0 and tensor.dims:
        tensor.dims[rng.randrange(len(tensor.dims))] = rng.choice(SIZES)
    elif kind == 1:
        tensor.dims.append(rng.choice(SIZES))
    elif kind == 2:
        tensor.data_type = rng.randrange(28)
    elif kind == 3 and tensor.data_type == TensorProto.INT64 and len(tensor.dims) <= 1:
        count = max(1, tensor.dims[0] if tensor.dims else 1)
        values = [rng.choice(SIZES) for _ in range(min(count, 16))]
        tensor.ClearField("raw_data")
        del tensor.int64_data[:]
        tensor.int64_data.extend(values)
    else:
        tensor.raw_data = rng.randbytes(rng.randrange(32))


def _type(graph: Any, rng: random.Random) -> None:
    held = [*graph.input, *graph.value_info, *graph.output]
    if not held:
        return
    kind = rng.choice(held).type.tensor_type
    dims = kind.shape.dim
    change = rng.randrange(5)
    if change == 0 and dims:
        dims[rng.randrange(len(dims))].dim_value = rng.choice(SIZES)
    elif change == 1 and dims:
        dims[rng.randrange(len(dims))].dim_param = rng.choice(["batch", "N", "", "?", "None", "-1"])
    elif change == 2:
        dims.add().dim_value = rng.choice(SIZES)
    elif change == 3 and dims:
        del dims[rng.randrange(len(dims))]
    else:
        kind.elem_type = rng.randrange(28)


CHANGES: tuple[Callable[[Any, random.Random], None], ...] = (
    _node, _node, _attribute, _attribute, _tensor, _type,
)  # fmt: skip


def parts_changed(raw: bytes, rng: random.Random) -> bytes:
    """Change a few nodes, attributes, tensors or types, in any graph of the model."""
    model = onnx.ModelProto.FromString(raw)
    for _ in range(rng.randint(1, 4)):
        rng.choice(CHANGES)(rng.choice(_graphs(model.graph)), rng)
    if rng.random() < 0.1 and model.opset_import:
        model.opset_import[0].version = rng.choice([7, 9, 11, 12, 13, 18, 24, 26, 99])
    return model.SerializeToString()


def mutated(raw: bytes, rng: random.Random) -> bytes:
    """Return a changed file."""
    return (bytes_changed if rng.random() < 0.4 else parts_changed)(raw, rng)


#: control flow, lists and shape arithmetic, which the networks above have none of
TEXTS = (
    """g (float[n,8] x, int64 m, bool c) => (float[a,b] y) {
    h, all = Loop (m, c, x) <body = b (int64 i, bool going, float[p,8] s) => (bool on, float[q,8] t,
        float[n,8] u) { on = Identity(going) u = Relu(x) t = Concat<axis=0>(s, u) }>
    y = If (c) <then_branch = t () => (float[p,8] z) { z = Relu(h) },
        else_branch = e () => (float[p,8] z) { z = Sigmoid(h) }> }""",
    """g (float[n,6] x) => (float[a,b] y) {
    s = Shape(x) zero = Constant<value = int64 {0}>() one = Constant<value = int64[1] {-1}>()
    first = Gather(s, zero) axes = Constant<value = int64[1] {0}>() d = Unsqueeze(first, axes)
    target = Concat<axis=0>(d, one) y = Reshape(x, target) }""",
    """g (float[6,8] x) => (float[a,b] y) {
    three = Constant<value = int64 {3}>() on = Constant<value = bool {1}>() e = SequenceEmpty()
    list = Loop (three, on, e) <body = b (int64 i, bool going, seq(float[p,8]) s) =>
        (bool on, seq(float[p,8]) t) { on = Identity(going) u = Relu(x) t = SequenceInsert(s, u) }>
    y = ConcatFromSequence<axis=0>(list) }""",
    """g (float[4,8] x) => (float[8] h, float[4,8] y) {
    z = Constant<value = float[8] {0,0,0,0,0,0,0,0}>()
    h, y = Scan <num_scan_inputs=1, body = b (float[8] s, float[8] a) => (float[8] t, float[8] u)
        { t = Add(s, a) u = Relu(t) }> (z, x) }""",
)


@cache
def control_models() -> list[bytes]:
    """Return models with control flow."""
    header = '<ir_version: 10, opset_import: ["": 17]>\n'
    return [onnx.parser.parse_model(header + text).SerializeToString() for text in TEXTS]


def sample(rng: random.Random) -> bytes:
    """Return a model to mutate."""
    kind = rng.random()
    held = light_models() if kind < 0.25 else node_models() if kind < 0.75 else control_models()
    return rng.choice(held)


def use(file: Path, rng: random.Random) -> None:
    """Do with a file what a user does: read it, give open sizes, analyse, show, convert."""
    workload = perfmodel.load_workload(str(file))
    opened = [name for name, size in workload.dims("inference").items() if size is None]
    sizes = {name: rng.choice([1, 3, 64]) for name in opened if rng.random() < 0.95}
    if rng.random() < 0.2 and "batch" in workload.dims("inference"):
        sizes["batch"] = 2
    phase = "training" if rng.random() < 0.1 else "inference"
    result = perfmodel.analyze(workload, "h100-sxm", phase=phase, allow_unknown=True, **sizes)
    result.to_json()
    print_analysis(result.data, io.StringIO())
    if rng.random() < 0.3:
        as_yaml(workload, sizes)
