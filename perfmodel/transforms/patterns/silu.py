"""SiLU written out: ``x sigmoid(x)``."""

from __future__ import annotations

from perfmodel.graph import Node
from perfmodel.ops import make_operator
from perfmodel.transforms.patterns.matching import Finder, Match, other, same_tensor

#: the node at which a search begins
START = "sigmoid"


def find(start: Node, finder: Finder) -> Match | None:
    """Return the product of a sigmoid with its own input, or None."""
    last = finder.reader(start, "mul", inputs=2)
    x = other(last, start.output) if last is not None else None
    if last is None or x is None or x.name != start.tensors.x.name:
        return None
    op = make_operator("silu")
    made = finder.bind(last.name, op, [x], last)
    if not finder.inside([start, last], last) or not same_tensor(made.output, last.output):
        return None
    return Match(last, (start, last), (made,), op)
