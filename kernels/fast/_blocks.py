"""Working in blocks that stay in cache: a loop over blocks fuses what library calls cannot."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from perfmodel.kernels.cuda import on_gpu
from perfmodel.kernels.workspace import Workspace

#: bytes of one operand of a block: a few of them fit into a second-level cache
BLOCK_BYTES = 1 << 17


def ranges(xp: Any, count: int, item_bytes: float, target: float = BLOCK_BYTES) -> Iterator[slice]:
    """Yield slices of ``count`` things of so many bytes, about ``target`` bytes each.

    On a GPU one slice: there a launch costs more than a block could save.
    """
    step = max(1, count if on_gpu(xp) else int(target // max(item_bytes, 1)))
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
    half = str(out.dtype) == "float16" and not on_gpu(xp)
    if not half and not scratch and getattr(body, "one_call", False):
        body(xp, *inputs, out)
        return out
    flat = [x.reshape(-1) for x in inputs]
    result = out.reshape(-1)
    dtype = "float32" if half else out.dtype
    item = 4 if half else out.itemsize
    temporary = scratch + (len(flat) + 1) * half
    blocks = list(ranges(xp, result.shape[0], item))
    size = blocks[0].stop if blocks else 0
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


def one_call(body: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a body of a single library call: nothing to keep in cache between calls."""
    body.one_call = True  # type: ignore[attr-defined]
    return body
