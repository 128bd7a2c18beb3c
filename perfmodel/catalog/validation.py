"""Typed validation of a parsed file: pydantic's checks, our places and mends.

A `Spec` is a pydantic model that refuses unknown keys with a near miss.
`validate` turns every pydantic error into file:line:column, found, expected, mend.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import PydanticCustomError

from perfmodel.catalog.strict_yaml import Document
from perfmodel.errors import InputError, InvalidFileError, did_you_mean, shorten
from perfmodel.units import parse_quantity


class Spec(BaseModel):
    """A mapping in a file: strict types, no unknown keys, immutable once read."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


SpecT = TypeVar("SpecT", bound=BaseModel)


def quantity(dimension: str) -> Any:
    """Return a pydantic validator that reads a quantity such as '2039 GB/s' into SI."""

    def read(value: Any) -> Any:
        if value is None:
            return None
        try:
            return parse_quantity(value, dimension)
        except InputError as error:
            raise PydanticCustomError("quantity", "{text}", {"text": str(error)}) from None

    return read


def validate(document: Document, spec: type[SpecT], root: tuple[Any, ...] = ()) -> SpecT:
    """Return ``document``'s data below ``root`` as ``spec``; InvalidFileError lists problems."""
    data = document.data
    for key in root:
        data = data[key]
    if not isinstance(data, Mapping):
        raise InputError(
            f"found {_describe(data)}, expected a mapping of keys to values",
            where=document.where(root),
        )
    try:
        return spec.model_validate(data)
    except ValidationError as error:
        # An unknown key first: it is often the misspelling of one that is missing.
        errors = sorted(
            error.errors(include_url=False), key=lambda e: e["type"] != "extra_forbidden"
        )
        problems = [_problem(document, root, spec, e) for e in errors]
        raise InvalidFileError(problems) from None


def _problem(
    document: Document, root: tuple[Any, ...], spec: type[BaseModel], error: Any
) -> InputError:
    at_key = bool(error["loc"]) and error["loc"][-1] == "[key]"
    path = (*root, *(error["loc"][:-1] if at_key else error["loc"]))
    context = error.get("ctx") or {}
    kind, found = error["type"], error["input"]
    name = ".".join(str(p) for p in path)
    if kind == "extra_forbidden":
        *parents, key = error["loc"]
        return InputError(
            f"unknown key {shorten(key)}",
            where=document.where(path, key=True),
            mend=did_you_mean(str(key), _keys_at(spec, parents)),
        )
    if kind == "missing":
        return InputError(f"missing key '{name}'", where=document.where(path[:-1]))
    where = document.where(path, key=at_key)
    if kind in ("quantity", "value_error"):
        text = error["msg"].removeprefix("Value error, ")
        return InputError(f"{name}: {text}" if name else text, where=where)
    return InputError(
        f"{name}: found {_describe(found)}, expected {_expected(kind, context, error['msg'])}",
        where=where,
        mend=_mend(kind, found),
    )


def _keys_at(spec: Any, path: Sequence[Any]) -> list[str]:
    """Return the keys that the model at ``path`` below ``spec`` knows."""
    for key in path:
        if isinstance(spec, type) and issubclass(spec, BaseModel):
            fields = spec.model_fields
            spec = next(f.annotation for n, f in fields.items() if key in (n, f.alias))
        else:  # dict[str, X] or list[X]
            spec = get_args(spec)[-1]
        choices = [a for a in get_args(spec) if a is not type(None)]
        if get_origin(spec) in (Union, UnionType) and len(choices) == 1:
            spec = choices[0]
    if isinstance(spec, type) and issubclass(spec, BaseModel):
        return [f.alias or name for name, f in spec.model_fields.items()]
    return []


def _describe(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, str):
        return f"the text {shorten(value)}"
    return shorten(value)


_EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "text",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
}


def _expected(kind: str, context: Mapping[str, Any], message: str) -> str:
    if kind in ("literal_error", "enum"):
        return str(context.get("expected"))
    if kind.startswith(("greater_than", "less_than")):
        return message.removeprefix("Input should be ")
    return _EXPECTED.get(kind, message.removeprefix("Input should be "))


def _mend(kind: str, found: Any) -> str | None:
    if kind in ("int_type", "float_type") and isinstance(found, str):
        try:
            return f"write {float(found):g} without quotes"
        except ValueError:
            return None
    if kind == "bool_type":
        return "write true or false"
    return None
