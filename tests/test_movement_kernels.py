"""Naive kernels whose inputs are indices or boxes, and rules of shape that inline sizes miss."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from oracle import bind, check_operator

import perfmodel
from perfmodel.core import Tensor, parse_precision
from perfmodel.core.powers import ceil_log2, linear_log2
from perfmodel.errors import InputError
from perfmodel.kernels.naive import naive_kernel
from perfmodel.ops import get_operator

Array = npt.NDArray[Any]
FP32 = parse_precision("fp32")


def random_array(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=shape)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_gather_takes_places(axis: int) -> None:
    x, indices = random_array(3, 4, 3), np.array([[2, 0, 2], [1, 1, 0]])
    y = naive_kernel("gather")(x, indices, weights={}, axis=axis)
    np.testing.assert_array_equal(y, np.take(x, indices, axis=axis))


def test_the_gradient_of_gather_adds_where_indices_meet() -> None:
    x, indices, dy = random_array(4, 2), np.array([1, 3, 1]), random_array(3, 2, seed=1)
    made: Any = naive_kernel("gather_grad")("input", dy, x, indices, output=dy, weights={}, axis=0)
    expected = np.zeros_like(x)
    np.add.at(expected, indices, dy)
    np.testing.assert_allclose(made["input 0"], expected)


@pytest.mark.parametrize("mode", ["replace", "add"])
def test_scatter_changes_rows(mode: str) -> None:
    x, updates = random_array(5, 2), random_array(3, 2, seed=1)
    indices = np.array([4, 0, 2])
    expected = x.copy()
    expected[indices] = updates if mode == "replace" else x[indices] + updates
    y = naive_kernel("scatter")(x, indices, updates, weights={}, mode=mode)
    np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize("to", ["int8", "int4"])
def test_quantized_codes_are_whole_and_near(to: str) -> None:
    x, zero = random_array(4, 6), np.array([3.0, -2.0, 0.0, 1.0])
    weights = {"scale": np.array([0.5, 0.2, 1.0, 0.01]), "zero_point": zero}
    flags: dict[str, Any] = {"per_channel": True, "axis": 0, "zero_point": True}
    codes = naive_kernel("quantize")(x, weights=weights, to=to, **flags)
    np.testing.assert_array_equal(codes, np.rint(codes))
    back = naive_kernel("dequantize")(codes, weights=weights, to="fp32", **flags)
    low, high = {"int8": (-128, 127), "int4": (-8, 7)}[to]
    scale = weights["scale"][:, None]
    inside = np.clip(x, (low - zero[:, None]) * scale, (high - zero[:, None]) * scale)
    assert np.all(np.abs(back - inside) <= scale / 2 + 1e-12)


def hats(positions: Array, extent: int) -> Array:
    """Return the weights [positions, extent] of places held inside the image."""
    held = np.clip(positions, 0, extent - 1)
    return np.maximum(1 - np.abs(held[:, None] - np.arange(extent)), 0)


@pytest.mark.parametrize(("samples", "stride"), [(1, 1), (2, 4), (3, 2)])
def test_roi_align_averages_samples_of_each_part(samples: int, stride: int) -> None:
    x, images = random_array(2, 3, 6, 7), np.array([1, 0, 1])
    boxes = stride * np.array([[0.7, 1.2, 4.1, 5.3], [-2.0, 0.0, 9.0, 3.0], [3.0, 3.0, 3.5, 3.2]])
    y = naive_kernel("roi_align")(
        x, boxes, images, weights={}, bins=(2, 3), samples=samples, stride=stride
    )
    for k, (left, top, right, bottom) in enumerate(boxes / stride - 0.5):
        down = np.linspace(top, bottom, 2 * 2 * samples + 1)[1::2]
        across = np.linspace(left, right, 2 * 3 * samples + 1)[1::2]
        values = np.einsum("ph,qw,chw->cpq", hats(down, 6), hats(across, 7), x[images[k]])
        parts = values.reshape(3, 2, samples, 3, samples)
        np.testing.assert_allclose(y[k], parts.mean(axis=(2, 4)), atol=1e-12)


def suppressed(boxes: Array, scores: Array) -> list[int]:
    """Return the places of boxes left, the intersection over union of one with all at a time."""
    left = list(np.argsort(-scores))
    kept = []
    while left:
        best, *rest = left
        kept.append(int(best))
        low = np.maximum(boxes[best, :2], boxes[rest, :2])
        high = np.minimum(boxes[best, 2:], boxes[rest, 2:])
        shared = np.prod(np.maximum(high - low, 0), axis=-1)
        areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=-1)
        union = areas[best] + areas[rest] - shared
        left = [i for i, over in zip(rest, shared / union > 0.5, strict=True) if not over]
    return kept


def test_nms_keeps_the_best_of_boxes_that_overlap() -> None:
    corner, size = random_array(2, 40, 2), 1 + np.abs(random_array(2, 40, 2, seed=1))
    boxes, scores = np.concatenate([corner, corner + size], axis=-1), random_array(2, 40, seed=2)
    kept = naive_kernel("nms")(boxes, scores, weights={}, keep=40)
    few = naive_kernel("nms")(boxes, scores, weights={}, keep=3)
    for n in range(2):
        expected = suppressed(boxes[n], scores[n])
        assert 3 < len(expected) < 40
        assert list(kept[n]) == expected + [-1] * (40 - len(expected))
        assert list(few[n]) == expected[:3]


#: what inline sizes cannot say: operator, attributes, input shapes
BEYOND_INLINE: list[tuple[str, Mapping[str, Any], list[tuple[int, ...]]]] = [
    ("split", {"lengths": (1, 3), "axis": 1}, [(2, 4, 3)]),
    ("split", {"parts": 4, "axis": 0}, [(8, 3)]),
    ("pad", {"before": (0, 1, 2), "after": (1, 0, 3)}, [(2, 3, 4)]),
    ("pad", {"before": (1, 2), "mode": "reflect"}, [(3, 4)]),
    ("tile", {"repeats": (2, 3, 1)}, [(2, 1, 4)]),
    ("squeeze", {"axes": (0, -1)}, [(1, 3, 1)]),
    ("unsqueeze", {"axes": (-1, 0)}, [(2, 3)]),
    ("expand", {"shape": (2, -1, 5)}, [(3, 1)]),
    *((name, {"axes": axes, "keep": keep}, [(2, 3, 4)])
      for name in ("reduce_sum", "reduce_mean", "reduce_max", "reduce_min", "norm")
      for axes, keep in (((0, 2), False), ((1,), True), ((0, 1, 2), False))),
    ("cumsum", {"axis": 1}, [(2, 3, 4)]),
    ("argmax", {"axis": 0, "keep": True}, [(3, 4)]),
    ("topk", {"k": 2, "axis": 0}, [(6, 3)]),
    ("sort", {"axis": 1, "descending": True}, [(2, 6, 2)]),
    *(("resize", {"target": (p, q), "mode": mode}, [(1, 1, h, w)])
      for mode in ("nearest", "bilinear", "cubic")
      for h, p, w, q in ((13, 5, 11, 2), (7, 6, 10, 3), (4, 9, 17, 4), (12, 3, 8, 4))),
]  # fmt: skip


@pytest.mark.parametrize("case", BEYOND_INLINE, ids=str)
def test_counts_beyond_inline_sizes_equal_the_naive_kernel(
    case: tuple[str, Mapping[str, Any], list[tuple[int, ...]]],
) -> None:
    name, attributes, shapes = case
    op = get_operator(name)(**attributes)
    check_operator(op, [Tensor(shape, "fp32") for shape in shapes], FP32)


REFUSED: list[tuple[str, Mapping[str, Any], list[tuple[int, ...]], str]] = [
    ("squeeze", {"axes": (0,)}, [(2, 3)], "places along axis 0"),
    ("squeeze", {"axes": (0, -2)}, [(1, 3)], "name an axis twice"),
    ("expand", {"shape": (3, 4)}, [(2, 1)], "a size that is not 1: found 3, expected 2"),
    ("expand", {"shape": (4,)}, [(2, 4)], "2 axes do not fit into 1"),
    ("split", {"parts": 3}, [(2, 4)], "modulo parts"),
    ("split", {"parts": np.array([1.0, 2.0])}, [(2, 4)], "cannot be swept"),
    ("split", {"lengths": (1, 2)}, [(2, 4)], "places of all parts"),
    ("pad", {"before": (1,)}, [(2, 4)], "1 borders for 2 axes"),
    ("pad", {"before": (0, 4), "mode": "reflect"}, [(2, 4)], "narrower than the tensor"),
    ("tile", {"repeats": (2,)}, [(2, 4)], "1 repeats for 2 axes"),
    ("reduce_sum", {"axes": (2,)}, [(2, 4)], "axis 2 of a tensor with 2 axes"),
    ("topk", {"k": 5}, [(2, 4)], "values along the axis less k"),
    ("scatter", {}, [(4, 2), (3,), (2, 2)], "axis 0 of the updates"),
    ("pixel_shuffle", {}, [(1, 6, 2, 2)], "the factor's square"),
    ("pixel_unshuffle", {}, [(1, 6, 3, 2)], "height modulo the factor"),
    ("channel_shuffle", {"groups": 4}, [(1, 6, 3, 2)], "channels modulo groups"),
    ("grid_sample", {}, [(1, 6, 3, 2), (1, 2, 2, 3)], "coordinates of a place"),
    ("roi_align", {"bins": 2}, [(1, 6, 3, 2), (5, 4), (4,)], "images against boxes"),
    ("nms", {"keep": 6}, [(1, 5, 4), (1, 5)], "boxes less those kept"),
    ("quantize", {"to": "fp8_e4m3", "zero_point": True}, [(2, 3)], "has no zero point"),
    ("dequantize", {"to": "int8"}, [(2, 3)], "no format of real numbers"),
]


@pytest.mark.parametrize("case", REFUSED, ids=str)
def test_shapes_that_do_not_fit_are_refused(
    case: tuple[str, Mapping[str, Any], list[tuple[int, ...]], str],
) -> None:
    name, attributes, shapes, message = case
    op = get_operator(name)(**attributes)
    with pytest.raises(InputError, match=message):
        bind(op, [Tensor(shape, "fp32") for shape in shapes], FP32)


def test_a_cast_to_or_from_an_integer_has_no_gradient() -> None:
    op = get_operator("cast")(to="int8")
    assert op.gradients(bind(op, [Tensor((3,), "fp32")], FP32)) == []


def test_a_row_that_fits_is_sorted_in_one_pass_and_others_in_a_pass_a_doubling() -> None:
    op = get_operator("sort")()
    work = op.work(bind(op, [Tensor((3, 1024), "fp32")], FP32))
    row, moved = 1024 * (4 + 8), 3 * 1024 * (4 + 8)
    assert work.traffic(row) == work.bytes_read + work.bytes_written
    assert work.traffic(row / 8) == work.traffic(row) + 3 * 2 * moved


def test_logarithms_are_exact_and_the_same_for_arrays() -> None:
    sizes = [1, 2, 3, 4, 5, 8, 9, 1000, 2**40, 2**40 + 1]
    assert [ceil_log2(n) for n in sizes] == [(n - 1).bit_length() for n in sizes]
    assert list(ceil_log2(np.array(sizes, dtype=float))) == [ceil_log2(n) for n in sizes]
    assert [linear_log2(x) for x in (1, 2, 3, 4, 6)] == [0, 1, 1.5, 2, 2.5]
    assert list(linear_log2(np.array([1.0, 2, 3, 4, 6]))) == [0, 1, 1.5, 2, 2.5]


CUT = """\
schema: perfmodel/workload@1
name: cut
title: A tensor cut along its first axis
family: other
source: a test
dims: {rows: 1000}
inputs: {x: {shape: [rows, 8]}}
nodes:
  y: {op: relu}
  half: {op: slice, axis: 0, length: rows / 2}
  parts: {op: split, axis: 0, parts: 2}
  large: {op: tile, inputs: "parts:1", repeats: [6, 1]}
"""


def test_a_cut_along_the_first_axis_moves_nothing_and_holds_the_whole(tmp_path: Path) -> None:
    file = tmp_path / "cut.yaml"
    file.write_text(CUT)
    result = perfmodel.analyze(str(file), "h100-sxm")
    rows = {r["name"]: r for r in result.operators}
    for name in ("half", "parts"):
        assert (rows[name]["bytes_read"], rows[name]["bytes_written"]) == (0, 0)
        assert (rows[name]["launches"], rows[name]["time_s"]) == (0, 0)
    # Where the last tensor is made of a quarter of y, all of y is still held.
    memory = result.totals["memory_by_kind"]["activations"]
    assert memory == 4 * (1000 + 1500) * 8
    file.write_text(CUT.replace("axis: 0, length: rows / 2", "axis: 1, length: 4"))
    copied = perfmodel.analyze(str(file), "h100-sxm").operators[1]
    assert copied["bytes_read"] == copied["bytes_written"] == 4 * 1000 * 4


def test_shifts_are_for_the_axes_named() -> None:
    with pytest.raises(InputError, match="roll: 2 shifts for 1 axes"):
        bind(get_operator("roll")(shifts=(1, 2), axes=(0,)), [Tensor((3, 4), "fp32")], FP32)
