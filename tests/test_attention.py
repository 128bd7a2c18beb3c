"""Attention: identities between its forms, pages, formats of the KV cache, gradients."""

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from oracle import bind, check_operator
from test_gradients import check_gradient, check_values

from perfmodel.core import Precision, Tensor, Work, parse_precision
from perfmodel.core.visibility import Visible
from perfmodel.errors import InputError
from perfmodel.graph import Node, bind_operator
from perfmodel.kernels.naive import naive_kernel
from perfmodel.ops import get_operator
from perfmodel.readers.inline import parse_inline

FP16, FP32 = parse_precision("fp16"), parse_precision("fp32")


def _inline(text: str) -> Node:
    (node,) = parse_inline(text).bind().nodes
    return node


def _cached(precision: Precision = FP16, new: int = 1, **attributes: Any) -> Node:
    op: Any = get_operator("attention")(
        **{"q_heads": 4, "kv_heads": 2, "causal": True, "cached": True, **attributes}
    )
    q = Tensor((3, new, 4 * 8), precision.activation, name="q")
    k, v = (Tensor((3, new, 2 * 8), precision.kv, name=n) for n in "kv")
    return bind_operator("y", op, [q, k, v], precision)


def _bytes(work: Work, name: str) -> Any:
    return sum(a.bytes for a in work.accesses if a.tensor == name and a.direction == "read")


def test_a_causal_square_is_half_of_the_full_one_and_half_its_diagonal() -> None:
    sizes = "batch=2,q_heads=4,q_len=100,head_dim=16"
    full, causal = (
        node.op.work(node.tensors).macs
        for node in (_inline(f"attention:{sizes}"), _inline(f"attention:{sizes},causal=true"))
    )
    assert 2 * causal == full + full // 100


def test_grouped_queries_keep_macs_and_shrink_keys() -> None:
    many, few = (
        _inline(f"attention:batch=1,q_heads=8,kv_heads={h},q_len=64,head_dim=16") for h in (8, 1)
    )
    assert many.op.work(many.tensors).macs == few.op.work(few.tensors).macs
    assert many.tensors.inputs[1].bytes == 8 * few.tensors.inputs[1].bytes


def test_a_window_over_all_keys_changes_nothing() -> None:
    for causal in (True, False):
        free, wide = Visible(7, 20, causal), Visible(7, 20, causal, 20)
        for field in ("pairs", "rows", "keys_seen", "blocks"):
            assert getattr(free, field) == getattr(wide, field)


def test_decoding_step_by_step_sees_the_pairs_of_one_prefill() -> None:
    prefill = Visible(50, 50, True, 16).pairs
    assert sum(Visible(1, n, True, 16).pairs for n in range(1, 51)) == prefill


@pytest.mark.parametrize(("context", "pages"), [(15, 1), (16, 2), (30, 2), (31, 2), (32, 3)])
def test_pages_cost_table_reads_and_room_but_no_traffic(context: int, pages: int) -> None:
    paged, plain = _cached(context=context, page=16), _cached(context=context)
    works = [n.op.work(n.tensors) for n in (paged, plain)]
    assert _bytes(works[0], "page_table") == 3 * pages * 4
    assert works[0].bytes_read - _bytes(works[0], "page_table") == works[1].bytes_read
    held = [sum(c.bytes for c in (*n.tensors.caches, *n.tensors.appended)) for n in (paged, plain)]
    assert held == [2 * 3 * 2 * 8 * 2 * tokens for tokens in (16 * pages, context + 1)]


@pytest.mark.parametrize("algorithm", ["flash", "unfused"])
@pytest.mark.parametrize("precision", [FP16, Precision("mixed", "fp8_e4m3", "fp16", "int4")])
def test_paged_counts_equal_the_naive_kernel(algorithm: str, precision: Precision) -> None:
    node = _cached(precision, new=3, context=6, page=4, algorithm="auto")
    check_operator(node.op, node.tensors.inputs, precision, algorithm)


@pytest.mark.parametrize("algorithm", ["expanded", "absorbed"])
def test_latent_counts_over_a_cache_equal_the_naive_kernel(algorithm: str) -> None:
    op: Any = get_operator("latent_attention")(
        heads=2, nope_dim=3, rope_dim=2, value_dim=4, context=5, cached=True
    )
    shapes = ((2, 3, 10), (2, 3, 6), (2, 3, 2))
    check_operator(op, [Tensor(s, "fp16") for s in shapes], FP16, algorithm)


