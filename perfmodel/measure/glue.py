"""How much Python a kernel runs between library calls, counted on arrays without data."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

from perfmodel.kernels import dry
from perfmodel.kernels.arrays import arrays
from perfmodel.kernels.registry import Built, Case, Kernel
from perfmodel.kernels.workspace import Workspace

#: functions that do much more than a call: what they count for
_HEAVY = {
    "as_strided": 20, "_broadcast_to_dispatcher": 20, "_moveaxis_dispatcher": 20,
    "sliding_window_view": 60, "_swapaxes_dispatcher": 3, "_expand_dims_dispatcher": 8,
}  # fmt: skip


def python_calls(kernel: Kernel, case: Case) -> int:
    """Return the calls that a kernel's own code makes in a run: functions, views, lookups.

    A view, a buffer looked up and a library call are one each; functions of the array
    library that are long in Python count for more.
    """
    xp = dry.DryNamespace()
    built = Built(case.op, arrays(case.op, case.tensors, None, xp), Workspace(xp), xp)
    kernel.run(built)
    total = 0

    def count(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal total
        if event == "c_call":
            total += _of_kernel(frame)
        elif event == "call" and frame.f_back is not None and _of_kernel(frame.f_back):
            total += _HEAVY.get(frame.f_code.co_name, 1)

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        kernel.run(built)
    finally:
        sys.setprofile(before if callable(before) else None)
    return total


_known: dict[str, bool] = {}


def _of_kernel(frame: FrameType) -> bool:
    """Tell whether a frame is in the kernels' files, those of arrays without data left out."""
    file = frame.f_code.co_filename
    if file not in _known:
        folder, _, name = file.rpartition("/")
        home = dry.__file__.rpartition("/")[0]
        _known[file] = folder.startswith(home) and not name.startswith(("dry", "reuse"))
    return _known[file]
