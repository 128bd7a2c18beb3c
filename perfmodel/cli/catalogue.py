"""What list, show and check do once the command line is parsed."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from perfmodel.catalog import builtin_names
from perfmodel.cli.commands import check_format, parse_settings
from perfmodel.errors import InputError, InvalidFileError, PerfmodelError, did_you_mean

Rows = list[dict[str, Any]]


def run_list(what: str, form: str) -> None:
    """Print the names there are, with a word on each."""
    check_format(form, ("table", "json", "markdown"))
    kinds = {"hardware": _hardware, "workloads": _workloads, "operators": _operators}
    if what not in kinds:
        raise InputError(f"cannot list '{what}'", mend=did_you_mean(what, kinds))
    rows = kinds[what]()
    if form == "json":
        print(json.dumps(rows, indent=1))
    elif form == "markdown":
        from perfmodel.report.tables import markdown_table

        print(markdown_table(rows))
    else:
        from perfmodel.report.tables import print_table

        print_table(rows, sys.stdout, optional=("memory", "accuracy"))


def _hardware() -> Rows:
    from perfmodel.machine import load_hardware
    from perfmodel.report.device import accuracy_known

    rows = []
    for name in builtin_names("hardware"):
        machine = load_hardware(name)
        usual = [r for _, r in machine.roofs() if r.runs_as is None and not r.on_request]
        peaks = [r for r in usual if r.unit == "FLOP/s"]
        best = max(peaks, key=lambda rate: rate.peak)
        rows.append(
            {
                "name": name,
                "kind": machine.kind,
                "peak_flop_per_s": best.peak,
                "peak_format": best.dtype,
                "memory": machine.last_level.name,
                "bandwidth_bytes_per_s": machine.last_level.bandwidth,
                "capacity_bytes": machine.capacity,
                "accuracy": accuracy_known(machine),
                "title": machine.title,
            }
        )
    return rows


def _workloads() -> Rows:
    from perfmodel.readers import load_workload

    rows = []
    for name in builtin_names("workloads"):
        workload = load_workload(name)
        rows.append(
            {
                "name": name,
                "family": workload.about["family"],
                "parameters": workload.bind().parameters(),
                "phases": list(workload.phases),
                "title": workload.about["title"],
            }
        )
    return rows


def _operators() -> Rows:
    from perfmodel.ops import registry
    from perfmodel.readers.inline import first_line

    return [
        {
            "name": name,
            "class": op.category,
            "example": op.example,
            "summary": first_line(op),
        }
        for name, op in registry().items()
    ]


def run_show(what: str, name: str, phase: str | None, settings: Sequence[str], form: str) -> None:
    """Print one device, network or operator."""
    check_format(form, ("table", "json", "markdown"))
    kinds = {"hardware": show_hardware, "workload": show_workload, "operator": show_operator}
    if what not in kinds:
        raise InputError(f"cannot show '{what}'", mend=did_you_mean(what, kinds))
    data = kinds[what](name, phase, parse_settings(settings))
    if form == "json":
        print(json.dumps(data, indent=1))
        return
    from perfmodel.report.tables import markdown_sections, print_sections

    if what == "hardware":
        from perfmodel.report.device import device_sections

        data = device_sections(data)
    if form == "markdown":
        print(markdown_sections(data), end="")
    else:
        print_sections(data, sys.stdout)


def show_hardware(name: str, phase: str | None, dims: dict[str, int]) -> dict[str, Any]:
    """Return a device's roofs, ridges, levels, and the source of every number."""
    from perfmodel.machine import load_hardware
    from perfmodel.report.device import describe_device

    if phase is not None or dims:
        raise InputError("a device has no phase and no dims to set")
    return describe_device(load_hardware(name))


def show_workload(name: str, phase: str | None, dims: dict[str, Any]) -> dict[str, Any]:
    """Return a network's dims and its layers with shapes and parameters."""
    from perfmodel.core.dims import show_shape, total
    from perfmodel.readers import load_workload
    from perfmodel.receptive import receptive_fields
    from perfmodel.units import format_si

    workload = load_workload(name, **dims)
    graph = workload.bind(phase=phase)
    fields = receptive_fields(graph)
    return {
        "name": workload.name,
        **{k: str(v) for k, v in workload.about.items() if v and k != "file"},
        "phases": ", ".join(workload.phases),
        "number format": workload.precision.name,
        "parameters": f"{graph.parameters():,}",
        f"dims in {graph.phase}": [
            {"dim": dim, "default": str(default), "value": str(graph.dims[dim])}
            for dim, default in workload.dims(graph.phase).items()
            if dim in graph.dims
        ],
        "layers": [
            {
                "layer": node.name,
                "kind": node.op.name,
                "n": node.count,
                "inputs": " ".join(show_shape(t.shape) for t in node.tensors.inputs),
                "output": show_shape(node.output.shape),
                "parameters": format_si(
                    float(total(w.elements for w in node.tensors.own_weights if w.is_parameter)), ""
                ).strip(),
                **({"sees": "x".join(map(str, fields.get(node.name, ["-"])))} if fields else {}),
            }
            for node in graph.nodes
        ],
    }


def show_operator(name: str, phase: str | None, dims: dict[str, int]) -> dict[str, Any]:
    """Return an operator's definition, attributes and inline sizes."""
    import inspect

    from perfmodel.core import REQUIRED
    from perfmodel.ops import get_operator

    if phase is not None or dims:
        raise InputError("an operator has no phase and no dims to set")
    op = get_operator(name)
    return {
        "name": op.name,
        "class": op.category,
        "example": op.example,
        "definition": inspect.cleandoc(op.__doc__ or ""),
        "inline sizes": [
            {"size": size, "default": "required" if default is REQUIRED else str(default)}
            for size, default in op.sizes.items()
        ],
        "attributes in a workload file": [
            {
                "attribute": field.name,
                "default": "required"
                if field.default is dataclasses.MISSING
                else str(field.default),
                "meaning": field.metadata["doc"],
            }
            for field in op.attributes()
        ],
    }


def run_check(files: Sequence[str]) -> int:
    """Validate files; print a line for each and every problem; return the exit code."""
    failed = 0
    for name in files:
        try:
            kind = _check_file(name)
            print(f"{name}: ok ({kind})")
        except InvalidFileError as error:
            failed += 1
            for problem in error.problems:
                print(f"error: {problem}", file=sys.stderr)
        except PerfmodelError as error:
            failed += 1
            print(f"error: {error}", file=sys.stderr)
    return 2 if failed else 0


def _check_file(name: str) -> str:
    from perfmodel.catalog import load_document

    document = load_document(Path(name))
    data = document.data
    schema = data.get("schema") if isinstance(data, dict) else None
    known = ("perfmodel/hardware@1", "perfmodel/workload@1")
    if schema == known[0]:
        from perfmodel.machine.read import machine_from_document

        machine_from_document(document)
        return "hardware"
    if schema == known[1]:
        from perfmodel.readers.workload_file import workload_from_document

        workload = workload_from_document(document)
        for phase in workload.phases:
            workload.bind(phase=phase)
        return "workload"
    raise InputError(
        f"found schema {schema!r}, expected {' or '.join(known)}",
        where=document.where(("schema",)),
        mend="state it in the first line",
    )
