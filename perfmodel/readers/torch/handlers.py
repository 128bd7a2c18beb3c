"""What each PyTorch operator becomes: a table filled by the modules of `readers/torch/ops/`.

An operator is known by its namespace and name; its overloads have one handler. Those
of ``aten`` need no namespace: ``@handles("convolution")``.
"""

from __future__ import annotations

from collections.abc import Callable

from perfmodel.readers.tracing.table import Handler, Made, Table, Treatment

__all__ = ["Handler", "Made", "Treatment", "handler_of", "handles", "treatments"]

_TABLE = Table("perfmodel.readers.torch.ops")
handler_of, treatments = _TABLE.handler_of, _TABLE.treatments


def handles(
    *names: str, domain: str = "aten", treatment: Treatment = "modelled"
) -> Callable[[Handler], Handler]:
    """Register a handler for operators of the namespace ``domain``."""
    return _TABLE.handles(*names, domain=domain, treatment=treatment)
