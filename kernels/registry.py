"""The kernels by operator and algorithm, found in `perfmodel.kernels.fast`, never listed.

A kernel is a function ``f(xp, op, ws, a)`` that returns the operator's output, or a
tuple of them. ``xp`` is the array namespace (numpy, cupy, or `dry.DryNamespace`, which
records instead of computing), ``op`` the operator, ``a`` its `Arrays`, ``ws`` a
`Workspace` for buffers and transformed weights.

    k = kernel_for("softmax")
    built = k.build({"rows": 64, "cols": 1000}, "fp32", numpy, seed=0)
    (y,) = k.run(built)
    k.passes({"rows": 64, "cols": 1000}, "fp32")

In place of sizes, ``build`` and ``passes`` take a node of a graph: anything with ``op``
and ``tensors``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from perfmodel.core import REQUIRED, Bound, Operator, parse_precision
from perfmodel.errors import InputError, did_you_mean
from perfmodel.kernels import converting, cuda, formats
from perfmodel.kernels.arrays import Arrays, arrays
from perfmodel.kernels.dry import DryNamespace
from perfmodel.kernels.passes import Pass
from perfmodel.kernels.workspace import Workspace
from perfmodel.ops import get_operator

Function = Callable[[Any, Any, Workspace, Arrays], Any]
Refusal = Callable[[Any, Bound], str | None]


@dataclass(frozen=True, eq=False)
class Case:
    """An operator on tensors of whole sizes; a graph's node has the same two fields."""

    op: Operator
    tensors: Bound


def case(name: str, sizes: Mapping[str, Any], dtype: str = "fp32") -> Case:
    """Return the operator called ``name`` for its inline sizes, in one number format.

    Raises InputError for an unknown or missing size.
    """
    cls, precision = get_operator(name), parse_precision(dtype)
    for key in sizes:
        if key not in cls.sizes:
            raise InputError(f"{name} has no size '{key}'", mend=did_you_mean(key, cls.sizes))
    full = {k: sizes.get(k, default) for k, default in cls.sizes.items()}
    if missing := [k for k, v in full.items() if v is REQUIRED]:
        raise InputError(f"{name} lacks the size {missing[0]}", mend=f"for example {cls.example}")
    named = {k: full[v] if v in full and k not in sizes else v for k, v in full.items()}
    op, inputs = cls.from_sizes(named, precision)
    made = op.infer(inputs, precision)
    return Case(
        op,
        Bound(tuple(inputs), made.outputs, made.weights, made.caches, made.appended, made.kept),
    )


