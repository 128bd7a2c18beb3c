"""GELU written out: ``x/2 (1 + erf(x / sqrt 2))``, and the form with tanh."""

from __future__ import annotations

from perfmodel.core import Tensor
from perfmodel.graph import Node
from perfmodel.ops import make_operator
from perfmodel.transforms.patterns.matching import Finder, Match, other, same_tensor


def find_erf(start: Node, finder: Finder) -> Match | None:
    """Return the GELU around an error function, or None."""
    if getattr(start.op, "function", "") != "erf":
        return None
    scaled = finder.maker(start.tensors.x, "mul", "div", inputs=1)
    if scaled is None:
        return None
    return _gelu("gelu", scaled.tensors.x, [scaled, start], finder)


def find_tanh(start: Node, finder: Finder) -> Match | None:
    """Return the GELU around a hyperbolic tangent, or None.

    Its argument is ``a (x + b x^3)``, or ``a x (1 + b x^2)`` as Google's code has it.
    """
    scaled = finder.maker(start.tensors.x, "mul", inputs=1)
    summed = finder.maker(scaled.tensors.x, "add", inputs=2) if scaled else None
    if scaled is None or summed is None:
        return None
    a, b = summed.tensors.inputs
    for x, term in ((a, b), (b, a)):
        inner = finder.maker(term, "mul", inputs=1)
        cube = _cube(finder, inner.tensors.x, x) if inner is not None else None
        if inner is not None and cube is not None:
            return _gelu("gelu_tanh", x, [*cube, inner, summed, scaled, start], finder)
    return None


def _cube(finder: Finder, tensor: Tensor, x: Tensor) -> list[Node] | None:
    """Return the nodes that make a power of ``x``, or its product with itself twice."""
    power = finder.maker(tensor, "pow", inputs=1)
    if power is not None:
        return [power] if power.tensors.x.name == x.name else None
    product = finder.maker(tensor, "mul", inputs=2)
    squared = other(product, x) if product is not None else None
    square = finder.maker(squared, "mul", "pow") if squared is not None else None
    if product is None or square is None:
        return None
    return [square, product] if {t.name for t in square.tensors.inputs} == {x.name} else None


def _gelu(name: str, x: Tensor, gone: list[Node], finder: Finder) -> Match | None:
    """Return the match where ``x/2 (1 + f)`` follows the last of ``gone``, halved anywhere."""
    plus = finder.reader(gone[-1], "add", inputs=1)
    if plus is None:
        return None
    gone = [*gone, plus]
    halved = finder.reader(plus, "mul", "div", inputs=1)
    if halved is not None:
        gone.append(halved)
    last = finder.reader(gone[-1], "mul", inputs=2)
    factor = other(last, gone[-1].output) if last is not None else None
    if last is None or factor is None:
        return None
    gone.append(last)
    if factor.name != x.name:
        half = finder.maker(factor, "mul", "div", inputs=1)
        if half is None or halved is not None or half.tensors.x.name != x.name:
            return None
        gone.insert(0, half)
    elif halved is None:
        after = finder.reader(last, "mul", "div", inputs=1)
        if after is None:
            return None
        last = after
        gone.append(after)
    op = make_operator(name)
    made = finder.bind(last.name, op, [x], last)
    if not finder.inside(gone, last) or not same_tensor(made.output, last.output):
        return None
    return Match(last, tuple(gone), (made,), op)
