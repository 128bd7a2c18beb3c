"""What launches add to the time of a kernel, from a graph and one by one.

In a graph each launch adds its own time. Eager, the host prepares a launch (finds the
kernel, allocates the output) and then the kernel runs while the host goes on:

    time = max(whole launch, what precedes the start + the kernel)

The factors are those of PyTorch 2.1, means over four devices' public kernel timings;
`Operator.host_work` says what an operator's launch costs over that of a sum of two tensors.
"""

from __future__ import annotations

from perfmodel.core import Dim, Work
from perfmodel.core.dims import maximum
from perfmodel.machine import Efficiency, Launch

#: share of a launch that precedes the kernel's start, by category
BEFORE = {"dense": 0.76, "reduction": 0.70, "normalization": 0.81}
BEFORE_OTHERS = 0.53
#: an elementwise kernel of one tensor: a module's call, or a number to convert
ONE_INPUT = 1.19
#: attention starts several kernels (it plans its splits, computes, adds them up), some short
ATTENTION_LAUNCHES = 3.4


def launch_seconds(
    work: Work, category: str, host_work: float, launch: Launch, eff: Efficiency, busy: Dim
) -> Dim:
    """Return the seconds that the launches of ``work`` add to ``busy``."""
    each = eff[f"launch_{launch}"]
    count = work.launches
    if work.attention is not None:
        count = count * ATTENTION_LAUNCHES
    if launch == "graph":
        return count * each
    reads = sum(1 for access in work.accesses if access.direction == "read")
    alone = ONE_INPUT if category == "elementwise" and reads == 1 else 1.0
    alone = eff["norm_launch"] if category == "normalization" else alone
    whole = count * (each * host_work * alone)
    return maximum(BEFORE.get(category, BEFORE_OTHERS) * whole, whole - busy)