@dataclass(frozen=True, eq=False)
class Built:
    """A kernel ready to run: its arrays, and what it keeps between runs.

    ``wider`` names the format that each format is computed in, where another one; found
    at each run where it is not given.
    """

    op: Operator
    arrays: Arrays
    workspace: Workspace
    xp: Any
    wider: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Kernel:
    """A way to compute an operator by library calls.

    ``native`` are the formats it computes in; others are converted on the way in and
    out, call by call, and its passes say so. ``refuses`` says why it cannot run.
    """

    operator: str
    algorithm: str
    function: Function
    native: tuple[str, ...] = formats.NATIVE
    refuses: Refusal | None = field(default=None, compare=False)

    def refusal(self, what: Any, dtype: str = "fp32") -> str | None:
        """Return None where the kernel can run this, else why not."""
        found = self._case(what, dtype)
        op, t = found.op, found.tensors
        for tensor in (*t.inputs, *t.weights, *t.caches, *t.outputs):
            if tensor.dtype not in formats.HELD:
                return f"no array library holds {tensor.dtype}"
        return self.refuses(op, t) if self.refuses else None

    def build(
        self,
        what: Any,
        dtype: str = "fp32",
        xp: Any = None,
        seed: int = 0,
        given: Sequence[Any | None] = (),
    ) -> Built:
        """Return arrays, buffers and transformed weights, after a first run.

        ``what`` are inline sizes, or a node of a graph, whose formats are its own.
        ``given`` are inputs that exist already, None where not. Raises InputError
        where the kernel cannot run this.
        """
        import numpy as np

        xp = np if xp is None else xp
        found = self._accepted(what, dtype)
        rng = None if cuda.is_dry(xp) else np.random.default_rng(seed)
        made = arrays(found.op, found.tensors, rng, xp, given)
        built = Built(found.op, made, Workspace(xp), xp, self._wider(xp, made))
        self.run(built)
        return built

    def run(self, built: Built) -> tuple[Any, ...]:
        """Return the outputs. They lie in the kernel's buffers: the next run overwrites them."""
        xp, op, ws, a = built.xp, built.op, built.workspace, built.arrays
        wider = self._wider(xp, a) if built.wider is None else built.wider
        if wider:
            return converting.run(self.function, wider, xp, op, ws, a)
        made = self.function(xp, op, ws, a)
        return made if isinstance(made, tuple) else (made,)

    def passes(
        self, what: Any, dtype: str = "fp32", backend: str = "numpy", python: bool = False
    ) -> tuple[Pass, ...]:
        """Return the library calls of one run, warm caches assumed; equal ones together.

        With ``python`` a last pass counts the interpreter's own steps.
        """
        xp = DryNamespace(backend)
        built = self.build(what, dtype, xp)  # the next run knows what this one left in cache
        xp.recorder.forget()
        self.run(built)
        return xp.passes(python)

    def dry_shapes(self, what: Any, dtype: str = "fp32") -> tuple[tuple[int, ...], ...]:
        """Return the shapes of the outputs that a run without data makes."""
        built = self.build(what, dtype, DryNamespace())
        return tuple(y.shape for y in self.run(built))

    def _wider(self, xp: Any, a: Arrays) -> Mapping[str, str]:
        native = (*self.native, "fp16") if cuda.on_gpu(xp) else self.native
        return converting.needed(a.tensors, native)

    def _case(self, what: Any, dtype: str) -> Any:
        return case(self.operator, what, dtype) if isinstance(what, Mapping) else what

    def _accepted(self, what: Any, dtype: str) -> Any:
        found = self._case(what, dtype)
        if why := self.refusal(found):
            raise InputError(f"{self.operator} by {self.algorithm}: {why}")
        return found


_found: dict[str, dict[str, Kernel]] = {}


def kernel(
    *operators: str,
    algorithm: str = "default",
    native: tuple[str, ...] = formats.NATIVE,
    refuses: Refusal | None = None,
) -> Callable[[Function], Function]:
    """Register a function as a kernel of these operators."""

    def register(function: Function) -> Function:
        for name in operators:
            ways = _found.setdefault(name, {})
            if algorithm in ways:
                raise RuntimeError(f"two kernels of {name} are called {algorithm!r}")
            ways[algorithm] = Kernel(name, algorithm, function, native, refuses)
        return function

    return register


@cache
def kernels() -> Mapping[str, Mapping[str, Kernel]]:
    """Return every kernel by operator and algorithm."""
    import perfmodel.kernels.fast as package

    for module in sorted(m.name for m in iter_modules(package.__path__)):
        import_module(f"{package.__name__}.{module}")
    return dict(sorted(_found.items()))


def kernels_of(name: str) -> Mapping[str, Kernel]:
    """Return the kernels of the operator called ``name`` by algorithm; empty where it has none."""
    return kernels().get(name, {})


def kernel_for(name: str, algorithm: str | None = None, what: Any = None) -> Kernel:
    """Return a kernel of the operator called ``name``.

    Without an algorithm the first that does not refuse ``what`` (sizes, or a node).
    Raises InputError where there is none.
    """
    ways = kernels_of(name)
    if not ways:
        get_operator(name)
        raise InputError(f"{name} has no kernel yet", mend=f"there are {len(kernels())} that have")
    if algorithm is not None:
        if algorithm not in ways:
            raise InputError(
                f"{name} has no kernel '{algorithm}'", mend=f"it has {', '.join(ways)}"
            )
        return ways[algorithm]
    if what is None:
        return next(iter(ways.values()))
    refusals = []
    for found in ways.values():
        why = found.refusal(what)
        if why is None:
            return found
        refusals.append(why)
    raise InputError(f"no kernel of {name} runs this: {refusals[0]}")
