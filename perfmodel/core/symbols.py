"""Symbol: a size that is not a number yet, for readers that trace a network once.

A Symbol is a polynomial with rational coefficients over named sizes and over
rounded quotients of such polynomials; it prints as an expression of a workload
file. It carries a *hint*, the value at which the network is traced: arithmetic is
exact, while comparisons (which of two sizes is larger) are decided at the hint.
A Symbol is never equal to 0 or 1 unless it is that number, so that a traced size
of 1 is not mistaken for an axis that broadcasts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

#: a product of atoms, sorted; () is the constant
Term = tuple[str, ...]

#: numbers over this mean "as many as there are"
FAR = 2**31
#: terms beyond which an expression is no longer readable, or cheap
MAX_TERMS = 60


class Symbol:
    """A size as an exact expression, with the value it has while tracing."""

    __slots__ = ("hint", "terms")

    def __init__(self, terms: Mapping[Term, Fraction], hint: Fraction) -> None:
        self.terms = terms
        self.hint = hint

    @staticmethod
    def named(name: str, hint: int) -> Symbol:
        """Return the size called ``name``."""
        return Symbol({(name,): Fraction(1)}, Fraction(hint))

    @property
    def whole(self) -> bool:
        """Whether the expression is a whole number for all whole sizes."""
        return all(c.denominator == 1 for c in self.terms.values())

    @property
    def grows(self) -> bool:
        """Whether the expression is a size, plainly at least 1: no part is taken away."""
        return all(c > 0 for c in self.terms.values())

    def __add__(self, other: Any) -> Any:
        b = _lift(other)
        if b is None:
            return NotImplemented
        terms = dict(self.terms)
        for term, factor in b.terms.items():
            terms[term] = terms.get(term, Fraction(0)) + factor
        return _settle(terms, self.hint + b.hint)

    __radd__ = __add__

    def __neg__(self) -> Any:
        return _settle({t: -c for t, c in self.terms.items()}, -self.hint)

    def __sub__(self, other: Any) -> Any:
        b = _lift(other)
        return NotImplemented if b is None else self + Symbol(
            {t: -c for t, c in b.terms.items()}, -b.hint
        )  # fmt: skip

    def __rsub__(self, other: Any) -> Any:
        return -self + other

    def __mul__(self, other: Any) -> Any:
        b = _lift(other)
        if b is None:
            return NotImplemented
        terms: dict[Term, Fraction] = {}
        for left, c in self.terms.items():
            for right, d in b.terms.items():
                term = tuple(sorted(left + right))
                terms[term] = terms.get(term, Fraction(0)) + c * d
        return _settle(terms, self.hint * b.hint)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Any:
        b = _lift(other)
        if b is None or b.hint == 0:
            return NotImplemented
        exact = _quotient(self, b)
        return _rounded(self, b) if exact is None else exact

    def __rtruediv__(self, other: Any) -> Any:
        a = _lift(other)
        return NotImplemented if a is None else a / self

    def __floordiv__(self, other: Any) -> Any:
        b = _lift(other)
        if b is None or b.hint == 0:
            return NotImplemented
        exact = _quotient(self, b)
        if exact is not None and (not isinstance(exact, Symbol) or exact.whole):
            return exact
        return _rounded(self, b)

    def __rfloordiv__(self, other: Any) -> Any:
        a = _lift(other)
        return NotImplemented if a is None else a // self

    def __mod__(self, other: Any) -> Any:
        whole = self // other
        return NotImplemented if whole is NotImplemented else self - whole * other

    def __rmod__(self, other: Any) -> Any:
        a = _lift(other)
        return NotImplemented if a is None else a % self

    def __pow__(self, exponent: int) -> Any:
        if not isinstance(exponent, int) or not 0 <= exponent <= 4:
            return NotImplemented
        out: Any = 1
        for _ in range(exponent):
            out = out * self
        return out

    def __floor__(self) -> Any:
        return self // 1

    def __ceil__(self) -> Any:
        return -(-self // 1)

    def __round__(self, digits: int | None = None) -> Any:
        return (self + Fraction(1, 2)) // 1

    __trunc__ = __floor__

    def __float__(self) -> float:
        return float(self.hint)

    def __int__(self) -> int:
        return int(self.hint)

    __index__ = __int__

    def __bool__(self) -> bool:
        return self.hint != 0

    def __abs__(self) -> Any:
        return self if self.hint >= 0 else -self

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Symbol):
            return self.terms == other.terms or (
                self.hint == other.hint and self.terms.keys() != other.terms.keys()
            )
        if isinstance(other, int | float) and other not in (0, 1):
            return self.hint == other
        return False

    def __hash__(self) -> int:
        return hash(self.hint)

    def __lt__(self, other: Any) -> bool:
        return bool(self.hint < _value(other))

    def __le__(self, other: Any) -> bool:
        return bool(self.hint <= _value(other))

    def __gt__(self, other: Any) -> bool:
        return bool(self.hint > _value(other))

    def __ge__(self, other: Any) -> bool:
        return bool(self.hint >= _value(other))

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        scale = math.lcm(*(c.denominator for c in self.terms.values()))
        text = _sum({t: int(c * scale) for t, c in self.terms.items()})
        return text if scale == 1 else f"({text}) / {scale}"


def _sum(terms: Mapping[Term, int]) -> str:
    parts: list[str] = []
    for term, factor in sorted(terms.items(), key=lambda item: (-len(item[0]), item[0])):
        sign = "-" if factor < 0 else "+"
        names = [str(abs(factor))] if abs(factor) != 1 or not term else []
        parts.append(f" {sign} " + " * ".join([*names, *term]))
    text = "".join(parts).removeprefix(" + ")
    return "-" + text[3:] if text.startswith(" - ") else text


def _value(other: Any) -> Any:
    return other.hint if isinstance(other, Symbol) else other


def _lift(value: Any) -> Symbol | None:
    if isinstance(value, Symbol):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float | Fraction):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    exact = Fraction(value).limit_denominator(1 << 20)
    return Symbol({(): exact} if exact else {}, exact)


def _settle(terms: Mapping[Term, Fraction], hint: Fraction) -> Any:
    """Return the polynomial without vanished terms: an int where it is a whole constant."""
    left = {t: c for t, c in terms.items() if c}
    if len(left) > MAX_TERMS:
        return int(hint) if hint.denominator == 1 else float(hint)
    if not left:
        return 0
    if set(left) == {()}:
        constant = left[()]
        return int(constant) if constant.denominator == 1 else float(constant)
    return Symbol(left, hint)


def _quotient(a: Symbol, b: Symbol) -> Any:
    """Return ``a / b`` where it is a polynomial: b a single term, or a multiple of b."""
    if len(b.terms) == 1:
        ((divisor, factor),) = b.terms.items()
        terms: dict[Term, Fraction] = {}
        for term, c in a.terms.items():
            rest = list(term)
            for atom in divisor:
                if atom not in rest:
                    return None
                rest.remove(atom)
            terms[tuple(rest)] = c / factor
        return _settle(terms, a.hint / b.hint)
    if a.terms.keys() == b.terms.keys():
        ratios = {a.terms[t] / b.terms[t] for t in a.terms}
        if len(ratios) == 1:
            return _settle({(): ratios.pop()}, a.hint / b.hint)
    # A common factor of all terms: (2 n h + n w) / (2 h + w) = n.
    for atom in set.intersection(*(set(t) for t in a.terms)) if a.terms else ():
        inner: dict[Term, Fraction] = {}
        for term, c in a.terms.items():
            rest = list(term)
            rest.remove(atom)
            inner[tuple(rest)] = c
        if inner == dict(b.terms):
            return Symbol({(atom,): Fraction(1)}, a.hint / b.hint)
    return None


def _rounded(a: Symbol, b: Symbol) -> Any:
    """Return the quotient rounded down, as an atom of its own."""
    scale = math.lcm(
        *(c.denominator for c in a.terms.values()), *(c.denominator for c in b.terms.values())
    )
    top = _sum({t: int(c * scale) for t, c in a.terms.items()})
    bottom = _sum({t: int(c * scale) for t, c in b.terms.items()})
    if len(b.terms) > 1 or (not bottom.isidentifier() and not bottom.isdigit()):
        bottom = f"({bottom})"
    if len(a.terms) > 1 or not top.isidentifier():
        top = f"({top})"
    return Symbol({(f"({top} // {bottom})",): Fraction(1)}, Fraction(a.hint // b.hint))


def least(a: Any, b: Any) -> Any:
    """Return the smaller of two numbers, as an expression where a Symbol is among them."""
    return _extreme("min", a, b, a if _value(a) <= _value(b) else b)


def greatest(a: Any, b: Any) -> Any:
    """Return the larger of two numbers, as an expression where a Symbol is among them.

    Of a size and 1 it is the size.
    """
    return _extreme("max", a, b, a if _value(a) >= _value(b) else b)


def _extreme(function: str, a: Any, b: Any, now: Any) -> Any:
    sizes = [v for v in (a, b) if isinstance(v, Symbol)]
    others = [v for v in (a, b) if not isinstance(v, Symbol)]
    if not sizes or not all(isinstance(v, int) for v in others):
        return now
    if others and (others[0] > FAR or (others[0] <= 1 and sizes[0].grows)):
        return now
    if len(sizes) == 2 and (sizes[0] - sizes[1]) == 0:
        return now
    return Symbol({(f"{function}({a}, {b})",): Fraction(1)}, Fraction(_value(now)))


def is_symbolic(value: Any) -> bool:
    """Tell whether ``value`` is a Symbol."""
    return isinstance(value, Symbol)
