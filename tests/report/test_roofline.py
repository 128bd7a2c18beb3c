"""The roofline figure: which roofs, where the ridges are, where operators stand."""

import copy
import math
from itertools import pairwise
from typing import Any

import pytest

import perfmodel
from perfmodel.report.roofline import SMALLEST, axes, points, ridge, roofline_figure, serving

A100 = "a100-80gb-sxm"


def analysed(workload: str, hardware: str = A100, **options: Any) -> dict[str, Any]:
    return copy.deepcopy(perfmodel.analyze(workload, hardware, **options).data)


def lines(figure: Any) -> list[Any]:
    return [t for t in figure.data if t.mode == "lines" and t.xaxis != "x2"]


def operators(figure: Any) -> list[Any]:
    return [t for t in figure.data if "bound by" in t.name]


def height(device: dict[str, Any], kind: str, dtype: str) -> float:
    (found,) = [r for r in device["roofs"] if (r["kind"], r["dtype"]) == (kind, dtype)]
    return float(found["peak"])


def test_roofs_of_the_analysis_are_drawn_and_the_others_wait_in_the_legend() -> None:
    data = analysed("llama-2-7b", phase="decode")
    flat = [t for t in lines(roofline_figure([data])) if t.y[0] == t.y[-1]]
    peaks = {roof["peak"] for roof in data["hardware"]["roofs"]}
    assert {t.y[0] for t in flat} == peaks
    shown = {t.y[0] for t in flat if t.visible is True}
    assert shown == {height(data["hardware"], k, "fp16") for k in ("matrix", "vector")}
    assert {t.visible for t in flat if t.y[0] not in shown} == {"legendonly"}


def test_every_level_with_a_bandwidth_has_a_slope() -> None:
    data = analysed("mnist-mlp")
    slopes = [t for t in lines(roofline_figure([data])) if t.y[0] != t.y[-1]]
    speeds = [v["bandwidth"] for v in data["hardware"]["levels"] if v["bandwidth"]]
    assert sorted(t.y[0] / t.x[0] for t in slopes) == pytest.approx(sorted(speeds))
    for slope in slopes:
        assert slope.y[-1] / slope.x[-1] == pytest.approx(slope.y[0] / slope.x[0])


def test_theoretical_roofs_are_dashed_and_achievable_ones_solid() -> None:
    data = analysed("mnist-mlp", "mi300x")
    data["hardware"]["roofs"][0]["achievable"] = 1e14
    drawn = lines(roofline_figure([data]))
    assert {t.line.dash for t in drawn if t.name.endswith("theoretical")} == {"dash"}
    solid = [t for t in drawn if t.line.dash == "solid"]
    assert len(solid) == 2
    assert all(t.name.endswith("achievable") for t in solid)
    assert {t.y[0] for t in solid if t.y[0] == t.y[-1]} == {1e14}


def test_flat_roofs_span_the_whole_axis() -> None:
    figure = roofline_figure([analysed("mnist-mlp")])
    span = [10.0**k for k in figure.layout.xaxis.range]
    for line in lines(figure):
        assert line.x[0] == pytest.approx(span[0])
        if line.y[0] == line.y[-1]:
            assert line.x[-1] == pytest.approx(span[1])


def test_a_ridge_stands_at_peak_over_bandwidth() -> None:
    data = analysed("llama-2-7b", phase="decode")
    figure = roofline_figure([data])
    marks = {t.y[0]: t for t in figure.data if "ridge" in str(t.hovertext)}
    for peak, mark in marks.items():
        assert mark.x[0] == pytest.approx(peak / 2039e9)
    labels = {t.text for t in marks.values() if t.text}
    assert labels == {"matrix fp16, ridge 153 FLOP/B", "vector fp16, ridge 38.3 FLOP/B"}


