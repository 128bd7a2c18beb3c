"""Reads a Hugging Face ``config.json``, without weights, into a Workload.

`config_document` makes of its facts the same document that a workload YAML is
parsed into, so that phases, dims and all that follows are those of a YAML.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from perfmodel.catalog import Document, load_json
from perfmodel.errors import InputError, did_you_mean, shorten
from perfmodel.readers.huggingface.facts import Facts
from perfmodel.readers.huggingface.number_format import number_format
from perfmodel.readers.huggingface.registry import architectures
from perfmodel.readers.workload_file import NAME, SCHEMA, FileWorkload, workload_from_document

__all__ = ["config_document", "read_config"]


def read_config(file: Path) -> FileWorkload:
    """Return the network that a config.json describes.

    Raises InputError, with file:line:column, where it is no JSON, no configuration
    of a known ``model_type``, or a key's value makes no sense.
    """
    return workload_from_document(config_document(load_json(file)))


def config_document(config: Document) -> Document:
    """Return the workload file that says what ``config`` says."""
    outer = _checked(config)
    facts, model_type = _text_model(outer)
    sections = architectures()[model_type](facts)
    written = outer.data["model_type"]
    data: dict[str, Any] = {
        "schema": SCHEMA,
        "name": _name(config, model_type),
        "title": f"{written} from {Path(config.name).name}"
        + (", its text model" if facts.root else ""),
        "family": "transformer",
        "source": f"the facts of {Path(config.name).name}, a configuration of Hugging Face"
        f" transformers (model_type {written})",
        "dtype": number_format(facts, outer),
        **sections,
    }
    if facts.notes:
        data["notes"] = " ".join(facts.notes)
    return Document(config.name, data)


def _checked(config: Document) -> Facts:
    data = config.data
    if not isinstance(data, Mapping):
        raise InputError(
            "found a value that is no object, expected a Hugging Face config.json",
            where=config.where(),
        )
    model_type = data.get("model_type")
    if isinstance(model_type, str):
        return Facts(config, data)
    if "model_type" in data:
        found = f"model_type: found {shorten(model_type)}, expected a text"
        raise InputError(found, where=config.where(("model_type",)))
    schema = data.get("schema")
    found = f"found a file of schema {shorten(schema)}" if schema else "missing key 'model_type'"
    raise InputError(
        f"{found}, expected a Hugging Face config.json",
        where=config.where(("schema",) if schema else ()),
    )


def _text_model(outer: Facts) -> tuple[Facts, str]:
    """Return the facts of the network, or of the text model inside one of several models."""
    model_type, known = outer.data["model_type"], architectures()
    if model_type in known:
        return outer, model_type
    inner = outer.data.get("text_config")
    if isinstance(inner, Mapping) and (inside := inner.get("model_type")) in known:
        # Whether the output layer is tied may stand outside.
        ties = {k: v for k, v in outer.data.items() if k == "tie_word_embeddings"}
        facts = replace(outer, data={**ties, **inner}, root=("text_config",))
        facts.notes.append(f"The text model of {model_type} alone; its other parts are left out.")
        return facts, str(inside)
    raise outer.fail(
        "model_type",
        f"unknown model_type {shorten(model_type)}",
        did_you_mean(model_type, known, show=len(known)),
    )


def _name(config: Document, model_type: str) -> str:
    """Return the file's own name, or what the configuration calls itself, or its type."""
    path = config.data.get("_name_or_path")
    stem = Path(config.name).stem
    names = [
        stem if stem != "config" else "",
        path.rpartition("/")[2] if isinstance(path, str) else "",
    ]
    return next((n for n in names if re.fullmatch(NAME, n)), model_type)
