"""What each ONNX operator becomes: a table filled by the modules of `readers/onnx/ops/`.

A handler takes a `Call` (one node: inputs, attributes) and returns its outputs as
Values; on the way it puts operators of `perfmodel.ops` into the graph. Defining it
with ``@handles("Conv")`` in any module of that folder is all it takes.
"""

from __future__ import annotations

from collections.abc import Callable

from perfmodel.readers.tracing.table import Handler, Made, Table, Treatment

__all__ = ["MICROSOFT", "Handler", "Made", "Treatment", "handler_of", "handles", "treatments"]

MICROSOFT = "com.microsoft"
_TABLE = Table("perfmodel.readers.onnx.ops")
handler_of, treatments = _TABLE.handler_of, _TABLE.treatments


def handles(
    *names: str, domain: str = "", treatment: Treatment = "modelled"
) -> Callable[[Handler], Handler]:
    """Register a handler for operators of ``domain``."""
    return _TABLE.handles(*names, domain=domain, treatment=treatment)