def test_a_context_without_a_cache_is_refused() -> None:
    op: Any = get_operator("latent_attention")(heads=1, nope_dim=1, rope_dim=1, context=3)
    tensors = [Tensor((1, 1, w), "fp16") for w in (2, 4, 1)]
    with pytest.raises(InputError, match="latent_attention: context needs cached: true"):
        bind_operator("y", op, tensors, FP16)
    with pytest.raises(InputError, match="attention: context needs cached: true"):
        _cached(cached=False, context=3)


def test_pages_without_a_cache_are_refused() -> None:
    with pytest.raises(InputError, match="page needs cached: true"):
        _cached(cached=False, page=16)


def test_a_gradient_through_a_cache_is_refused() -> None:
    latent: Any = get_operator("latent_attention")(heads=1, nope_dim=1, rope_dim=1, cached=True)
    tensors = [Tensor((1, 1, w), "fp16") for w in (2, 4, 1)]
    for node in (_cached(context=3), bind_operator("y", latent, tensors, FP16)):
        with pytest.raises(InputError, match=r"attention: found a gradient through a KV cache"):
            node.op.gradients(node.tensors)


def test_training_takes_whole_sequences_without_a_cache_or_pages() -> None:
    op = _cached(context=20, page=16).op.for_training()
    tensors = [
        Tensor((3, 5, width), "fp16", name=n) for n, width in zip("qkv", (32, 16, 16), strict=True)
    ]
    node = bind_operator("y", op, tensors, FP16)
    assert not node.tensors.caches
    assert node.op.gradients(node.tensors)


def test_a_kv_cache_in_eight_bits_moves_half_the_bytes_of_sixteen() -> None:
    precision = Precision("kv8", "fp16", "fp16", "fp8_e4m3")
    eight, sixteen = (
        n.op.work(n.tensors) for n in (_cached(precision, context=999), _cached(context=999))
    )
    for cache in ("k_cache", "v_cache"):
        assert 2 * _bytes(eight, cache) == _bytes(sixteen, cache)
    assert eight.ops == sixteen.ops


@pytest.mark.parametrize(("algorithm", "times"), [("flash", 2.5), ("unfused", 2)])
@pytest.mark.parametrize("causal", ["true", "false"])
def test_backward_is_two_and_a_half_forwards_for_flash_and_two_for_unfused(
    algorithm: str, times: float, causal: str
) -> None:
    node = _inline(
        "attention:batch=2,q_heads=4,kv_heads=2,q_len=64,head_dim=16,"
        f"causal={causal},algorithm={algorithm}"
    )
    (gradient,) = node.op.gradients(node.tensors)
    assert gradient.work.macs == times * node.op.work(node.tensors).macs


def test_flash_keeps_a_number_a_row_and_unfused_every_probability() -> None:
    sizes = "batch=2,q_heads=4,q_len=64,head_dim=16"
    flash, unfused = (_inline(f"attention:{sizes},algorithm={a}") for a in ("flash", "unfused"))
    assert [t.elements for t in flash.tensors.kept] == [2 * 4 * 64]
    assert [t.elements for t in unfused.tensors.kept] == [2 * 4 * 64 * 64]


def test_a_latent_cache_of_deepseek_v3_holds_576_values_a_token() -> None:
    # arXiv:2405.04434, table 1: (d_c + d_h^R) l elements a token, 4.5 d_h l.
    op: Any = get_operator("latent_attention")(heads=128, context=100, cached=True)
    shapes = ((1, 1, 128 * 192), (1, 1, 512), (1, 1, 64))
    node = bind_operator("y", op, [Tensor(s, "fp16") for s in shapes], FP16)
    assert sum(c.elements for c in node.tensors.caches) == 100 * 576 == 100 * 4.5 * 128


def test_latent_attention_is_absorbed_where_one_token_meets_many_and_else_expanded() -> None:
    def macs(q_len: int, kv_len: int) -> dict[str, Any]:
        node = _inline(f"latent_attention:batch=1,heads=16,q_len={q_len},kv_len={kv_len}")
        return {a.name: a.work.macs for a in node.op.algorithms(node.tensors)}

    decode, prefill = macs(1, 4096), macs(4096, 4096)
    assert decode["absorbed"] < 0.1 * decode["expanded"]
    assert prefill["expanded"] < prefill["absorbed"]


def test_flash_attention_backward_reads_queries_again_where_keys_do_not_stay() -> None:
    node = _inline("attention:batch=1,q_heads=8,q_len=4096,head_dim=64,causal=true,dtype=fp16")
    (gradient,) = node.op.gradients(node.tensors)
    traffic = np.array([float(gradient.work.traffic(c)) for c in np.logspace(2, 9, 200)])
    assert np.all(np.diff(traffic) <= 0)
    assert traffic[-1] == gradient.work.bytes_read + gradient.work.bytes_written


