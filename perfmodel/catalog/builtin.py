"""Finds a device or a network by name or by path.

Built-in files are data of the package (`perfmodel.hardware`, `perfmodel.workloads`),
found the same way from a checkout, an editable install and a wheel.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from pathlib import Path

from perfmodel.errors import InputError, did_you_mean, shorten

_SUFFIX = ".yaml"


@cache
def _folder(kind: str) -> Path:
    return Path(str(resources.files(f"perfmodel.{kind}")))


def builtin_names(kind: str) -> list[str]:
    """Return the names of the built-in files of ``kind`` ('hardware' or 'workloads')."""
    return sorted(p.stem for p in _folder(kind).glob(f"*{_SUFFIX}"))


def resolve(name: str, kind: str) -> Path:
    """Return the file that ``name`` stands for: a path if it looks like one, else a built-in.

    Raises InputError with near misses for an unknown name.
    """
    if not name.strip():
        raise InputError(f"empty {kind.removesuffix('s')} name", mend=f"see: perfmodel list {kind}")
    if looks_like_path(name):
        return Path(name)
    names = builtin_names(kind)
    if name in names:
        return _folder(kind) / (name + _SUFFIX)
    raise InputError(
        f"unknown {kind.removesuffix('s')} {shorten(name)}",
        mend=f"{did_you_mean(name, names)} (perfmodel list {kind} shows all; a file ends in .yaml)",
    )


#: endings of files that name a network or a device
_FILES = (".yaml", ".yml", ".onnx", ".pt2", ".json")


def looks_like_path(name: str) -> bool:
    """Tell whether ``name`` is a file's path rather than a built-in's name."""
    return "/" in name or "\\" in name or Path(name).suffix in _FILES
