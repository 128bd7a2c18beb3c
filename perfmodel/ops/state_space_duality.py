"""State-space layers with one decay a head: the scan as matrix products over chunks of time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from perfmodel.core import (
    REQUIRED,
    Algorithm,
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
    missed,
    size,
)
from perfmodel.core.dims import ceil_div, maximum, minimum, total, where

#: bytes of a value of the states and of the cumulated decays, which are fp32
STATE_BYTES = 4


@dataclass(frozen=True)
class SsdScan(Operator):
    """Scan of a state-space layer with one decay a head (Mamba-2): ``x, delta, b, c -> y``.

    ``x[B,T,H P], delta[B,T,H], b, c[B,T,G N] -> y[B,T,H P]``, ``decay, skip[H]``;
    a group's b and c serve H/G heads. For each head, with a state h[P,N]:

        h_t = exp(delta_t decay) h_{t-1} + delta_t x_t b_t^T,  y_t = h_t c_t + skip x_t.

    Two algorithms:

    - ``chunked``: time in chunks of Q steps, of which each is the product of its
      masked scores ``c b^T`` with ``delta x``, whole squares; each but the last
      leaves a state, each but the first adds what the state before gives. With q
      steps in a chunk, C chunks: ``q^2 N`` MACs a group and chunk; a head takes
      ``q^2 P`` a chunk, ``(C-1) Q P N`` and ``(T-Q) P N``. Five kernels (three where
      one chunk is all) pass scores, cumulated decays and states through memory.
    - ``recurrent``: one kernel walks through time and keeps the state on chip;
      ``5 P N + 2 P + 1`` vector operations and an exponential a step and head.

    Backward, in chunks, with scores and states computed again: thrice the MACs of the
    scores, twice those of their products with x, 2.5 times those of states. The gradient of a
    step's exponent is the sum of ``y dy - skip x dy - u du`` (u = delta x) over it
    and all later steps, so no product with a decay is passed a gradient.
    Source: Dao and Gu, "Transformers are SSMs", arXiv:2405.21060, section 6;
    Yang et al., arXiv:2312.06635, appendix (gradient of a decay).
    """

    name = "ssd_scan"
    category = "recurrent"
    arity = 4
    sizes = {
        "batch": 1,
        "steps": REQUIRED,
        "heads": REQUIRED,
        "head_dim": 64,
        "state": 128,
        "groups": 1,
        "chunk": 256,
        "algorithm": "auto",
    }
    example = "ssd_scan:batch=1,steps=2048,heads=80"
    small = (
        {"batch": 2, "steps": 3, "heads": 2, "head_dim": 2, "state": 3},
        {"steps": 5, "heads": 2, "head_dim": 1, "state": 2, "groups": 2, "chunk": 2},
        {"batch": 2, "steps": 4, "heads": 2, "head_dim": 3, "state": 1, "chunk": 2},
        {"steps": 1, "heads": 1, "head_dim": 2, "state": 2, "chunk": 1},
        {"steps": 4, "heads": 1, "head_dim": 2, "state": 2, "chunk": 1},
    )

    heads: Dim = size(doc="heads, H")
    groups: Dim = size(1, doc="sets of b and c, which heads share, G")
    chunk: Dim = size(256, doc="steps of a chunk, Q")
    algorithm: str = choice(
        "auto", ("chunked", "recurrent", "auto"), doc="how it is computed; auto takes the faster"
    )

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        x, delta, b, c = inputs
        layouts = ("x[B,T,H P]", "delta[B,T,H]", "b[B,T,G N]", "c[B,T,G N]")
        for tensor, layout in zip(inputs, layouts, strict=True):
            self.need_rank(tensor, 3, layout)
            self.need_same(tensor.shape[0], x.shape[0], "batch")
            self.need_same(tensor.shape[1], x.shape[1], "steps")
        self.need_same(self.heads % self.groups, 0, "heads modulo groups")
        self.need_same(x.shape[2] % self.heads, 0, "columns of x modulo heads")
        self.need_same(delta.shape[2], self.heads, "columns of delta")
        self.need_same(b.shape[2] % self.groups, 0, "columns of b modulo groups")
        self.need_same(c.shape[2], b.shape[2], "columns of c against b")
        weights = tuple(
            Tensor((self.heads,), precision.weight, "weight", name) for name in ("decay", "skip")
        )
        return Inferred((x.like(*x.shape),), weights)

    def work(self, t: Bound) -> Work:
        return self.algorithms(t)[0].work

    def algorithms(self, t: Bound) -> list[Algorithm]:
        scan = _Scan(self, t)
        known: dict[str, Callable[[], Work]] = {
            "chunked": scan.chunked,
            "recurrent": scan.recurrent,
        }
        names = list(known) if self.algorithm == "auto" else [self.algorithm]
        return [Algorithm(n, known[n]()) for n in names]

    def gradients(self, t: Bound) -> list[Gradient]:
        made = (*t.inputs, *t.weights)
        return [Gradient("inputs", made, (*made, t.y), _Scan(self, t).backward())]

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        heads, width = sizes["heads"], sizes["groups"] * sizes["state"]
        widths = {"x": heads * sizes["head_dim"], "delta": heads, "b": width, "c": width}
        inputs = [
            Tensor((sizes["batch"], sizes["steps"], columns), precision.activation, name=name)
            for name, columns in widths.items()
        ]
        names = ("heads", "groups", "chunk", "algorithm")
        return cls(**{name: sizes[name] for name in names}), inputs


class _Scan:
    """The sizes of one scan that both algorithms count with."""

    def __init__(self, op: SsdScan, t: Bound) -> None:
        x, _, b, _ = t.inputs
        self.t, self.dtype = t, x.dtype
        self.batch, self.steps = x.shape[:2]
        self.heads, self.groups = self.batch * op.heads, self.batch * op.groups
        self.shared = op.heads // op.groups
        self.width, self.state = x.shape[2] // op.heads, b.shape[2] // op.groups
        self.chunks = ceil_div(self.steps, op.chunk)
        #: steps whose chunk leaves a state, and steps that a state is given to
        self.leaving = (self.chunks - 1) * op.chunk
        self.given = self.steps - minimum(op.chunk, self.steps)
        last = self.steps - self.leaving
        self.squares = self.leaving * op.chunk + last * last
        #: pairs of a step and an earlier one of its chunk
        self.pairs = (self.squares - self.steps) // 2
        #: a state times a decay is added to the next one
        self.passed = maximum(self.chunks - 2, 0)
        self.cell = self.width * self.state

    def recurrent(self) -> Work:
        builder = WorkBuilder().read(*self.t.inputs, *self.t.weights).write(self.t.y)
        each = 5 * self.cell + 2 * self.width + 1
        builder.count("vector", self.dtype, self.heads * self.steps * each)
        return builder.count("special", self.dtype, self.heads * self.steps).build()

    def _common(self, builder: WorkBuilder) -> None:
        """Count decays, scores, ``delta x`` and states: what both passes compute."""
        weighted = self.leaving - (self.chunks - 1)  # a chunk's last step has the factor 1
        vector = self.steps * (1 + self.width) + (self.steps - self.chunks) + 2 * self.pairs
        vector = vector + weighted * (1 + self.width) + self.passed * 2 * self.cell
        builder.count("vector", self.dtype, self.heads * vector)
        special = self.pairs + weighted + self.passed + self.given
        builder.count("special", self.dtype, self.heads * special)

    def chunked(self) -> Work:
        t, builder = self.t, WorkBuilder().read(*self.t.inputs, *self.t.weights).write(self.t.y)
        self._common(builder)
        vector = self.given * self.width + 2 * self.steps * self.width
        builder.count("vector", self.dtype, self.heads * vector)
        macs = self.groups * self.squares * self.state + self.heads * (
            self.squares * self.width + (self.leaving + self.given) * self.cell
        )
        builder.count("matrix", self.dtype, 2 * macs)
        reads = {"cumulated": 2, "scores": 1, "states": 1, "passed_states": 1}
        workspace = self._pass_on(builder, reads)

        x, delta, b, c = (tensor.bytes for tensor in t.inputs)

        def extra(capacity: Dim) -> Dim:
            again = [missed(each, capacity) for each in (x, b, delta)]
            return missed(delta, capacity) + missed(c, capacity) + self._where_many(total(again))

        launches = 3 + self._where_many(2)
        return builder.build(macs=macs, launches=launches, extra_traffic=extra, workspace=workspace)

    def backward(self) -> Work:
        t = self.t
        made = (*t.inputs, *t.weights)
        builder = WorkBuilder().read(gradient_of(t.y), *made, t.y)
        builder.write(*(gradient_of(tensor) for tensor in made))
        self._common(builder)
        # A step: three products along x with their sums, the gradients of x and delta.
        vector = self.steps * (9 * self.width + 4) + (self.steps - 1)
        vector = vector + self.pairs + self.passed * 2 * self.cell
        vector = vector + (self.given + self.leaving - (self.chunks - 1)) * self.width
        triangle = self.pairs + self.steps
        builder.count("vector", self.dtype, self.heads * vector)
        builder.count("vector", self.dtype, self.groups * (self.shared - 1) * triangle)
        sums = self.heads / self.batch * (self.batch * self.steps - 1)
        builder.count("vector", self.dtype, 2 * sums)
        macs = self.groups * 3 * self.squares * self.state + self.heads * (
            2 * self.squares * self.width + (3 * self.leaving + 2 * self.given) * self.cell
        )
        builder.count("matrix", self.dtype, 2 * macs)
        reads = {
            "cumulated": 4, "scores": 1, "states": 1, "passed_states": 1, "weighted": 1,
            "scores.grad": 2, "states.grad": 1, "passed_states.grad": 2, "weighted.grad": 1,
            "cumulated.grad": 1,
        }  # fmt: skip
        workspace = self._pass_on(builder, reads)
        both = [tensor.bytes for tensor in (*t.inputs, t.y)]

        def extra(capacity: Dim) -> Dim:
            return 2 * total(missed(each, capacity) for each in both)

        launches = 7 + self._where_many(4)
        return builder.build(macs=macs, launches=launches, extra_traffic=extra, workspace=workspace)

    def _pass_on(self, builder: WorkBuilder, reads: Mapping[str, int]) -> Dim:
        """Write temporaries, read them that often; return the bytes of all."""
        states = self.heads * (self.chunks - 1) * self.cell * STATE_BYTES
        sizes = {
            "cumulated": self.heads * self.steps * STATE_BYTES,
            "scores": self.t.x.like(self.groups, self.squares).bytes,
            "states": states,
            "passed_states": states,
            "weighted": self.t.x.like(self.heads, self.leaving, self.width).bytes,
        }
        for name, times in reads.items():
            moved = sizes[name.removesuffix(".grad")]
            builder.access(name, "write", moved).access(name, "read", times * moved)
        return total(sizes[name.removesuffix(".grad")] for name in reads)

    def _where_many(self, value: Dim) -> Dim:
        return where(self.chunks > 1, value, 0)
