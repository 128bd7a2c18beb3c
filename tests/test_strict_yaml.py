"""The YAML loader: PyYAML's surprises are refused, and every value knows its place."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfmodel.catalog import parse_document
from perfmodel.errors import InputError


def _load(text: str) -> Any:
    return parse_document(text, "f.yaml").data


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("4800e9", 4800e9),  # PyYAML: text
        ("1e12", 1e12),  # PyYAML: text
        ("12:30", "12:30"),  # PyYAML: 750
        ("no", "no"),  # PyYAML: False
        ("on", "on"),  # PyYAML: True
        ("true", True),
        ("null", None),
        ("~", None),
        ("-7", -7),
        ("2.50", 2.5),
        (".5", 0.5),
        ("2026-11-22", "2026-11-22"),  # PyYAML: a date
        ("0x10", "0x10"),  # PyYAML: 16
        ("1_000", "1_000"),  # PyYAML: 1000
        ("'5'", "5"),
        ("3.35 TB/s", "3.35 TB/s"),
    ],
)
def test_scalars_are_what_they_look_like(text: str, value: object) -> None:
    found = _load(f"a: {text}")["a"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("text", ["010", "00", "-07"])
def test_leading_zeros_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="octal"):
        _load(f"a: {text}")


def test_duplicate_keys_are_refused_at_any_depth() -> None:
    with pytest.raises(InputError, match=r"f.yaml:3:3: found duplicate key 'b'.*line 2, column 3"):
        _load("a:\n  b: 1\n  b: 2\n")


def test_values_and_keys_know_their_place() -> None:
    document = parse_document("a:\n  b: [1, {c: 2}]\n", "f.yaml")
    assert document.where(("a", "b")) == "f.yaml:2:6"
    assert document.where(("a", "b"), key=True) == "f.yaml:2:3"
    assert document.where(("a", "b", 1, "c")) == "f.yaml:2:14"
    assert document.where(("a", "nothing", "like", "it")) == "f.yaml:2:3"


@pytest.mark.parametrize(
    "text",
    ["a: &x 1", "a: &x [1]\nb: *x", "a: !!python/object:os.system x", "<<: {a: 1}", "? {a: 1}\n: 2",
     "a: 1\n---\nb: 2", "a: [1", "a: 'x", "\t- a", "a: 1e999", "[" * 100 + "]" * 100],
)  # fmt: skip
def test_what_is_not_plain_data_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(InputError, match=r"^f.yaml:\d+:\d+: "):
        _load(text)


TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=0x24F, exclude_characters="\x7f\x85"))
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**15), 10**15) | st.floats(0.001, 1e9) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@given(PLAIN)
def test_plain_data_survives_a_round_trip_through_json(value: Any) -> None:
    text = json.dumps({"a": value}, ensure_ascii=False)
    if any(128 <= ord(c) < 160 for c in text) or "<<" in text:
        return  # control characters are no YAML; a merge key is refused
    assert _load(text) == {"a": value}


def _one_line(error: InputError) -> None:
    assert "\n" not in str(error)


@given(st.text(max_size=60))
def test_any_text_is_data_or_one_error(text: str) -> None:
    try:
        _load(text)
    except InputError as error:
        _one_line(error)


@given(st.binary(max_size=60))
def test_any_bytes_are_data_or_one_error(tmp_path_factory: Any, data: bytes) -> None:
    from perfmodel.catalog import load_document

    file = tmp_path_factory.getbasetemp() / "any.yaml"
    file.write_bytes(data)
    try:
        load_document(file)
    except InputError as error:
        _one_line(error)
