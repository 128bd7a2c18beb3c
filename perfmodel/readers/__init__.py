"""Readers: whatever names a network, made into a Workload."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from perfmodel.catalog import looks_like_path
from perfmodel.graph import Workload

__all__ = ["load_workload"]


def load_workload(
    name_or_path: str | Workload,
    inputs: Mapping[str, tuple[int, ...]] | None = None,
    values: Mapping[str, tuple[int, ...]] | None = None,
    patterns: bool = True,
    **dims: Any,
) -> Workload:
    """Return a network by built-in name, path (.yaml, .onnx, .pt2, config.json), or inline.

    ``dims`` set the workload's sizes, as in ``load_workload("resnet50", batch=8)``;
    a size may be a float64 array. ``inputs`` gives inputs their whole shapes, and
    ``values`` integer inputs the numbers that decide a shape or a branch.
    ``patterns`` says whether attention, norms and activations that an imported network
    writes out in primitive nodes are taken as what they are.
    Raises InputError for whatever is wrong.
    """
    workload = name_or_path if isinstance(name_or_path, Workload) else _read(str(name_or_path))
    if inputs or values:
        workload = workload.with_inputs(inputs or {}, values or {})
    if not patterns:
        workload = workload.with_patterns(False)
    if not dims:
        return workload
    bound = workload.with_dims(dims)
    known = {d for phase in workload.phases for d in workload.dims(phase)}
    unknown = [d for d in dims if d not in known]
    if unknown:
        workload.bind({unknown[0]: dims[unknown[0]]})
    return bound


def _read(name: str) -> Workload:
    if name.endswith(".json"):
        from perfmodel.readers.huggingface import read_config

        return read_config(Path(name))
    if looks_like_path(name):
        if name.endswith(".onnx"):
            from perfmodel.readers.onnx import read_onnx

            return read_onnx(Path(name))
        if name.endswith(".pt2"):
            from perfmodel.readers.torch import read_pt2

            return read_pt2(Path(name))
    elif ":" in name:
        from perfmodel.readers.inline import parse_inline

        return parse_inline(name)
    from perfmodel.readers.workload_file import read_workload_file

    return read_workload_file(name)
