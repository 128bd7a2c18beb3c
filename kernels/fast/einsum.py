"""Einstein sums: pair by pair, each pair a batched matrix product of permuted copies."""

from __future__ import annotations

import math
from typing import Any

from perfmodel.kernels.fast._products import product
from perfmodel.kernels.registry import kernel


def _path(terms: list[str], output: str, shapes: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
    if len(terms) == 2:
        return [(0, 1)]
    from opt_einsum import contract_path

    equation = f"{','.join(terms)}->{output}"
    found = contract_path(equation, *shapes, shapes=True, optimize="auto")[0]
    return [tuple(pair) for pair in found]


@kernel("einsum")
def einsum(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """Pairs in opt_einsum's order; an operand that lies right is not copied."""
    left, _, output = op.equation.replace(" ", "").replace(";", ",").partition("->")
    terms, tensors = left.split(","), list(a.inputs)
    path = ws.once("path", lambda: _path(terms, output, [t.shape for t in tensors]))
    for number, pair in enumerate(path):
        i, j = sorted(pair)
        one, other = terms[i], terms[j]
        rest = [t for n, t in enumerate(terms) if n not in (i, j)]
        out = output
        if rest:
            later = output + "".join(rest)
            out = "".join(k for k in dict.fromkeys(one + other) if k in later)
        made = _pair(xp, ws, number, tensors[i], tensors[j], one, other, out)
        tensors = [t for n, t in enumerate(tensors) if n not in (i, j)] + [made]
        terms = [*rest, out]
    result = ws.output(a)
    xp.copyto(result, tensors[0])
    return result


def _summed(xp: Any, x: Any, term: str, kept: str) -> tuple[Any, str]:
    """Sum over indices that occur in no other tensor."""
    axes = tuple(n for n, k in enumerate(term) if k not in kept)
    if not axes:
        return x, term
    return xp.sum(x, axis=axes), "".join(k for k in term if k in kept)


def _pair(xp: Any, ws: Any, number: int, a: Any, b: Any, left: str, right: str, out: str) -> Any:
    """Return one contraction, its axes in the order of ``out``."""
    a, left = _summed(xp, a, left, right + out)
    b, right = _summed(xp, b, right, left + out)
    size = {**dict(zip(left, a.shape, strict=True)), **dict(zip(right, b.shape, strict=True))}
    batch = [k for k in left if k in right and k in out]
    inner = [k for k in left if k in right and k not in out]
    rows, columns = ([k for k in term if k not in batch + inner] for term in (left, right))

    def lengths(names: list[str]) -> tuple[int, ...]:
        return tuple(size[k] for k in names)

    def shaped(x: Any, term: str, order: list[list[str]], name: str) -> Any:
        names = [k for group in order for k in group]
        view = xp.transpose(x, [term.index(k) for k in names])
        shape = tuple(math.prod(lengths(group)) for group in order)
        if view.flags.c_contiguous:
            return view.reshape(shape)
        made = ws.buffer((number, name), view.shape, x.dtype)
        xp.copyto(made, view)
        return made.reshape(shape)

    first = shaped(a, left, [batch, rows, inner], "a")
    second = shaped(b, right, [batch, inner, columns], "b")
    made = ws.buffer((number, "y"), (first.shape[0], first.shape[1], second.shape[2]), a.dtype)
    product(xp, first, second, made)
    order = batch + rows + columns
    return xp.transpose(made.reshape(lengths(order)), [order.index(k) for k in out])
