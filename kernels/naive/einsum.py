"""Naive Einstein summation, pair by pair in opt_einsum's order."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np

from ._numbers import Array, Gradients, Weights, mac

#: positions of two tensors, their indices, and those of what they make
Step = tuple[int, int, str, str, str]


def einsum(*inputs: Array, weights: Weights, equation: str) -> Array:
    return _run(inputs, equation)[-1]


def einsum_kept(*inputs: Array, weights: Weights, equation: str) -> Gradients:
    return {f"product_{i}": made for i, made in enumerate(_run(inputs, equation)[:-1], 1)}


def einsum_grad(
    part: str, dy: Array, *inputs: Array, output: Array, weights: Weights, equation: str,
    kept: Weights | None = None,
) -> Gradients:  # fmt: skip
    # Forward once more over names only: which tensors each step contracts.
    steps = _steps(inputs, equation)
    at_hand = [f"input {i}" for i in range(len(inputs))]
    values = {**dict(zip(at_hand, inputs, strict=True)), **(kept or {})}
    taken = []
    for number, (i, j, *_) in enumerate(steps, 1):
        made = f"product_{number}"
        taken.append((at_hand[i], at_hand[j], made))
        at_hand = [name for n, name in enumerate(at_hand) if n not in (i, j)] + [made]
    gradients = {taken[-1][2]: dy}
    for (a, b, made), (_, _, left, right, out) in reversed(list(zip(taken, steps, strict=True))):
        gradients[a] = _contract(gradients[made], values[b], out, right, left, values[a].shape)
        gradients[b] = _contract(values[a], gradients[made], left, out, right, values[b].shape)
    return {f"input {i}": gradients[f"input {i}"] for i in range(len(inputs))}


def _run(inputs: Sequence[Array], equation: str) -> list[Array]:
    tensors, made = list(inputs), []
    for i, j, left, right, out in _steps(inputs, equation):
        extent = _extent((left, right), (tensors[i], tensors[j]))
        shape = tuple(extent[index] for index in out)
        made.append(_contract(tensors[i], tensors[j], left, right, out, shape))
        tensors = [t for n, t in enumerate(tensors) if n not in (i, j)] + [made[-1]]
    return made


def _steps(inputs: Sequence[Array], equation: str) -> list[Step]:
    left, _, output = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    path: Sequence[Sequence[int]] = [(0, 1)]
    if len(terms) > 2:
        from opt_einsum import contract_path

        shapes = [x.shape for x in inputs]
        path = contract_path(equation, *shapes, shapes=True, optimize="auto")[0]
    steps: list[Step] = []
    for pair in path:
        i, j = sorted(pair)
        a, b = terms[i], terms[j]
        terms = [term for n, term in enumerate(terms) if n not in (i, j)]
        out = output
        if terms:
            out = "".join(k for k in dict.fromkeys(a + b) if k in output or k in "".join(terms))
        steps.append((i, j, a, b, out))
        terms.append(out)
    return steps


def _extent(terms: Sequence[str], tensors: Sequence[Array]) -> dict[str, int]:
    return {
        index: length
        for term, tensor in zip(terms, tensors, strict=True)
        for index, length in zip(term, tensor.shape, strict=True)
    }


def _contract(a: Array, b: Array, left: str, right: str, out: str, shape: tuple[int, ...]) -> Array:
    made = np.full(shape, 0.0, dtype=a.dtype)
    extent = {**_extent((left, right), (a, b)), **dict(zip(out, shape, strict=True))}
    for places in product(*(range(length) for length in extent.values())):
        at = dict(zip(extent, places, strict=True))
        x, y, z = (tuple(at[i] for i in term) for term in (left, right, out))
        made[z] = mac(made[z], a[x], b[y])
    return made
