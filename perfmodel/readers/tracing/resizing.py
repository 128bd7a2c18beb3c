"""Images made larger or smaller, whatever axes they stand in."""

from __future__ import annotations

from collections.abc import Sequence

from perfmodel.core import Dim
from perfmodel.core.dims import product, same
from perfmodel.readers.tracing.step import Step
from perfmodel.readers.tracing.values import Value


def resized(call: Step, x: Value, shape: Sequence[Dim], mode: str) -> Value:
    """Put a resize of ``x`` to ``shape`` into the graph; bytes only over more than two axes."""
    if all(map(same, shape, x.shape)):
        return x
    moved = [i for i in range(x.rank) if not same(shape[i], x.shape[i])]
    if len(moved) <= 2 and x.rank >= 2:
        first = min(moved[0], x.rank - 2)
        last = moved[-1] if len(moved) == 2 else first + 1
        if last == first + 1:
            rest = [i for i in range(x.rank) if i not in (first, last)]
            planes = call.view(x, (1, product(x.shape[i] for i in rest), x.shape[first],
                                   x.shape[last]))  # fmt: skip
            target = (shape[first], shape[last])
            return call.view(call.emit("resize", planes, target=target, mode=mode)[0], shape)
    return call.opaque(shape)[0]
