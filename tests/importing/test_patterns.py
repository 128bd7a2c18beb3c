"""Attention, norms and activations written out in primitive nodes are what they are."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import perfmodel
from perfmodel.cli import main
from perfmodel.graph import Graph, Workload
from perfmodel.readers.convert import as_yaml

onnx = pytest.importorskip("onnx")
building = pytest.importorskip("building")
node, zeros, model = building.node, building.zeros, building.model

B, H, S, T, D, E = 2, 4, 6, 5, 8, 3
NUMBERS = {
    "two": np.float32(2), "three": np.float32(3), "eps": np.float32(1e-5), "one": np.float32(1),
    "half": np.float32(0.5), "c": np.float32(0.7), "ninf": np.float32(-1e9),
}  # fmt: skip


def load(built: Any, folder: Path, patterns: bool = True) -> Workload:
    file = folder / "model.onnx"
    file.write_bytes(built.SerializeToString())
    return perfmodel.load_workload(str(file), patterns=patterns)


def found(graph: Graph) -> list[str]:
    return [p.op for p in graph.patterns]


def totals(workload: Workload, **more: Any) -> Any:
    return perfmodel.analyze(workload, "h100-sxm", **more).totals


def check_laws(built: Any, folder: Path, *ops: str) -> Graph:
    """Return the recognised graph, of which parameters, MACs and outputs are those before."""
    known, plain = load(built, folder), load(built, folder, patterns=False)
    graph, written = known.bind(), plain.bind()
    assert found(graph) == list(ops)
    assert not written.patterns
    a, b = totals(known), totals(plain)
    assert a["parameters"] == b["parameters"]
    assert a["macs"] == b["macs"]
    assert graph.outputs == written.outputs
    shapes = {t.name: (t.shape, t.dtype) for n in graph.nodes for t in n.tensors.outputs}
    before = {t.name: (t.shape, t.dtype) for n in written.nodes for t in n.tensors.outputs}
    assert all(before.get(k, v) == v for k, v in shapes.items())
    if ops:
        assert a["bytes"] < b["bytes"]
        assert sum(not n.is_view for n in graph.nodes) < sum(not n.is_view for n in written.nodes)
    made = set(shapes) | {t.name for t in graph.inputs}
    assert all(t.name in made for n in graph.nodes for t in n.tensors.sources)
    return graph


def attention(
    *,
    before: str = "",
    mask: str = "",
    axis: int = -1,
    k: str = "k",
    guard: bool = False,
) -> list[Any]:
    """Return the nodes of attention over heads; the stages given are put in."""
    nodes = [node("Transpose", k, "kt", perm=[0, 1, 3, 2])]
    left = "q"
    if before:
        nodes += [node("Mul", "q c", "qs"), node("Mul", "kt c", "ks")]
        nodes.append(node("MatMul", "qs ks", "s"))
    else:
        nodes += [node("MatMul", f"{left} kt", "s0"), node("Div", "s0 c", "s")]
    if mask == "add":
        nodes.append(node("Add", "s m", "masked"))
    elif mask == "where":
        nodes.append(node("Where", "m s ninf", "masked"))
    elif mask == "both":
        nodes += [node("Where", "m s ninf", "s1"), node("Add", "s1 m2", "masked")]
    nodes.append(node("Softmax", "masked" if mask else "s", "p", axis=axis))
    p = "p"
    if guard:
        nodes += [node("IsNaN", "p", "nan"), node("Where", "nan ninf p", "safe")]
        p = "safe"
    return [*nodes, node("MatMul", f"{p} v", "y", name="attend")]


QKV = {"q": (B, H, S, D), "k": (B, H, T, D), "v": (B, H, T, E)}


@pytest.mark.parametrize("before", ["", "both"])
@pytest.mark.parametrize(
    ("mask", "shapes"),
    [("", {}), ("add", {"m": (B, 1, 1, T)}), ("add", {"m": (1, H, S, T)}), ("add", {"m": (S, T)}),
     ("where", {"m": np.zeros((1, 1, S, T), bool)}),
     ("both", {"m": np.zeros((1, 1, S, T), bool), "m2": (B, 1, 1, T)})],
)  # fmt: skip
def test_attention_is_recognised_however_it_is_scaled_and_masked(
    before: str, mask: str, shapes: Any, tmp_path: Path
) -> None:
    built = model(attention(before=before, mask=mask), {**QKV, **shapes}, NUMBERS)
    graph = check_laws(built, tmp_path, "attention")
    (attend,) = [n for n in graph.nodes if n.op.name == "attention"]
    assert attend.name == graph.patterns[0].name == "attend.attention"
    assert len(attend.tensors.inputs) == (4 if mask else 3)
    assert not any(n.op.name in ("softmax", "matmul", "transpose") for n in graph.nodes)


def test_rows_without_a_key_are_guarded_inside_the_attention(tmp_path: Path) -> None:
    check_laws(model(attention(guard=True), QKV, NUMBERS), tmp_path, "attention")


def test_shared_heads_of_keys_are_read_once(tmp_path: Path) -> None:
    groups = {"q": (B, H, S, D), "k": (B, 2, T, D), "v": (B, 2, T, E)}
    repeat = []
    for name in "kv":
        repeat += [
            node("Unsqueeze", f"{name} two_axis", f"{name}5"),
            node("Expand", f"{name}5 {name}_wide", f"{name}w"),
            node("Reshape", f"{name}w {name}_heads", f"{name}h"),
        ]
    nodes = attention(k="kh")
    nodes[-1].input[1] = "vh"
    stored = {
        **NUMBERS, "two_axis": np.array([2]),
        "k_wide": np.array([B, 2, 2, T, D]), "v_wide": np.array([B, 2, 2, T, E]),
        "k_heads": np.array([B, H, T, D]), "v_heads": np.array([B, H, T, E]),
    }  # fmt: skip
    graph = check_laws(model([*repeat, *nodes], groups, stored), tmp_path, "attention")
    (attend,) = [n for n in graph.nodes if n.op.name == "attention"]
    assert (attend.op.q_heads, attend.op.kv_heads) == (H, 2)  # type: ignore[attr-defined]
    assert [t.elements for t in attend.tensors.inputs] == [
        B * H * S * D,
        B * 2 * T * D,
        B * 2 * T * E,
    ]


@pytest.mark.parametrize(
    ("equations", "shapes", "heads"),
    [
        (("bhqd,bhkd->bhqk", "bhqk,bhkd->bqhd"), ((B, H, S, D), (B, H, T, D)), (H, H)),
        (("bqhd,bkhd->bhqk", "bhqk,bkhd->bqhd"), ((B, S, H, D), (B, T, H, D)), (H, H)),
        (("bgrqd,bgkd->bgrqk", "bgrqk,bgkd->bgrqd"), ((B, 2, 3, S, D), (B, 2, T, D)), (6, 2)),
        (("bhqd,bkd->bhqk", "bhqk,bkd->bhqd"), ((B, H, S, D), (B, T, D)), (H, 1)),
    ],
)
def test_attention_of_einsums_is_recognised(
    equations: Any, shapes: Any, heads: Any, tmp_path: Path
) -> None:
    nodes = [
        node("Einsum", "q k", "s", equation=equations[0]),
        node("Softmax", "s", "p", axis=-1),
        node("Einsum", "p v", "y", equation=equations[1], name="attend"),
    ]
    built = model(nodes, {"q": shapes[0], "k": shapes[1], "v": shapes[1]})
    graph = check_laws(built, tmp_path, "attention")
    (attend,) = [n for n in graph.nodes if n.op.name == "attention"]
    assert (attend.op.q_heads, attend.op.kv_heads) == heads  # type: ignore[attr-defined]


def test_heads_of_one_axis_are_samples(tmp_path: Path) -> None:
    nodes = attention(mask="add")
    nodes[0] = node("Transpose", "k", "kt", perm=[0, 2, 1])
    shapes = {"q": (8, S, D), "k": (8, T, D), "v": (8, T, E), "m": (8, 1, T)}
    check_laws(model(nodes, shapes, NUMBERS), tmp_path, "attention")


@pytest.mark.parametrize(
    "case", ["wrong axis", "probabilities out", "scores read", "learned scale"]
)
def test_what_is_no_attention_stays_written_out(case: str, tmp_path: Path) -> None:
    shapes: Any = {**QKV, "k": (B, H, S, D), "v": (B, H, S, E)}
    nodes, outputs = attention(axis=2 if case == "wrong axis" else -1), "y"
    if case == "probabilities out":
        outputs = "y p"
    elif case == "scores read":
        nodes.append(node("Exp", "s", "z"))
        outputs = "y z"
    elif case == "learned scale":
        nodes.insert(-2, node("Mul", "s w", "scaled"))
        nodes[-2].input[0] = "scaled"
        shapes["w"] = (1, H, 1, 1)
    check_laws(model(nodes, shapes, NUMBERS, outputs=outputs), tmp_path)


def layer_norm(*, square: str = "pow", root: str = "div", keep: int = 1, axis: int = -1,
               eps: bool = True, beta: bool = True) -> list[Any]:  # fmt: skip
    nodes = [
        node("ReduceMean", "x", "mean", axes=[axis], keepdims=keep),
        node("Sub", "x mean", "d"),
        node("Pow", "d two", "d2") if square == "pow" else node("Mul", "d d", "d2"),
        node("ReduceMean", "d2", "var", axes=[axis], keepdims=keep),
        *([node("Add", "var eps", "ve")] if eps else []),
        node("Sqrt", "ve" if eps else "var", "std"),
    ]
    if root == "div":
        nodes.append(node("Div", "d std", "n"))
    else:
        nodes += [node("Reciprocal", "std", "r"), node("Mul", "d r", "n")]
    nodes.append(node("Mul", "n g", "scaled" if beta else "y", name="" if beta else "norm"))
    return [*nodes, node("Add", "scaled b", "y", name="norm")] if beta else nodes


AFFINE = {**NUMBERS, "g": zeros(S), "b": zeros(S)}


@pytest.mark.parametrize("square", ["pow", "mul"])
@pytest.mark.parametrize("root", ["div", "reciprocal"])
@pytest.mark.parametrize("beta", [True, False])
def test_layer_norm_is_recognised(square: str, root: str, beta: bool, tmp_path: Path) -> None:
    nodes = layer_norm(square=square, root=root, beta=beta)
    graph = check_laws(model(nodes, {"x": (B, H, S)}, AFFINE), tmp_path, "layer_norm")
    assert graph.patterns[0].name == "norm"
    assert len(graph.patterns[0].nodes) == len(nodes)


@pytest.mark.parametrize("wrong", [{"axis": 1}, {"keep": 0}, {"eps": False}])
def test_what_is_no_layer_norm_stays_written_out(wrong: Any, tmp_path: Path) -> None:
    built = model(layer_norm(**wrong), {"x": (S, S, S)}, AFFINE)
    check_laws(built, tmp_path)


def test_a_variance_that_is_read_elsewhere_stays_written_out(tmp_path: Path) -> None:
    check_laws(model(layer_norm(), {"x": (B, S)}, AFFINE, outputs="y var"), tmp_path)


def rms_norm() -> list[Any]:
    return [
        node("Pow", "x two", "x2"),
        node("ReduceMean", "x2", "ms", axes=[-1]),
        node("Add", "ms eps", "me"),
        node("Sqrt", "me", "rms"),
        node("Div", "one rms", "r"),
        node("Mul", "x r", "n"),
        node("Mul", "g n", "y", name="norm"),
    ]


def test_rms_norm_is_recognised(tmp_path: Path) -> None:
    check_laws(model(rms_norm(), {"x": (B, H, S)}, AFFINE), tmp_path, "rms_norm")


def test_casts_around_a_norm_are_part_of_it(tmp_path: Path) -> None:
    nodes = rms_norm()
    nodes[0].input[0] = nodes[5].input[0] = "wide"
    nodes[5].output[0] = "nw"
    nodes = [node("Cast", "x", "wide", to=1), *nodes[:6], node("Cast", "nw", "n", to=10), nodes[6]]
    half = {**NUMBERS, "g": zeros(S, dtype="float16")}
    built = model(nodes, {"x": np.zeros((B, H, S), np.float16)}, half)
    graph = check_laws(built, tmp_path, "rms_norm")
    assert graph.nodes[-1].tensors.x.dtype == "fp16"


GELUS = {
    "gelu": [node("Div", "x c", "a"), node("Erf", "a", "e"), node("Add", "e one", "f"),
             node("Mul", "x f", "g"), node("Mul", "g half", "y", name="act")],
    "gelu_half_first": [node("Mul", "x half", "h"), node("Mul", "x c", "a"), node("Erf", "a", "e"),
                        node("Add", "e one", "f"), node("Mul", "h f", "y", name="act")],
    "gelu_half_inside": [node("Div", "x c", "a"), node("Erf", "a", "e"), node("Add", "e one", "f"),
                         node("Mul", "f half", "h"), node("Mul", "x h", "y", name="act")],
    "gelu_tanh": [node("Pow", "x three", "x3"), node("Mul", "x3 c", "t"), node("Add", "x t", "u"),
                  node("Mul", "u c", "a"), node("Tanh", "a", "e"), node("Add", "e one", "f"),
                  node("Mul", "x half", "h"), node("Mul", "h f", "y", name="act")],
    "gelu_tanh_cubed": [node("Mul", "x x", "x2"), node("Mul", "x2 x", "x3"),
                        node("Mul", "x3 c", "t"),
                        node("Add", "x t", "u"), node("Mul", "u c", "a"), node("Tanh", "a", "e"),
                        node("Add", "e one", "f"), node("Mul", "x f", "h"),
                        node("Mul", "h half", "y", name="act")],
    "silu": [node("Sigmoid", "x", "s"), node("Mul", "x s", "y", name="act")],
}  # fmt: skip


@pytest.mark.parametrize("name", GELUS)
def test_activations_are_recognised(name: str, tmp_path: Path) -> None:
    op = name.split("_half")[0].split("_cubed")[0]
    graph = check_laws(model(GELUS[name], {"x": (B, S)}, NUMBERS), tmp_path, op)
    assert [n.name for n in graph.nodes] == ["act"]


@pytest.mark.parametrize("name", GELUS)
def test_an_activation_of_another_tensor_stays_written_out(name: str, tmp_path: Path) -> None:
    nodes = [onnx.NodeProto.FromString(n.SerializeToString()) for n in GELUS[name]]
    last = next(n for n in reversed(nodes) if n.op_type == "Mul" and set(n.input) & {"x", "h"})
    side = next(i for i in range(2) if last.input[i] in ("x", "h") and nodes[-1] is not None)
    if name == "gelu_half_inside":
        side = 0
    last.input[side] = "other"
    built = model(nodes, {"x": (B, S), "other": (B, S)}, NUMBERS)
    check_laws(built, tmp_path)


def test_quick_gelu_is_no_silu(tmp_path: Path) -> None:
    nodes = [node("Mul", "x c", "a"), node("Sigmoid", "a", "s"), node("Mul", "x s", "y")]
    check_laws(model(nodes, {"x": (B, S)}, NUMBERS), tmp_path)


def block() -> Any:
    """Return norm, projections, attention and GELU over an open batch and length."""
    shaped = {"heads": np.array([0, 0, H, 2]), "rows": np.array([0, 0, 8])}
    stored: Any = {**NUMBERS, "g": zeros(8), "b": zeros(8), **shaped}
    nodes = layer_norm()
    nodes[-1].output[0] = "n0"
    for name, perm in (("q", [0, 2, 1, 3]), ("k", [0, 2, 3, 1]), ("v", [0, 2, 1, 3])):
        stored[f"w{name}"] = zeros(8, 8)
        nodes += [
            node("MatMul", f"n0 w{name}", f"{name}0"),
            node("Reshape", f"{name}0 heads", f"{name}1"),
            node("Transpose", f"{name}1", name, perm=perm),
        ]
    nodes += [
        node("MatMul", "q k", "s0"), node("Div", "s0 c", "s1"), node("Add", "s1 m", "s"),
        node("Softmax", "s", "p", axis=-1), node("MatMul", "p v", "o", name="attend"),
        node("Transpose", "o", "ot", perm=[0, 2, 1, 3]), node("Reshape", "ot rows", "or"),
        node("MatMul", "or wq", "x1"),
    ]  # fmt: skip
    gelu = [onnx.NodeProto.FromString(n.SerializeToString()) for n in GELUS["gelu"]]
    for n in gelu:
        n.name = f"act_{n.output[0]}"
        for side in (n.input, n.output):
            for i, text in enumerate(side):
                side[i] = {"x": "x1", "a": "ga", "e": "ge", "f": "gf", "g": "gg"}.get(text, text)
    return model([*nodes, *gelu], {"x": ("batch", "seq", 8), "m": ("batch", 1, 1, "seq")}, stored)


def test_turned_heads_are_read_where_they_stand(tmp_path: Path) -> None:
    known = load(block(), tmp_path)
    graph = known.bind({"batch": 2, "seq": 6})
    assert found(graph) == ["layer_norm", "attention", "gelu"]
    kinds = Counter(n.op.name for n in graph.nodes)
    assert "transpose" not in kinds
    assert kinds["affine"] == 4
    (attend,) = [n for n in graph.nodes if n.op.name == "attention"]
    assert attend.name == "attend"
    assert [t.name for t in attend.tensors.inputs[:3]] == ["MatMul.q0", "MatMul.k0", "MatMul.v0"]


def test_open_sizes_stay_open(tmp_path: Path) -> None:
    known = load(block(), tmp_path)
    grid = perfmodel.sweep(known, "h100-sxm", over={"batch": [1, 2, 5], "seq": [4, 9]})
    frame = grid if hasattr(grid, "iterrows") else grid.frame()
    for _, row in frame.iterrows():
        own = totals(known, batch=int(row["batch"]), seq=int(row["seq"]))
        assert row["bytes"] == own["bytes"]
        assert row["flops"] == own["flops"]


def test_converting_keeps_what_was_recognised(tmp_path: Path) -> None:
    for patterns in (True, False):
        known = load(block(), tmp_path, patterns)
        file = tmp_path / "converted.yaml"
        file.write_text(as_yaml(known, {"batch": 2, "seq": 6}))
        again = perfmodel.load_workload(str(file))
        assert totals(again) == totals(known, batch=2, seq=6)
        assert ("op: softmax" in file.read_text()) is not patterns


def test_no_patterns_and_the_account(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    load(block(), tmp_path)
    where = [str(tmp_path / "model.onnx"), "-H", "h100-sxm", "--set", "batch=2", "--set", "seq=6"]
    assert main(["analyze", *where, "--format", "json"]) == 0
    patterns = json.loads(capsys.readouterr().out)["coverage"]["patterns"]
    assert [(p["name"], p["op"]) for p in patterns] == [
        ("norm", "layer_norm"), ("attend", "attention"), ("act_y", "gelu"),
    ]  # fmt: skip
    assert len(patterns[0]["nodes"]) == 9
    assert main(["analyze", *where]) == 0
    assert "recognised in primitive nodes: layer_norm, attention, gelu" in capsys.readouterr().out
    assert main(["analyze", *where, "--no-patterns", "--format", "json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["coverage"]["patterns"] == []
    assert "softmax" in {r["op"] for r in data["operators"]}


def test_training_runs_through_what_was_recognised(tmp_path: Path) -> None:
    known = load(block(), tmp_path)
    step = perfmodel.analyze(known, "h100-sxm", batch=2, seq=6, phase="training")
    assert {"attention_grad", "layer_norm_grad", "gelu_grad"} <= {r["op"] for r in step.operators}
    assert [p["op"] for p in step.data["coverage"]["patterns"]] == [
        "layer_norm",
        "attention",
        "gelu",
    ]


def test_an_exported_program_is_recognised() -> None:
    torch = pytest.importorskip("torch")

    class Net(torch.nn.Module):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__()
            self.gain = torch.nn.Parameter(torch.ones(8))

        def forward(self, x: Any) -> Any:
            x = self.gain * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6))
            return torch.softmax(x @ x.transpose(-1, -2) / 2, -1) @ (x * torch.sigmoid(x))

    known = perfmodel.from_torch(Net().eval(), torch.ones(2, 3, 8))
    assert sorted(found(known.bind())) == ["attention", "rms_norm", "silu"]
    a, b = totals(known), totals(known.with_patterns(False))
    assert (a["macs"], a["parameters"]) == (b["macs"], b["parameters"])
    assert a["bytes"] < b["bytes"]
