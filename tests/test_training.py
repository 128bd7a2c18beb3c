"""Training: one step is forward, loss, gradients by each operator's table, optimizer."""

import json
from pathlib import Path
from typing import Any

import pytest

import perfmodel
from perfmodel.cli import main
from perfmodel.errors import InputError
from perfmodel.transforms.train import RECOMPUTE, expand_training, optimizer_names

MLP = """\
schema: perfmodel/workload@1
name: mlp
title: Two layers
family: mlp
source: a test
phases: {{inference: {{}}, training: {{}}}}
dims: {{batch: 3}}
inputs: {{x: {{shape: [batch, 5]}}}}
{more}
nodes:
  first: {{op: affine, units: 7}}
  act: {{op: relu}}
  second: {{op: affine, units: 2}}
"""


def _mlp(tmp_path: Path, more: str = "") -> str:
    file = tmp_path / "mlp.yaml"
    file.write_text(MLP.format(more=more))
    return str(file)


def _step(workload: str, hardware: str = "h100-sxm", **settings: Any) -> Any:
    return perfmodel.analyze(workload, hardware, phase="training", **settings)


def _rows(result: Any, role: str) -> dict[str, dict[str, Any]]:
    return {r["name"]: r for r in result.operators if r["phase"] == role}


def test_the_first_layer_has_no_input_gradient(tmp_path: Path) -> None:
    backward = _rows(_step(_mlp(tmp_path)), "backward")
    assert "first.grad_input" not in backward
    assert {
        "first.grad_weight",
        "first.grad_bias",
        "second.grad_input",
        "second.grad_weight",
    } <= set(backward)


def test_dense_layers_cost_two_more_forwards_but_the_first(tmp_path: Path) -> None:
    result = _step(_mlp(tmp_path))
    first, second = 3 * 5 * 7, 3 * 7 * 2
    assert result.totals["macs"] == 2 * first + 3 * second


def test_parameters_are_the_same_in_training(tmp_path: Path) -> None:
    file = _mlp(tmp_path)
    assert _step(file).totals["parameters"] == 5 * 7 + 7 + 7 * 2 + 2
    assert perfmodel.analyze(file, "l4").totals["parameters"] == 5 * 7 + 7 + 7 * 2 + 2


def test_memory_of_a_small_network_by_hand(tmp_path: Path) -> None:
    memory = _step(_mlp(tmp_path)).totals["memory_by_kind"]
    parameters = 58
    assert memory["weights"] == 4 * parameters
    assert memory["gradients"] == 4 * parameters
    assert memory["optimizer_state"] == 2 * 4 * parameters
    # Kept for the backward pass: the input x, and what relu made (its own gradient
    # reads its output, and second's weight gradient reads the same tensor).
    kept = 4 * (3 * 5 + 3 * 7)
    assert memory["activations"] >= kept + 4 * 3 * 2
    assert memory["activations"] <= kept + 4 * (3 * 7 + 4 * 3 * 2 + 3) + 8 * 3


@pytest.mark.parametrize(
    ("optimizer", "tensors"), [("sgd", 0), ("momentum", 1), ("adam", 2), ("adamw", 2), ("lamb", 2)]
)
def test_optimizers_keep_their_state(optimizer: str, tensors: int, tmp_path: Path) -> None:
    totals = _step(_mlp(tmp_path), optimizer=optimizer).totals
    assert totals["memory_by_kind"]["optimizer_state"] == 4 * tensors * 58


def test_adafactor_keeps_rows_and_columns_of_each_weight(tmp_path: Path) -> None:
    totals = _step(_mlp(tmp_path), optimizer="adafactor").totals
    kept = (7 + 5) + (1 + 7) + (2 + 7) + (1 + 2)
    assert totals["memory_by_kind"]["optimizer_state"] == 4 * kept


def test_narrow_weights_have_a_master_copy(tmp_path: Path) -> None:
    memory = _step(_mlp(tmp_path), dtype="bf16", optimizer="adam").totals["memory_by_kind"]
    assert memory["weights"] == memory["gradients"] == 2 * 58
    assert memory["optimizer_state"] == (2 + 1) * 4 * 58


def test_every_learned_weight_is_stepped_once(tmp_path: Path) -> None:
    rows = _rows(_step(_mlp(tmp_path), optimizer="adam"), "optimizer")
    assert set(rows) == {"first.adam", "second.adam"}


def test_recomputation_costs_work_and_saves_memory() -> None:
    results = {r: _step("bert-base", recompute=r, batch=32) for r in RECOMPUTE}
    none, selective, full = (results[r].totals for r in ("none", "selective", "full"))
    assert none["flops"] < selective["flops"] < full["flops"]
    activations = [t["memory_by_kind"]["activations"] for t in (none, selective, full)]
    assert activations[0] > activations[1] > activations[2]
    forward = perfmodel.analyze("bert-base", "h100-sxm", batch=32).totals["macs"]
    # Everything in the layers runs once more but what no gradient reads.
    assert full["macs"] - none["macs"] == pytest.approx(forward, rel=0.35)
    assert full["macs"] - none["macs"] < forward
    assert not _rows(results["none"], "recompute")
    assert _rows(results["full"], "recompute")


@pytest.mark.parametrize("name", ["mixtral-8x7b", "gpt-2", "resnet50", "swin-t"])
def test_full_recomputation_never_takes_more_memory(name: str) -> None:
    none, full = (_step(name, recompute=r).totals["memory_by_kind"] for r in ("none", "full"))
    assert full["activations"] < none["activations"]


