"""Nodes limited to phases, frozen parameters, losses over several outputs."""

from pathlib import Path
from typing import Any

import pytest

import perfmodel
from perfmodel.catalog import builtin_names
from perfmodel.errors import InputError

NET = """\
schema: perfmodel/workload@1
name: net
title: Two layers and a head for training
family: mlp
source: a test
phases: {inference: {}, training: {}}
dims: {batch: 3}
inputs:
  x: {shape: [batch, 5]}
  more: {shape: [batch, 1000]}
blocks:
  head: {nodes: {fc: {op: affine, units: 2}}}
nodes:
  first: {op: affine, inputs: x, units: 7}
  act: {op: relu}
  aux: {block: head, phases: [training]}
  second: {op: affine, inputs: act, units: 4}
outputs: [second, aux]
"""


def write(tmp_path: Path, text: str) -> str:
    file = tmp_path / "net.yaml"
    file.write_text(text)
    return str(file)


def analyze(tmp_path: Path, text: str, phase: str = "training", **sizes: Any) -> Any:
    return perfmodel.analyze(write(tmp_path, text), "h100-sxm", phase=phase, **sizes)


def names(result: Any, role: str) -> list[str]:
    return [r["name"] for r in result.operators if r["phase"] == role]


def change(text: str, *pairs: tuple[str, str]) -> str:
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, new)
    return text


def test_a_node_limited_to_a_phase_is_there_in_no_other(tmp_path: Path) -> None:
    inference, training = (analyze(tmp_path, NET, p) for p in ("inference", "training"))
    assert [r["name"] for r in inference.operators] == ["first", "act", "second"]
    assert inference.totals["parameters"] == 5 * 7 + 7 + 7 * 4 + 4
    assert training.totals["parameters"] == inference.totals["parameters"] + 7 * 2 + 2
    assert "aux.fc" in names(training, "forward")


def test_every_output_has_its_loss(tmp_path: Path) -> None:
    rows = {r["name"]: r for r in analyze(tmp_path, NET).operators}
    assert rows["loss.second"]["input_shapes"] == [[3, 4], [3]]
    assert rows["loss.aux.fc"]["input_shapes"] == [[3, 2], [3]]
    assert {"aux.fc.grad_weight", "second.grad_weight", "act.grad_add"} <= set(rows)


def test_without_a_loss_every_output_takes_a_gradient(tmp_path: Path) -> None:
    result = analyze(tmp_path, NET + "loss: none\n")
    assert {"aux.fc.grad_weight", "second.grad_weight"} <= set(names(result, "backward"))
    assert not [n for n in names(result, "forward") if n.startswith("loss")]


def test_the_node_before_is_the_last_one_there(tmp_path: Path) -> None:
    text = change(NET, ("second: {op: affine, inputs: act,", "second: {op: affine,"),
                  ("  aux: {block: head, phases: [training]}",
                   "  drop: {op: dropout, rate: 0.5, phases: [training]}"),
                  ("[second, aux]", "[second]"))  # fmt: skip
    shapes = {}
    for phase in ("inference", "training"):
        result = analyze(tmp_path, text, phase)
        shapes[phase] = [r["name"] for r in result.operators if r["phase"] in (phase, "forward")]
    assert shapes["inference"] == ["first", "act", "second"]
    assert shapes["training"] == ["first", "act", "drop", "second", "loss"]


def test_the_last_node_there_is_the_output(tmp_path: Path) -> None:
    text = change(NET, ("outputs: [second, aux]\n", ""), ("  second: {op: affine, inputs: act,",
                  "  second: {op: affine, phases: [inference], inputs: act,"))  # fmt: skip
    assert analyze(tmp_path, text).operators[3]["input_shapes"] == [[3, 2], [3]]