def test_only_visible_ridges_are_labelled_and_no_two_at_one_height() -> None:
    results = [analysed("bert-base", h) for h in (A100, "xeon-platinum-8280", "tpu-v4")]
    labelled = [t for t in roofline_figure(results).data if t.text]
    assert labelled
    assert all(t.visible is True for t in labelled)
    heights = sorted(math.log10(t.y[0]) for t in labelled)
    assert all(b - a >= 0.3 for a, b in pairwise(heights))


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        ("fp16", {"fp16"}),
        ("fp8_e4m3", {"fp16", "bf16"}),  # the nearest wider ones
        ("tf32", {"tf32", "fp32"}),  # by the matrix engine, the vector engine
        ("fp32", {"fp32"}),  # no matrix engine has it, the vector engine does
        ("int8", {"int8", "fp16", "bf16"}),
    ],
)
def test_work_runs_under_the_roof_of_its_format_or_the_nearest_wider(
    dtype: str, expected: set[str]
) -> None:
    roofs = analysed("mnist-mlp")["hardware"]["roofs"]
    assert {r["dtype"] for r in serving(roofs, dtype)} == expected


def test_axes_are_whole_decades_of_the_roofs_whatever_the_operators() -> None:
    one, other = analysed("mnist-mlp"), analysed("llama-2-7b")
    small, large = roofline_figure([one]).layout, roofline_figure([other]).layout
    for axis in ("xaxis", "xaxis2", "yaxis"):
        assert small[axis] == large[axis]
    assert all(k == int(k) for k in (*small.xaxis.range, *small.yaxis.range))
    for roof in one["hardware"]["roofs"]:
        at = ridge(roof, one["hardware"])
        assert at
        if roof["kind"] != "special":
            assert small.xaxis.range[0] < math.log10(at) < small.xaxis.range[1]
        assert math.log10(roof["peak"]) < small.yaxis.range[1]


def test_every_operator_stands_once_at_its_intensity_and_rate() -> None:
    data = analysed("resnet50")
    placed = {p.row["name"]: p for p in points(data)}
    for row in data["operators"]:
        if not row["time_s"]:
            assert row["name"] not in placed
        elif row["flops"]:
            assert placed[row["name"]].x == pytest.approx(row["intensity"])
            assert placed[row["name"]].y == pytest.approx(row["flops"] / row["time_s"])
    drawn = operators(roofline_figure([data]))
    assert sum(len(t.x) for t in drawn) == len(placed)
    assert len({(t.marker.color, t.marker.symbol) for t in drawn}) == 3
    assert [t.name for t in drawn if t.showlegend] == list(dict.fromkeys(t.name for t in drawn))


def test_the_area_of_a_point_is_its_share_of_the_time() -> None:
    data = analysed("lstm-ptb-large")
    shares = {p.y: p.share for p in points(data)}
    assert sum(shares.values()) == pytest.approx(1)
    drawn = operators(roofline_figure([data]))
    sizes = {y: s for t in drawn for y, s in zip(t.y, t.marker.size, strict=True)}
    large = {y: s for y, s in sizes.items() if s > SMALLEST}
    assert large
    assert len({round(s**2 / shares[y], 6) for y, s in large.items()}) == 1


def test_operators_without_flop_stand_in_the_strip_at_their_bytes_per_second() -> None:
    data = analysed("bert-base")
    rows = [r for r in data["operators"] if not r["flops"] and r["time_s"]]
    assert rows
    strip = [t for t in operators(roofline_figure([data])) if t.xaxis == "x2"]
    expected = [(r["bytes_read"] + r["bytes_written"]) / r["time_s"] for r in rows]
    assert sorted(y for t in strip for y in t.y) == pytest.approx(sorted(expected))
    assert all(0 < x < 1 for t in strip for x in t.x)


@pytest.mark.parametrize("hardware", [A100, "tpu-v4", "xeon-platinum-8280"])
@pytest.mark.parametrize("dtype", ["fp32", "fp16", "int8"])
@pytest.mark.parametrize("workload", ["llama-2-7b", "resnet50", "lstm-ptb-large"])
def test_no_operator_of_the_model_exceeds_its_roof(
    workload: str, dtype: str, hardware: str
) -> None:
    data = analysed(workload, hardware, dtype=dtype, batch=16)
    assert not [p.row["name"] for p in points(data) if p.above]


