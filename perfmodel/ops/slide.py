"""SLIDE: an affine layer that computes only the neurons its hash tables find."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from perfmodel.core import (
    REQUIRED,
    Bound,
    Dim,
    Gradient,
    Inferred,
    Operator,
    Precision,
    Tensor,
    Work,
    WorkBuilder,
    choice,
    gradient_of,
    missed_share,
    size,
    text,
)
from perfmodel.core.dims import ceil_div, minimum, product
from perfmodel.errors import InputError, shorten

#: bytes of a neuron's number in a hash table
NUMBER_BYTES = 4


@dataclass(frozen=True)
class SlideAffine(Operator):
    """Affine layer of active neurons only: ``x[..., I] -> y[..., A]``, ``weight[O,I], bias[O]``.

    The input is hashed for L tables by K hashes each:

    - ``simhash``, signs of random projections by ``hyperplanes``: ``K L I`` MACs and
      ``K L`` comparisons a sample;
    - ``dwta``, densified winner-take-all: where the largest of the ``bin`` values lies
      that stand at given ``positions`` of x, ``K L (bin - 1)`` comparisons. The positions
      are permutations of x, end to end. No bin of a dense input is empty, so none is
      filled from another.

    The buckets found in the L tables list the neurons that are likely to be large;
    of them ``A = sampled O``, rounded up, are computed: ``A I`` MACs and A
    additions. Only their rows of the weights are read, at most all O over a
    batch; rows that several samples share stay as far as the inner level holds
    them. The tables themselves are built apart.

    The gradient with respect to x and the rows computed costs ``2 A I`` MACs;
    that of weight and bias is sparse.
    Source: Chen et al., "SLIDE", arXiv:1903.03129; Charikar, STOC 2002 (SimHash);
    Chen and Shrivastava, "Densified winner take all (WTA) hashing for sparse
    datasets", UAI 2018.
    """

    name = "slide_affine"
    category = "dense"
    sizes = {
        "m": REQUIRED,
        "n": REQUIRED,
        "k": REQUIRED,
        "sampled": "0.005",
        "bits": 9,
        "tables": 50,
        "hashing": "simhash",
        "bin": 8,
    }
    example = "slide_affine:m=128,n=670091,k=128"
    small = (
        {"m": 1, "n": 7, "k": 3, "sampled": "0.4", "bits": 2, "tables": 3},
        {"m": 3, "n": 4, "k": 2, "sampled": "1", "bits": 1, "tables": 2},
        {"m": 1, "n": 5, "k": 1, "sampled": "1/5", "bits": 3, "tables": 1},
        {"m": 2, "n": 3, "k": 3, "sampled": "1", "bits": 2, "tables": 3, "hashing": "dwta",
         "bin": 2},
        {"m": 1, "n": 5, "k": 4, "sampled": "0.5", "bits": 1, "tables": 2, "hashing": "dwta",
         "bin": 3},
    )  # fmt: skip

    units: Dim = size(doc="number of neurons, O")
    sampled: str = text(
        "0.005", doc="share of the neurons computed for a sample, over 0, at most 1"
    )
    bits: Dim = size(9, doc="hashes of a table, K: bits, or the codes of winners")
    tables: Dim = size(50, doc="hash tables, L")
    hashing: str = choice("simhash", ("simhash", "dwta"), doc="how the input is hashed")
    bin: Dim = size(8, doc="values of which one wins, with dwta")

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (x,) = inputs
        if not x.shape:
            raise InputError("slide_affine expects x[..., I], found a scalar")
        width, active = x.shape[-1], self.active()
        weights = (
            Tensor((self.units, width), precision.weight, "weight", "weight"),
            Tensor((self.units,), precision.weight, "weight", "bias"),
            self._hashes(width, precision),
        )
        numbers = (*x.shape[:-1], active)
        kept = Tensor(numbers, precision.of("index"), "index", "active")
        return Inferred((x.like(*numbers),), weights, kept=(kept,))

    def _hashes(self, width: Dim, precision: Precision) -> Tensor:
        shape = (self.tables, self.bits)
        if self.hashing == "dwta":
            return Tensor((*shape, self.bin), precision.of("index"), "index", "positions")
        return Tensor((*shape, width), precision.weight, "state", "hyperplanes")

    def active(self) -> Dim:
        """Return the neurons computed for a sample, A."""
        try:
            share = Fraction(self.sampled)
        except (ValueError, ZeroDivisionError):
            share = Fraction(0)
        if not 0 < share <= 1:
            found = shorten(self.sampled)
            raise InputError(
                f"slide_affine: sampled: found {found}, expected a number over 0, at most 1"
            )
        return ceil_div(self.units * share.numerator, share.denominator)

    def work(self, t: Bound) -> Work:
        x, hashes = t.x, self.tables * self.bits
        samples, width, active = product(x.shape[:-1]), x.shape[-1], self.active()
        macs = samples * width * active
        compared = hashes * (self.bin - 1)
        if self.hashing == "simhash":
            macs, compared = macs + samples * width * hashes, hashes
        builder = WorkBuilder().read(x, t.weights[2]).write(t.y)
        builder.count("matrix", x.dtype, 2 * macs)
        builder.count("vector", x.dtype, samples * (compared + active))
        rows = self._rows(samples)
        self._read_rows(builder, t, rows)
        buckets = samples * (self.tables + active) * NUMBER_BYTES
        numbers = samples * active * NUMBER_BYTES
        builder.access("buckets", "read", buckets)
        builder.access("active", "write", numbers).access("active", "read", numbers)
        return builder.build(macs=macs, launches=3, extra_traffic=self._again(t, samples, rows))

    def _rows(self, samples: Dim) -> Dim:
        return minimum(self.units, samples * self.active())

    def _read_rows(self, builder: WorkBuilder, t: Bound, rows: Dim) -> None:
        for weight in t.weights[:2]:
            part = Tensor((rows, *weight.shape[1:]), weight.dtype)
            builder.access(weight.name, "read", part.bytes)

    def _again(self, t: Bound, samples: Dim, rows: Dim) -> Any:
        row = t.weight("weight").bytes / self.units

        def extra(capacity: Dim) -> Dim:
            again = samples * self.active() - rows
            return again * row * missed_share(rows * row, capacity)

        return extra

    def gradients(self, t: Bound) -> list[Gradient]:
        x, dy, weight, bias = t.x, gradient_of(t.y), *t.weights[:2]
        samples, width = product(x.shape[:-1]), x.shape[-1]
        macs, rows = dy.elements * width, self._rows(samples)
        again = self._again(t, samples, rows)
        to_x = WorkBuilder().read(dy, *t.kept).write(gradient_of(x))
        gathered = Tensor((rows, width), weight.dtype).bytes
        to_x.access(weight.name, "read", gathered).count("matrix", x.dtype, 2 * macs)
        to_w = WorkBuilder().read(dy, x, *t.kept).count("matrix", x.dtype, 2 * macs)
        to_w.count("vector", x.dtype, dy.elements)
        for tensor in (weight, bias):
            made = Tensor((rows, *tensor.shape[1:]), tensor.dtype).bytes
            to_w.access(gradient_of(tensor).name, "write", made)
        work_x = to_x.build(macs=macs, extra_traffic=again)
        work_w = to_w.build(macs=macs, extra_traffic=again)
        return [
            Gradient("input", (x,), (weight, *t.kept), work_x),
            Gradient("weight", (weight, bias), (x, *t.kept), work_w, sparse=True, rows=rows),
        ]

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        x = Tensor((sizes["m"], sizes["k"]), precision.activation, name="x")
        names = ("sampled", "bits", "tables", "hashing", "bin")
        return cls(units=sizes["n"], **{name: sizes[name] for name in names}), [x]
