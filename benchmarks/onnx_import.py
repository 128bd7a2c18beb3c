"""Time of `perfmodel analyze` on an ONNX graph of 7,000 nodes, in all and for each node.

The graph is built here: transformer layers as old exporters write them (layer norm and
GELU in primitive nodes, every reshape's target computed by Shape, Gather, Concat), then
residual convolution blocks. CPU time of the command is taken, its start included.

    python benchmarks/onnx_import.py [--nodes 7000] [--runs 3] [--profile]
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from onnx import helper, numpy_helper

WIDTH, HEADS = 256, 4
TARGET_S = 3.0


class Net:
    """Nodes and stored tensors under construction."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.stored: list[Any] = []

    def put(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Add a node and return its output's name."""
        name = f"{op}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], name=name, **attributes))
        return name

    def constant(self, value: Any) -> str:
        """Add a Constant node."""
        return self.put("Constant", value=numpy_helper.from_array(np.asarray(value)))

    def weight(self, *shape: int) -> str:
        """Add an initializer, whose values take no room in the file."""
        name = f"weight_{len(self.stored)}"
        zeros = np.zeros(shape, dtype=np.float16 if np.prod(shape) > 1e5 else np.float32)
        self.stored.append(numpy_helper.from_array(zeros.astype(np.float32), name))
        return name


def _size(net: Net, x: str, axis: int) -> str:
    shape = net.put("Shape", x)
    one = net.put("Gather", shape, net.constant(np.int64(axis)), axis=0)
    return net.put("Unsqueeze", one, net.constant([0]))


def _reshaped(net: Net, x: str, *rest: int) -> str:
    sizes = [_size(net, x, 0), _size(net, x, 1), *(net.constant([d]) for d in rest)]
    return net.put("Reshape", x, net.put("Concat", *sizes, axis=0))


def _layer_norm(net: Net, x: str) -> str:
    mean = net.put("ReduceMean", x, axes=[-1])
    centred = net.put("Sub", x, mean)
    squares = net.put("Pow", centred, net.constant(np.float32(2)))
    variance = net.put("ReduceMean", squares, axes=[-1])
    root = net.put("Sqrt", net.put("Add", variance, net.constant(np.float32(1e-5))))
    scaled = net.put("Mul", net.put("Div", centred, root), net.weight(WIDTH))
    return net.put("Add", scaled, net.weight(WIDTH))


def _linear(net: Net, x: str, inner: int, outer: int) -> str:
    return net.put("Add", net.put("MatMul", x, net.weight(inner, outer)), net.weight(outer))


def _transformer_layer(net: Net, x: str) -> str:
    normed = _layer_norm(net, x)
    heads = []
    for _ in range(3):
        split = _reshaped(net, _linear(net, normed, WIDTH, WIDTH), HEADS, WIDTH // HEADS)
        heads.append(net.put("Transpose", split, perm=[0, 2, 1, 3]))
    q, k, v = heads
    scores = net.put("MatMul", q, net.put("Transpose", k, perm=[0, 1, 3, 2]))
    scores = net.put("Div", scores, net.constant(np.float32(8)))
    context = net.put("MatMul", net.put("Softmax", scores, axis=-1), v)
    joined = _reshaped(net, net.put("Transpose", context, perm=[0, 2, 1, 3]), WIDTH)
    x = net.put("Add", x, _linear(net, joined, WIDTH, WIDTH))
    wide = _linear(net, _layer_norm(net, x), WIDTH, 2 * WIDTH)
    erf = net.put("Erf", net.put("Div", wide, net.constant(np.float32(1.414))))
    half = net.put("Mul", wide, net.put("Add", erf, net.constant(np.float32(1))))
    gelu = net.put("Mul", half, net.constant(np.float32(0.5)))
    return net.put("Add", x, _linear(net, gelu, 2 * WIDTH, WIDTH))


def _residual_block(net: Net, x: str, channels: int) -> str:
    y = x
    for _ in range(2):
        y = net.put("Conv", y, net.weight(channels, channels, 3, 3), pads=[1, 1, 1, 1])
        y = net.put("BatchNormalization", y, *(net.weight(channels) for _ in range(4)))
        y = net.put("Relu", y)
    return net.put("Add", x, y)


def build(nodes: int) -> Any:
    """Return a model of about that many nodes, with an open batch and sequence."""
    net = Net()
    x, image = "tokens", "image"
    while len(net.nodes) < nodes * 0.8:
        x = _transformer_layer(net, x)
    while len(net.nodes) < nodes - 1:
        image = _residual_block(net, image, 16)
    given = [
        helper.make_tensor_value_info("tokens", 1, ["batch", "sequence", WIDTH]),
        helper.make_tensor_value_info("image", 1, ["batch", 16, 56, 56]),
    ]
    made = [helper.make_tensor_value_info(name, 1, None) for name in (x, image)]
    graph = helper.make_graph(net.nodes, "large", given, made, net.stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


def main() -> int:
    """Build the model, run the command on it, and print the time."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nodes", type=int, default=7000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--profile", action="store_true", help="where the time goes")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "large.onnx"
        model = build(asked.nodes)
        file.write_bytes(model.SerializeToString())
        nodes = len(model.graph.node)
        options = ["--set", "batch=2", "--set", "sequence=128", "--top", "5"]
        arguments = ["analyze", str(file), "-H", "h100-sxm", *options]
        if asked.profile:
            return _profile(arguments)
        command = [sys.executable, "-c", "import sys; from perfmodel.cli import main;"
                   " sys.exit(main(sys.argv[1:]))", *arguments]  # fmt: skip
        times = [_cpu_seconds(command) for _ in range(asked.runs)]
    median = statistics.median(times)
    print(f"{nodes:,} nodes: {median:.2f} CPU-s (median of {asked.runs}),"
          f" {1e6 * median / nodes:.0f} us a node, target {TARGET_S:g} s")  # fmt: skip
    return 0 if median <= TARGET_S else 1


def _cpu_seconds(command: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)


def _profile(arguments: list[str]) -> int:
    from perfmodel.cli import main as command

    profile = cProfile.Profile()
    profile.enable()
    code = command(arguments)
    profile.disable()
    pstats.Stats(profile).sort_stats("tottime").print_stats(45)
    return code


if __name__ == "__main__":
    sys.exit(main())
