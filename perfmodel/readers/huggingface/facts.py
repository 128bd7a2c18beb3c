"""Facts: the keys of a config.json, each checked as it is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from perfmodel.catalog import Document
from perfmodel.errors import InputError, did_you_mean, shorten

#: no size of a network comes near it, and products of a few stay within 2**62
MAX_SIZE = 2**31 - 1
MAX_LAYERS = 10_000

_REQUIRED: Any = object()
#: null stands for the class's default, as most keys mean it
_AS_ABSENT: Any = object()

_T = TypeVar("_T")

#: transformers' names of activations (activations.py, ACT2CLS) -> operators
ACTIVATIONS = {
    "gelu": "gelu", "gelu_python": "gelu",
    "gelu_new": "gelu_tanh", "gelu_fast": "gelu_tanh", "gelu_accurate": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh", "gelu_python_tanh": "gelu_tanh",
    "relu": "relu", "relu6": "relu6", "silu": "silu", "swish": "silu", "mish": "mish",
    "hardswish": "hard_swish", "sigmoid": "sigmoid", "tanh": "tanh", "leaky_relu": "leaky_relu",
}  # fmt: skip


@dataclass(frozen=True)
class Facts:
    """A config.json, or the part of one at ``root``; ``notes`` collects what is left out.

    A key that is absent takes the default of transformers' configuration class,
    which the caller gives; a size without one is an error that names the key.
    """

    document: Document
    data: Mapping[str, Any]
    root: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)

    def fail(self, key: str, message: str, mend: str | None = None) -> InputError:
        """Return the error that ``key`` is wrong, with its place."""
        return InputError(message, where=self.document.where((*self.root, key)), mend=mend)

    def named(self, *keys: str) -> str:
        """Return the first of ``keys`` that is there, or else the first."""
        return next((k for k in keys if k in self.data), keys[0])

    def size(
        self,
        key: str,
        default: Any = _REQUIRED,
        *,
        null: Any = _AS_ABSENT,
        least: int = 1,
        most: int = MAX_SIZE,
    ) -> Any:
        """Return a whole number; ``default`` where it is absent, ``null`` where it is null."""
        value = self._get(key, default, null)
        if value is not None and key in self.data and self.data[key] is not None:
            if isinstance(value, bool) or not isinstance(value, int):
                raise self._wrong(key, f"a whole number of at least {least}")
            if not least <= value <= most:
                raise self._wrong(key, f"{least:,} to {most:,}")
        return value

    def flag(self, key: str, default: bool) -> bool:
        """Return true or false."""
        value = self._get(key, default)
        if not isinstance(value, bool):
            raise self._wrong(key, "true or false")
        return value

    def share(self, key: str, default: float) -> float:
        """Return a number from 0 to 1, such as a rate of dropout."""
        value = self._get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise self._wrong(key, "a number from 0 to 1")
        return value

    def dropout(self, key: str, default: float) -> float:
        """Return a rate of dropout, from 0 to under 1."""
        rate = self.share(key, default)
        if rate == 1:
            raise self._wrong(key, "a rate under 1")
        return rate

    def sets(self, key: str, default: float | None) -> bool:
        """Tell whether an optional number is there, neither null nor 0."""
        value = self._get(key, default, None)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise self._wrong(key, "a number or null")
        return bool(value)

    def choice(self, key: str, choices: Mapping[str, _T], default: str = _REQUIRED) -> _T:
        """Return what the text under ``key`` stands for."""
        value = self._get(key, default)
        if not isinstance(value, str) or value not in choices:
            raise self._wrong(key, "a text that is known", did_you_mean(str(value), choices))
        return choices[value]

    def activation(self, key: str = "hidden_act", default: str = _REQUIRED) -> str:
        """Return the operator of an activation function."""
        return self.choice(key, ACTIVATIONS, default)

    def texts(self, key: str, choices: Sequence[str], count: int) -> list[str] | None:
        """Return a list of ``count`` texts out of ``choices``; None where it is absent or null."""
        value = self._get(key, None)
        if value is None:
            return None
        if not isinstance(value, list) or len(value) != count:
            raise self._wrong(key, f"a list of {count}, one a layer")
        for item in value:
            if not isinstance(item, str) or item not in choices:
                raise self.fail(
                    key, f"{key}: found {shorten(item)}, expected one of {', '.join(choices)}"
                )
        return value

    def sizes(self, key: str) -> list[int]:
        """Return a list of whole numbers from 0 on; empty where it is absent or null."""
        value = self._get(key, [])
        whole = isinstance(value, list) and all(
            isinstance(v, int) and not isinstance(v, bool) and 0 <= v <= MAX_SIZE for v in value
        )
        if not whole:
            raise self._wrong(key, "a list of whole numbers")
        return list(value)

    def part(self, key: str) -> Facts | None:
        """Return the object under ``key``; None where it is absent or null."""
        value = self._get(key, None)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self._wrong(key, "an object of keys and values")
        return Facts(self.document, value, (*self.root, key), self.notes)

    def refuse(self, key: str, default: object = False) -> None:
        """Raise InputError where ``key`` asks for a variant that is not modelled."""
        value = self.data.get(key)
        if value is not None and value != default:
            raise self._wrong(key, f"{shorten(default)}, the only variant that is modelled")

    def divides(self, part: str, parts: int, whole: str, size: int) -> None:
        """Raise InputError unless ``parts`` (under key ``part``) divides ``size``."""
        if size % parts:
            raise self.fail(whole, f"{whole} {size} is no multiple of {part} {parts}")

    def layers(self, *keys: str) -> int:
        """Return the number of layers."""
        return int(self.size(self.named(*(keys or ("num_hidden_layers",))), most=MAX_LAYERS))

    def rotary_factor(self, key: str, default: float) -> float:
        """Return the share of a head that rotary embedding turns.

        Under ``key`` of the object, or ``partial_rotary_factor`` of
        ``rope_parameters``, where transformers 5 writes it.
        """
        if key not in self.data and (rope := self.part("rope_parameters")) is not None:
            return rope.share("partial_rotary_factor", default)
        return self.share(key, default)

    def _get(self, key: str, default: Any, null: Any = _AS_ABSENT) -> Any:
        value = self.data.get(key)
        if value is None:
            value = default if key not in self.data or null is _AS_ABSENT else null
        if value is _REQUIRED:
            where = self.document.where(self.root)
            raise InputError(f"missing key '{'.'.join((*self.root, key))}'", where=where)
        return value

    def _wrong(self, key: str, expected: str, mend: str | None = None) -> InputError:
        found = shorten(self.data.get(key))
        return self.fail(key, f"{key}: found {found}, expected {expected}", mend)
