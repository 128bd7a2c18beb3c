"""Kernels of random shapes: every operator that has a kernel, sizes drawn log-uniformly."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

import numpy as np

from perfmodel.core import REQUIRED, Tensor
from perfmodel.errors import InputError
from perfmodel.kernels.passes import Pass
from perfmodel.kernels.registry import Case, Kernel, case, kernels
from perfmodel.measure.clocks import Call
from perfmodel.measure.tasks import CallTask, probe_of
from perfmodel.ops import get_operator

#: smallest and largest size by name; `_OF` overrides for one operator
_RANGES: Mapping[str, tuple[float, float]] = {
    "elements": (64, 8e6), "rows": (1, 8192), "cols": (8, 8192), "m": (1, 2048), "batch": (1, 32),
    "n": (1, 16), "c": (1, 512), "d": (2, 16), "h": (4, 96), "w": (4, 96), "k": (1, 512),
    "t": (1, 3), "r": (1, 5), "s": (1, 5), "stride": (1, 2.5), "o": (1, 4), "p": (1, 8),
    "q": (1, 8), "steps": (2, 64), "input": (16, 512), "hidden": (16, 512), "q_heads": (1, 16),
    "q_len": (1, 512), "kv_len": (16, 1024), "head_dim": (16, 128), "sequence": (1, 1024),
    "heads": (1, 16), "lookups": (1, 8192), "bags": (1, 512), "width": (8, 1024),
    "rank": (4, 256), "experts": (2, 8), "top_k": (1, 2), "channels": (1, 512),
    "query_dim": (16, 512), "pad": (1, 3), "tokens": (1, 256), "intermediate": (32, 1024),
    "boxes": (8, 512), "length": (1, 4096), "samples": (300, 5e4), "n_fft": (32, 1024),
}  # fmt: skip
_OF: Mapping[str, Mapping[str, tuple[float, float]]] = {
    "matmul": {"n": (1, 2048), "k": (1, 2048)},
    "affine": {"n": (1, 2048), "k": (1, 2048)},
    "low_rank_affine": {"n": (16, 2048), "k": (16, 2048)},
    "moe": {"hidden": (16, 256)}, "roi_align": {"p": (1, 4)},
    "topk": {"k": (1, 8)}, "k_winners_take_all": {"k": (1, 8)},
    "embedding": {"rows": (64, 1e5)}, "embedding_bag": {"rows": (64, 1e5)},
}  # fmt: skip
#: sizes that have a default and are drawn nevertheless
_DRAWN = ("stride", "h", "w", "kv_len", "batch")
#: the first is at most the second where an operator has both
_ORDERED = (("bags", "lookups"), ("length", "cols"))
#: sizes that are multiples of something
_MULTIPLES = {"group_norm": ("c", 32), "pixel_shuffle": ("c", 4)}
#: operations and bytes of all passes of the largest and smallest kernel
_MOST_FLOPS, _MOST_BYTES, _LEAST_BYTES = 2e9, 3e8, 1e3
_TRIES = 200


@dataclass(frozen=True, eq=False)
class Shape:
    """A kernel on tensors of drawn sizes: the passes it states, the steps of its Python code."""

    name: str
    sizes: Mapping[str, int]
    dtype: str
    case: Case
    kernel: Kernel
    passes: tuple[Pass, ...]
    python: int

    @property
    def label(self) -> str:
        """The operator inline, and the algorithm where there are several."""
        way = "" if self.kernel.algorithm == "default" else f" {self.kernel.algorithm}"
        return f"{self.inline}{way} {self.dtype}"

    @property
    def inline(self) -> str:
        """The operator with its sizes, as the command line takes it."""
        return f"{self.name}:{','.join(f'{k}={v}' for k, v in self.sizes.items())}"

    @property
    def category(self) -> str:
        """The operator's class."""
        return get_operator(self.name).category