def test_an_input_that_nothing_reads_takes_no_memory(tmp_path: Path) -> None:
    memory = analyze(tmp_path, NET, "inference").totals["memory_by_kind"]
    assert memory["activations"] < 4 * 3 * 1000


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([("phases: [training]", "phases: training")],
         "16:30: phases: found 'training', expected a list of the workload's phases: inference,"),
        ([("phases: [training]", "phases: []")], "16:30: phases: found [], expected a list"),
        ([("phases: [training]", "phases: [decode]")], "expected a list of the workload's phases"),
        ([("inputs: act,", "inputs: aux,")],
         "17:32: 'second' reads 'aux', which is not there in phase 'inference'"),
        ([("[second, aux]", "[aux]")], "18:10: 'aux' is not there in phase 'inference'"),
        ([("{op: affine, units: 2}", "{op: affine, units: 2, phases: [inference]}")],
         "aux: none of its nodes is there in phase 'training'"),
        ([("{op: relu}", "{op: relu, trained: 1}")], "trained: found 1, expected true or false"),
    ],
)  # fmt: skip
def test_phases_that_do_not_fit_are_refused(
    pairs: list[tuple[str, str]], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as error:
        analyze(tmp_path, change(NET, *pairs))
    assert message in str(error.value)


FROZEN = change(
    NET, ("  aux: {block: head, phases: [training]}\n", ""), ("[second, aux]", "[second]")
)

#: a repeated block before the first layer
BASE = [
    ("  first:", "  base: {block: head, trained: false, repeat: 3, inputs: x}\n  first:"),
    ("inputs: x, units: 7", "units: 7"),
]


def test_frozen_parameters_have_no_gradient_and_no_state(tmp_path: Path) -> None:
    whole = analyze(tmp_path, FROZEN)
    frozen = analyze(tmp_path, change(FROZEN, ("units: 7}", "units: 7, trained: false}")))
    assert frozen.totals["parameters"] == whole.totals["parameters"]
    assert names(frozen, "optimizer") == ["second.adam"]
    assert names(frozen, "backward") == ["loss.grad_input", "second.grad_weight",
                                         "second.grad_bias"]  # fmt: skip
    memory = frozen.totals["memory_by_kind"]
    assert memory["weights"] == 4 * (42 + 32)
    assert memory["gradients"] == 4 * 32
    assert memory["optimizer_state"] == 8 * 32


def test_gradients_flow_through_frozen_parameters(tmp_path: Path) -> None:
    text = change(FROZEN, ("inputs: act, units: 4}", "inputs: act, units: 4, trained: false}"))
    backward = names(analyze(tmp_path, text), "backward")
    assert "second.grad_input" in backward
    assert "first.grad_weight" in backward
    assert "second.grad_weight" not in backward


def test_a_frozen_block_may_hold_trained_nodes(tmp_path: Path) -> None:
    text = change(FROZEN, ("fc: {op: affine, units: 2}",
                           "fc: {op: affine, units: 5}, "
                           "adapter: {op: affine, units: 5, trained: true}"), *BASE)  # fmt: skip
    result = analyze(tmp_path, text)
    assert set(names(result, "optimizer")) == {"base.adapter.adam", "first.adam", "second.adam"}
    # Repetitions hand gradients on, through the frozen layer.
    assert "base.fc.grad_input" in names(result, "backward")


def test_a_repeated_block_without_trained_nodes_has_no_backward_pass(tmp_path: Path) -> None:
    text = change(FROZEN, ("units: 2}", "units: 5}, normed: {op: layer_norm}"), *BASE)  # fmt: skip
    result = analyze(tmp_path, text)
    assert not [n for n in names(result, "backward") if n.startswith("base")]
    # Nor does it keep what a gradient would read.
    (row,) = [r for r in result.operators if r["name"] == "base.normed"]
    (alone,) = perfmodel.analyze("layer_norm:rows=3,cols=5", "h100-sxm").operators
    assert row["bytes_written"] == alone["bytes_written"]


def test_sharing_nodes_are_trained_alike(tmp_path: Path) -> None:
    text = change(FROZEN, ("units: 7}", "units: 7, share: {bias: b}}"),
                  ("units: 4}", "units: 7, share: {bias: b}, trained: false}"))  # fmt: skip
    with pytest.raises(
        InputError, match="'b' is trained by one of the nodes that share it and not"
    ):
        analyze(tmp_path, text)


@pytest.mark.parametrize(
    ("last", "logits", "loss"),
    [("softmax", True, "cross_entropy"), ("log_softmax", True, "cross_entropy"),
     ("sigmoid", True, "binary_cross_entropy"), ("relu", False, "cross_entropy")],
)  # fmt: skip
def test_a_loss_takes_logits(last: str, logits: bool, loss: str, tmp_path: Path) -> None:
    text = FROZEN.replace("outputs: [second]\n", "") + f"  last: {{op: {last}}}\n"
    training = analyze(tmp_path, text)
    assert ("last" not in names(training, "forward")) == logits
    (row,) = [r for r in training.operators if r["name"] == "loss"]
    assert row["op"] == loss
    assert "last" in [r["name"] for r in analyze(tmp_path, text, "inference").operators]


def test_probabilities_that_something_else_reads_are_computed_in_training(tmp_path: Path) -> None:
    text = change(FROZEN, ("outputs: [second]\n", "  last: {op: softmax}\n  sum: {op: reduce_sum}\n"
                           "outputs: [last, sum]\n"))  # fmt: skip
    assert "last" in names(analyze(tmp_path, text), "forward")


def test_classes_may_stand_along_any_axis(tmp_path: Path) -> None:
    text = change(FROZEN, ("outputs: [second]\n", "  image: {op: reshape, shape: [1, batch, 4]}\n"
                           "loss_axis: 1\n"))  # fmt: skip
    (row,) = [r for r in analyze(tmp_path, text, batch=6).operators if r["name"] == "loss"]
    assert row["input_shapes"] == [[4, 6], [4]]
    with pytest.raises(InputError, match=r"18:12: loss_axis: axis 3 of a tensor with 3 axes"):
        analyze(tmp_path, change(text, ("loss_axis: 1", "loss_axis: 3")))
    with pytest.raises(InputError, match=r"18:1: loss_axis: mse has no classes along an axis"):
        analyze(tmp_path, text + "loss: mse\n")


@pytest.mark.parametrize("name", builtin_names("workloads"))
def test_built_in_losses_fit_the_last_operator(name: str) -> None:
    workload = perfmodel.load_workload(name)
    if "training" not in workload.phases:
        return
    graph = workload.bind(phase="training")
    last = {t.name: n.op.name for n in graph.nodes for t in n.tensors.outputs}[graph.outputs[0]]
    assert (last == "sigmoid") == (graph.loss == "binary_cross_entropy")
    output = next(t for n in graph.nodes for t in n.tensors.outputs if t.name == graph.outputs[0])
    assert graph.loss != "cross_entropy" or output.shape[graph.loss_axis] > 1


def test_googlenet_trains_with_three_classifiers() -> None:
    # torchvision's googlenet(aux_logits=True) has 13,004,888 parameters; 6,624,904 without.
    training = perfmodel.analyze("googlenet", "h100-sxm", phase="training")
    assert training.totals["parameters"] == 13_004_888
    assert len([n for n in names(training, "forward") if n.startswith("loss")]) == 3
