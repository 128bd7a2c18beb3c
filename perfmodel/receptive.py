"""Receptive field: how much of the input image a value of a layer depends on.

Along an axis a window of k taps, d apart, enlarges the field by ``d (k - 1)``
times the distance in the image between two neighbouring values; a stride
multiplies that distance. Source: Araujo, Norris and Sim, "Computing receptive
fields of convolutional neural networks", Distill (2019).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from perfmodel.core.dims import Dim, maximum
from perfmodel.graph import Graph, Node


@dataclass(frozen=True)
class Field:
    """Receptive field and distance of neighbours in the image, by axis."""

    size: tuple[Dim, ...]
    jump: tuple[Dim, ...]

    def seen_through(self, kernel: Any, stride: Any, dilation: Any) -> Field:
        """Return the field of a window over values with this field."""
        axes = range(len(self.size))
        taps, steps, gaps = (_per_axis(v, len(self.size)) for v in (kernel, stride, dilation))
        return Field(
            tuple(self.size[i] + gaps[i] * (taps[i] - 1) * self.jump[i] for i in axes),
            tuple(self.jump[i] * steps[i] for i in axes),
        )


def receptive_fields(graph: Graph) -> dict[str, tuple[Dim, ...]]:
    """Return the receptive field of each node of a network over images, by node name.

    Empty where no input has spatial axes. A node of a repeated block has the
    field of its last execution.
    """
    images = [t for t in graph.inputs if len(t.shape) >= 3 and t.role == "activation"]
    fields = {t.name: Field((1,) * (len(t.shape) - 2), (1,) * (len(t.shape) - 2)) for t in images}
    found: dict[str, tuple[Dim, ...]] = {}
    for _, group in groupby(graph.forward, key=_repeated):
        nodes = list(group)
        times = nodes[0].count if isinstance(nodes[0].count, int) else 1
        entering = next(
            (t.name for n in nodes for t in n.tensors.inputs if t.name in graph.carried), None
        )
        for _ in range(times):
            for node in nodes:
                _pass(node, fields, found)
            last = nodes[-1].output.name
            if entering is not None and last in fields:
                fields[entering] = fields[last]
    return found


def _repeated(node: Node) -> Any:
    """Return what the nodes of one repeated block have in common, and no others."""
    return node.name.split(".")[0] if node.count != 1 else node.name


def _pass(node: Node, fields: dict[str, Field], found: dict[str, tuple[Dim, ...]]) -> None:
    before = [fields[t.name] for t in node.tensors.inputs if t.name in fields]
    if not before:
        return
    axes = len(before[0].size)
    if any(len(t.shape) != axes + 2 for t in node.tensors.outputs):
        return  # flattened or pooled to a vector: no longer an image
    field = Field(
        tuple(maximum(*(f.size[i] for f in before)) for i in range(axes))
        if len(before) > 1
        else before[0].size,
        before[0].jump,
    )
    kernel = getattr(node.op, "kernel", None)
    if kernel is not None:
        stride, dilation = getattr(node.op, "stride", 1), getattr(node.op, "dilation", 1)
        field = field.seen_through(kernel, stride, dilation)
    for tensor in node.tensors.outputs:
        fields[tensor.name] = field
    found[node.name] = field.size


def _per_axis(value: Any, axes: int) -> Sequence[Dim]:
    return value if isinstance(value, tuple | list) else (value,) * axes
