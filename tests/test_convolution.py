"""Identities of convolutions, partial convolution, and shapes that are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from naive_references.convolution import convolved, partial
from oracle import bind

import perfmodel
from perfmodel.core import Bound, Operator, Tensor, Work, parse_precision
from perfmodel.errors import InputError
from perfmodel.kernels.naive import naive_kernel
from perfmodel.ops import get_operator
from perfmodel.readers.inline import complete_sizes, parse_inline

FP32 = parse_precision("fp32")
WINDOW: dict[str, Any] = {"kernel": (3, 2), "stride": (2, 1), "padding": 1, "dilation": 1}


def bound(inline: str) -> tuple[Operator, Bound]:
    workload = parse_inline(inline)
    cls = workload.op_class
    op, inputs = cls.from_sizes(complete_sizes(cls, workload.given), FP32)
    return op, bind(op, inputs, FP32)


def work(inline: str) -> Work:
    op, tensors = bound(inline)
    return op.work(tensors)


def moved(work: Work) -> list[tuple[str, str, Any]]:
    return [(a.tensor, a.direction, a.bytes) for a in work.accesses]


def random(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=shape)


def test_an_affine_layer_is_a_1x1_convolution() -> None:
    affine, conv = (
        perfmodel.analyze(inline, "a100-80gb-sxm").totals
        for inline in ("affine:m=32,n=64,k=128", "conv2d:n=32,c=128,h=1,w=1,k=64,r=1,s=1,bias=true")
    )
    for key in ("macs", "flops", "parameters", "bytes", "time_s"):
        assert affine[key] == conv[key], key


def test_an_affine_layer_over_pixels_is_a_1x1_convolution_of_channels_last() -> None:
    x, weight, bias = random(2, 3, 4, 5), random(6, 5, seed=1), random(6, seed=2)
    affine = naive_kernel("affine")(x, weights={"weight": weight, "bias": bias}, units=6, bias=True)
    conv = naive_kernel("conv2d")(
        x, weights={"weight": weight.T.reshape(1, 1, 5, 6), "bias": bias}, out_channels=6,
        kernel=1, stride=1, padding=0, dilation=1, groups=1, bias=True, layout="nhwc",
        filter_layout="rsck",
    )  # fmt: skip
    np.testing.assert_allclose(conv, affine)


@pytest.mark.parametrize(
    "inline",
    [
        "conv1d:n=2,c=4,w=9,k=6,s=3,stride=2,pad=1,groups=2",
        "conv2d:n=2,c=4,h=9,w=7,k=6,r=3,s=2,stride=3,dilation=2",
        "conv3d:n=1,c=2,d=4,h=5,w=6,k=3,t=2,r=3,s=1,pad=1",
        "depthwise_conv2d:n=2,c=4,h=9,w=7,r=3,s=3,pad=1,multiplier=2",
        "depthwise_separable_conv2d:n=2,c=4,h=9,w=7,k=5,pad=1",
        "conv_transpose2d:n=2,c=4,h=4,w=3,k=6,r=3,s=2,stride=2,groups=2",
        "partial_conv2d:n=2,c=4,h=9,w=7,k=6,r=3,s=3,pad=1",
    ],
)
def test_backward_of_a_convolution_is_two_forwards(inline: str) -> None:
    op, tensors = bound(inline)
    assert sum(g.work.macs for g in op.gradients(tensors)) == 2 * op.work(tensors).macs


@pytest.mark.parametrize(("stride", "r"), [(1, 3), (2, 4), (3, 2)])
def test_a_transposed_convolution_is_the_gradient_of_its_convolution(stride: int, r: int) -> None:
    h = (5 - 1) * stride + r
    conv, tensors = bound(f"conv2d:n=2,c=3,h={h},w={h},k=4,r={r},s={r},stride={stride}")
    to_input = next(g for g in conv.gradients(tensors) if g.name == "input")
    transposed = work(f"conv_transpose2d:n=2,c=4,h=5,w=5,k=3,r={r},s={r},stride={stride}")
    assert transposed.macs == to_input.work.macs == conv.work(tensors).macs
    assert transposed.bytes_read == to_input.work.bytes_read
    assert transposed.bytes_written == to_input.work.bytes_written
    assert transposed.traffic(1000) == to_input.work.traffic(1000)

    x, weight, dy = random(2, 3, h, h), random(4, 3, r, r, seed=1), random(2, 4, 5, 5, seed=2)
    window: dict[str, Any] = {"kernel": r, "stride": stride, "padding": 0, "dilation": 1}
    made = naive_kernel("conv2d_grad")(
        "input", dy, x, output=dy, weights={"weight": weight}, out_channels=4, groups=1,
        bias=False, pad_mode="explicit", layout="nchw", filter_layout="kcrs", **window,
    )  # fmt: skip
    y = naive_kernel("conv_transpose2d")(
        dy,
        weights={"weight": weight},
        out_channels=3,
        groups=1,
        bias=False,
        output_padding=0,
        **window,
    )
    np.testing.assert_allclose(y, made["input 0"])


def test_a_depthwise_convolution_is_a_grouped_one() -> None:
    grouped = work("conv2d:n=2,c=8,h=9,w=9,k=16,r=3,s=3,groups=8,pad=1")
    depthwise = work("depthwise_conv2d:n=2,c=8,h=9,w=9,r=3,s=3,multiplier=2,pad=1")
    assert (grouped.macs, grouped.ops) == (depthwise.macs, depthwise.ops)
    assert moved(grouped) == moved(depthwise)
    assert grouped.traffic(1000) == depthwise.traffic(1000)


def test_a_depthwise_separable_convolution_is_its_two_parts() -> None:
    whole = work("depthwise_separable_conv2d:n=2,c=8,h=9,w=9,k=16,pad=1")
    depthwise = work("depthwise_conv2d:n=2,c=8,h=9,w=9,r=3,s=3,pad=1")
    pointwise = work("conv2d:n=2,c=8,h=9,w=9,k=16,r=1,s=1")
    assert whole.launches == 2
    assert whole.macs == depthwise.macs + pointwise.macs
    for capacity in (None, 0, 4096):
        assert whole.traffic(capacity) == depthwise.traffic(capacity) + pointwise.traffic(capacity)
    # Howard et al., section 3.1: 1/K + 1/(R S) of the full convolution.
    full = work("conv2d:n=2,c=8,h=9,w=9,k=16,r=3,s=3,pad=1")
    assert whole.macs / full.macs == pytest.approx(1 / 16 + 1 / 9)


def test_an_axis_of_one_makes_a_convolution_of_lower_rank() -> None:
    one = work("conv1d:n=2,c=4,w=9,k=6,s=3")
    two = work("conv2d:n=2,c=4,h=1,w=9,k=6,r=1,s=3")
    three = work("conv3d:n=2,c=4,d=1,h=1,w=9,k=6,t=1,r=1,s=3")
    assert one.macs == two.macs == three.macs
    assert one.traffic(100) == two.traffic(100) == three.traffic(100)


def test_layouts_change_shapes_and_no_count() -> None:
    sizes = "conv2d:n=2,c=3,h=7,w=5,k=4,r=3,s=2"
    op, tensors = bound(f"{sizes},layout=nhwc,filter_layout=rsck")
    assert tensors.x.shape == (2, 7, 5, 3)
    assert tensors.y.shape == (2, 5, 4, 4)
    assert tensors.weight("weight").shape == (3, 2, 3, 4)
    first, last = work(sizes), op.work(tensors)
    assert (first.macs, first.ops, first.traffic(64)) == (last.macs, last.ops, last.traffic(64))
    converted = work("convert_layout:n=2,c=3,h=7,w=5")
    assert (converted.flops, converted.bytes_read, converted.bytes_written) == (0, 840, 840)


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("filter_layout", ["kcrs", "rsck"])
def test_layouts_change_no_value(layout: str, filter_layout: str) -> None:
    x, weight = random(2, 4, 7, 5), random(6, 2, 3, 2, seed=1)
    expected = convolved(x, weight, stride=(2, 1), pads=((1, 1), (1, 1)), dilation=(1, 1), groups=2)
    given = x if layout == "nchw" else x.transpose(0, 2, 3, 1)
    filters = weight if filter_layout == "kcrs" else weight.transpose(2, 3, 1, 0)
    y = naive_kernel("conv2d")(
        given, weights={"weight": filters}, out_channels=6, groups=2, bias=False, layout=layout,
        filter_layout=filter_layout, **WINDOW,
    )  # fmt: skip
    np.testing.assert_allclose(y if layout == "nchw" else y.transpose(0, 3, 1, 2), expected)


@pytest.mark.parametrize(("size", "stride", "kernel"), [(7, 1, 3), (7, 2, 3), (8, 3, 2), (5, 4, 1)])
def test_padding_same_leaves_size_over_stride_positions(
    size: int, stride: int, kernel: int
) -> None:
    sizes = f"n=1,c=2,h={size},w={size},k=2,r={kernel},s={kernel},stride={stride}"
    _, tensors = bound(f"conv2d:{sizes},pad_mode=same")
    assert tensors.y.shape[2:] == (-(-size // stride),) * 2
    _, tensors = bound(f"conv2d:{sizes},pad_mode=valid")
    assert tensors.y.shape[2:] == ((size - kernel) // stride + 1,) * 2


@pytest.mark.parametrize("bias", [False, True])
def test_partial_convolution_of_a_mask_with_holes(bias: bool) -> None:
    x, weight, shift = random(2, 3, 9, 8), random(4, 3, 3, 2, seed=1), random(4, seed=2)
    mask = (random(2, 1, 9, 8, seed=3) > 0.8).astype(int)
    y, new_mask = naive_kernel("partial_conv2d")(
        x, mask, weights={"weight": weight, "bias": shift}, out_channels=4, bias=bias, **WINDOW
    )
    window: dict[str, Any] = {"stride": (2, 1), "pads": ((1, 1), (1, 1)), "dilation": (1, 1)}
    expected, holes = partial(x, mask, weight, shift if bias else np.zeros(4), **window)
    assert 0 < holes.sum() < holes.size
    np.testing.assert_allclose(y, expected)
    np.testing.assert_array_equal(new_mask, holes)


def test_partial_convolution_without_holes_is_a_convolution() -> None:
    x, weight = random(2, 3, 6, 6), random(4, 3, 3, 2, seed=1)
    unpadded = {**WINDOW, "padding": 0}
    y, new_mask = naive_kernel("partial_conv2d")(
        x, np.ones((2, 1, 6, 6), dtype=int), weights={"weight": weight}, out_channels=4,
        bias=False, **unpadded,
    )  # fmt: skip
    expected = convolved(x, weight, stride=(2, 1), pads=((0, 0), (0, 0)), dilation=(1, 1))
    np.testing.assert_allclose(y, expected, rtol=1e-7)
    assert new_mask.all()


@pytest.mark.parametrize(
    ("name", "attributes", "shapes", "message"),
    [
        ("conv2d", {"out_channels": 2, "kernel": (3, 3, 3)}, [(1, 2, 5, 5)], "3 sizes for 2 axes"),
        ("conv3d", {"out_channels": 2, "kernel": 3}, [(1, 2, 5, 5)], r"expects x\[N,C,D,H,W\]"),
        ("conv1d", {"out_channels": 2, "kernel": 3, "padding": 1, "pad_mode": "same"},
         [(1, 2, 5)], "padding is given, so pad_mode cannot be 'same'"),
        ("conv2d", {"out_channels": 3, "kernel": 1, "groups": 2}, [(1, 4, 5, 5)],
         "filters modulo groups"),
        ("conv2d", {"out_channels": 2, "kernel": 7}, [(1, 2, 5, 5)], "window of 7 does not fit"),
        ("conv_transpose2d", {"out_channels": 2, "kernel": 1, "padding": 3}, [(1, 2, 5, 5)],
         "output size is -1"),
        ("partial_conv2d", {"out_channels": 2, "kernel": 1}, [(1, 2, 5, 5), (1, 2, 5, 5)],
         "mask"),
        ("max_pool3d", {"kernel": 2}, [(1, 2, 5, 5)], r"expects x\[N,C,D,H,W\]"),
        ("max_unpool2d", {"size": 4}, [(1, 2, 2, 2), (1, 2, 2, 1)], "indices against x"),
        ("stochastic_pool2d", {"kernel": 2, "stride": 2}, [(1, 1, 4, 4), (1, 1, 4, 4)],
         "windows of x"),
        ("convert_layout", {}, [(2, 3)], "batch of images"),
        ("batch_norm", {"training": True}, [(1, 3)], "one value a channel"),
        ("group_norm", {"groups": 4}, [(1, 6, 2, 2)], "channels modulo groups"),
        ("instance_norm", {}, [(6,)], "expects x"),
        ("local_response_norm", {}, [(6,)], "expects x"),
    ],
)  # fmt: skip
def test_shapes_that_do_not_fit_are_refused(
    name: str, attributes: dict[str, Any], shapes: list[tuple[int, ...]], message: str
) -> None:
    inputs = [Tensor(shape, "fp32") for shape in shapes]
    with pytest.raises(InputError, match=message):
        bind(get_operator(name)(**attributes), inputs, FP32)
