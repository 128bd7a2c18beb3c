"""Receptive fields of networks over images."""

from pathlib import Path

import perfmodel
from perfmodel.receptive import receptive_fields

NETWORK = """\
schema: perfmodel/workload@1
name: net
title: Pools and a filter
family: cnn
source: a test
dims: {{height: 224}}
inputs: {{image: {{shape: [1, 8, height, height]}}}}
blocks:
  pool: {{nodes: {{pool: {{op: max_pool2d, kernel: 2, stride: 2}}}}}}
nodes:
{nodes}
"""


def _fields(tmp_path: Path, *nodes: str) -> dict[str, tuple[object, ...]]:
    file = tmp_path / "net.yaml"
    file.write_text(NETWORK.format(nodes="\n".join(f"  {n}" for n in nodes)))
    return receptive_fields(perfmodel.load_workload(str(file)).bind())  # type: ignore[return-value]


def test_a_filter_after_five_pools_sees_96_by_96(tmp_path: Path) -> None:
    # The literature's example: 3 x 2^5 = 96.
    pools = [f"p{i}: {{op: max_pool2d, kernel: 2, stride: 2}}" for i in range(5)]
    fields = _fields(tmp_path, *pools, "filter: {op: conv2d, out_channels: 8, kernel: 3}")
    assert fields["p0"] == (2, 2)
    assert fields["filter"] == (96, 96)


def test_a_filter_after_one_pool_sees_6_by_6(tmp_path: Path) -> None:
    fields = _fields(
        tmp_path,
        "pool: {op: max_pool2d, kernel: 2, stride: 2}",
        "filter: {op: conv2d, out_channels: 8, kernel: 3}",
    )
    assert fields["filter"] == (6, 6)


def test_dilation_and_uneven_kernels_count_by_axis(tmp_path: Path) -> None:
    fields = _fields(
        tmp_path,
        "a: {op: conv2d, out_channels: 8, kernel: [3, 1], dilation: [4, 1], stride: [2, 3]}",
        "b: {op: conv2d, out_channels: 8, kernel: [2, 5]}",
    )
    assert fields["a"] == (9, 1)
    assert fields["b"] == (9 + 2, 1 + 4 * 3)


def test_an_addition_sees_what_its_widest_branch_sees(tmp_path: Path) -> None:
    fields = _fields(
        tmp_path,
        "a: {op: conv2d, out_channels: 8, kernel: 7, padding: 3}",
        "b: {op: conv2d, inputs: image, out_channels: 8, kernel: 1}",
        "sum: {op: add, inputs: [b, a]}",
    )
    assert fields["sum"] == (7, 7)


def test_repeated_blocks_widen_the_field_each_time(tmp_path: Path) -> None:
    # Four 3x3 filters one after the other see 9 x 9.
    file = tmp_path / "net.yaml"
    text = NETWORK.format(nodes="  body: {block: pool, repeat: 4}")
    pool = "op: max_pool2d, kernel: 2, stride: 2"
    file.write_text(text.replace(pool, "op: conv2d, out_channels: 8, kernel: 3, padding: 1"))
    fields = receptive_fields(perfmodel.load_workload(str(file)).bind())
    assert fields["body.pool"] == (9, 9)


def test_resnet50_and_vgg16_have_the_published_fields() -> None:
    # Araujo et al. 2019, table 1: vgg16 212, resnet50 (v1 strides) 483 before pooling.
    vgg = receptive_fields(perfmodel.load_workload("vgg16").bind())
    assert vgg["pool5"] == (212, 212)
    resnet = receptive_fields(perfmodel.load_workload("resnet50").bind())
    # v1.5 puts the stride into the 3x3 filter: 427, as its own arithmetic says.
    assert resnet["stage4.conv3"] == (427, 427)


def test_networks_without_images_have_none() -> None:
    assert receptive_fields(perfmodel.load_workload("bert-base").bind()) == {}
