"""Pattern: an operator that a network writes out in primitive nodes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Pattern:
    """What was recognised: its node's name, the operator's, and the nodes that it replaces."""

    name: str
    op: str
    nodes: tuple[str, ...]
