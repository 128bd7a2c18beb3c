"""Working in blocks that stay in cache: a loop over blocks fuses what library calls cannot."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from perfmodel.kernels.workspace import Workspace

#: bytes of one operand of a block: a few of them fit into a second-level cache
BLOCK_BYTES = 1 << 16


def ranges(count: int, item_bytes: float, target: float = BLOCK_BYTES) -> Iterator[slice]:
    """Yield slices of ``count`` things of so many bytes, about ``target`` bytes each."""
    step = max(1, int(target // max(item_bytes, 1)))
    for start in range(0, count, step):
        yield slice(start, min(start + step, count))


def rows_of(x: Any) -> Any:
    """Return a view of x[..., C] as [rows, C]."""
    return x.reshape(-1, x.shape[-1]) if x.ndim != 1 else x.reshape(1, -1)


def each(
    xp: Any,
    ws: Workspace,
    body: Callable[..., Any],
    inputs: Sequence[Any],
    out: Any,
    scratch: int = 0,
) -> Any:
    """Run ``body(xp, *inputs, out, *scratch)`` over blocks of contiguous arrays of one shape.

    Arrays of fp16 are widened block by block, while in cache. ``out`` may be one of
    the inputs. Returns ``out``.
    """
    flat = [x.reshape(-1) for x in inputs]
    result = out.reshape(-1)
    half = str(out.dtype) == "float16"
    dtype = "float32" if half else out.dtype
    item = 4 if half else out.itemsize
    temporary = scratch + (len(flat) + 1) * half
    if xp.__name__ == "cupy" or not (temporary or _calls_more_than_one(body)):
        blocks: Any = [slice(0, result.shape[0])]
    else:
        blocks = ranges(result.shape[0], item)
    size = min(result.shape[0], BLOCK_BYTES // item)
    if xp.__name__ == "cupy":
        size = result.shape[0]
    buffers = [ws.buffer(("scratch", i), (size,), dtype) for i in range(temporary)]
    for block in blocks:
        n = block.stop - block.start
        parts = [x[block] for x in flat]
        room = [b[:n] for b in buffers]
        if not half:
            body(xp, *parts, result[block], *room)
            continue
        wide = room[scratch:]
        for narrow, part in zip(parts, wide, strict=False):
            xp.copyto(part, narrow)
        body(xp, *wide, *room[:scratch])
        xp.copyto(result[block], wide[-1], casting="same_kind")
    return out


def _calls_more_than_one(body: Callable[..., Any]) -> bool:
    return not getattr(body, "one_call", False)


def one_call(body: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a body of a single library call: nothing to keep in cache between calls."""
    body.one_call = True  # type: ignore[attr-defined]
    return body


def size_of(shape: Sequence[int]) -> int:
    """Return the number of elements."""
    return math.prod(shape)
