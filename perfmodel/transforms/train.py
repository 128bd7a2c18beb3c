"""A forward graph expanded into one training step: forward, loss, gradients, optimizer.

Gradients come from each operator's own table. A tensor that several operators
read gets its gradients added up; what leads to no learned weight gets none (the
first layer has no input gradient). What the backward kernels read is kept from
the forward pass, or, with recomputation, computed again just before.

Every output gets the graph's loss, or without one its gradient from outside. A
loss takes logits: a softmax or sigmoid that ends the network is part of it. Of
several losses each is counted, their weighted sum, a few numbers, is not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from perfmodel.core import Bound, Dim, Gradient, Operator, Tensor, gradient_of
from perfmodel.core.axes import axis_of
from perfmodel.errors import InputError, did_you_mean
from perfmodel.graph import Graph, Node, bind_operator
from perfmodel.ops import get_operator, registry
from perfmodel.ops.losses import Loss
from perfmodel.readers.inline import complete_sizes
from perfmodel.transforms.stepping import optimizer_steps, weight_name

#: categories that selective recomputation runs again
CHEAP = ("elementwise", "normalization", "reduction", "attention")
#: what recomputation runs again: nothing; all but dense layers; everything inside blocks
RECOMPUTE: Mapping[str, Callable[[Node], bool]] = {
    "none": lambda node: False,
    "selective": lambda node: node.op.category in CHEAP,
    "full": lambda node: "." in node.name,
}


def optimizer_names() -> list[str]:
    """Return the optimizers there are."""
    return [name for name, op in registry().items() if op.category == "optimizer"]


def expand_training(graph: Graph, optimizer: str = "adam", recompute: str = "none") -> Graph:
    """Return one training step of ``graph``.

    Weights in a format narrower than 32 bits get an fp32 master copy, which the
    optimizer steps, and which counts as its state. Raises InputError for an unknown
    optimizer or recomputation, or where an operator on the way to a weight has no
    gradient.
    """
    if optimizer not in optimizer_names():
        raise InputError(
            f"unknown optimizer '{optimizer}'", mend=did_you_mean(optimizer, optimizer_names())
        )
    if recompute not in RECOMPUTE:
        raise InputError(
            f"unknown recomputation '{recompute}'", mend=f"one of {', '.join(RECOMPUTE)}"
        )
    losses = _losses(graph)
    nodes = [*(_keeping(n) for n in _without_ends(graph, losses)), *losses]
    again = RECOMPUTE[recompute]
    backward = _Backward(nodes, graph, again)
    backward.run([n.output.name for n in losses] or graph.outputs)
    steps = optimizer_steps(graph, optimizer, backward.written)
    # What is computed again keeps no temporaries the first time, what no gradient passes never.
    forward = [n if n.name in backward.passed and not again(n) else _without(n) for n in nodes]
    return replace(
        graph,
        nodes=(*forward, *backward.made, *steps.nodes),
        inputs=(*graph.inputs, *(t for n in losses for t in n.tensors.inputs[1:])),
        outputs=(),
        optimizer_bytes=steps.state_bytes,
        gradient_bytes=steps.gradient_bytes,
    )


def _keeping(node: Node) -> Node:
    """Return ``node`` with the temporaries that its gradients read, under its own name."""
    if not node.tensors.kept:
        return node
    keeps = tuple(t.named(f"{node.name}.{t.name}") for t in node.tensors.kept)
    return replace(node, keeps=keeps)


def _without(node: Node) -> Node:
    return replace(node, keeps=()) if node.keeps else node


def _losses(graph: Graph) -> list[Node]:
    """Return the loss behind each output, or behind the logits that an output is made from."""
    if graph.loss is None:
        return []
    cls = get_operator(graph.loss)
    makers = {t.name: n for n in graph.nodes for t in n.tensors.outputs}
    made: list[Node] = []
    for output in graph.outputs:
        maker = makers[output]
        scores = next(t for t in maker.tensors.outputs if t.name == output)
        if _includes(cls, maker.op, scores, graph.loss_axis):
            scores = maker.tensors.x
        name = "loss" if len(graph.outputs) == 1 else f"loss.{output}"
        op, (values, *others) = cls.from_sizes(
            complete_sizes(cls, _loss_sizes(cls, scores, graph.loss_axis)), graph.precision
        )
        targets = [t.named(f"{name}.{t.name}") for t in others]
        inputs = [values.named(scores.name), *targets]
        made.append(bind_operator(name, op, inputs, graph.precision))
    return made


def _includes(cls: type[Operator], last: Operator, output: Tensor, axis: Dim) -> bool:
    """Tell whether the loss applies ``last``, which made ``output``, itself."""
    if not issubclass(cls, Loss) or last.name not in cls.includes:
        return False
    rank = len(output.shape)
    return not cls.of_classes or axis_of("loss_axis", axis, rank) == rank - 1


def _loss_sizes(cls: type[Operator], scores: Tensor, axis: Dim) -> dict[str, Dim]:
    """Return the inline sizes of a loss: rows by columns of the classes' axis, or elements."""
    if "elements" in cls.sizes:
        return {"elements": scores.elements}
    cols = scores.shape[axis_of("loss_axis", axis, len(scores.shape))]
    return {"rows": scores.elements // cols, "cols": cols}


def _without_ends(graph: Graph, losses: Sequence[Node]) -> list[Node]:
    """Return the nodes but those whose output is read by nothing any more, the losses' ends."""
    scored = {n.tensors.x.name for n in losses}
    read = {t.name for n in graph.nodes for t in n.tensors.sources} | scored
    ends = set(graph.outputs) - read if losses else set()
    return [n for n in graph.nodes if n.output.name not in ends]


@dataclass
class _Backward:
    """Walks the forward nodes in reverse.

    ``made`` collects backward and recompute nodes, ``written`` the kernels that write
    a weight's gradient, ``passed`` the forward nodes that have a backward one.
    """

    nodes: Sequence[Node]
    graph: Graph
    again: Callable[[Node], bool]
    made: list[Node] = field(default_factory=list)
    written: dict[str, list[Gradient]] = field(default_factory=dict)
    passed: set[str] = field(default_factory=set)
    _arrived: set[str] = field(default_factory=set)
    _clones: dict[str, Tensor] = field(default_factory=dict)

    def run(self, outputs: Sequence[str]) -> None:
        """Pass the gradients of ``outputs`` back to every learned weight."""
        wanted = self._wanted()
        makers = {t.name: n for n in self.nodes for t in (*n.tensors.outputs, *n.keeps)}
        self._arrived |= set(outputs)
        for node in reversed(self.nodes):
            if not any(t.name in self._arrived for t in node.tensors.outputs):
                continue
            learned = [w for w in node.tensors.own_weights if w.role == "weight"]
            passed = [t for t in node.tensors.sources if t.name in wanted]
            if not learned and not passed:
                continue
            if not node.op.has_gradient():
                raise InputError(f"{node.name}: {node.op.name} has no gradient")
            self.passed.add(node.name)
            useful = {id(t) for t in (*learned, *passed)}
            tensors = replace(node.tensors, kept=node.keeps or node.tensors.kept)
            for gradient in node.op.gradients(tensors):
                if any(id(t) in useful for t in gradient.makes):
                    self._add(node, gradient, makers)

    def _wanted(self) -> set[str]:
        """Return the activations whose gradient leads to a learned weight."""
        wanted = set(self.graph.carried)
        for node in self.nodes:
            learned = any(w.role == "weight" for w in node.tensors.own_weights)
            if learned or any(t.name in wanted for t in node.tensors.sources):
                wanted |= {t.name for t in node.tensors.outputs if t.role != "index"}
        return wanted

    def _add(self, node: Node, gradient: Gradient, makers: Mapping[str, Node]) -> None:
        saved = tuple(self._recomputed(t, makers) for t in gradient.saved)
        self.made.append(
            replace(
                node,
                name=f"{node.name}.grad_{gradient.name}",
                role="backward",
                gradient=replace(gradient, saved=saved),
            )
        )
        inputs = {id(t) for t in node.tensors.sources}
        for tensor in gradient.makes:
            if id(tensor) not in inputs:
                # A kernel may write a frozen weight's gradient beside one that is wanted.
                self.written.setdefault(weight_name(self.graph, node, tensor), []).append(gradient)
                continue
            if tensor.name in self._arrived and tensor.name in makers:
                self._accumulate(tensor, node.count)
            self._arrived.add(tensor.name)

    def _accumulate(self, tensor: Tensor, count: Dim) -> None:
        total_, part = gradient_of(tensor), gradient_of(tensor).named(f"{tensor.name}.grad_part")
        add = bind_operator(
            f"{tensor.name}.grad_add", get_operator("add")(), [total_, part], self.graph.precision
        )
        summed = Bound(add.tensors.inputs, (add.output.named(total_.name),))
        self.made.append(replace(add, tensors=summed, count=count, role="backward"))

    def _recomputed(self, tensor: Tensor, makers: Mapping[str, Node]) -> Tensor:
        """Return ``tensor``, or the copy that is computed again for the backward pass."""
        maker = makers.get(tensor.name)
        if maker is None or not self.again(maker):
            return tensor
        if tensor.name not in self._clones:
            inputs = tuple(self._recomputed(t, makers) for t in maker.tensors.inputs)
            outputs = tuple(t.named(f"{t.name}.again") for t in maker.tensors.outputs)
            keeps = tuple(t.named(f"{t.name}.again") for t in maker.keeps)
            given = {k: self._recomputed(t, makers) for k, t in maker.tensors.given.items()}
            computed = {id(t): given[k] for k, t in maker.tensors.given.items()}
            weights = tuple(computed.get(id(w), w) for w in maker.tensors.weights)
            tensors = replace(
                maker.tensors, inputs=inputs, outputs=outputs, weights=weights, given=given
            )
            clone = replace(
                maker, name=f"{maker.name}.again", tensors=tensors, keeps=keeps, role="recompute"
            )
            self.made.append(clone)
            before = (*maker.tensors.outputs, *maker.keeps)
            self._clones |= dict(zip((t.name for t in before), (*outputs, *keeps), strict=True))
        return self._clones[tensor.name]
