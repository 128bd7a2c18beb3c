"""Any workload as the text of a workload file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perfmodel.core.symbols import Symbol
from perfmodel.errors import InputError
from perfmodel.graph import Workload
from perfmodel.readers.document import document_of_graph
from perfmodel.readers.workload_file import FileWorkload

#: the width at which a list or mapping is written over several lines
WIDTH = 100


def as_yaml(workload: Workload, sizes: Mapping[str, int], phase: str | None = None) -> str:
    """Return the workload as YAML; ``sizes`` become the defaults of its open sizes.

    Raises InputError where it cannot be read, or has no form as a file.
    """
    if isinstance(workload, FileWorkload):
        workload.bind(sizes, phase=phase)
        return write_yaml(_with_defaults(workload.document.data, sizes))
    if workload.about.get("family") == "operator":
        raise InputError(f"{workload.name} is one operator, which a file does not say better")
    known = workload.dims(workload.check_phase(phase))
    # A size of 1 would look like an axis that broadcasts.
    open_sizes: dict[str, Any] = {
        name: Symbol.named(name, hint)
        for name, default in known.items()
        if isinstance(hint := sizes.get(name, default), int)
    }
    workload.bind(sizes, phase=phase)
    graph = workload.build(open_sizes, workload.check_phase(phase), workload.precision)
    return write_yaml(document_of_graph(graph, workload.about, workload.phases))


def _with_defaults(data: Mapping[str, Any], sizes: Mapping[str, int]) -> dict[str, Any]:
    if not sizes:
        return dict(data)
    phases = {
        name: {k: sizes.get(k, v) for k, v in dims.items()}
        for name, dims in data.get("phases", {"inference": {}}).items()
    }
    return {**data, "phases": phases, "dims": {**data.get("dims", {}), **sizes}}


def write_yaml(data: Mapping[str, Any]) -> str:
    """Return plain data as YAML: nodes a line each, where they are short."""
    lines: list[str] = []
    for key, value in data.items():
        if key in ("nodes", "inputs"):
            lines += [f"{key}:", *_entries(value, "  ")]
        elif key == "blocks":
            lines.append("blocks:")
            for name, block in value.items():
                lines.append(f"  {_scalar(name)}:")
                for part, content in block.items():
                    if part == "nodes":
                        lines += ["    nodes:", *_entries(content, "      ")]
                    else:
                        lines.append(f"    {part}: {_flow(content)}")
        else:
            lines.append(f"{key}: {_flow(value)}")
    return "\n".join(lines) + "\n"


def _entries(nodes: Mapping[str, Any], indent: str) -> list[str]:
    lines: list[str] = []
    for name, item in nodes.items():
        line = f"{indent}{_scalar(name)}: {_flow(item)}"
        if len(line) <= WIDTH:
            lines.append(line)
            continue
        lines.append(f"{indent}{_scalar(name)}:")
        lines += [f"{indent}  {key}: {_flow(value)}" for key, value in item.items()]
    return lines


def _flow(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_scalar(k)}: {_flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return _scalar(value)


def _scalar(value: Any) -> str:
    import json
    import re

    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    text = str(value)
    plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_./@+ ()*-]*", text) and text.strip() == text
    reserved = text.lower() in ("null", "true", "false", "yes", "no", "on", "off", "y", "n")
    return text if plain and not reserved else json.dumps(text, ensure_ascii=False)
