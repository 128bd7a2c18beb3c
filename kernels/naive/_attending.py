"""What attentions share: which keys a query sees, and the flash algorithm with its backward."""

from __future__ import annotations

from collections.abc import Sequence

from ._numbers import Array, Number, exp, mac

#: keys that the flash algorithm handles between two rescalings
KEY_BLOCK = 128
#: added to a score that a query must not see; finite, so that no mask makes a NaN
HIDDEN = -1e30


def visible_keys(i: int, S: int, length: int, causal: bool, window: int) -> range:
    """Return the keys that query ``i`` of ``S`` sees; the queries stand at the end of the keys."""
    place = length - S + i
    if causal:
        end = max(place + 1, 0)
        return range(max(end - window, 0) if window else 0, end)
    width = min(window, length) if window else length
    first = min(max(place - width // 2, 0), length - width)
    return range(first, first + width)


class Bias:
    """The bias of one head, and its gradient: a dictionary of places, filled as they come."""

    def __init__(self, bias: Array, made: dict[tuple[int, ...], Number], b: int, h: int) -> None:
        self.values = of_head(bias, b, h)
        self._made, self._at = made, (b % bias.shape[0], h % bias.shape[1])

    def add(self, i: int, j: int, gradient: Number) -> None:
        """Add the gradient of a score to that of its bias."""
        at = (*self._at, i, j)
        self._made[at] = self._made[at] + gradient if at in self._made else gradient


def of_head(bias: Array, b: int, h: int) -> Array:
    """Return the bias of one head of one sample; samples and heads may share it."""
    shared: Array = bias[b % bias.shape[0], h % bias.shape[1]]
    return shared


def scaled_score(query: Sequence[Number], key: Sequence[Number], scale: float) -> Number:
    acc: Number = 0.0
    for d in range(len(query)):
        acc = mac(acc, query[d], key[d])
    return acc * scale


def flash(
    q: Array,
    k: Array,
    v: Array,
    visible: Sequence[range],
    scale: float,
    bias: Array | None = None,
) -> list[list[Number]]:
    """Return the outputs of one head's queries, by an online softmax over blocks of keys."""
    E = v.shape[1]
    rows: list[list[Number]] = []
    for i, seen in enumerate(visible):
        largest: Number = None
        total: Number = None
        out: list[Number] = [0.0] * E
        for at in range(0, len(seen), KEY_BLOCK):
            block = seen[at : at + KEY_BLOCK]
            scores = [scaled_score(q[i], k[j], scale) for j in block]
            if bias is not None:
                scores = [score + bias[i, j] for j, score in zip(block, scores, strict=True)]
            before = largest
            for score in scores:
                largest = score if largest is None else max(largest, score)
            if before is not None:
                rescale = exp(before - largest)
                total = total * rescale
                out = [value * rescale for value in out]
            for j, score in zip(block, scores, strict=True):
                power = exp(score - largest)
                total = power if total is None else total + power
                for e in range(E):
                    out[e] = mac(out[e], power, v[j, e])
        if total is not None:
            reciprocal = 1.0 / total
            out = [value * reciprocal for value in out]
        rows.append(out)
    return rows


def flash_backward(
    visible: Sequence[range], statistics: tuple[Array, Array], head: tuple[Array, ...],
    gradients: tuple[Array, ...], scale: float, bias: Bias | None = None,
) -> None:  # fmt: skip
    """Add to the gradients (q, k, v) of one head (q, k, v, dy), its scores computed again.

    ``statistics`` are the output and the log of each row's sum of exponentials,
    ``bias`` is what was added to the scores, and its gradient.
    """
    (y, log_sums), (q, k, v, dy), (dq, dk, dv) = statistics, head, gradients
    for i, seen in enumerate(visible):
        if not seen:
            continue
        query = [value * scale for value in q[i]]
        along = sum_in_order([g * o for g, o in zip(dy[i], y[i], strict=True)])
        for j in seen:
            score = dot(query, k[j])
            if bias is not None:
                score = score + bias.values[i, j]
            p = exp(score - log_sums[i])
            ds = p * (dot(dy[i], v[j]) - along)
            if bias is not None:
                bias.add(i, j, ds)
            accumulate(dv[j], p, dy[i])
            accumulate(dq[i], ds, k[j])
            accumulate(dk[j], ds, query)
        for d, value in enumerate(dq[i]):
            dq[i, d] = value * scale


def dot(a: Sequence[Number], b: Sequence[Number]) -> Number:
    acc: Number = 0.0
    for one, other in zip(a, b, strict=True):
        acc = mac(acc, one, other)
    return acc


def accumulate(target: Array, factor: Number, vector: Sequence[Number]) -> None:
    for d, value in enumerate(vector):
        target[d] = mac(target[d], factor, value)


def sum_in_order(values: Sequence[Number]) -> Number:
    out = values[0]
    for value in values[1:]:
        out = out + value
    return out
