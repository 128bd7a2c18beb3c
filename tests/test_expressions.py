"""Expressions: arithmetic as Python does it, over numbers and arrays; nothing else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfmodel.core.expressions import parse_expression
from perfmodel.errors import InputError

NUMBERS = st.integers(1, 1000)


@st.composite
def arithmetic(draw: st.DrawFn, depth: int = 3) -> str:
    if depth == 0 or draw(st.booleans()):
        return draw(st.sampled_from(["a", "b", "c", "2", "7"]))
    left, right = draw(arithmetic(depth - 1)), draw(arithmetic(depth - 1))
    operator = draw(st.sampled_from(["+", "-", "*", "//", "%"]))
    return f"({left} {operator} {right})"


@given(arithmetic(), NUMBERS, NUMBERS, NUMBERS)
def test_arithmetic_is_pythons(text: str, a: int, b: int, c: int) -> None:
    dims = {"a": a, "b": b, "c": c}
    try:
        expected = eval(text, {}, dict(dims))
    except ZeroDivisionError:
        with pytest.raises(InputError, match="division by zero"):
            parse_expression(text).evaluate(dims)
        return
    assert parse_expression(text).evaluate(dims) == expected


@given(arithmetic(), st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), min_size=1, max_size=5))
def test_arrays_give_what_a_loop_gives(text: str, points: list[tuple[int, int, int]]) -> None:
    expression = parse_expression(text)
    columns = {n: np.array([float(p[i]) for p in points]) for i, n in enumerate("abc")}
    try:
        alone = [expression.evaluate(dict(zip("abc", p, strict=True))) for p in points]
    except InputError:
        with pytest.raises(InputError):
            expression.evaluate(columns)
        return
    together = np.broadcast_to(expression.evaluate(columns), (len(points),))
    assert list(together) == alone


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("(height + 2*padding - kernel) // stride + 1", 112),
        ("min(height, 7)", 7),
        ("max(1, height, 3)", 224),
        ("ceil_div(height, 100)", 3),
        ("height / 4", 56),
        ("2 ** 10", 1024),
        ("-height + 300", 76),
        ("+3", 3),
    ],
)
def test_functions_and_operators(text: str, value: int) -> None:
    dims = {"height": 224, "padding": 3, "kernel": 7, "stride": 2}
    found = parse_expression(text).evaluate(dims)
    assert found == value
    assert isinstance(found, int)


@pytest.mark.parametrize(
    "text",
    ["", "a b", "a.b", "a[0]", "lambda: 0", "a if b else c", "f(a)", "min(a)", "min(*a)",
     "min(a, key=b)", "'text'", "True", "None", "1j", "a == b", "a and b", "not a", "~a", "a << 2",
     "a | b", "[a]", "{a}", "(a, b)", "a := 1", "await a", "__import__('os')", "open('x')",
     "().__class__", "f'{a}'", "1e400", "(" * 90 + "a" + ")" * 90 + "(", "9" * 100,
     "1 +" * 70 + "1"],
)  # fmt: skip
def test_what_is_not_arithmetic_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        parse_expression(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("9 ** 9 ** 9", "exponent out of range"),
        ("(2 ** 60) ** 2", "base too large"),
        ("2 ** -1", "exponent out of range"),
        ("2 ** 61 * 2 ** 61", "beyond"),
        ("a // (a - a)", "division by zero"),
        ("a % 0", "division by zero"),
        ("ceil_div(a, 0)", "division by zero"),
        ("a / 3", "not a whole number"),
        ("bb + 1", "unknown dim 'bb'"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        parse_expression(text).evaluate({"a": 10, "b": 3})


@given(st.text(max_size=40))
def test_any_text_is_an_expression_or_one_error(text: str) -> None:
    message = ""
    try:
        parse_expression(text).evaluate({"a": 3})
    except InputError as error:
        message = str(error)
    assert "\n" not in message
