"""Layer norm and RMS norm written out: mean, difference, variance, root, factor, shift."""

from __future__ import annotations

from perfmodel.core import Tensor
from perfmodel.core.dims import same
from perfmodel.graph import Node
from perfmodel.ops import make_operator
from perfmodel.transforms.patterns.matching import (
    Finder,
    Match,
    is_reciprocal,
    other,
    same_tensor,
)

#: the node at which a search begins
START = "sqrt"


def find(start: Node, finder: Finder) -> Match | None:
    """Return the norm around a root, or None.

    Layer norm is ``(x - mean) / sqrt(mean((x - mean)^2) + epsilon) gamma + beta`` and RMS
    norm ``x / sqrt(mean(x^2) + epsilon) gamma``, means over the last axis, which stays.
    """
    if start.op.name != START and getattr(start.op, "function", "") != "rsqrt":
        return None
    epsilon = finder.maker(start.tensors.x, "add", inputs=1)
    mean = finder.maker(epsilon.tensors.x, "reduce_mean") if epsilon else None
    if epsilon is None or mean is None or not _over_last(mean):
        return None
    square = _square(finder, mean.tensors.x)
    if square is None:
        return None
    centred = square.tensors.x
    gone = [square, mean, epsilon, start]
    divided = _divided(start, centred, finder)
    if divided is None:
        return None
    gone += divided
    centring = _centring(finder, centred)
    x = centring[-1].tensors.x if centring else centred
    source = finder.maker(x, "cast")
    inner: Node = divided[-1]
    scaled = _with_weight(finder, inner, "mul", x)
    cast = finder.reader(inner, "cast")
    if scaled is None and cast is not None and source is not None:
        # A norm in a wider format: its casts are part of it.
        scaled = _with_weight(finder, cast, "mul", x)
        gone.append(cast)
    if scaled is None:
        return None
    last, gamma = scaled
    gone.append(last)
    weights, names = [gamma], ["gamma"]
    if centring:
        gone = [*reversed(centring), *gone]
        shifted = _with_weight(finder, last, "add", x)
        if shifted is not None:
            last, beta = shifted
            gone.append(last)
            weights.append(beta)
            names.append("beta")
        op = make_operator("layer_norm", bias="beta" in names)
    else:
        op = make_operator("rms_norm")
    if source is not None and not same_tensor(x, last.output):
        gone, x = [source, *gone], source.tensors.x
    if not finder.inside(gone, last):
        return None
    made = finder.bind(last.name, op, [x, *weights], last, names)
    if not same_tensor(made.output, last.output):
        return None
    return Match(last, tuple(gone), (made,), op)


def _over_last(node: Node) -> bool:
    rank = len(node.tensors.x.shape)
    axes = [a % rank for a in getattr(node.op, "axes", ())]
    return axes == [rank - 1] and bool(getattr(node.op, "keep", False))


def _square(finder: Finder, tensor: Tensor) -> Node | None:
    """Return the node that squares: a power with a number, or a product with itself."""
    power = finder.maker(tensor, "pow", inputs=1)
    if power is not None:
        return power
    product = finder.maker(tensor, "mul", inputs=2)
    if product is None:
        return None
    a, b = product.tensors.inputs
    return product if a.name == b.name else None


def _divided(root: Node, centred: Tensor, finder: Finder) -> list[Node] | None:
    """Return the nodes that divide by the root, the last one making the quotient."""
    if root.op.name != START:
        product = finder.reader(root, "mul", inputs=2)
        factor = other(product, root.output) if product is not None else None
        fits = factor is not None and factor.name == centred.name
        return [product] if product is not None and fits else None
    quotient = finder.reader(root, "div", inputs=2)
    if quotient is not None:
        a, b = quotient.tensors.inputs
        fits = a.name == centred.name and b.name == root.output.name
        return [quotient] if fits else None
    inverse = finder.reader(root)
    if inverse is None or not is_reciprocal(inverse):
        return None
    product = finder.reader(inverse, "mul", inputs=2)
    if product is None:
        return None
    factor = other(product, inverse.output)
    return [inverse, product] if factor is not None and factor.name == centred.name else None


def _centring(finder: Finder, centred: Tensor) -> list[Node]:
    """Return [difference, mean] where the tensor is ``x - mean(x)``, else nothing."""
    difference = finder.maker(centred, "sub", inputs=2)
    if difference is None:
        return []
    x, subtracted = difference.tensors.inputs
    mean = finder.maker(subtracted, "reduce_mean")
    if mean is None or mean.tensors.x.name != x.name or not _over_last(mean):
        return []
    return [difference, mean]


def _with_weight(finder: Finder, node: Node, op: str, x: Tensor) -> tuple[Node, Tensor] | None:
    """Return the one reader that adds, or multiplies by, a vector over the last axis."""
    reader = finder.reader(node, op, inputs=2)
    vector = other(reader, node.output) if reader is not None else None
    if reader is None or vector is None:
        return None
    fits = len(vector.shape) == 1 and same(vector.shape[0], x.shape[-1])
    return (reader, vector) if fits else None
