"""State-space scans: what chunks of time cost, against the other forms of the same sum."""

from typing import Any

import pytest

from perfmodel.core import Tensor, Work, parse_precision
from perfmodel.errors import InputError
from perfmodel.graph import bind_operator
from perfmodel.ops import get_operator
from perfmodel.readers.inline import parse_inline

FP16 = parse_precision("fp16")


def _work(**sizes: int | str) -> Work:
    given = {"heads": 4, "head_dim": 16, "state": 32, "groups": 2, "algorithm": "chunked", **sizes}
    inline = "ssd_scan:" + ",".join(f"{k}={v}" for k, v in given.items())
    (node,) = parse_inline(inline).bind().nodes
    work: Work = node.op.work(node.tensors)
    return work


def test_one_chunk_is_a_square_of_scores_and_its_product_with_x() -> None:
    assert _work(steps=64, chunk=64).macs == 64 * 64 * (2 * 32 + 4 * 16)
    assert _work(steps=64, chunk=1000).macs == _work(steps=64, chunk=64).macs


def test_chunks_cost_the_four_products_of_the_paper() -> None:
    # arXiv:2405.21060, section 6.3, with N = P = Q: T N^2 MACs a product and head.
    chunks, size = 8, 16
    work = _work(steps=chunks * size, heads=1, groups=1, chunk=size, head_dim=size, state=size)
    assert work.macs == (2 * chunks + 2 * (chunks - 1)) * size**3


def test_time_in_chunks_costs_linearly_and_in_one_quadratically() -> None:
    short, long, longer = (_work(steps=t, chunk=32).macs for t in (1024, 2048, 3072))
    assert longer - long == long - short
    whole, twice = (_work(steps=t, chunk=t).macs for t in (1024, 2048))
    assert twice == 4 * whole


def test_the_recurrence_computes_no_matrix_product() -> None:
    work = _work(steps=64, algorithm="recurrent")
    assert work.macs == 0
    assert work.ops["vector", "fp32"] == 64 * 4 * (5 * 16 * 32 + 2 * 16 + 1)


def test_groups_that_do_not_divide_the_heads_are_refused() -> None:
    op: Any = get_operator("ssd_scan")(heads=3, groups=2)
    tensors = [Tensor((1, 5, width), "fp16") for width in (6, 3, 4, 4)]
    with pytest.raises(InputError, match="ssd_scan: heads modulo groups"):
        bind_operator("y", op, tensors, FP16)
