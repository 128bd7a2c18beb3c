"""Formats that no library computes in at speed (fp16, int8): computed in a wider one.

Every input is cast on the way in and every output on the way out, at every run; weights
are cast once, as a competent person keeps them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from perfmodel.core import Bound, Tensor
from perfmodel.kernels import formats
from perfmodel.kernels.arrays import Arrays
from perfmodel.kernels.workspace import Workspace


def _is_index(tensor: Tensor) -> bool:
    """Whether a tensor's values name places, in whole numbers."""
    return tensor.role == "index" and tensor.dtype.startswith("int")


def needed(t: Bound, native: tuple[str, ...]) -> Mapping[str, str]:
    """Return the wider format of each format among the tensors that is not native.

    Integers convert only where weights or products are in them too: an index stays.
    """
    tensors = (*t.inputs, *t.weights, *t.caches)
    found = {x.dtype for x in tensors if not _is_index(x)}
    return {d: w for d, w in formats.CONVERTED.items() if d in found and d not in native}


def widened(t: Bound, wider: Mapping[str, str]) -> Bound:
    """Return the tensors in their wider formats."""

    def each(tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(
            x if _is_index(x) else replace(x, dtype=wider.get(x.dtype, x.dtype)) for x in tensors
        )

    return Bound(
        each(t.inputs), each(t.outputs), each(t.weights), each(t.caches), each(t.appended), t.kept
    )


def run(
    function: Callable[..., Any],
    wider: Mapping[str, str],
    xp: Any,
    op: Any,
    ws: Workspace,
    a: Arrays,
) -> tuple[Any, ...]:
    """Return the outputs of ``function`` on arrays cast to wider formats, cast back."""

    def cast(name: Any, x: Any) -> Any:
        target = wider.get(formats.name_of(x.dtype))
        if target is None:
            return x
        made = ws.buffer(("cast", name), x.shape, formats.NUMPY[target])
        xp.copyto(made, x)
        return made

    t = a.tensors
    inputs = tuple(
        x if _is_index(tensor) else cast(i, x)
        for i, (x, tensor) in enumerate(zip(a.inputs, t.inputs, strict=True))
    )
    weights = {n: ws.once(("cast", n), lambda n=n, w=w: cast(n, w)) for n, w in a.weights.items()}
    caches = {n: cast(n, c) for n, c in a.caches.items()}
    made = function(xp, op, ws, Arrays(inputs, weights, caches, widened(t, wider)))
    made = made if isinstance(made, tuple) else (made,)
    return tuple(
        _narrow(xp, ws, i, y, tensor.dtype)
        for i, (y, tensor) in enumerate(zip(made, t.outputs, strict=False))
    )


def _narrow(xp: Any, ws: Workspace, number: int, y: Any, dtype: str) -> Any:
    target = formats.NUMPY[dtype]
    if str(y.dtype) == target:
        return y
    made = ws.buffer(("narrow", number), y.shape, target)
    if dtype == "int8":
        # Saturate as quantized products do; the wide result is the kernel's own buffer.
        xp.rint(y, out=y)
        xp.maximum(y, -128, out=y)
        xp.minimum(y, 127, out=y)
    xp.copyto(made, y, casting="unsafe")
    return made
