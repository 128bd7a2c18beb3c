"""Codes that stay codes: what moves stored codes without changing them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perfmodel.readers.tracing.values import Value

if TYPE_CHECKING:
    from perfmodel.readers.onnx.call import Call

#: operators of the file that leave stored codes as they are
_MOVES = frozenset(
    {
        "Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Slice", "Split", "Concat",
        "Identity", "Gather", "Expand", "Pad",
    }
)  # fmt: skip


def keep_codes(call: Call, value: Value) -> None:
    """Mark what moved stored codes as stored codes."""
    source = next((v for v in call.inputs if v is not None), None)
    if source is not None and source.whole is not None and call.op in _MOVES:
        value.whole, value.dtype = source.whole, source.dtype