def test_a_tensor_read_twice_gets_its_gradients_added(tmp_path: Path) -> None:
    file = tmp_path / "net.yaml"
    text = MLP.format(more="").replace("{op: relu}", "{op: add, inputs: [first, first2]}")
    text = text.replace("  act:", "  first2: {op: affine, inputs: first, units: 7}\n  act:")
    file.write_text(text)
    rows = _rows(_step(str(file)), "backward")
    assert rows["first.grad_add"]["flops"] == 3 * 7


def test_tied_weights_are_stepped_once(tmp_path: Path) -> None:
    file = tmp_path / "net.yaml"
    text = MLP.format(more="").replace("units: 2}", "units: 7, share: {weight: w}}")
    text = text.replace(
        "  second:", "  between: {op: affine, units: 7, share: {weight: w}}\n  second:"
    )
    file.write_text(text)
    result = _step(str(file))
    assert result.totals["parameters"] == (5 * 7 + 7) + (7 * 7 + 7) + 7
    stepped = result.totals["memory_by_kind"]["optimizer_state"]
    assert stepped == 2 * 4 * result.totals["parameters"]


def test_unfused_attention_needs_workspace_for_its_scores() -> None:
    inline = "attention:batch=1,q_heads=8,q_len=1024,head_dim=64,algorithm=unfused"
    memory = perfmodel.analyze(inline, "h100-sxm", dtype="fp16").totals["memory_by_kind"]
    assert memory["workspace"] == 2 * 8 * 1024 * 1024 * 2
    flash = perfmodel.analyze(inline.replace("unfused", "flash"), "h100-sxm", dtype="fp16")
    assert flash.totals["memory_by_kind"]["workspace"] == 0


@pytest.mark.parametrize("name", ["llama-2-7b", "llama-2-70b"])
def test_what_does_not_fit_says_so(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["analyze", name, "-H", "l4", "--phase", "training"]
    assert main([*arguments, "--format", "json"]) == 0
    totals = json.loads(capsys.readouterr().out)["totals"]
    assert totals["fits"] is False
    kinds = totals["memory_by_kind"]
    assert totals["peak_memory_bytes"] == sum(kinds.values())
    assert main([*arguments, "--top", "1"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    # What takes most comes first.
    named = [kind for kind in sorted(kinds, key=lambda k: -kinds[k]) if kinds[kind]]
    places = [out.index(kind.replace("_", " "), out.index("does not fit (")) for kind in named]
    assert named[0] == "optimizer_state"
    assert places == sorted(places)


def test_llama_2_7b_in_training_takes_16_bytes_a_parameter_besides_activations() -> None:
    # Rajbhandari et al., ZeRO, arXiv:1910.02054, section 3.1: 2 + 2 + 12 bytes a parameter.
    memory = _step("llama-2-7b", dtype="bf16", optimizer="adam").totals["memory_by_kind"]
    kept = memory["weights"] + memory["gradients"] + memory["optimizer_state"]
    assert kept == pytest.approx(16 * 6_738_415_616, rel=1e-3)


@pytest.mark.parametrize("name", ["resnet50", "bert-base", "llama-2-7b", "lstm-ptb-large"])
def test_training_is_between_two_and_four_forwards(name: str) -> None:
    sizes = {"sequence": 512} if name in ("bert-base", "llama-2-7b") else {}
    workload = perfmodel.load_workload(name)
    forward = perfmodel.analyze(workload, "h100-sxm", **sizes).totals["macs"]
    ratio = _step(name, **sizes).totals["macs"] / forward
    assert 2 < ratio < 3.6


def test_unknown_optimizers_and_recomputations_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown optimizer 'adm'; did you mean 'adam'"):
        _step(_mlp(tmp_path), optimizer="adm")
    with pytest.raises(InputError, match="one of none, selective, full"):
        _step(_mlp(tmp_path), recompute="some")


def test_what_has_no_gradient_stops_training(tmp_path: Path) -> None:
    file = tmp_path / "net.yaml"
    text = MLP.format(more="loss: none").replace("{op: relu}", "{op: argmax}")
    file.write_text(text.replace("  second: {op: affine, units: 2}\n", ""))
    with pytest.raises(InputError, match="act: argmax has no gradient"):
        _step(str(file))


def test_a_step_over_arrays_equals_a_loop() -> None:
    frame = perfmodel.sweep(
        "bert-base", "h100-sxm", {"batch": [1, 4, 32], "recompute": list(RECOMPUTE)},
        phase="training",
    )  # fmt: skip
    for _, row in frame.iterrows():
        totals = _step("bert-base", batch=int(row["batch"]), recompute=row["recompute"]).totals
        for column in ("time_s", "flops", "bytes", "peak_memory_bytes"):
            assert row[column] == totals[column], column


def test_every_optimizer_is_offered() -> None:
    assert {"sgd", "momentum", "adam", "adamw", "lamb", "adafactor"} <= set(optimizer_names())
    graph = perfmodel.load_workload("mnist-mlp").bind(phase="training")
    for name in ("unet", "gnmt", "lstm-ptb-large"):
        assert _step(name, optimizer="adafactor").totals["time_s"] > 0
    for optimizer in optimizer_names():
        step = expand_training(graph, optimizer)
        assert [n for n in step.nodes if n.role == "optimizer"]
