"""Is this machine fit to measure on: the same call against itself, in interleaved blocks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import comb
from typing import Any

import numpy as np

from perfmodel.measure.clocks import Backend, Call
from perfmodel.measure.conditions import conditions
from perfmodel.measure.timing import calibrate_inner, collector_off, take_sample, warm_up

SCHEMA = "perfmodel/noise@1"
#: blocks of one comparison, and comparisons of each probe
BLOCKS, TRIALS = 12, 6
#: the smallest change that a gate is asked to see
WANTED = 0.10

Interval = tuple[float, float]


def sign_test_interval(values: Sequence[float], confidence: float = 0.95) -> Interval | None:
    """Return an interval for the median that holds whatever the distribution.

    It runs from the k-th smallest value to the k-th largest, k the largest with
    2 P(Binomial(n, 1/2) < k) <= 1 - confidence. None where even k = 1 is too much
    (under 6 values at 95 %).
    """
    ordered, n = sorted(values), len(values)
    k, below = 0, 0.0
    while k < n and 2 * (below + comb(n, k) / 2**n) <= 1 - confidence:
        below += comb(n, k) / 2**n
        k += 1
    return (ordered[k - 1], ordered[n - k]) if k else None


def against_itself(
    backend: Backend, call: Call, inner: int, rng: np.random.Generator, blocks: int, by_cpu: bool
) -> tuple[list[float], float]:
    """Compare a call with itself in ``blocks`` of ABBA or BAAB, drawn at random.

    Returns each block's mean ln(A / B), and the share of samples that were clean. In
    ABBA a drift that is linear in time cancels.
    """
    ratios, clean = [], 0
    for _ in range(blocks):
        sides = "ABBA" if rng.random() < 0.5 else "BAAB"
        taken = [take_sample(backend, call, inner) for _ in sides]
        logs = [np.log(s.cpu if by_cpu else s.wall) for s in taken]
        signed = [log if side == "A" else -log for side, log in zip(sides, logs, strict=True)]
        ratios.append(float(np.sum(signed)) / 2)
        clean += sum(s.clean for s in taken)
    return ratios, clean / (4 * blocks)


def measure_noise(
    backend: Backend,
    probes: Mapping[str, Call],
    rng: np.random.Generator,
    *,
    by_cpu: bool = True,
    trials: int = TRIALS,
    blocks: int = BLOCKS,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Return how well a change can be told from noise: schema perfmodel/noise@1.

    By probe: ``block_p95``, the 95th percentile of |ln(A / B)| of a block;
    ``interval_p95``, the same of the farther end of a comparison's interval;
    ``threshold``, twice that as a ratio less 1: the smallest change that a gate with a
    false alarm in about 20 at most can be set to; ``clean``, the share of samples that
    nothing disturbed; ``fit`` where the threshold is at most WANTED. All block ratios
    are kept.
    """
    found: dict[str, Any] = {}
    with collector_off():
        for place, (name, call) in enumerate(probes.items()):
            warm_up(backend, call)
            inner = calibrate_inner(backend, call)
            runs = []
            for trial in range(trials):
                runs.append(against_itself(backend, call, inner, rng, blocks, by_cpu))
                progress(place * trials + trial + 1, trials * len(probes))
            found[name] = _summary(runs) | {"inner": inner}
    return {
        "schema": SCHEMA,
        "backend": backend.name,
        "clock": "cpu" if by_cpu else "wall",
        "conditions": conditions(),
        "fit": all(probe["fit"] for probe in found.values()),
        "probes": found,
    }


def _summary(runs: Sequence[tuple[list[float], float]]) -> dict[str, Any]:
    blocks = [abs(ratio) for ratios, _ in runs for ratio in ratios]
    ends = []
    for ratios, _ in runs:
        interval = sign_test_interval(ratios)
        assert interval is not None, "a comparison needs six blocks"
        ends.append(max(abs(end) for end in interval))
    farthest = float(np.quantile(ends, 0.95))
    threshold = float(np.expm1(2 * farthest))
    return {
        "block_p95": float(np.quantile(blocks, 0.95)),
        "interval_p95": farthest,
        "threshold": threshold,
        "clean": float(np.mean([clean for _, clean in runs])),
        "fit": threshold <= WANTED,
        "blocks": [ratios for ratios, _ in runs],
    }
