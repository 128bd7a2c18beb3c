"""What a runtime computes once, when it loads the model: nodes of which all inputs are stored."""

from __future__ import annotations

from perfmodel.core.dims import same
from perfmodel.readers.onnx.call import Call
from perfmodel.readers.tracing.values import Value

#: operators whose output is not the same every time
_RANDOM = {
    "RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Multinomial",
    "Bernoulli",
}  # fmt: skip
#: operators that look into their inputs, or cost nothing when the model runs
_NEVER = {"If", "Loop", "Scan", "SequenceMap", "DequantizeLinear", "Expand"}


def all_stored(call: Call) -> bool:
    """Tell whether all of a node's inputs are in the file, or follow from what is."""
    present = [v for v in call.inputs if v is not None]
    return bool(present) and all(v.stored is not None and v.items is None for v in present)


def is_offline(call: Call) -> bool:
    """Tell whether a runtime computes the node once, when it loads the model."""
    return all_stored(call) and call.op not in _RANDOM and call.op not in _NEVER


def is_table(value: Value | None) -> bool:
    """Tell whether a value is a stored tensor of real numbers with rows."""
    return value is not None and value.stored is not None and value.is_float and value.rank > 1


def source(call: Call, value: Value, name: str) -> str:
    """Return which stored tensor a value is that follows from stored ones.

    What has as many numbers as one of them is that tensor in another form; what has
    fewer, or those of several, is a tensor of its own.
    """
    whole = [
        v.stored
        for v in call.inputs
        if v is not None and v.stored is not None and same(v.elements, value.elements)
    ]
    return whole[0] if whole else call.importer.place + name