def random_shapes(
    count: int,
    seed: int,
    dtype: str = "fp32",
    progress: Callable[[float, float], None] = lambda done, total: None,
    share: float = 1.0,
) -> list[Shape]:
    """Return ``count`` kernels, drawn from the operators' classes in turn.

    Each class of operators comes up as often, each operator of a class too. ``share``
    of the most operations and bytes that a kernel may have otherwise.
    """
    rng = np.random.default_rng((seed, 20))
    groups: dict[str, list[str]] = {}
    for name in kernels():
        groups.setdefault(get_operator(name).category, []).append(name)
    decks = {category: _in_turn(names, rng) for category, names in groups.items()}
    found: list[Shape] = []
    for category in islice(cycle(groups), count):
        drawn = (_drawn(next(decks[category]), dtype, rng, share) for _ in range(_TRIES))
        shape = next((s for s in drawn if s is not None), None)
        if shape is None:
            raise InputError(f"no kernel of class {category} could be drawn in these sizes")
        found.append(shape)
        progress(float(len(found)), float(count))
    return found


def _in_turn(names: list[str], rng: np.random.Generator) -> Iterator[str]:
    while True:
        for place in rng.permutation(len(names)):
            yield names[place]


def _drawn(name: str, dtype: str, rng: np.random.Generator, share: float) -> Shape | None:
    operator = get_operator(name)
    ranges = {**_RANGES, **_OF.get(name, {})}
    sizes: dict[str, int] = {}
    for key, default in operator.sizes.items():
        if key in ranges and (default is REQUIRED or key in _DRAWN):
            low, high = ranges[key]
            sizes[key] = round(math.exp(rng.uniform(math.log(low), math.log(high))))
    if "r" in sizes and "s" in sizes and rng.random() < 0.8:
        sizes["s"] = sizes["r"]
        if "t" in sizes:
            sizes["t"] = sizes["r"]
    if operator.sizes.get("pad") == 0:
        sizes["pad"] = (sizes.get("r", sizes.get("s", 1)) - 1) // 2
    ways = list(kernels()[name].values())
    if name in _MULTIPLES:
        key, least = _MULTIPLES[name]
        sizes[key] = -(-sizes[key] // least) * least
    if any(sizes[a] > sizes[b] for a, b in _ORDERED if {a, b} <= set(sizes)):
        return None
    kernel = ways[rng.integers(len(ways))]
    try:
        made = case(name, sizes, dtype)
        held = [*made.tensors.inputs, *made.tensors.weights, *made.tensors.outputs]
        if kernel.refusal(made) is not None or sum(map(_bytes, held)) > share * _MOST_BYTES / 3:
            return None
        passes, python = _stated(kernel, made)
    except (InputError, ValueError):
        return None
    moved = sum(p.bytes for p in passes)
    too_long = sum(p.flops for p in passes) > share * _MOST_FLOPS
    if too_long or not _LEAST_BYTES < moved < share * _MOST_BYTES:
        return None
    return Shape(name, sizes, dtype, made, kernel, passes, python)


def _stated(kernel: Kernel, made: Case) -> tuple[tuple[Pass, ...], int]:
    """Return a kernel's library calls, and the steps of its own code between them."""
    stated = kernel.passes(made, python=True)
    steps = sum(p.calls for p in stated if p.kind == "python")
    return tuple(p for p in stated if p.kind != "python"), round(steps)


def _bytes(tensor: Tensor) -> float:
    return 4.0 * math.prod(float(n) for n in tensor.shape)


def shape_of(name: str, sizes: Mapping[str, Any], dtype: str) -> Shape:
    """Return the first kernel of an operator that takes these sizes.

    Raises InputError where there is none.
    """
    from perfmodel.kernels.registry import kernel_for

    made = case(name, sizes, dtype)
    kernel = kernel_for(name, None, made)
    return Shape(name, sizes, dtype, made, kernel, *_stated(kernel, made))


def kernel_task(shape: Shape) -> CallTask:
    """Return the run of a kernel as something to time, beside the probe of what binds it."""

    def build(xp: Any, rng: Any) -> Call:
        built = shape.kernel.build(shape.case, shape.dtype, xp, int(rng.integers(1 << 30)))
        return lambda: shape.kernel.run(built)

    product = max(shape.passes, key=lambda p: p.flops * p.calls)
    largest = max((r for p in shape.passes for r in (*p.reuse, p.write_reuse)), default=0.0)
    probe = "compute" if product.kind == "gemm" else probe_of(largest)
    return CallTask(shape.label, probe, build, stated=shape.passes)
