"""Recurrent units: what the literature says of their sizes, and values the generic tests miss."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from naive_references.recurrent import sigmoid

from perfmodel.core import Tensor, Work, parse_precision
from perfmodel.errors import InputError
from perfmodel.graph import bind_operator
from perfmodel.kernels.naive import naive_kernel
from perfmodel.ops import get_operator
from perfmodel.readers.inline import complete_sizes

FP32 = parse_precision("fp32")
EQUAL = {"steps": 7, "batch": 3, "input": 32, "hidden": 48, "layers": 2, "directions": 2}


def _node(name: str, sizes: Mapping[str, Any]) -> Any:
    cls = get_operator(name)
    op, inputs = cls.from_sizes(complete_sizes(cls, sizes), FP32)
    return bind_operator(name, op, inputs, FP32)


def _work(name: str, **sizes: Any) -> Work:
    node = _node(name, {**EQUAL, **sizes})
    work: Work = node.op.work(node.tensors)
    return work


def test_a_grus_gemms_are_three_quarters_of_an_lstms_and_a_simple_units_one_quarter() -> None:
    rnn, gru, lstm = (_work(name) for name in ("rnn", "gru", "lstm"))
    assert 4 * gru.macs == 3 * lstm.macs
    assert 4 * rnn.macs == lstm.macs
    assert rnn.launches == gru.launches == lstm.launches == 2 * 2 * (1 + 2 * 7)


@pytest.mark.parametrize("name", ["rnn", "gru", "lstm"])
def test_backward_through_time_is_two_forwards_of_macs_in_as_long_a_chain(name: str) -> None:
    node = _node(name, EQUAL)
    (gradient,) = node.op.gradients(node.tensors)
    forward = node.op.work(node.tensors)
    assert gradient.work.macs == 2 * forward.macs
    assert gradient.work.launches == 2 * 2 * (4 + 2 * 7)


def test_a_projection_saves_parameters_as_sak_et_al_count_them() -> None:
    # arXiv:1402.1128, section 2.2: 4 n_c n_r + 4 n_i n_c + n_r n_o + n_c n_r + 3 n_c,
    # without the output layer; our biases are 4 n_c more.
    cells, projection, inputs = 2048, 512, 40
    node = _node("lstm", {"steps": 1, "batch": 1, "input": inputs, "hidden": cells,
                          "projection": projection, "peephole": True})  # fmt: skip
    found = sum(w.elements for w in node.tensors.weights)
    gates = 4 * cells * projection + 4 * inputs * cells
    assert found == gates + cells * projection + 3 * cells + 4 * cells


def test_a_projected_lstm_launches_a_third_kernel_a_step() -> None:
    assert _work("lstm", projection=8).launches == 2 * 2 * (1 + 3 * 7)


def test_a_single_layer_of_simple_units_keeps_nothing_but_its_output() -> None:
    node = _node("rnn", {**EQUAL, "layers": 1})
    (gradient,) = node.op.gradients(node.tensors)
    assert node.tensors.kept == ()
    assert node.output in gradient.saved


def test_an_lstm_keeps_four_gates_and_the_cell_state_of_every_step() -> None:
    node = _node("lstm", {**EQUAL, "layers": 1, "directions": 1})
    assert sum(t.elements for t in node.tensors.kept) == 3 * 7 * (4 + 1) * 48


def test_a_projection_may_not_come_and_go_over_a_sweep() -> None:
    op: Any = get_operator("lstm")(hidden=4, projection=np.array([0.0, 2.0]))  # type: ignore[call-arg]
    with pytest.raises(InputError, match="projection is 0 at some points"):
        op.infer([Tensor((1, 1, 1), "fp32")], FP32)


def _random(node: Any, scale: float = 0.7) -> dict[str, Any]:
    random = np.random.default_rng(3)
    tensors = (*node.tensors.inputs, *node.tensors.weights)
    return {t.name: scale * random.normal(size=t.shape) for t in tensors}


def _run(node: Any, kernel: str, values: Mapping[str, Any], *before: Any, **more: Any) -> Any:
    attributes = {f.name: getattr(node.op, f.name) for f in node.op.attributes()}
    weights = {t.name: values[t.name] for t in node.tensors.weights}
    return naive_kernel(kernel)(*before, values["x"], weights=weights, **attributes, **more)


def test_an_lstm_with_peepholes_and_projection_computes_what_numpy_computes() -> None:
    node = _node("lstm", {"steps": 4, "batch": 2, "input": 3, "hidden": 5, "projection": 2,
                          "peephole": True, "biases": 2})  # fmt: skip
    values = _random(node)
    W, U, R = (values[n][0, 0] if n != "input_weight" else values[n][0]
               for n in ("input_weight", "hidden_weight", "projection_weight"))  # fmt: skip
    p, bias = values["peephole"][0, 0], values["bias"][0, 0].sum(axis=0)
    r, c = np.zeros((2, 2)), np.zeros((2, 5))
    found = _run(node, "lstm", values)
    for t in range(4):
        i, f, g, o = np.split(values["x"][:, t] @ W.T + r @ U.T + bias, 4, axis=1)
        c = sigmoid(f + p[1] * c) * c + sigmoid(i + p[0] * c) * np.tanh(g)
        r = (sigmoid(o + p[2] * c) * np.tanh(c)) @ R.T
        np.testing.assert_allclose(found[:, t], r, rtol=1e-10)


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("rnn", {}),
        ("rnn", {"nonlinearity": "relu"}),
        ("gru", {"biases": 2}),
        ("lstm", {"peephole": True, "biases": 2}),
        ("lstm", {"peephole": True, "projection": 3}),
    ],
)
def test_gradients_hold_where_gates_are_open_and_values_of_either_sign(
    name: str, more: Mapping[str, Any]
) -> None:
    sizes = {"steps": 3, "batch": 2, "input": 2, "hidden": 4, "layers": 2, "directions": 2}
    node = _node(name, {**sizes, **more})
    values = _random(node)
    y = _run(node, name, values)
    dy = np.random.default_rng(4).normal(size=y.shape)
    kept = _run(node, f"{name}_kept", values)
    made = _run(node, f"{name}_grad", values, "through_time", dy, output=y, kept=kept)
    made["x"] = made.pop("input 0")
    assert set(made) == set(values)
    for tensor, found in made.items():
        for place in list(np.ndindex(found.shape))[:: max(1, found.size // 12)]:
            sides = []
            for step in (1e-5, -1e-5):
                moved = {**values, tensor: values[tensor].copy()}
                moved[tensor][place] += step
                sides.append(float((dy * _run(node, name, moved)).sum()))
            slope = (sides[0] - sides[1]) / 2e-5
            assert found[place] == pytest.approx(slope, rel=1e-4, abs=1e-7)
