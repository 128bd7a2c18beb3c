"""What binds a prediction: the engine, the memory level, or the launches."""

from __future__ import annotations

from typing import Any

import numpy as np

from perfmodel.core import Dim
from perfmodel.core.dims import is_scalar
from perfmodel.model.times import Times

#: share of the binding time within which the next limiter is named as well
NEAR = 0.10


def limiter(times: Times) -> tuple[Any, Any, Any]:
    """Return (bound, limiter, next limiter) as names; arrays of them for arrays of sizes.

    The next limiter is '' unless its time is within 10 % of the largest. Work
    that takes no time at all is bound by overhead, limiter 'none'.
    """
    names = [*times.engines, *times.levels, "launch"]
    kinds = ["compute"] * len(times.engines) + ["bandwidth"] * len(times.levels) + ["overhead"]
    values: list[Dim] = [*times.engines.values(), *times.levels.values(), times.overhead]
    if is_scalar(*values):
        return _limiter_of(names, kinds, [float(v) for v in values])
    stack = np.stack(np.broadcast_arrays(*values))
    order = np.argsort(-stack, axis=0, kind="stable")
    top = np.take_along_axis(stack, order[:1], 0)[0]
    first = np.where(top > 0, order[0], len(names))
    near = np.full(top.shape, "", dtype=object)
    if len(names) > 1:
        second = np.take_along_axis(stack, order[1:2], 0)[0]
        close = (second >= (1 - NEAR) * top) & (top > 0)
        near = np.where(close, np.array(names, dtype=object)[order[1]], "")
    return (
        np.array([*kinds, "overhead"], dtype=object)[first],
        np.array([*names, "none"], dtype=object)[first],
        near,
    )


def _limiter_of(names: list[str], kinds: list[str], values: list[float]) -> tuple[str, str, str]:
    order = sorted(range(len(names)), key=lambda i: -values[i])
    top = values[order[0]]
    if not top > 0:
        return "overhead", "none", ""
    near = len(order) > 1 and values[order[1]] >= (1 - NEAR) * top
    return kinds[order[0]], names[order[0]], names[order[1]] if near else ""
