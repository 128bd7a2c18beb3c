"""Attention written out: ``softmax(q k^T + bias) v``, with all that turns heads around it."""

from __future__ import annotations

from dataclasses import dataclass, field

from perfmodel.core import Dim, Tensor
from perfmodel.core.dims import product, same
from perfmodel.core.elementwise import broadcast_shape
from perfmodel.core.symbols import is_symbolic
from perfmodel.errors import InputError
from perfmodel.graph import Node
from perfmodel.ops import make_operator
from perfmodel.transforms.patterns.matching import Finder, Match, same_tensor

#: the node at which a search begins
START = "softmax"
#: nodes between two products, or behind an operand, before a search gives up
REACH = 24
_VIEWS = ("reshape", "flatten", "squeeze", "unsqueeze")


@dataclass
class _Scores:
    """What makes the scores of a softmax: the product, what is added, the nodes between."""

    product: Node
    biases: list[Tensor] = field(default_factory=list)
    gone: list[Node] = field(default_factory=list)


@dataclass
class _Operand:
    """Where q, k or v comes from: the tensor to read, how often a head of it serves."""

    tensor: Tensor
    gone: list[Node]
    shared: Dim = 1


def find(start: Node, finder: Finder) -> Match | None:
    """Return the attention around a softmax, or None.

    Scores may be scaled, on either side of the product, and masked by an addition or a
    selection; heads may be turned, regrouped or repeated (grouped queries) on the way.
    """
    scores = _scores(start, finder)
    after = _values(start, finder)
    if scores is None or after is None:
        return None
    last, weighting = after
    q, k = scores.product.tensors.inputs
    v = last.tensors.inputs[1]
    if not _fits(scores.product) or not _fits(last):
        return None
    rank = len(q.shape)
    batch = product(q.shape[:-3]) if rank > 3 else q.shape[0] if rank == 3 else 1
    heads: Dim = q.shape[-3] if rank > 3 else 1
    rows = (batch, q.shape[-2], heads * q.shape[-1])
    queries = _operand(q, rows, 1, finder)
    for repeats in (True, False):
        keys, values = (_keys(t, batch, heads, n, d, repeats, finder)
                        for t, n, d in ((k, k.shape[-1], k.shape[-2]), (v, *v.shape[-2:])))  # fmt: skip
        if same(keys.shared, values.shared):
            break
    gone = [
        *queries.gone,
        *keys.gone,
        *values.gone,
        scores.product,
        *scores.gone,
        start,
        *weighting,
    ]
    turned = finder.reader(last, "transpose")
    if turned is not None and not (rank == 4 and tuple(turned.op.axes) == (0, 2, 1, 3)):  # type: ignore[attr-defined]
        turned = None
    ends = [*gone, last]
    if not finder.inside(ends, last):
        return None
    name = last.name if turned is not None or rank == 3 else f"{last.name}.attention"
    if name != last.name and name in finder.makers:
        return None
    made: list[Node] = []

    def view(tensor: Tensor, shape: tuple[Dim, ...], named: str) -> Tensor:
        if len(shape) == len(tensor.shape) and all(map(same, shape, tensor.shape)):
            return tensor
        made.append(finder.bind(named, make_operator("reshape", shape=shape), [tensor], last))
        return made[-1].output

    kv_heads = heads // keys.shared
    length, width = k.shape[-1], v.shape[-1]
    operands = [
        view(queries.tensor, rows, f"{last.name}.q"),
        view(keys.tensor, (batch, length, kv_heads * q.shape[-1]), f"{last.name}.k"),
        view(values.tensor, (batch, length, kv_heads * width), f"{last.name}.v"),
    ]
    op = make_operator("attention", q_heads=heads, kv_heads=kv_heads)
    try:
        bias = _bias(scores.biases, (batch, heads, q.shape[-2], length), last, finder, made)
        made.append(finder.bind(name, op, [*operands, *bias], last))
    except InputError:
        return None
    y = made[-1]
    moved: dict[str, Node] = {}
    if turned is not None:
        b, h, s, e = last.output.shape
        regroup = make_operator("reshape", shape=(b, s, h, e))
        moved[turned.name] = finder.bind(turned.name, regroup, [y.output], turned)
        if not same_tensor(moved[turned.name].output, turned.output):
            return None
    else:
        view(y.output, last.output.shape, last.name)
        if not same_tensor(made[-1].output, last.output):
            return None
    return Match(last, tuple(ends), tuple(made), op, moved, y.name)


def _fits(node: Node) -> bool:
    """Tell whether a product is of matrices with the same axes before them."""
    a, b = (t.shape for t in node.tensors.inputs)
    return len(a) == len(b) and len(a) >= 3 and all(map(same, a[:-2], b[:-2]))


def _scores(softmax: Node, finder: Finder) -> _Scores | None:
    """Walk from the softmax back to the product of q and k."""
    tensor = softmax.tensors.x
    found = _Scores(softmax)
    for _ in range(REACH):
        node = finder.maker(tensor)
        if node is None or not finder.alone(node):
            return None
        ops, inputs = node.op.name, node.tensors.inputs
        if ops == "matmul":
            found.product = node
            return found
        found.gone.append(node)
        if ops == "cast" or (ops in ("mul", "div") and len(inputs) == 1) or (ops == "reshape" and _leading(node)):
            tensor = inputs[0]
        elif ops in ("add", "sub") and len(inputs) == 2:
            step = _added(node, tensor)
            if step is None or (ops == "sub" and step[0].name != inputs[0].name):
                return None
            tensor, bias = step
            found.biases.append(bias)
        elif getattr(node.op, "function", "") == "where" and len(inputs) in (2, 3):
            if not _wide(inputs[1], tensor):
                return None
            tensor = inputs[1]
            found.biases.append(inputs[0])
            if len(inputs) == 3 and not same(inputs[2].elements, 1):
                return None
        else:
            return None
    return None


