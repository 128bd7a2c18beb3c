"""Recurrent units. Steps are a chain: each waits for the one before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from perfmodel.core import Dim, Inferred, Precision, Tensor, choice, flag, size
from perfmodel.core.dims import largest, smallest
from perfmodel.core.recurrence import SIZES, Recurrent
from perfmodel.errors import InputError


@dataclass(frozen=True)
class Rnn(Recurrent):
    """Recurrent network of simple (Elman) units: ``x[B,T,I] -> y[B,T,H D]``.

        h_t = tanh(W x_t + b + U h_{t-1}),  or relu in place of tanh.

    ``H (I + H)`` MACs a step; a unit takes two additions (bias; input part plus
    hidden part) and a tanh, or one comparison. Backward, the derivative of tanh
    takes three operations from the state itself, ``dh (1 - h h)``, that of relu
    a selection (one comparison). Launches and GEMMs: see `lstm`.
    Source: Elman, "Finding structure in time", Cognitive Science 14 (1990).
    """

    name = "rnn"
    sizes = {**SIZES, "nonlinearity": "tanh"}
    example = "rnn:steps=128,batch=32,input=1024,hidden=1024"
    small = (
        *Recurrent.small,
        {"steps": 3, "batch": 1, "input": 3, "hidden": 2, "layers": 2, "nonlinearity": "relu"},
    )
    gates = 1
    kept_gates = 0
    gate_gradients = 1

    nonlinearity: str = choice("tanh", ("tanh", "relu"), doc="applied to the sum")

    def unit_ops(self) -> tuple[Dim, Dim]:
        return (0, 1) if self.nonlinearity == "tanh" else (1, 0)

    def unit_gradient_ops(self) -> tuple[Dim, Dim]:
        return (3, 0) if self.nonlinearity == "tanh" else (1, 0)


@dataclass(frozen=True)
class Gru(Recurrent):
    """Gated recurrent unit: ``x[B,T,I] -> y[B,T,H D]`` with L layers, D directions.

    Per layer and direction ``input_weight[3H,I]``, ``hidden_weight[3H,H]``,
    ``bias[3H]``; at each step

        r, z = sigmoid(W x_t + b + U h_{t-1}),
        n = tanh(W x_t + b + r (U h_{t-1} + b')),  h_t = n + z (h_{t-1} - n),

    the form in which the reset gate acts after U, so that one GEMM serves all
    gates of a step (cuDNN, PyTorch); b' exists where there are two biases.
    ``3 H (I + H)`` MACs a step, 3/4 of an LSTM's. A gate value takes two
    additions, r one multiplication, two sigmoids two vector and two special
    operations each, n a tanh, the state three operations. Backward, 16
    operations a unit from the kept r, z, n and U h. Launches and GEMMs: see `lstm`.
    Source: Cho et al., arXiv:1406.1078; the form of Chetlur et al., arXiv:1410.0759.
    """

    name = "gru"
    example = "gru:steps=128,batch=32,input=1024,hidden=1024"
    gates = 3
    kept_gates = 4
    gate_gradients = 4
    own_second_bias = 1

    def unit_ops(self) -> tuple[Dim, Dim]:
        return 1 + 2 * 2 + 3, 2 * 2 + 1

    def unit_gradient_ops(self) -> tuple[Dim, Dim]:
        # dz 2, dn 2, what flows to h past the gates 1; derivatives of tanh and of
        # two sigmoids 3 each; r and U h exchange their gradients 2.
        return 2 + 2 + 1 + 3 * 3 + 2, 0


@dataclass(frozen=True)
class Lstm(Recurrent):
    """Long short-term memory: ``x[B,T,I] -> y[B,T,H D]`` with L layers, D directions.

    Per layer and direction ``input_weight[4H,I]``, ``hidden_weight[4H,H]``,
    ``bias[4H]``; at each step

        i, f, o = sigmoid(W x_t + b + U h_{t-1}),  g = tanh(W x_t + b + U h_{t-1}),
        c_t = f c_{t-1} + i g,  h_t = o tanh(c_t).

    ``4 H (I + H)`` MACs a step. A gate value takes two additions (bias; input
    part plus hidden part), a sigmoid two vector and two special operations, the
    state three vector operations and a tanh, the output one.

    With peepholes i and f also see ``p c_{t-1}`` and o sees ``p c_t``: six
    operations a unit. With a projection of width P, ``y = R h`` takes h's place
    as output and in the next step: ``P H`` MACs more, and a third launch a step.

    ``W x`` of all steps is one GEMM ahead of the chain; then every step launches
    the GEMM ``U h`` and one kernel for the gates. U is read again at each step
    as far as it does not stay in the inner memory level. Backward, a unit takes
    22 vector operations and a tanh from the kept gates and cell states.
    Source: Hochreiter and Schmidhuber (1997) with the forget gate of Gers,
    Schmidhuber and Cummins (2000); as in Zaremba et al., arXiv:1409.2329, section 3.1.
    Peepholes and projection: Sak, Senior and Beaufays, arXiv:1402.1128.
    """

    name = "lstm"
    sizes = {**SIZES, "peephole": False, "projection": 0}
    fixed = frozenset({"projection"})
    example = "lstm:steps=128,batch=32,input=1024,hidden=1024"
    small = (
        *Recurrent.small,
        {"steps": 3, "batch": 2, "input": 3, "hidden": 2, "layers": 2, "peephole": True},
        {"steps": 2, "batch": 1, "input": 3, "hidden": 4, "layers": 2, "directions": 2,
         "projection": 3},
        {"steps": 3, "batch": 1, "input": 2, "hidden": 3, "peephole": True, "projection": 2,
         "biases": 2},
    )  # fmt: skip
    gates = 4
    kept_gates = 4
    gate_gradients = 4
    has_cell_state = True

    peephole: bool = flag(False, doc="the gates see the cell state")
    projection: Dim = size(0, doc="width of the projected output, P; 0 for none", least=0)

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        if smallest(self.projection) == 0 and largest(self.projection) > 0:
            raise InputError("lstm: projection is 0 at some points and not at others")
        return super().infer(inputs, precision)

    def projected(self) -> Dim:
        return self.projection

    def peepholes(self) -> Dim:
        return 3 if self.peephole else 0

    def unit_ops(self) -> tuple[Dim, Dim]:
        return 3 * 2 + 4 + 2 * self.peepholes(), 3 * 2 + 2

    def unit_gradient_ops(self) -> tuple[Dim, Dim]:
        # do 1, dc 5, di, df and dg 3, what flows to c past the step 1; derivatives of
        # three sigmoids and a tanh 3 each; every peephole back into dc 2.
        return 1 + 5 + 3 + 1 + 4 * 3 + 2 * self.peepholes(), 1
