"""Arithmetic in YAML, such as ``(height + 2*padding - kernel) // stride + 1``.

Expressions are parsed with Python's grammar into a whitelist of node types and
evaluated here over Dims; nothing is ever run as Python. Length, depth and
magnitude are bounded.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from perfmodel.core.dims import Dim, ceil_div, is_scalar, largest, maximum, minimum, same, smallest
from perfmodel.errors import InputError, did_you_mean, shorten

MAX_LENGTH = 400
MAX_NODES = 120
MAX_DEPTH = 30
MAX_MAGNITUDE = 2.0**62
MAX_EXPONENT = 64

_ALLOWED = "numbers, names, + - * / // % **, parentheses, min(), max() and ceil_div()"

_BINARY: dict[type[ast.operator], Callable[[Dim, Dim], Dim]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.FloorDiv: lambda a, b: a // b,
    ast.Mod: lambda a, b: a % b,
}
_FUNCTIONS: dict[str, Callable[..., Dim]] = {
    "min": minimum,
    "max": maximum,
    "ceil_div": ceil_div,
}
_ARITY = {"min": (2, 8), "max": (2, 8), "ceil_div": (2, 2)}


@dataclass(frozen=True)
class Expression:
    """A parsed expression over named dims.

    Raises InputError for anything but arithmetic, and on evaluation for an
    unknown name, a division by zero or that leaves a remainder, or a result
    beyond 2**62.
    """

    text: str
    tree: ast.expr

    @property
    def names(self) -> frozenset[str]:
        """The dims that the expression reads."""
        calls = {n.func for n in ast.walk(self.tree) if isinstance(n, ast.Call)}
        return frozenset(
            n.id for n in ast.walk(self.tree) if isinstance(n, ast.Name) and n not in calls
        )

    def evaluate(self, dims: Mapping[str, Dim]) -> Dim:
        """Return the value, an int where everything is a whole number."""
        return self._evaluate(self.tree, dims)

    def _evaluate(self, node: ast.expr, dims: Mapping[str, Dim]) -> Dim:
        if isinstance(node, ast.Constant):
            assert isinstance(node.value, int | float)
            return node.value
        if isinstance(node, ast.Name):
            if node.id not in dims:
                raise InputError(
                    f"unknown dim '{node.id}' in {shorten(self.text)}",
                    mend=did_you_mean(node.id, dims),
                )
            return dims[node.id]
        if isinstance(node, ast.UnaryOp):
            value = self._evaluate(node.operand, dims)
            return -value if isinstance(node.op, ast.USub) else value
        if isinstance(node, ast.Call):
            assert isinstance(node.func, ast.Name)
            arguments = [self._evaluate(a, dims) for a in node.args]
            if node.func.id == "ceil_div":
                self._refuse_zero(arguments[1])
            return self._bounded(_FUNCTIONS[node.func.id](*arguments))
        assert isinstance(node, ast.BinOp)
        left, right = self._evaluate(node.left, dims), self._evaluate(node.right, dims)
        if isinstance(node.op, ast.Pow):
            return self._power(left, right)
        if isinstance(node.op, ast.Div | ast.FloorDiv | ast.Mod):
            self._refuse_zero(right)
        if isinstance(node.op, ast.Div):
            return self._exact_quotient(left, right)
        return self._bounded(_BINARY[type(node.op)](left, right))

    def _exact_quotient(self, left: Dim, right: Dim) -> Dim:
        remainder = left % right
        if not same(remainder, 0):
            raise InputError(
                f"{shorten(self.text)} is not a whole number (remainder {largest(remainder):g})",
                mend="use // to round down or ceil_div() to round up",
            )
        return left // right

    def _power(self, base: Dim, exponent: Dim) -> Dim:
        if smallest(exponent) < 0 or largest(exponent) > MAX_EXPONENT:
            raise InputError(
                f"exponent out of range in {shorten(self.text)}, expected 0 to {MAX_EXPONENT}"
            )
        if max(abs(smallest(base)), abs(largest(base))) > 2.0**31:
            raise InputError(f"base too large for ** in {shorten(self.text)}")
        return self._bounded(base**exponent)

    def _refuse_zero(self, divisor: Dim) -> None:
        if (is_scalar(divisor) and divisor == 0) or not np.all(divisor):
            raise InputError(f"division by zero in {shorten(self.text)}")

    def _bounded(self, value: Dim) -> Dim:
        if not max(abs(smallest(value)), abs(largest(value))) <= MAX_MAGNITUDE:
            raise InputError(f"{shorten(self.text)} goes beyond 2**62")
        return value


@lru_cache(maxsize=4096)
def parse_expression(text: str) -> Expression:
    """Return ``text`` as an Expression; InputError says what is not arithmetic in it."""
    if len(text) > MAX_LENGTH:
        raise InputError(
            f"expression of {len(text)} characters {shorten(text)}, expected at most {MAX_LENGTH}"
        )
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise InputError(
            f"cannot read the expression {shorten(text)}", mend=f"use {_ALLOWED}"
        ) from None
    if sum(1 for _ in ast.walk(tree)) > MAX_NODES or _depth(tree) > MAX_DEPTH:
        raise InputError(f"the expression {shorten(text)} is too long or too deeply nested")
    _check(tree, text)
    return Expression(text, tree)


def _depth(node: ast.AST) -> int:
    deepest, level = 0, [node]
    while level:
        deepest += 1
        level = [child for n in level for child in ast.iter_child_nodes(n)]
    return deepest


def _check(node: ast.expr, text: str) -> None:
    if isinstance(node, ast.Constant):
        if isinstance(node.value, bool) or not isinstance(node.value, int | float):
            raise _refused(text, f"the constant {shorten(node.value)}")
        if not abs(node.value) <= MAX_MAGNITUDE:
            raise InputError(f"a number beyond 2**62 in the expression {shorten(text)}")
    elif isinstance(node, ast.Name):
        pass
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        _check(node.operand, text)
    elif isinstance(node, ast.BinOp) and type(node.op) in {*_BINARY, ast.Div, ast.Pow}:
        _check(node.left, text)
        _check(node.right, text)
    elif isinstance(node, ast.Call):
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name not in _FUNCTIONS or node.keywords:
            raise _refused(text, f"a call of {shorten(ast.unparse(node.func))}")
        least, most = _ARITY[name]
        if not least <= len(node.args) <= most:
            raise InputError(f"{name}() takes {least} or more values in {shorten(text)}")
        for argument in node.args:
            _check(argument, text)
    else:
        raise _refused(text, type(node).__name__)


def _refused(text: str, what: str) -> InputError:
    return InputError(
        f"{what} is not allowed in the expression {shorten(text)}", mend=f"use {_ALLOWED}"
    )
