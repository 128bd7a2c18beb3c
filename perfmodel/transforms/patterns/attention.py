"""Attention written out: ``softmax(q k^T + bias) v``, with all that turns heads around it."""

from __future__ import annotations

from dataclasses import dataclass, field

from perfmodel.core import Dim, Tensor
from perfmodel.core.dims import product, same
from perfmodel.errors import InputError
from perfmodel.graph import Node
from perfmodel.ops import make_operator
from perfmodel.transforms.patterns.matching import Finder, Match, same_tensor
from perfmodel.transforms.patterns.operands import REACH, Product, as_product, operand

#: the node at which a search begins
START = "softmax"


@dataclass
class _Scores:
    """What makes the scores of a softmax: the product, what is added, the nodes between.

    ``widest`` are the scores with most axes, which tell samples from heads.
    """

    product: Product
    widest: Tensor
    biases: list[Tensor]
    gone: list[Node]


@dataclass
class _Maker:
    """Makes the nodes that stand in for a match."""

    finder: Finder
    like: Node
    made: list[Node] = field(default_factory=list)

    def node(self, name: str, op: str, inputs: list[Tensor], **attributes: object) -> Tensor:
        """Add a node and return its output; InputError where the name is taken."""
        if name != self.like.name and name in self.finder.makers:
            raise InputError(f"the name {name} is taken")
        operator = make_operator(op, **attributes)
        self.made.append(self.finder.bind(name, operator, inputs, self.like))
        return self.made[-1].output

    def view(self, tensor: Tensor, shape: tuple[Dim, ...], name: str) -> Tensor:
        """Return the tensor under another shape, by a node of that name if it has not got it."""
        if _same_shape(tensor.shape, shape):
            return tensor
        return self.node(name, "reshape", [tensor], shape=shape)


