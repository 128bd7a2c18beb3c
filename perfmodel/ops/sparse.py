"""Layers with sparse weights: what sparsity saves in bytes and in work, apart."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from perfmodel.core import (
    LAYOUTS,
    REQUIRED,
    Algorithm,
    Bound,
    Dim,
    Gemm,
    GemmTraffic,
    Gradient,
    Inferred,
    Operator,
    Precision,
    Tensor,
    Work,
    WorkBuilder,
    choice,
    gradient_of,
    in_layout,
    pads,
    pair,
    per_axis,
    size,
    split_layout,
    window_outputs,
)
from perfmodel.core.dims import product
from perfmodel.errors import InputError

_SPARSITY: Mapping[str, Any] = {
    "kept": 2,
    "of": 4,
    "pattern": "structured",
    "algorithm": "auto",
}


@dataclass(frozen=True, kw_only=True)
class Sparse(Operator):
    """Base of layers that store ``kept`` of every ``of`` weights, with where they stand.

    A filter is a row of D weights, of which ``J = D kept / of`` are stored:
    ``values[K, J]`` and ``indices[K, J]``.

    - ``structured``: of each four weights in a row, ``kept`` are there; an index
      says with 2 bits which. Where 2 are, a matrix engine that knows the pattern
      2:4 skips the others.
    - ``unstructured``: they stand anywhere; an index is a 32-bit column. Only the
      vector engine can skip at will: a multiplication and an addition for each
      weight that there is, no dense MACs.

    ``algorithm``: ``sparse`` skips the zeros, ``dense`` multiplies them too, on the
    matrix engine: bytes are saved and work is not. ``auto`` takes the faster
    that the device can do.

    Backward, the gradient to the input reads the weights along the other axis,
    along which they follow no pattern, and the one to the weight is a product of
    two dense tensors: a matrix engine does the dense layer's MACs for each. Of an
    unstructured weight, unless ``dense``, both take the forward's operations.
    The mask stays as it is: pruning costs nothing here.
    """

    category = "dense"
    fixed = frozenset({"kept", "of"})

    kept: Dim = size(2, doc="weights kept of a group")
    of: Dim = size(4, doc="weights of a group; 4 where the pattern is structured")
    pattern: str = choice("structured", ("structured", "unstructured"), doc="where they may stand")
    algorithm: str = choice(
        "auto", ("auto", "sparse", "dense"), doc="whether zeros are skipped; auto takes the faster"
    )

    @abstractmethod
    def dense_sizes(self, t: Bound) -> tuple[Dim, Dim, Dim, Dim]:
        """Return the dense layer's products: rows, filters and depth of a group, and groups."""

    def stored(self, filters: Dim, run: Dim, taps: Dim, precision: Precision) -> Inferred:
        """Return the stored weights of ``filters``, each ``taps`` runs of ``run`` weights.

        Raises InputError where the pattern does not fit.
        """
        self.need_positive(self.of - self.kept + 1, "of less kept")
        if self.pattern == "structured":
            self.need_same(self.of, 4, "of in a structured pattern")
            self.need_same(run % self.of, 0, "inputs modulo of")
            if self.algorithm == "sparse" and self.kept != 2:
                raise InputError(
                    f"{self.name}: engines skip zeros where 2 of 4 weights are kept, found"
                    f" {self.kept}",
                    mend="take algorithm=dense or kept=2",
                )
        else:
            self.need_same(run * taps * self.kept % self.of, 0, "weights times kept, modulo of")
        shape = (filters, run * taps * self.kept // self.of)
        index = "int2" if self.pattern == "structured" else "int32"
        return Inferred(
            (),
            (
                Tensor(shape, precision.weight, "weight", "values"),
                Tensor(shape, index, "index", "indices"),
            ),
        )

    def work(self, t: Bound) -> Work:
        return self.algorithms(t)[0].work

    def algorithms(self, t: Bound) -> list[Algorithm]:
        names = ("sparse", "dense") if self.algorithm == "auto" else (self.algorithm,)
        if self.pattern == "structured" and self.kept != 2:
            names = ("dense",)
        return [Algorithm(name, self._forward(t, skip=name == "sparse")) for name in names]

    def _forward(self, t: Bound, skip: bool) -> Work:
        rows, filters, depth, groups = self.dense_sizes(t)
        inner = depth * self.kept // self.of if skip else depth
        builder = WorkBuilder().read(t.x, *t.weights).write(t.y)
        gemm = Gemm(t.x, t.weight("values"), t.y, rows, filters, inner, groups)
        return self._product(builder, gemm, skip)

    def gradients(self, t: Bound) -> list[Gradient]:
        x, values, indices = t.x, t.weight("values"), t.weight("indices")
        dy, dx, dw = gradient_of(t.y), gradient_of(x), gradient_of(values)
        rows, filters, depth, groups = self.dense_sizes(t)
        skip = self.pattern == "unstructured" and self.algorithm != "dense"
        there = depth * self.kept // self.of if skip else depth
        to_x = Gemm(dy, values, dx, rows, there, filters, groups)
        to_w = Gemm(dy, x, dw, filters, there, rows, groups)
        return [
            Gradient(
                "input", (x,), (values, indices),
                self._product(WorkBuilder().read(dy, values, indices).write(dx), to_x, skip),
            ),
            Gradient(
                "weight", (values,), (x, indices),
                self._product(WorkBuilder().read(dy, x, indices).write(dw), to_w, skip),
            ),
        ]  # fmt: skip

    def _product(self, builder: WorkBuilder, gemm: Gemm, skip: bool) -> Work:
        on_vector = skip and self.pattern == "unstructured"
        builder.count("vector" if on_vector else "matrix", gemm.a.dtype, 2 * gemm.macs)
        return builder.build(
            macs=0 if on_vector else gemm.macs,
            extra_traffic=GemmTraffic((gemm,)),
            sparsity="2:4" if skip and not on_vector else None,
        )


@dataclass(frozen=True, kw_only=True)
class SparseAffine(Sparse):
    """Affine layer with a sparse weight, without bias: ``x[..., I] -> y[..., O]``.

    ``y_o = sum_j values_oj x_column(o, j)``, ``values[O, J]`` and ``indices[O, J]``
    with ``J = I kept / of``: O J MACs a sample where zeros are skipped, else O I.

    Structured (2:4 by default): an index takes 2 bits, and a matrix engine that
    knows 2:4 can skip. Unstructured: an index takes 32 bits, and the vector engine
    skips. ``algorithm`` is ``sparse``, ``dense`` (zeros are multiplied: bytes are
    saved, work is not) or ``auto``, the faster that the device can do. Backward a
    structured weight costs the dense layer's MACs, an unstructured one O J.
    Source: Mishra et al., "Accelerating sparse deep neural networks",
    arXiv:2104.08378 (2:4); Hubara et al., arXiv:2102.08124 (its transpose is not
    2:4); Gale et al., "Sparse GPU kernels for deep learning", arXiv:2006.10901,
    and Xia et al., "Flash-LLM", arXiv:2309.10285 (unstructured, skipped and not).
    """

    name = "sparse_affine"
    sizes = {"m": REQUIRED, "n": REQUIRED, "k": REQUIRED, **_SPARSITY}
    example = "sparse_affine:m=1024,n=4096,k=4096"
    small = (
        {"m": 3, "n": 2, "k": 8},
        {"m": 1, "n": 5, "k": 4, "kept": 1},
        {"m": 3, "n": 5, "k": 12, "algorithm": "dense"},
        {"m": 2, "n": 3, "k": 10, "kept": 1, "of": 5, "pattern": "unstructured",
         "algorithm": "sparse"},
        {"m": 5, "n": 1, "k": 7, "kept": 3, "of": 7, "pattern": "unstructured",
         "algorithm": "sparse"},
        {"m": 2, "n": 3, "k": 7, "kept": 3, "of": 7, "pattern": "unstructured",
         "algorithm": "dense"},
    )  # fmt: skip

    units: Dim = size(doc="number of outputs")

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (x,) = inputs
        weights = self.stored(self.units, x.shape[-1], 1, precision).weights
        return Inferred((x.like(*x.shape[:-1], self.units),), weights)

    def dense_sizes(self, t: Bound) -> tuple[Dim, Dim, Dim, Dim]:
        return product(t.x.shape[:-1]), self.units, t.x.shape[-1], 1

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        op = cls(units=sizes["n"], **{name: sizes[name] for name in _SPARSITY})
        return op, [Tensor((sizes["m"], sizes["k"]), precision.activation, name="x")]


@dataclass(frozen=True, kw_only=True)
class SparseConv2d(Sparse):
    """Two-dimensional convolution with sparse filters, without bias.

    ``x[N,C,H,W] -> y[N,K,P,Q]`` as ``conv2d``, an implicit product of N P Q rows. A
    filter is a row of ``D = R S C/groups`` weights, tap by tap, channels innermost;
    ``values[K, J]`` and ``indices[K, J]`` with ``J = D kept / of``: ``N K P Q J`` MACs
    where zeros are skipped, else ``N K P Q D``; taps on padding are counted.

    Structured (2:4 by default): of four channels in a row at a tap two are kept,
    an index takes 2 bits, and a matrix engine that knows 2:4 can skip.
    Unstructured: an index takes 32 bits, and the vector engine skips. ``algorithm``
    is ``sparse``, ``dense`` (zeros are multiplied: bytes are saved, work is not) or
    ``auto``, the faster that the device can do. Backward structured filters cost
    the dense layer's MACs, unstructured ones ``N K P Q J``.
    Source: Mishra et al., "Accelerating sparse deep neural networks",
    arXiv:2104.08378, section 3 (2:4 along the input channels); Hubara et al.,
    arXiv:2102.08124; Park et al., "Faster CNNs with direct sparse convolutions",
    arXiv:1608.01409 (unstructured).
    """

    name = "sparse_conv2d"
    sizes = {
        **dict.fromkeys(("n", "c", "h", "w", "k", "r", "s"), REQUIRED),
        "stride": 1,
        "pad": 0,
        "dilation": 1,
        "groups": 1,
        "layout": "nchw",
        **_SPARSITY,
    }
    example = "sparse_conv2d:n=8,c=256,h=56,w=56,k=256,r=3,s=3,pad=1"
    small = (
        {"n": 1, "c": 4, "h": 5, "w": 4, "k": 3, "r": 3, "s": 3, "pad": 1},
        {"n": 2, "c": 8, "h": 5, "w": 4, "k": 2, "r": 2, "s": 1, "stride": 2, "groups": 2,
         "algorithm": "dense", "layout": "nhwc"},
        {"n": 1, "c": 3, "h": 7, "w": 5, "k": 2, "r": 3, "s": 2, "dilation": 2, "kept": 1, "of": 6,
         "pattern": "unstructured", "algorithm": "sparse"},
        {"n": 1, "c": 2, "h": 4, "w": 5, "k": 4, "r": 3, "s": 3, "pad": 1, "groups": 2, "kept": 2,
         "of": 3, "pattern": "unstructured", "algorithm": "dense"},
    )  # fmt: skip

    out_channels: Dim = size(doc="number of filters, K")
    kernel: Any = pair(doc="size of a filter along each axis")
    stride: Any = pair(1, doc="step between filter positions")
    padding: Any = pads(0, doc="zeros added at each border")
    dilation: Any = pair(1, doc="distance between filter taps")
    groups: Dim = size(1, doc="groups of channels convolved apart")
    layout: str = choice("nchw", LAYOUTS, doc="activations with channels first or last")

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (x,) = inputs
        axes = in_layout("N", "C", "HW", self.layout)  # type: ignore[arg-type]
        self.need_rank(x, 4, f"x[{','.join(map(str, axes))}]")
        n, c, image = split_layout(x.shape, self.layout)
        self.need_same(c % self.groups, 0, "channels modulo groups")
        self.need_same(self.out_channels % self.groups, 0, "filters modulo groups")
        positions = window_outputs(
            self.name, image, self.kernel, self.stride, self.padding, self.dilation
        )
        taps = product(per_axis(self.kernel, 2))
        weights = self.stored(self.out_channels, c // self.groups, taps, precision).weights
        y = x.like(*in_layout(n, self.out_channels, positions, self.layout))
        return Inferred((y,), weights)

    def dense_sizes(self, t: Bound) -> tuple[Dim, Dim, Dim, Dim]:
        _, c, _ = split_layout(t.x.shape, self.layout)
        n, k, positions = split_layout(t.y.shape, self.layout)
        depth = c // self.groups * product(per_axis(self.kernel, 2))
        return n * product(positions), k // self.groups, depth, self.groups

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        shape = in_layout(sizes["n"], sizes["c"], (sizes["h"], sizes["w"]), sizes["layout"])
        same_name = ("stride", "dilation", "groups", "layout", *_SPARSITY)
        op = cls(
            out_channels=sizes["k"],
            kernel=(sizes["r"], sizes["s"]),
            padding=sizes["pad"],
            **{name: sizes[name] for name in same_name},
        )
        return op, [Tensor(shape, precision.activation, name="x")]