@pytest.mark.parametrize("field", ["time_s", "flops"])
def test_a_point_above_every_roof_is_ringed(field: str) -> None:
    data = analysed("llama-2-7b")
    row = next(r for r in data["operators"] if r["bound"] == "compute")
    assert not [p for p in points(data) if p.above]
    row[field] *= {"time_s": 0.5, "flops": 4}[field]
    (ring,) = [t for t in roofline_figure([data]).data if t.name.startswith("above every roof")]
    assert ring.marker.symbol == "circle-open"
    assert list(ring.y) == pytest.approx([row["flops"] / row["time_s"]])


def test_bytes_faster_than_the_memory_are_ringed_in_the_strip() -> None:
    data = analysed("llama-2-7b")
    row = next(r for r in data["operators"] if not r["flops"])
    row["time_s"] /= 2
    (ring,) = [t for t in roofline_figure([data]).data if t.name.startswith("above every roof")]
    assert ring.xaxis == "x2"


def test_a_hair_above_the_roof_is_rounding() -> None:
    data = analysed("matmul:m=8192,n=8192,k=8192", "tpu-v4", dtype="bf16")
    (row,) = data["operators"]
    row["time_s"] = row["flops"] / 275e12 / 1.0005
    assert not points(data)[0].above
    row["time_s"] = row["flops"] / 275e12 / 1.002
    assert points(data)[0].above


def test_names_from_the_data_are_text_to_plotly() -> None:
    data = analysed("mnist-mlp")
    evil = "<a href='x'>&<b>"
    data["operators"][0]["name"] = data["hardware"]["title"] = evil
    data["hardware"]["roofs"][0]["engine"] = data["hardware"]["levels"][-1]["name"] = evil
    text = roofline_figure([data]).to_json()
    assert "<a" not in text.replace("\\u003c", "<")
    assert "&lt;a href" in text


def test_the_hover_says_what_the_row_says() -> None:
    data = analysed("llama-2-7b", phase="decode")
    texts = [h for t in operators(roofline_figure([data])) for h in t.hovertext]
    (text,) = [h for h in texts if "layers.q_proj" in h]
    for part in ("affine fp16: 1×1×4096", "n 32", "MACs 537M", "FLOP 1.07G"):
        assert part in text
    (row,) = [r for r in data["operators"] if r["name"] == "layers.q_proj"]
    assert f"time {1e6 * row['count'] * row['time_s']:.0f}us" in text
    for part in ("bound bandwidth", "limiter hbm", "next limiter: ", "l2 33.6 MB"):
        assert part in text
    assert f"util % {100 * row['utilization']:.0f}" in text


def test_one_operator_and_none_at_all_still_make_a_figure() -> None:
    one = analysed("matmul:m=64,n=64,k=64")
    assert len(operators(roofline_figure([one]))) == 1
    none = {**one, "operators": []}
    assert not operators(roofline_figure([none]))
    assert len(lines(roofline_figure([none]))) == len(lines(roofline_figure([one])))
    assert roofline_figure([]).data == ()


def test_devices_and_workloads_are_told_apart_in_the_legend() -> None:
    results = [analysed(w, h) for h in (A100, "tpu-v4") for w in ("mnist-mlp", "lstm-ptb-large")]
    figure = roofline_figure(results)
    named = [t for t in figure.data if t.showlegend is not False]
    assert len({t.name for t in named}) == len(named)
    assert all(t.name.startswith((A100, "tpu-v4")) for t in named)
    one = roofline_figure(results[:1])
    assert len(lines(figure)) == len(lines(one)) + len(lines(roofline_figure(results[2:3])))
    low, high = axes([results[0]["hardware"], results[2]["hardware"]])[0]
    assert (low, high) == tuple(figure.layout.xaxis.range)
    assert len({t.line.color for t in lines(figure)}) == 2
