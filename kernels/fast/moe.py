"""Mixture of experts: tokens sorted by expert, a product an expert, results put back and added."""

from __future__ import annotations

from typing import Any

from perfmodel.kernels.cuda import is_dry
from perfmodel.kernels.fast import activations
from perfmodel.kernels.fast._blocks import each, rows_of
from perfmodel.kernels.fast._products import product
from perfmodel.kernels.fast.embedding import take
from perfmodel.kernels.fast.reduction import softmax_rows
from perfmodel.kernels.registry import kernel


@kernel("moe")
def moe(xp: Any, op: Any, ws: Any, a: Any) -> Any:
    """Router, softmax, the top k, then each expert on its own tokens.

    A statement of passes supposes that every expert gets equally many; padding for
    imbalance is not computed.
    """
    out, w = ws.output(a), a.weights
    x, y = rows_of(a.x), rows_of(out)
    N, D = x.shape
    E, k, hidden = op.experts, op.top_k, op.intermediate
    p = ws.buffer("p", (N, E), x.dtype)
    if len(a.inputs) == 2:
        softmax_rows(xp, ws, a.inputs[1].reshape(N, E), p)
    else:
        product(xp, x, w["router"].T, p)
        softmax_rows(xp, ws, p, p)
    # Largest first: the negated probabilities in order.
    order = xp.argsort(xp.negative(p, out=ws.like("negated", p)), axis=1, kind="stable")
    chosen = ws.buffer("chosen", (N, k), "int64")
    xp.copyto(chosen, order[:, :k])
    share = xp.take_along_axis(p, chosen, axis=1)
    slots = xp.argsort(chosen.reshape(-1), axis=0, kind="stable")
    tokens = xp.floor_divide(slots, k)
    rows = ws.buffer("rows", (N * k, D), x.dtype)
    take(xp, x, tokens, 0, rows)
    up, gate = (ws.buffer(name, (N * k, hidden), x.dtype) for name in ("up", "gate"))
    made = ws.buffer("made", (N * k, D), x.dtype)
    start = 0
    for e, count in enumerate(_counts(xp, chosen, N, k, E)):
        at = slice(start, start + count)
        start += count
        if not count:
            continue
        product(xp, rows[at], w["up_weight"][e].T, up[at])
        if op.activation == "swiglu":
            product(xp, rows[at], w["gate_weight"][e].T, gate[at])
            silu = each(xp, ws, activations.silu, (gate[at],), ws.buffer("silu", (count, hidden),
                        x.dtype), 1)  # fmt: skip
            xp.multiply(up[at], silu, out=up[at])
        else:
            xp.maximum(up[at], 0.0, out=up[at])
        product(xp, up[at], w["down_weight"][e].T, made[at])
    # Back in the order of tokens, weighted, and summed over a token's experts.
    back = ws.buffer("back", (N * k, D), x.dtype)
    back[slots] = made
    xp.multiply(back, share.reshape(-1, 1), out=back)
    xp.sum(back.reshape(N, k, D), axis=1, out=y)
    return out


def _counts(xp: Any, chosen: Any, N: int, k: int, E: int) -> list[int]:
    """Return how many tokens each expert gets."""
    if is_dry(xp):
        return [(e + 1) * N * k // E - e * N * k // E for e in range(E)]
    found: list[int] = xp.bincount(chosen.reshape(-1), minlength=E).tolist()
    return found