def find(start: Node, finder: Finder) -> Match | None:
    """Return the attention around a softmax, or None.

    Scores may be scaled, on either side of the product, and masked by additions or
    selections; heads may be turned, regrouped or repeated (grouped queries) on the way.
    """
    scores = _scores(start, finder)
    after = _values(start, finder)
    if scores is None or after is None:
        return None
    weighting, between = after
    last = weighting.node
    batch, heads, repeats = _heads(scores)
    places = scores.product.places
    length, depth = places[scores.product.cols], places[scores.product.inner]
    queries, width = places[scores.product.rows], weighting.places[weighting.cols]
    if not same(weighting.places[weighting.inner], length) or not same(
        last.output.elements, batch * heads * queries * width
    ):
        return None
    if not same(repeats, heads // (weighting.second.elements // (batch * length * width))):
        return None
    rows = (batch, queries, heads * depth)
    q = operand(scores.product.first, rows, 1, finder)
    kv = heads // repeats
    for copies in (kv, 1):
        k = operand(scores.product.second, (batch, length, kv * depth), copies, finder)
        v = operand(weighting.second, (batch, length, kv * width), copies, finder)
        if same(k.shared, v.shared):
            break
    kv = kv // k.shared
    gone = [*q.gone, *k.gone, *v.gone, *reversed(scores.gone), start, *between, last]
    gone.insert(len(q.gone) + len(k.gone) + len(v.gone), scores.product.node)
    if not finder.inside(gone, last):
        return None
    turned = _turned(last, finder)
    make = _Maker(finder, last)
    named = turned is not None or _same_shape(last.output.shape, (batch, queries, heads * width))
    name = last.name if named else f"{last.name}.attention"
    try:
        operands = [
            make.view(q.tensor, rows, f"{last.name}.q"),
            make.view(k.tensor, (batch, length, kv * depth), f"{last.name}.k"),
            make.view(v.tensor, (batch, length, kv * width), f"{last.name}.v"),
            *_bias(scores.biases, (batch, heads, queries, length), last, make),
        ]
        y = make.node(name, "attention", operands, q_heads=heads, kv_heads=kv)
    except InputError:
        return None
    op = make.made[-1].op
    if turned is None:
        out = make.view(y, last.output.shape, last.name)
        fits = same_tensor(out, last.output)
        return Match(last, tuple(gone), tuple(make.made), op, None, name) if fits else None
    regroup = make_operator("reshape", shape=turned.output.shape)
    moved = finder.bind(turned.name, regroup, [y], turned)
    if not same_tensor(moved.output, turned.output):
        return None
    return Match(last, (*gone, turned), tuple(make.made), op, {turned.name: moved}, name)


def _same_shape(a: tuple[Dim, ...], b: tuple[Dim, ...]) -> bool:
    return len(a) == len(b) and all(map(same, a, b))


def _turned(last: Node, finder: Finder) -> Node | None:
    """Return the transpose from heads back to rows that follows, which a kernel needs not."""
    turned = finder.reader(last, "transpose")
    if turned is None or turned.role != last.role or not same(turned.count, last.count):
        return None
    axes = tuple(getattr(turned.op, "axes", ()))
    return turned if axes == (0, 2, 1, 3) and len(last.output.shape) == 4 else None


def _heads(scores: _Scores) -> tuple[Dim, Dim, Dim]:
    """Return samples, query heads, and query heads for each head of keys."""
    made = scores.product
    alone = [c for c in made.lead if c not in made.shared]
    if alone:
        samples = [c for c in made.lead[:1] if c in made.shared]
        heads = [c for c in made.lead if c not in samples]
        return made.size(samples), made.size(heads), made.size(alone)
    lead = scores.widest.shape[:-2]
    if len(lead) < 2:
        return product(lead), 1, 1
    return product(lead[:-1]), lead[-1], 1


def _scores(softmax: Node, finder: Finder) -> _Scores | None:
    """Walk from the softmax back to the product of q and k."""
    tensor = widest = softmax.tensors.x
    biases: list[Tensor] = []
    gone: list[Node] = []
    for _ in range(REACH):
        node = finder.maker(tensor)
        if node is None or not finder.alone(node):
            return None
        if len(tensor.shape) > len(widest.shape):
            widest = tensor
        made = as_product(node)
        if made is not None:
            behind = made.order[1][-2:] == made.rows + made.cols
            return _Scores(made, widest, biases, gone) if behind else None
        gone.append(node)
        if _passes(node) or (node.op.name in ("mul", "div") and len(node.tensors.inputs) == 1):
            tensor = node.tensors.x
            continue
        masked = _masked(node, tensor, finder)
        if masked is None:
            return None
        tensor, bias = masked
        biases.append(bias)
    return None


def _passes(node: Node) -> bool:
    """Tell whether a node is a cast, or a view that regroups axes before the last two only.

    A softmax over another axis stands between views of rows, with two axes.
    """
    if node.op.name != "reshape":
        return node.op.name == "cast"
    a, b = node.tensors.x.shape, node.output.shape
    return len(a) > 2 and len(b) > 2 and _same_shape(a[-2:], b[-2:])


def _masked(node: Node, scores: Tensor, finder: Finder) -> tuple[Tensor, Tensor] | None:
    """Return the scores that a sum or a selection masks, and the mask; None for others."""
    inputs = node.tensors.inputs
    if len(inputs) != 2 or inputs[0].name == inputs[1].name:
        return None
    if getattr(node.op, "function", "") == "where":
        mask, chosen = inputs
        return (chosen, mask) if _same_shape(chosen.shape, scores.shape) else None
    if node.op.name not in ("add", "sub"):
        return None
    # Of two tensors of the scores' shape, the one that is computed here are the scores.
    order = (inputs,) if node.op.name == "sub" else (inputs, inputs[::-1])
    for a, b in order:
        maker = finder.maker(a)
        likely = maker is not None and (as_product(maker) is not None or _steps(maker))
        if likely and _same_shape(a.shape, scores.shape):
            return a, b
    return None


def _steps(node: Node) -> bool:
    """Tell whether a node may stand between a product and its softmax."""
    function = getattr(node.op, "function", "")
    return _passes(node) or function == "where" or node.op.name in ("mul", "div", "add", "sub")


def _values(softmax: Node, finder: Finder) -> tuple[Product, list[Node]] | None:
    """Walk from the softmax on to the product with v; returns it and the nodes between."""
    node, gone = softmax, list[Node]()
    for _ in range(REACH):
        guarded = _guarded(node, finder)
        reader = guarded[-1] if guarded else finder.reader(node)
        if reader is None:
            return None
        made = as_product(reader)
        if made is not None:
            fits = made.first.name == node.output.name != made.second.name
            behind = made.order[0][-2:] == made.rows + made.inner
            return (made, gone) if fits and behind else None
        if not guarded and not _passes(reader):
            return None
        gone += guarded or [reader]
        node = reader
    return None


def _guarded(node: Node, finder: Finder) -> list[Node]:
    """Return the test and the selection that set rows without a key to zero, if they follow."""
    readers = finder.readers_of(node)
    if len(readers) != 2:
        return []
    test = next((r for r in readers if getattr(r.op, "function", "") == "isnan"), None)
    chosen = next((r for r in readers if getattr(r.op, "function", "") == "where"), None)
    if test is None or chosen is None or finder.reader(test) is not chosen:
        return []
    read = [t.name for t in chosen.tensors.inputs]
    return [test, chosen] if read == [test.output.name, node.output.name] else []


def _bias(biases: list[Tensor], scores: tuple[Dim, ...], last: Node, make: _Maker) -> list[Tensor]:
    """Return what is added to the scores as one ``bias[b,h,S,S']``; InputError if it is none.

    A kernel takes one mask: several are put together first.
    """
    if not biases:
        return []
    bias = biases[0]
    if len(biases) > 1:
        bias = make.node(f"{last.name}.mask", "pointwise", biases, function="mask",
                         vector=len(biases) - 1, to=last.output.dtype)  # fmt: skip
    shape = bias.shape
    if not 2 <= len(shape) <= 4:
        raise InputError("attention: a bias of another form")
    # One axis in front is that of the scores' samples where they have no heads.
    samples = len(shape) == 3 and same(scores[1], 1)
    lead = (shape[0], 1) if samples else (*(1,) * (4 - len(shape)), *shape[:-2])
    return [make.view(bias, (*lead, *shape[-2:]), f"{last.name}.bias")]
