"""What a product of attention takes: which axis is which, and where an operand comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_lowercase

from perfmodel.core import Dim, Tensor
from perfmodel.core.dims import product, same
from perfmodel.graph import Node
from perfmodel.transforms.patterns.matching import Finder

#: nodes between two products, or behind an operand, before a search gives up
REACH = 24
_VIEWS = ("reshape", "flatten", "squeeze", "unsqueeze")


@dataclass(frozen=True, eq=False)
class Product:
    """A product of two tensors with one contracted axis, its axes named by letters.

    ``first[batch, rows, inner], second[batch, inner, cols] -> output``; the axes of
    ``lead`` are all others of the output, ``shared`` those that both operands have.
    """

    node: Node
    first: Tensor
    second: Tensor
    lead: tuple[str, ...]
    shared: frozenset[str]
    rows: str
    inner: str
    cols: str
    places: dict[str, Dim]
    #: the order of the axes in the first operand and in the output
    order: tuple[str, str]

    def size(self, letters: Sequence[str]) -> Dim:
        """Return the places of some axes together."""
        return product(self.places[c] for c in letters)


def as_product(node: Node) -> Product | None:
    """Return a matmul, or an einsum that is one, as a product; None for others."""
    if node.op.name not in ("matmul", "einsum") or len(node.tensors.inputs) != 2:
        return None
    a, b = node.tensors.inputs
    if node.op.name == "matmul":
        if len(a.shape) != len(b.shape) or len(a.shape) < 3:
            return None
        batch = ascii_lowercase[: len(a.shape) - 2]
        terms, output = [f"{batch}xy", f"{batch}yz"], f"{batch}xz"
    else:
        left, _, output = str(getattr(node.op, "equation", "")).partition("->")
        terms = left.split(",")
    places: dict[str, Dim] = {}
    for term, t in zip(terms, (a, b), strict=True):
        if len(set(term)) != len(t.shape) or len(term) != len(t.shape):
            return None
        for c, d in zip(term, t.shape, strict=True):
            if not same(places.setdefault(c, d), d):
                return None
    return _assigned(node, (a, b), terms, output, places)


def _assigned(
    node: Node, pair: tuple[Tensor, Tensor], terms: list[str], output: str, places: dict[str, Dim]
) -> Product | None:
    first, second = terms
    inner = [c for c in first if c in second and c not in output]
    cols = [c for c in output if c not in first]
    if len(inner) != 1 or len(cols) != 1 or len(set(output)) != len(output):
        return None
    if set(first) | set(second) != {*output, *inner}:
        return None
    # The queries are the last axis that only the first operand has.
    own = [c for c in first if c not in second]
    if not own:
        return None
    rows = max(own, key=output.index)
    lead = tuple(c for c in output if c not in (rows, cols[0]))
    shared = frozenset(c for c in lead if c in second)
    return Product(node, *pair, lead, shared, rows, inner[0], cols[0], places, (first, output))


@dataclass
class Operand:
    """Where q, k or v comes from: the tensor to read, how often a head of it serves."""

    tensor: Tensor
    gone: list[Node]
    shared: Dim = 1


def operand(tensor: Tensor, rows: tuple[Dim, ...], heads: Dim, finder: Finder) -> Operand:
    """Walk back from an operand over what only turns, regroups, scales or repeats it.

    A fused kernel reads heads with strides: it reads what stands before. ``rows`` is the
    shape ``[B, S, H D]`` that the operator takes, ``heads`` the H that repeating may make.
    """
    found = Operand(tensor, [])
    passed: list[Node] = []
    at = tensor
    for _ in range(REACH):
        node = finder.maker(at)
        if node is None or not finder.alone(node) or not node.tensors.inputs:
            break
        name, inputs = node.op.name, node.tensors.inputs
        passed.append(node)
        at = inputs[0]
        if name == "transpose" or (name in ("mul", "div") and len(inputs) == 1):
            found = Operand(at, list(passed), found.shared)
        elif name == "expand" and same(found.shared, 1) and not same(heads, 1):
            times = _repeated(node, heads)
            if times is None:
                break
            found = Operand(at, list(passed), times)
        elif name in _VIEWS:
            wanted = (*rows[:2], rows[2] // found.shared)
            if len(at.shape) == 3 and all(map(same, at.shape, wanted)):
                found = Operand(at, list(passed), found.shared)
        else:
            break
    return found


def _repeated(node: Node, heads: Dim) -> Dim | None:
    """Return how often keys' heads are repeated: ``[B,h,1,S,D] -> [B,h,g,S,D]``, h g heads."""
    a, b = node.tensors.x.shape, node.output.shape
    if len(a) != 5 or len(b) != 5 or not same(a[2], 1) or not same(b[1] * b[2], heads):
        return None
    return b[2] if all(same(a[i], b[i]) for i in (0, 1, 3, 4)) else None
