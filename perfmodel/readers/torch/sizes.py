"""Sizes of an exported program: expressions of named sizes, made into dims."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from perfmodel.core import Dim
from perfmodel.core.dims import ceil_div, maximum, minimum, product, total

#: functions of sympy and of torch.utils._sympy by name, on dims
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "Add": lambda *a: total(a),
    "Mul": lambda *a: product(a),
    "FloorDiv": lambda a, b: a // b,
    "CleanDiv": lambda a, b: a // b,
    "CeilDiv": ceil_div,
    "IntTrueDiv": lambda a, b: a / b,
    "FloatTrueDiv": lambda a, b: a / b,
    "Mod": lambda a, b: a % b,
    "PythonMod": lambda a, b: a % b,
    "ModularIndexing": lambda a, b, m: a // b % m,
    "Max": maximum,
    "Min": minimum,
    "Identity": lambda a: a,
    "ToFloat": lambda a: a,
    "TruncToInt": lambda a: a // 1,
    "FloorToInt": lambda a: a // 1,
    "floor": lambda a: a // 1,
    "CeilToInt": lambda a: -(-a // 1),
    "ceiling": lambda a: -(-a // 1),
    "RoundToInt": lambda a: (a + 0.5) // 1,
    "Abs": abs,
}


@dataclass
class Sizes:
    """Values of a program's symbols: by the symbol's name, as numbers or Symbols.

    ``most`` says how large a symbol can be that only running decides; ``guessed`` are
    those of them that nothing says.
    """

    values: dict[str, Dim]
    most: Mapping[str, int] = field(default_factory=dict)
    guessed: list[str] = field(default_factory=list)

    def of(self, size: Any) -> Any:
        """Return a size of the program (int, SymInt, SymFloat, SymBool) as a Dim or number."""
        if isinstance(size, bool | int | float):
            return size
        node = getattr(size, "node", None)
        if node is None:
            return size
        return self.evaluate(node.expr)

    def shape(self, shape: Any) -> tuple[Dim, ...]:
        """Return a shape of the program."""
        return tuple(self.of(d) for d in shape)

    def evaluate(self, expression: Any) -> Any:
        """Return a sympy expression's value."""
        if expression.is_Symbol:
            return self._symbol(expression.name)
        if expression.is_Integer:
            return int(expression)
        if expression.is_Number:
            return float(expression)
        name = type(expression).__name__
        if name == "Pow" or name == "PowByNatural":
            base, exponent = (self.evaluate(a) for a in expression.args)
            return base**exponent if exponent >= 0 else 1 / base ** (-exponent)
        if name in _FUNCTIONS:
            return _whole(_FUNCTIONS[name](*(self.evaluate(a) for a in expression.args)))
        if name == "Piecewise":
            return self.evaluate(expression.args[0][0])
        return 1

    def _symbol(self, name: str) -> Dim:
        if name not in self.values:
            self.values[name] = self.most.get(name, 1)
            if name not in self.most:
                self.guessed.append(name)
        return self.values[name]

    def settle(self, size: Any, value: Dim) -> None:
        """Say what a symbol is that only running decides; others stay as they are."""
        node = getattr(size, "node", None)
        if node is not None and node.expr.is_Symbol and node.expr.name not in self.values:
            self.values[node.expr.name] = value


def _whole(value: Any) -> Any:
    """Return a float that is whole as an int."""
    if isinstance(value, float) and math.isfinite(value) and value.is_integer():
        return int(value)
    return value
