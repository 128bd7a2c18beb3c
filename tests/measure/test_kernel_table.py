"""A kernels.csv: what a row means, groups equal rows one by one, and what is refused, and where."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from perfmodel.cli import main
from perfmodel.evaluate import evaluate
from perfmodel.machine import load_hardware
from perfmodel.measure.predict import predict
from perfmodel.ops import registry
from perfmodel.readers import load_workload
from perfmodel.readers.inline import parse_inline
from perfmodel.readers.kernel_table import read_kernels

DEVICE = "a100-80gb-sxm"


def table(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "kernels.csv"
    file.write_text(text, encoding="utf-8")
    return file


def row_of(example: str, dtype: str, launch: str) -> dict[str, str]:
    name, _, rest = example.partition(":")
    sizes = dict(part.split("=") for part in rest.split(",") if part)
    return {"op": name, "dtype": dtype, "launch": launch, "time_s": "1e-3", **sizes}


def csv_of(rows: list[dict[str, str]]) -> str:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    lines = [",".join(columns)]
    lines += [",".join(row.get(column, "") for column in columns) for row in rows]
    return "\n".join(lines) + "\n"


def test_every_operator_of_the_inline_form_is_read_and_predicted_as_analyze_does(tmp_path):
    machine = load_hardware(DEVICE)
    examples = [op.example for op in registry().values()]
    rows = [row_of(e, "fp32", "eager" if i % 2 else "graph") for i, e in enumerate(examples)]
    found = predict(read_kernels(table(tmp_path, csv_of(rows))), machine)
    for index, (example, row) in enumerate(zip(examples, rows, strict=True)):
        cost = evaluate(load_workload(example).bind(), machine, row["launch"], warm=True)[0]
        assert found.time[index] == pytest.approx(float(cost.time), rel=1e-12), example
        assert found.bound[index] == cost.why()[0], example


def test_a_group_is_predicted_as_its_rows_one_by_one(tmp_path):
    rng = np.random.default_rng(5)
    rows = []
    for index in range(60):
        m, n, k = (str(int(v)) for v in 2 ** rng.uniform(0, 13, 3))
        more = {"batch": "3"} if index % 3 else {}
        launch = ("eager", "graph")[index % 2]
        rows.append(row_of(f"matmul:m={m},n={n},k={k}", "bf16", launch) | more)
    whole = read_kernels(table(tmp_path, csv_of(rows)))
    assert len(whole.groups) == 4  # two launch modes, batch given or not
    machine = load_hardware(DEVICE)
    found = predict(whole, machine)
    for index in range(len(whole)):
        alone = predict(whole.take([index]), machine)
        assert alone.time[0] == pytest.approx(found.time[index], rel=1e-12)
        assert alone.roofline[0] == pytest.approx(found.roofline[index], rel=1e-12)


def test_an_empty_cell_takes_the_default(tmp_path):
    text = (
        "op,dtype,launch,m,n,k,batch,time_s\nmatmul,,,8,8,8,,1e-6\nmatmul,fp32,graph,8,8,8,1,1e-6\n"
    )
    found = read_kernels(table(tmp_path, text))
    assert [(r.dtype, r.launch) for r in found.rows] == [("fp32", "graph")] * 2
    assert found.sizes(0) == found.sizes(1) == {"m": 8, "n": 8, "k": 8, "batch": 1}
    assert np.ptp(predict(found, load_hardware(DEVICE)).time) == 0


def test_a_size_that_another_one_stands_for_is_filled_in(tmp_path):
    text = "op,batch,q_heads,kv_heads,q_len,kv_len,head_dim,time_s\n"
    text += "attention,1,8,,16,16,64,1e-5\nattention,1,8,8,16,16,64,1e-5\n"
    found = predict(read_kernels(table(tmp_path, text)), load_hardware(DEVICE))
    assert found.time[0] == found.time[1]


def test_what_a_spreadsheet_writes_is_read(tmp_path):
    text = '\ufeff"op","m","n","k","time_s"\r\n"matmul"," 8 ","8.0","1e1","2E-05"\r\n\r\n'
    (row,) = read_kernels(table(tmp_path, text)).rows
    assert (row.sizes, row.time_s) == ({"m": 8, "n": 8, "k": 10}, 2e-5)


def test_one_input_of_an_operator_that_always_has_one_is_no_contradiction(tmp_path):
    text = "op,elements,inputs,time_s\nrelu,100,1,1e-6\nadd,100,1,1e-6\nadd,100,2,1e-6\n"
    found = read_kernels(table(tmp_path, text))
    assert [len(g.graph.nodes[0].tensors.inputs) for g in found.groups] == [1, 1, 2]


def test_only_rows_of_the_device_asked_for_count(tmp_path):
    text = "hardware,op,elements,time_s\nt4,relu,10,1e-6\nl4,relu,10,2e-6\nt4,relu,10,3e-6\n"
    file = table(tmp_path, text)
    assert list(read_kernels(file, {"t4"}).measured) == [1e-6, 3e-6]
    assert len(read_kernels(file)) == 3


MATMUL = "op,dtype,launch,m,n,k,time_s"
# text of the file, and what the one line must say after its name
REFUSED = {
    "empty": ("", ["kernels.csv:1:1", "names the columns"]),
    "no row": (f"{MATMUL}\n", ["kernels.csv:2:1", "found no row"]),
    "unknown column": ("op,time_s,mm\n", ["kernels.csv:1:11", "unknown column 'mm'"]),
    "twice": ("op,time_s,op\n", ["kernels.csv:1:1", "'op' is there twice"]),
    "no time": ("op,m,n,k\n", ["kernels.csv:1:1", "no column 'time_s'"]),
    "unknown operator": (
        f"{MATMUL}\nmatmull,fp32,eager,1,1,1,1e-6\n",
        ["kernels.csv:2:1", "'matmull'", "did you mean 'matmul'"],
    ),
    "operator left out": (
        f"{MATMUL}\n,fp32,eager,1,1,1,1e-6\n",
        ["kernels.csv:2:1", "op is empty"],
    ),
    "missing size": (
        f"{MATMUL}\nmatmul,fp32,eager,1,,1,1e-6\n",
        ["kernels.csv:2:21", "matmul needs n", "matmul:m="],
    ),
    "zero size": (f"{MATMUL}\nmatmul,fp32,eager,0,1,1,1e-6\n", ["kernels.csv:2:", "at least 1"]),
    "half a size": (f"{MATMUL}\nmatmul,fp32,eager,1.5,1,1,1e-6\n", ["kernels.csv:2:19", "whole"]),
    "size in words": (f"{MATMUL}\nmatmul,fp32,eager,1,many,1,1\n", ["kernels.csv:2:21", "'many'"]),
    "a size of another operator": (
        f"{MATMUL},rows\nmatmul,fp32,eager,1,1,1,1e-6,4\n",
        ["kernels.csv:2:30", "matmul has no size 'rows'"],
    ),
    "unknown format": (f"{MATMUL}\nmatmul,fp12,eager,1,1,1,1\n", ["kernels.csv:2:8", "fp12"]),
    "unknown launch": (f"{MATMUL}\nmatmul,fp32,lazy,1,1,1,1\n", ["kernels.csv:2:13", "'lazy'"]),
    "no number": (f"{MATMUL}\nmatmul,fp32,eager,1,1,1,1ms\n", ["kernels.csv:2:25", "'1ms'"]),
    "no time given": (f"{MATMUL}\nmatmul,fp32,eager,1,1,1,\n", ["kernels.csv:2:25", "above 0"]),
    "zero": (f"{MATMUL}\nmatmul,fp32,eager,1,1,1,0\n", ["kernels.csv:2:25", "above 0"]),
    "negative": (f"{MATMUL}\nmatmul,fp32,eager,1,1,1,-1e-6\n", ["kernels.csv:2:25", "above 0"]),
    "nan": (f"{MATMUL}\nmatmul,fp32,eager,1,1,1,nan\n", ["kernels.csv:2:25", "above 0"]),
    "infinite": (f"{MATMUL}\nmatmul,fp32,eager,1,1,1,inf\n", ["kernels.csv:2:25", "above 0"]),
    "a cell too few": (f"{MATMUL}\nmatmul,fp32,eager,1,1,1\n", ["kernels.csv:2:1", "6 cells", "7"]),
    "an open quote": (f'{MATMUL}\n"matmul,fp32,eager,1,1,1,1\n', ["kernels.csv:2:1", "not CSV"]),
    "behind quotes": (
        'op,m,n,k,time_s\n"matmul","1","1","x",1\n',
        ["kernels.csv:2:18", "'x'"],
    ),
    "sizes that do not fit": (
        "op,n,c,h,w,k,r,s,groups,time_s\nconv2d,1,4,8,8,4,3,3,2,1\nconv2d,1,4,8,8,4,3,3,3,1\n",
        ["kernels.csv:3:1", "groups"],
    ),
    "rows of other devices": (
        f"hardware,{MATMUL}\nt4,matmul,fp32,eager,1,1,1,1\n",
        ["kernels.csv:1:1", f"no row of hardware '{DEVICE}'", "t4 (1 rows)"],
    ),
}


@pytest.mark.parametrize("mistake", REFUSED)
@pytest.mark.parametrize("command", ["validate --against", "calibrate --from"])
def test_a_wrong_row_is_one_line_with_its_place_and_exit_code_2(command, mistake, tmp_path, capsys):
    text, words = REFUSED[mistake]
    arguments = [*command.split(), str(table(tmp_path, text)), "-H", DEVICE]
    if command.startswith("calibrate"):
        arguments += ["-o", str(tmp_path / "fitted.yaml")]
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    for word in words:
        assert word in err, err
    assert not (tmp_path / "fitted.yaml").exists()


def test_a_file_that_is_no_text_is_refused(tmp_path, capsys):
    file = tmp_path / "kernels.csv"
    file.write_bytes(b"op,time_s\n\xff\xfe\x00,1\n")
    assert main(["validate", "--against", str(file), "-H", DEVICE]) == 2
    assert "kernels.csv:2:1: byte 10 is not UTF-8" in capsys.readouterr().err
    assert main(["validate", "--against", str(tmp_path / "none.csv"), "-H", DEVICE]) == 2
    assert "no such file" in capsys.readouterr().err


def test_the_same_row_means_the_same_as_the_inline_operator(tmp_path):
    (row,) = read_kernels(
        table(tmp_path, "op,n,c,h,w,k,r,s,stride,time_s\nconv2d,2,3,32,32,8,3,3,2,1e-5\n")
    ).rows
    inline = parse_inline("conv2d:n=2,c=3,h=32,w=32,k=8,r=3,s=3,stride=2")
    assert dict(row.sizes) == dict(inline.given)