#: batch, query heads, and the first two axes of a bias that samples and heads share
BIASED = [(4, 2, 2, 1), (4, 2, 1, 1), (2, 3, 2, 3), (3, 1, 1, 1)]


@pytest.mark.parametrize("algorithm", ["flash", "unfused"])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("case", BIASED, ids=str)
def test_a_bias_is_added_to_the_scores_that_share_it(
    case: tuple[int, int, int, int], causal: bool, algorithm: str
) -> None:
    batch, heads, b, h = case
    op: Any = get_operator("attention")(
        q_heads=heads, kv_heads=1, causal=causal, algorithm=algorithm
    )
    shapes = [(batch, 3, 2 * heads), (batch, 5, 2), (batch, 5, 1), (b, h, 3, 5)]
    inputs = [Tensor(shape, "fp32") for shape in shapes]
    check_operator(op, inputs, FP32)
    tensors = bind(op, inputs, FP32)
    (gradient,) = op.gradients(tensors)
    check_gradient(op, tensors, gradient)
    check_values(op, tensors)

    random = np.random.default_rng(0)
    q, k, v, bias = (random.normal(size=shape) for shape in shapes)
    attributes = {f.name: getattr(op, f.name) for f in dataclasses.fields(op)}
    found = naive_kernel("attention")(q, k, v, bias, weights={}, **attributes)
    scores = np.einsum("bihd,bjd->bhij", q.reshape(batch, 3, heads, 2), k) / math.sqrt(2)
    scores = scores + np.tile(bias, (batch // b, 1, 1, 1))
    if causal:
        scores = np.where(np.arange(5) <= np.arange(3)[:, None] + 2, scores, -np.inf)
    powers = np.exp(scores)
    expected = np.einsum("bhij,bje->bihe", powers / powers.sum(axis=-1, keepdims=True), v)
    np.testing.assert_allclose(found, expected.reshape(batch, 3, heads), rtol=1e-10)


def test_a_bias_that_all_share_is_read_again_where_it_does_not_stay() -> None:
    op: Any = get_operator("attention")(q_heads=4, kv_heads=4)
    shapes = [(8, 64, 16)] * 3 + [(1, 4, 64, 64)]
    tensors = bind(op, [Tensor(s, "fp32") for s in shapes], FP32)
    plain = bind(op, [Tensor(s, "fp32") for s in shapes[:3]], FP32)
    size = 4 * 4 * 64 * 64
    for capacity, times in ((1e9, 1), (0, 8)):
        more = op.work(tensors).traffic(capacity) - op.work(plain).traffic(capacity)
        assert more == times * size


@pytest.mark.parametrize(
    ("shape", "message"),
    [((4, 5), "expects bias"), ((3, 2, 4, 5), "batch modulo that of the bias"),
     ((1, 3, 4, 5), "heads of the bias: found 3, expected 2"),
     ((1, 2, 3, 5), "queries of the bias: found 3, expected 4"),
     ((1, 2, 4, 6), "keys of the bias: found 6, expected 5")],
)  # fmt: skip
def test_a_bias_of_another_shape_is_refused(shape: tuple[int, ...], message: str) -> None:
    op: Any = get_operator("attention")(q_heads=2, kv_heads=2)
    shapes = [(2, 4, 2), (2, 5, 2), (2, 5, 2), shape]
    with pytest.raises(InputError, match=message):
        bind(op, [Tensor(s, "fp32") for s in shapes], FP32)


def test_a_bias_of_all_queries_is_read_once_and_its_gradient_adds_them_up() -> None:
    op: Any = get_operator("attention")(q_heads=2, kv_heads=2)
    shapes = [(2, 4, 2), (2, 5, 2), (2, 5, 2)]
    costs = []
    for bias in ((1, 1, 1, 5), (1, 1, 4, 5)):
        t = bind(op, [Tensor(s, "fp32") for s in (*shapes, bias)], FP32)
        (gradient,) = op.gradients(t)
        costs.append((op.work(t), gradient.work))
    for one, each in zip(*costs, strict=True):
        assert one.macs == each.macs
        assert one.traffic(1e9) < each.traffic(1e9)
    # 2 samples of 2 heads and 20 pairs: 80 values are added up to 5, or to 20.
    assert costs[0][1].flops - costs[1][1].flops == (80 - 5) - (80 - 20)
