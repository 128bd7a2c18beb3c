"""What goes from one execution of a body to the next, and what all of them give together."""

from __future__ import annotations

from dataclasses import replace

from perfmodel.core import Dim
from perfmodel.core.dims import same
from perfmodel.readers.onnx.call import Call
from perfmodel.readers.tracing.values import Value


def computed(call: Call, value: Value) -> Value:
    """Return a value whose numbers change from one execution to the next, made by a node."""
    if value.items is not None:
        return replace(value)
    tensor = call.net.tensor(value)
    return replace(value, data=None, stored=None, make=None, whole=None, tensor=tensor)


def stacked(call: Call, value: Value, trips: Dim, axis: int = 0) -> Value:
    """Return what every execution gives, along a new axis: each is put in its place."""
    at = axis if axis >= 0 else value.rank + 1 + axis
    shape = (*value.shape[:at], trips, *value.shape[at:])
    if value.tensor is None and value.make is None:
        return Value("", value.dtype, shape, stored=value.stored or call.name)
    one = call.view(value, (*value.shape[:at], 1, *value.shape[at:]))
    if same(trips, 1):
        return replace(one, data=None)
    return call.emit("expand", one, shape=shape, suffix=".collected")[0]
