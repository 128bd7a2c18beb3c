"""Saved programs from the command line, sizes that stay open, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import perfmodel
from perfmodel.cli import main

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.filterwarnings("ignore")


class Rows(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = torch.nn.Linear(6, 8), torch.nn.Linear(8, 8)
        self.drop = torch.nn.Dropout(0.1)

    def forward(self, x: Any) -> Any:
        return self.drop(torch.relu(self.second(torch.relu(self.first(x)))))


def exported(folder: Path) -> str:
    batch, length = torch.export.Dim("batch", max=64), torch.export.Dim("length", max=32)
    inputs = (torch.randn(3, 5, 6),)
    program = torch.export.export(Rows().eval(), inputs, dynamic_shapes=({0: batch, 1: length},))
    file = folder / "rows.pt2"
    torch.export.save(program, file)
    return str(file)


def test_a_saved_program_is_analysed_converted_and_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, net = exported(tmp_path), str(tmp_path / "net.yaml")
    assert main(["analyze", file, "-H", "h100-sxm", "--set", "batch=8", "--format", "json"]) == 0
    assert f'"macs": {8 * 5 * (48 + 64)},' in capsys.readouterr().out
    assert main(["convert", file, "-o", net]) == 0
    assert main(["check", net]) == 0
    capsys.readouterr()
    assert main(["analyze", file, "-H", "h100-sxm", "--input", "x=2x7x6", "--dtype", "fp16"]) == 0
    assert "1.57 kMAC" in capsys.readouterr().out


def test_layers_keep_the_names_of_their_modules(tmp_path: Path) -> None:
    rows = perfmodel.analyze(exported(tmp_path), "h100-sxm").operators
    assert [r["name"] for r in rows if r["op"] == "affine"] == ["first", "second"]


def test_a_module_and_its_saved_program_are_one_network(tmp_path: Path) -> None:
    batch = torch.export.Dim("batch", max=64)
    module = Rows()
    direct = perfmodel.from_torch(module, torch.randn(3, 5, 6), {"x": {0: batch}})
    assert module.training
    assert direct.dims("inference") == {"batch": 3}
    saved = perfmodel.analyze(exported(tmp_path), "h100-sxm", batch=9).totals
    assert perfmodel.analyze(direct, "h100-sxm", batch=9).totals == saved


def test_a_program_is_taken_as_a_module_is() -> None:
    inputs = (torch.randn(3, 5, 6),)
    program = torch.export.export(Rows().eval(), inputs)
    given, made = (perfmodel.from_torch(m, inputs).bind() for m in (program, Rows()))
    assert [n.name for n in given.nodes if n.op.name == "affine"] == ["first", "second"]
    assert given.parameters() == made.parameters()


def test_open_sizes_are_swept_as_they_are_set(tmp_path: Path) -> None:
    workload = perfmodel.load_workload(exported(tmp_path))
    swept = workload.bind({"batch": np.array([1.0, 3.0, 8.0])})
    for i, batch in enumerate((1, 3, 8)):
        single = workload.bind({"batch": batch})
        for whole, one in zip(swept.nodes, single.nodes, strict=True):
            made = whole.op.algorithms(whole.tensors)[0].work
            each = one.op.algorithms(one.tensors)[0].work
            assert np.broadcast_to(made.flops, (3,))[i] == each.flops
            assert np.broadcast_to(made.bytes_read, (3,))[i] == each.bytes_read


def test_training_draws_the_masks_of_dropout(tmp_path: Path) -> None:
    result = perfmodel.analyze(exported(tmp_path), "h100-sxm", phase="training")
    assert "dropout_grad" in {r["op"] for r in result.operators}
    assert result.totals["macs"] > 2 * 3 * 5 * (48 + 64)


def test_training_is_the_same_with_fixed_sizes(tmp_path: Path) -> None:
    fixed = perfmodel.from_torch(Rows(), torch.randn(3, 5, 6))
    opened = perfmodel.load_workload(exported(tmp_path))
    totals = [perfmodel.analyze(w, "h100-sxm", phase="training").totals for w in (fixed, opened)]
    for key in ("parameters", "macs", "flops", "bytes", "peak_memory_bytes"):
        assert totals[0][key] == totals[1][key], key


@pytest.mark.parametrize("content", [b"", b"text, no archive", bytes(range(256)) * 8])
def test_what_is_no_program_is_one_line(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "net.pt2"
    file.write_bytes(content)
    assert main(["analyze", str(file), "-H", "h100-sxm"]) == 2
    message = capsys.readouterr().err
    assert "is not an exported program, or is damaged" in message
    assert message.count("\n") == 1


def test_a_cut_program_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = Path(exported(tmp_path))
    whole = file.read_bytes()
    for length in (30, len(whole) // 2, len(whole) - 40):
        file.write_bytes(whole[:length])
        assert main(["analyze", str(file), "-H", "h100-sxm"]) == 2
        assert "damaged" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "batch=65"], "batch=65, the program was exported for"),
        (["--set", "rows=2"], "has no dim 'rows'"),
        (["--input", "y=1x2x6"], "has no input 'y'"),
        (["--input", "x=1x6"], "has 2 axes, expected 3"),
        (["--input", "x=2x5x7"], "7 where the program was exported for 6"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["analyze", exported(tmp_path), "-H", "h100-sxm", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_module_that_cannot_be_exported_says_why() -> None:
    class Branches(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            return x if x.sum() > 0 else -x

    with pytest.raises(perfmodel.InputError, match="Branches cannot be exported: ") as error:
        perfmodel.from_torch(Branches(), torch.randn(3))
    assert "\n" not in str(error.value)
    with pytest.raises(perfmodel.InputError, match=r"expected a torch\.nn\.Module"):
        perfmodel.from_torch("resnet", torch.randn(3))


def test_rows_at_computed_places_are_real_numbers() -> None:
    class Places(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = torch.nn.Embedding(9, 4)

        def forward(self, places: Any) -> Any:
            return self.table(places + 1)

    graph = perfmodel.from_torch(Places(), torch.arange(5)).bind()
    assert [(n.op.name, n.output.dtype) for n in graph.nodes] == [
        ("add", "int64"), ("embedding", "fp32")
    ]  # fmt: skip


def test_heads_are_split_and_joined_without_a_copy() -> None:
    class Heads(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            q = x.unflatten(-1, (2, 4)).transpose(1, 2)
            y = torch.nn.functional.scaled_dot_product_attention(q, q, q)
            return y.transpose(1, 2).flatten(2)

    graph = perfmodel.from_torch(Heads(), torch.randn(2, 3, 8)).bind()
    assert [n.op.name for n in graph.nodes] == ["attention"]


def test_an_operator_of_others_is_unknown() -> None:
    library = torch.library.Library("perfmodel_test", "DEF")
    library.define("odd(Tensor x) -> Tensor")
    library.impl("odd", lambda x: x.clone(), "CompositeExplicitAutograd")

    class Odd(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            return torch.ops.perfmodel_test.odd(x) + 1

    workload = perfmodel.from_torch(Odd(), torch.randn(3, 4))
    with pytest.raises(perfmodel.InputError, match="not known: perfmodel_test::odd"):
        perfmodel.analyze(workload, "h100-sxm")
    totals = perfmodel.analyze(workload, "h100-sxm", allow_unknown=True).totals
    assert totals["unmodelled"] == ["perfmodel_test::odd"]
