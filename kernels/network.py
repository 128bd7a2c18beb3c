"""A whole network, kernel by kernel: the nodes of a graph in order, each fed by its makers.

A node is anything with ``op``, ``tensors`` and ``count``, as in `perfmodel.graph`.

    graph = perfmodel.load_workload("resnet50").bind({"batch": 1}, dtype="fp32")
    network = Network(graph.nodes)
    network.run()
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from perfmodel.kernels.dry import DryNamespace
from perfmodel.kernels.passes import Pass
from perfmodel.kernels.registry import Built, Kernel, kernel_for

#: names the algorithm of a node, None for the first that runs it
Choice = Callable[[Any], str | None]


@dataclass(frozen=True, eq=False)
class Step:
    """A node, the kernel that runs it, and its arrays."""

    node: Any
    kernel: Kernel
    built: Built

    def run(self) -> tuple[Any, ...]:
        """Run the kernel once."""
        return self.kernel.run(self.built)


class Network:
    """The kernels of a graph's nodes with their arrays, ready to run.

    Parameters
    ----------
    nodes : in an order of execution; backward nodes are refused.
    xp : numpy (the default), cupy, or a `DryNamespace`.
    choose : the algorithm of each node.

    Raises InputError for a node that no kernel runs.
    """

    def __init__(
        self,
        nodes: Iterable[Any],
        xp: Any = None,
        seed: int = 0,
        choose: Choice = lambda node: None,
    ) -> None:
        self.steps: list[Step] = []
        made: dict[int, Any] = {}
        for number, node in enumerate(nodes):
            kernel = kernel_for(node.op.name, choose(node), node)
            given = [made.get(id(t)) for t in node.tensors.inputs]
            built = kernel.build(node, xp=xp, seed=seed + number, given=given)
            step = Step(node, kernel, built)
            outputs = zip(node.tensors.outputs, step.run(), strict=False)
            made |= {id(tensor): array for tensor, array in outputs}
            self.steps.append(step)

    def run(self) -> None:
        """Run every node, and a repeated block as often as it stands in the network."""
        for count, steps in self.blocks():
            for _ in range(count):
                for step in steps:
                    step.run()

    def blocks(self) -> list[tuple[int, list[Step]]]:
        """Return neighbours that are repeated equally often, and how often."""
        grouped = groupby(self.steps, key=lambda step: int(step.node.count))
        return [(count, list(steps)) for count, steps in grouped]


def passes_of(
    nodes: Iterable[Any],
    choose: Choice = lambda node: None,
    backend: str = "numpy",
    python: bool = False,
) -> Mapping[str, tuple[Pass, ...]]:
    """Return the passes of each node, by its name, as they run one after the other.

    What a node finds in cache is what the nodes before it left, not its own last run.
    """
    xp = DryNamespace(backend)
    network = Network(nodes, xp, choose=choose)
    made = {}
    for step in network.steps:
        xp.recorder.forget()
        step.run()
        made[step.node.name] = xp.passes(python)
    return made
