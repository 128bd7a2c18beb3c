"""Library: what calls of an array library cost on a device, fitted to calls that were timed.

A hardware file states it under `library`; `perfmodel calibrate` writes it. The seconds of
a call are predicted from it in `perfmodel.measure.pass_model`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Annotated

from pydantic import BeforeValidator, Field

from perfmodel.catalog.validation import Spec, quantity

_Seconds = Annotated[float, BeforeValidator(quantity("time"))]
_Capacity = Annotated[float, BeforeValidator(quantity("capacity"))]


@dataclass(frozen=True)
class LevelCost:
    """Seconds a byte read from a level and a byte written to it, by one thread.

    ``capacity`` is what of the level a call finds for itself: less than its size where
    others share it; None for the last level.
    """

    read: float
    write: float
    capacity: float | None


@dataclass(frozen=True)
class CallCost:
    """Seconds of a call, of each of its elements with all data near, and of each inner loop.

    ``line`` is the share of a cache line's time that a strided element takes; ``miss`` the
    seconds of a strided element, or a scattered inner loop, that the caches do not hold.
    ``n`` tasks told it; ``residual`` is their mean |predicted / measured - 1|.
    """

    call: float
    element: float
    row: float = 0.0
    line: float = 0.0
    miss: float = 0.0
    n: int = 0
    residual: float = 0.0


@dataclass(frozen=True)
class ProductCost:
    """Seconds of a matrix product ``C[m,n] = A[m,k] B[k,n]``, per thing that it does.

    ``call`` and, for each matrix of a batch, ``matrix``; ``product`` for each
    multiplication and addition. What edges of blocks and copies cost is told by element
    of A (m k), of B (k n) and of C (m n), apart for small products, which are done in
    place, and large ones, whose operands are copied first; ``a_strided``, ``b_strided``:
    more for an operand that lies transposed. ``exposed`` is the share of the time of the
    operands' bytes that arithmetic does not hide; ``switch`` the products m n k at which
    the library turns from the one way to the other.
    """

    call: float
    matrix: float
    product: float
    product_large: float
    a_small: float
    b_small: float
    c_small: float
    a_large: float
    b_large: float
    c_large: float
    a_strided: float
    b_strided: float
    exposed: float
    switch: float
    n: int = 0
    residual: float = 0.0


@dataclass(frozen=True)
class Library:
    """Costs of the calls of an array library on a device, by 'kind.format' and by format.

    ``levels`` nearest first; ``page`` seconds a byte of a new page. A kernel costs its
    library calls, ``run`` and, for each step of its own Python code, ``python``.
    ``spread`` is by class of operators, 'all' for the others, the factor within which
    90 % of kernels lie on either side of a prediction. ``clocks`` are the medians of the
    probes at the time, in seconds, by resource.
    """

    backend: str
    blas: str
    threads: int
    date: str
    contended: bool
    page: float
    run: float
    python: float
    levels: tuple[LevelCost, ...]
    calls: Mapping[str, CallCost]
    products: Mapping[str, ProductCost]
    spread: Mapping[str, float]
    clocks: Mapping[str, float]


class LevelCostSpec(Spec):
    """Seconds a byte of a level, as written."""

    read: _Seconds
    write: _Seconds
    capacity: _Capacity | None


class CallCostSpec(Spec):
    """Seconds of a call, as written."""

    call: _Seconds
    element: _Seconds
    row: _Seconds = 0.0
    line: float = Field(default=0.0, ge=0)
    miss: _Seconds = 0.0
    n: int = Field(ge=0)
    residual: float = Field(ge=0)


class ProductCostSpec(Spec):
    """Seconds of a matrix product, as written."""

    call: _Seconds
    matrix: _Seconds
    product: _Seconds
    product_large: _Seconds
    a_small: _Seconds
    b_small: _Seconds
    c_small: _Seconds
    a_large: _Seconds
    b_large: _Seconds
    c_large: _Seconds
    a_strided: _Seconds
    b_strided: _Seconds
    exposed: float = Field(ge=0, le=1)
    switch: float = Field(gt=0)
    n: int = Field(ge=0)
    residual: float = Field(ge=0)


class LibrarySpec(Spec):
    """Costs of an array library's calls, as written. Levels are named as under `memory`."""

    backend: str
    blas: str
    threads: int = Field(ge=1)
    date: str
    contended: bool
    page: _Seconds
    run: _Seconds
    python: _Seconds
    levels: dict[str, LevelCostSpec] = Field(min_length=1)
    calls: dict[str, CallCostSpec]
    products: dict[str, ProductCostSpec]
    spread: dict[str, Annotated[float, Field(ge=1)]]
    clocks: dict[str, _Seconds]

    def library(self) -> Library:
        """Return what the file says, frozen."""
        return Library(
            **{
                f.name: getattr(self, f.name)
                for f in fields(Library)
                if f.name not in ("levels", "calls", "products")
            },
            levels=tuple(LevelCost(**v.model_dump()) for v in self.levels.values()),
            calls={k: CallCost(**v.model_dump()) for k, v in self.calls.items()},
            products={k: ProductCost(**v.model_dump()) for k, v in self.products.items()},
        )
