"""Programs of ATen operators: exported from a module, or read from a file.

The program is decomposed to core ATen, except for operators that have a handler of
their own (linear layers, attention, recurrent layers, ...), which stay whole.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from perfmodel.errors import InputError, MissingExtraError, shorten
from perfmodel.readers.torch.handlers import treatments


def torch_for(purpose: str) -> Any:
    """Return the torch package; MissingExtraError says how to install it."""
    try:
        import torch
    except ImportError:
        raise MissingExtraError("torch", "torch", purpose) from None
    if not hasattr(torch.export, "default_decompositions"):
        raise InputError(
            f"{purpose} needs PyTorch 2.6 or newer, found {torch.__version__}",
            mend="run: pip install 'perfmodel[torch]'",
        )
    return torch


def exported(
    module: Any, inputs: Sequence[Any], kwargs: Mapping[str, Any] | None, dynamic_shapes: Any
) -> Any:
    """Return the program of ``module`` in evaluation mode, decomposed.

    Raises InputError with PyTorch's first line where it cannot be exported.
    """
    torch = torch_for("reading a PyTorch module")
    if isinstance(module, torch.export.ExportedProgram):
        return decomposed(torch, module)
    if not isinstance(module, torch.nn.Module):
        raise InputError(
            f"found {type(module).__name__}, expected a torch.nn.Module or an ExportedProgram"
        )
    training = [m for m in module.modules() if m.training]
    try:
        with _quiet():
            module.eval()
            program = torch.export.export(
                module, tuple(inputs), dict(kwargs or {}), dynamic_shapes=dynamic_shapes
            )
    except Exception as error:
        raise InputError(
            f"{type(module).__name__} cannot be exported: {_first_line(error)}",
            mend="torch.export.export(module, example_inputs) says more",
        ) from error
    finally:
        for inner in training:
            inner.training = True
    return decomposed(torch, program)


def loaded(file: Path) -> Any:
    """Return the program saved in ``file`` by torch.export.save, decomposed.

    Raises InputError for a file that is none, or is damaged.
    """
    torch = torch_for("reading a .pt2 file")
    if file.is_dir():
        raise InputError(f"found a folder at '{file}', expected a .pt2 file")
    if not file.is_file():
        raise InputError(f"no such file: '{file}'")
    try:
        with _quiet():
            program = torch.export.load(file)
    except Exception as error:
        raise InputError(
            f"'{file}' is not an exported program, or is damaged: {_first_line(error)}",
            mend="expected a file written by torch.export.save",
        ) from error
    return decomposed(torch, program)


def decomposed(torch: Any, program: Any) -> Any:
    """Return the program in core ATen and operators that have a handler."""
    table = torch.export.default_decompositions()
    known = treatments()
    whole = torch._ops.OpOverload
    for op in [o for o in table if isinstance(o, whole)]:
        name = op._schema.name.partition("::")[2]
        aliases = any(a.alias_info is not None for a in op._schema.arguments)
        if (op.namespace, name) in known and name not in _DECOMPOSED and not aliases:
            table.pop(op)
    try:
        with _quiet(), _whole_dropouts(torch, program):
            return program.run_decompositions(table)
    except Exception as error:
        raise InputError(
            f"the program cannot be decomposed to core ATen: {_first_line(error)}"
        ) from error


#: have a handler for programs that were decomposed before, and a better form to start from
_DECOMPOSED = frozenset({"dropout"})


@cache
def _library(torch: Any) -> Any:
    """Define dropout as an operator that keeps its rate, which core ATen has none for."""
    library = torch.library.Library("perfmodel", "DEF")
    library.define("dropout(Tensor input, float p) -> Tensor")
    library.impl("dropout", lambda input, p: input.clone(), "CompositeExplicitAutograd")
    return library


@contextmanager
def _whole_dropouts(torch: Any, program: Any) -> Iterator[None]:
    """Have dropouts stay what they are while a program is decomposed; it is left as it was."""
    _library(torch)
    before = [
        (n, n.target, n.args, n.kwargs)
        for n in program.graph.nodes
        if n.target is torch.ops.aten.dropout.default
    ]
    for node, _, args, kwargs in before:
        rate = args[1] if len(args) > 1 else kwargs.get("p", 0.5)
        node.target, node.args, node.kwargs = (
            torch.ops.perfmodel.dropout.default, (args[0] if args else kwargs["input"], rate), {},
        )  # fmt: skip
    try:
        yield
    finally:
        for node, target, args, kwargs in before:
            node.target, node.args, node.kwargs = target, args, kwargs


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep PyTorch's warnings and log off the terminal."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {shorten(lines[0], 200)}" if lines else type(error).__name__
