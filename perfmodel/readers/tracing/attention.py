"""Attention of any model: heads made rows, masks made biases, a past made a KV cache."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from perfmodel.core import Dim
from perfmodel.core.dims import same
from perfmodel.core.symbols import is_symbolic
from perfmodel.readers.tracing.step import Step
from perfmodel.readers.tracing.values import Value


def rows_of(call: Step, x: Value, suffix: str = ".rows") -> Value:
    """Return heads ``x[B,H,S,D]`` as rows ``x[B,S,H D]``; a tensor of three axes as it is."""
    if x.rank != 4:
        return x
    turned = x
    if not same(x.shape[1], 1) and not same(x.shape[2], 1):
        (turned,) = call.emit("transpose", x, axes=(0, 2, 1, 3), suffix=suffix)
    return call.view(turned, (x.shape[0], x.shape[2], x.shape[1] * x.shape[3]))


def attend(
    call: Step,
    rows: Sequence[Value],
    q_heads: Dim,
    kv_heads: Dim,
    *,
    past: Dim | None = None,
    bias: Value | None = None,
    **more: Any,
) -> Value:
    """Put attention over rows of q, k and v into the graph.

    ``past`` tokens stand in a KV cache, to which k and v are added; None where there
    is none. A mask or bias that has the scores' shape, or broadcasts over heads and
    samples, is read; others are part of the kernel.
    """
    if past is not None:
        more |= {"cached": True, "context": past}
    q, k = rows[0], rows[1]
    scores = (q.shape[0], q_heads, q.shape[1], k.shape[1] + (past if past is not None else 0))
    fitted = _bias(call, bias, scores)
    operands = [*rows, fitted] if fitted is not None else rows
    return call.emit("attention", *operands, q_heads=q_heads, kv_heads=kv_heads, **more)[0]


def _bias(call: Step, bias: Value | None, scores: tuple[Dim, ...]) -> Value | None:
    """Return a bias as ``bias[b,h,S,S']``, None where it is not of that form."""
    if bias is None or not 2 <= bias.rank <= 4:
        return None
    shape = (*(1 for _ in range(4 - bias.rank)), *bias.shape)
    fits = (
        all(map(same, shape[2:], scores[2:]))
        and (same(shape[1], 1) or same(shape[1], scores[1]))
        and (
            same(shape[0], 1)
            or same(shape[0], scores[0])
            or (not is_symbolic(scores[0]) and same(scores[0] % shape[0], 0))
        )
    )
    return call.view(bias, shape) if fits else None