def _leading(node: Node) -> bool:
    """Tell whether a view regroups axes before the last two only."""
    a, b = node.tensors.x.shape, node.output.shape
    return len(a) > 2 and len(b) > 2 and all(map(same, a[-2:], b[-2:]))


def _wide(tensor: Tensor, scores: Tensor) -> bool:
    a, b = tensor.shape, scores.shape
    return len(a) == len(b) and all(map(same, a, b))


def _added(node: Node, scores: Tensor) -> tuple[Tensor, Tensor] | None:
    """Return the scores and the bias of a sum; the scores are what a product makes."""
    a, b = node.tensors.inputs
    if a.name == b.name:
        return None
    wide = [t for t in (a, b) if _wide(t, scores)]
    if len(wide) != 1:
        return (a, b) if wide else None
    return (a, b) if wide[0] is a else (b, a)


def _values(softmax: Node, finder: Finder) -> tuple[Node, list[Node]] | None:
    """Walk from the softmax on to the product with v; returns it and the nodes between."""
    node, gone = softmax, list[Node]()
    for _ in range(REACH):
        guarded = _guarded(node, finder)
        reader = guarded[-1] if guarded else finder.reader(node)
        if reader is None:
            return None
        if reader.op.name == "matmul":
            weights, v = reader.tensors.inputs
            fits = weights.name == node.output.name and v.name != weights.name
            return (reader, gone) if fits else None
        if not guarded and not (
            reader.op.name == "cast" or (reader.op.name == "reshape" and _leading(reader))
        ):
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


def _keys(
    tensor: Tensor, batch: Dim, heads: Dim, length: Dim, width: Dim, repeats: bool, finder: Finder
) -> _Operand:
    return _operand(tensor, (batch, length, heads * width), heads if repeats else 1, finder)


def _operand(tensor: Tensor, rows: tuple[Dim, ...], heads: Dim, finder: Finder) -> _Operand:
    """Walk from an operand back over what only turns, regroups, scales or repeats it.

    A fused kernel reads heads with strides: it reads what stands before.
    """
    found = _Operand(tensor, [])
    passed: list[Node] = []
    at, shared = tensor, found.shared
    for _ in range(REACH):
        node = finder.maker(at)
        if node is None or not finder.alone(node):
            break
        name, inputs = node.op.name, node.tensors.inputs
        passed.append(node)
        at = inputs[0] if inputs else at
        if name == "transpose" or (name in ("mul", "div") and len(inputs) == 1):
            found = _Operand(at, list(passed), shared)
        elif name == "expand" and same(shared, 1) and not same(heads, 1):
            times = _repeated(node, heads)
            if times is None:
                break
            shared = times
            found = _Operand(at, list(passed), shared)
        elif name in _VIEWS:
            wanted = (*rows[:2], rows[2] // found.shared)
            if len(at.shape) == 3 and all(map(same, at.shape, wanted)):
                found = _Operand(at, list(passed), shared)
        else:
            break
    return found


def _repeated(node: Node, heads: Dim) -> Dim | None:
    """Return how often keys' heads are repeated: ``[B,h,1,S,D] -> [B,h,g,S,D]``, h g heads."""
    a, b = node.tensors.x.shape, node.output.shape
    if len(a) != 5 or len(b) != 5 or not same(a[2], 1) or not same(b[1] * b[2], heads):
        return None
    return b[2] if all(same(a[i], b[i]) for i in (0, 1, 3, 4)) else None


def _bias(
    biases: list[Tensor], scores: tuple[Dim, ...], last: Node, finder: Finder, made: list[Node]
) -> list[Tensor]:
    """Return what is added to the scores as one ``bias[b,h,S,S']``; InputError if it is none."""
    if not biases:
        return []
    if len(biases) == 1:
        bias = biases[0]
    else:
        # A kernel takes one mask: several are put together first.
        joined = make_operator("pointwise", function="mask", vector=len(biases) - 1,
                               to=last.output.dtype)  # fmt: skip
        broadcast_shape("attention", [b.shape for b in biases])
        made.append(finder.bind(f"{last.name}.mask", joined, biases, last))
        bias = made[-1].output
    shape = bias.shape
    if len(shape) > 4 or len(shape) < 2:
        raise InputError("attention: a bias of another form")
    # Heads alone in front are samples here.
    lead = (shape[0], 1) if len(shape) == 3 and same(scores[1], 1) else (1,) * (4 - len(shape))
    target = (*lead, *shape[-2:]) if len(shape) == 3 else (*lead, *shape)
    if len(shape) == 3 and not same(scores[1], 1):
        target = (1, *shape)
    if is_symbolic(scores[0]) and not same(target[0], 1) and not same(target[0], scores[0]):
        raise InputError("attention: a bias of another number of samples")
    if len(target) != len(shape):
        view = make_operator("reshape", shape=target)
        made.append(finder.bind(f"{last.name}.bias", view, [bias], last))
        bias = made[-1].output
    return [bias]
