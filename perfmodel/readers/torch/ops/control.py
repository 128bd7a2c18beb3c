"""Control flow: branches, loops, and graphs that only change a mode."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from perfmodel.core.dims import total
from perfmodel.readers.torch.call import Call
from perfmodel.readers.torch.handlers import Made, handles
from perfmodel.readers.tracing.values import Value

HIGHER = "higher_order"


@handles("cond", domain=HIGHER)
def cond(call: Call) -> Made:
    """The branch that the condition picks, where it is known; else the larger one."""
    given = list(call.arguments.values())
    condition, yes, no, operands = given[:4]
    if isinstance(condition, Value) and condition.data is not None and condition.data.size == 1:
        condition = bool(condition.data.item())
    if isinstance(condition, bool):
        return _branch(call, yes if condition else no, operands)
    sizes: list[Any] = []
    for branch in (yes, no):
        with call.net.aside() as trial:
            call.walker.graph(branch, operands)
        sizes.append(_size(trial.nodes))
    larger = sizes[0] >= sizes[1]
    call.net.note("cond is decided when it runs: the larger branch is taken")
    return _branch(call, yes if larger else no, operands)


def _branch(call: Call, branch: Any, operands: Sequence[Any]) -> list[Value]:
    before, call.walker.prefix = call.walker.prefix, f"{call.name}."
    try:
        return call.walker.graph(branch, operands)
    finally:
        call.walker.prefix = before


def _size(nodes: Sequence[Any]) -> tuple[float, float]:
    """Return multiply-accumulates and values written, to tell the larger of two branches."""
    macs = total(n.count * n.op.algorithms(n.tensors)[0].work.macs for n in nodes if not n.is_view)
    written = total(n.count * t.elements for n in nodes for t in n.tensors.outputs)
    return float(macs), float(written)


@handles("while_loop", domain=HIGHER)
def while_loop(call: Call) -> Made:
    """A body that runs until a condition fails: once is taken."""
    _, body, carried, more = list(call.arguments.values())[:4]
    call.net.note("while_loop runs an unknown number of times: once is taken")
    return _branch(call, body, [*carried, *more])


@handles("wrap_with_set_grad_enabled", "wrap_with_autocast", "hints_wrapper",
         "invoke_subgraph", domain=HIGHER, treatment="free")  # fmt: skip
def wrapped(call: Call) -> Made:
    """A graph that runs as it is."""
    given = list(call.arguments.values())
    place = next(i for i, g in enumerate(given) if hasattr(g, "graph"))
    rest = given[place + 1 :]
    if rest and isinstance(rest[0], str):
        rest = rest[1:]
    return _branch(call, given[place], rest)
