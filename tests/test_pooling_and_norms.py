"""Identities of pools and norms, and what plain random arrays cannot check."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from naive_references.normalization import scaled, standard
from naive_references.pooling import pooled
from oracle import bind

from perfmodel.core import Bound, Operator, Tensor, Work, parse_precision
from perfmodel.kernels.naive import naive_kernel
from perfmodel.ops import get_operator
from perfmodel.readers.inline import complete_sizes, parse_inline

FP32 = parse_precision("fp32")


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


def test_overlapping_pools_have_a_stride_below_their_window() -> None:
    # Krizhevsky et al. 2012, section 3.4: 55 -> 27 with windows of 3 two apart.
    _, tensors = bound("max_pool2d:n=1,c=96,h=55,w=55,r=3,s=3,stride=2")
    assert tensors.y.shape == (1, 96, 27, 27)
    apart = work("max_pool2d:n=1,c=1,h=9,w=9,r=3,s=3")
    overlapping = work("max_pool2d:n=1,c=1,h=9,w=9,r=3,s=3,stride=1")
    assert (apart.flops, overlapping.flops) == (9 * 8, 49 * 8)
    x = random(1, 2, 7, 7)
    y = naive_kernel("max_pool2d")(x, weights={}, kernel=3, stride=2, padding=0)
    np.testing.assert_array_equal(y, pooled(x, np.max, -np.inf, (3, 3), (2, 2), ((0, 0), (0, 0))))


@pytest.mark.parametrize("image", [(6,), (4, 6), (2, 4, 6)])
def test_pooling_and_unpooling_by_indices_leaves_only_the_maxima(image: tuple[int, ...]) -> None:
    x, rank = random(2, 3, *image), len(image)
    y, indices = naive_kernel(f"max_pool{rank}d")(
        x, weights={}, kernel=2, stride=2, padding=0, indices=True
    )
    np.testing.assert_array_equal(x.flat[indices], y)
    again = naive_kernel(f"max_unpool{rank}d")(y, indices, weights={}, size=image)
    np.testing.assert_array_equal(again[again != 0], x[again != 0])
    twos, nothing = (2,) * rank, ((0, 0),) * rank
    np.testing.assert_array_equal(pooled(again, np.sum, 0.0, twos, twos, nothing), y)
    assert np.count_nonzero(again) == y.size


def test_indices_of_a_pool_are_an_output_of_64_bits() -> None:
    op = get_operator("max_pool2d")(kernel=2, stride=2, indices=True)
    tensors = bind(op, [Tensor((1, 2, 4, 6), "fp16")], FP32)
    assert [(t.shape, t.dtype, t.role) for t in tensors.outputs] == [
        ((1, 2, 2, 3), "fp16", "activation"),
        ((1, 2, 2, 3), "int64", "index"),
    ]
    assert op.work(tensors).bytes_written == 12 * 2 + 12 * 8


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_stochastic_pooling_draws_by_cumulative_probability(rank: int) -> None:
    x = np.abs(random(1, 4, *(6,) * rank)) + 0.1
    places = (1, 4, *(3,) * rank)
    bits = np.random.default_rng(1).integers(0, 2**32, size=places)
    y = naive_kernel(f"stochastic_pool{rank}d")(x, bits, weights={}, kernel=2, stride=2, padding=0)
    axes = (0, 1, *range(2, 2 * rank + 2, 2), *range(3, 2 * rank + 2, 2))
    windows = x.reshape(1, 4, *(3, 2) * rank).transpose(axes).reshape(*places, 2**rank)
    shares = np.cumsum(windows / windows.sum(axis=-1, keepdims=True), axis=-1)
    chosen = (shares > (bits / 2**32)[..., None]).argmax(axis=-1)
    assert len(np.unique(chosen)) == min(2**rank, 8)
    np.testing.assert_array_equal(
        y, np.take_along_axis(windows, chosen[..., None], axis=-1)[..., 0]
    )


def test_a_pyramid_of_4_2_1_has_21_bins_whatever_the_image() -> None:
    for h, w in ((13, 13), (10, 17)):
        _, tensors = bound(f"spatial_pyramid_pool2d:n=2,c=256,h={h},w={w}")
        assert tensors.y.shape == (2, 256 * 21)


def test_batch_norm_in_training_takes_the_batchs_statistics() -> None:
    x = random(4, 3, 5, 2)
    weights = {n: np.abs(random(3, seed=i)) for i, n in enumerate(
        ("gamma", "beta", "mean", "variance"))}  # fmt: skip
    expected = scaled(standard(x, (0, 2, 3)), weights)
    y = naive_kernel("batch_norm")(x, weights=weights, training=True)
    np.testing.assert_allclose(y, expected, rtol=1e-9, atol=1e-12)
    last = naive_kernel("batch_norm")(
        x.transpose(0, 2, 3, 1), weights=weights, training=True, layout="nhwc"
    )
    np.testing.assert_allclose(last.transpose(0, 3, 1, 2), y)
    plain = {n: weights[n] for n in ("gamma", "beta", "mean")} | {"deviation": np.ones(3)}
    renorm = naive_kernel("batch_renorm")(x, weights=plain, r_max=1, d_max=0)
    np.testing.assert_allclose(renorm, expected, rtol=1e-9, atol=1e-12)


def test_batch_norm_trains_on_the_batch_and_reads_stored_statistics_after() -> None:
    op = get_operator("batch_norm")()
    trained = op.for_training()
    inference = bind(op, [Tensor((8, 4, 3, 3), "fp32")], FP32)
    training = bind(trained, [Tensor((8, 4, 3, 3), "fp32")], FP32)
    assert not inference.kept
    assert [t.name for t in training.kept] == ["batch_mean", "batch_factor"]
    assert trained.work(training).bytes_written == op.work(inference).bytes_written + 2 * 4 * 4


def test_renorm_gradient_holds_its_corrections_constant() -> None:
    x, dy = random(3, 2, 2, 2), random(3, 2, 2, 2, seed=1)
    weights = {"gamma": np.array([1.5, 0.5]), "beta": np.zeros(2), "mean": np.array([0.3, -0.2]),
               "deviation": np.array([0.7, 1.9])}  # fmt: skip
    sizes: dict[str, Any] = {"r_max": 3, "d_max": 5, "layout": "nchw"}
    kept: Any = naive_kernel("batch_renorm_kept")(x, weights=weights, **sizes)
    assert np.all(np.abs(kept["r"] - 1) > 0.01)
    made: Any = naive_kernel("batch_renorm_grad")(
        "input", dy, x, output=x, weights=weights, kept=kept, **sizes
    )
    r, d = (kept[n].reshape(1, 2, 1, 1) for n in "rd")

    def loss(at: Any) -> float:
        return float((scaled(standard(at, (0, 2, 3)) * r + d, weights) * dy).sum())

    for place in np.ndindex(x.shape):
        step = np.zeros(x.shape)
        step[place] = 1e-5
        expected = (loss(x + step) - loss(x - step)) / 2e-5
        assert made["input 0"][place] == pytest.approx(expected, rel=1e-5, abs=1e-7)
    normalized = standard(x, (0, 2, 3)) * r + d
    np.testing.assert_allclose(made["gamma"], (normalized * dy).sum(axis=(0, 2, 3)))


def test_instance_norm_is_group_norm_of_single_channels() -> None:
    instance = work("instance_norm:n=2,c=6,h=4,w=4")
    group = work("group_norm:n=2,c=6,h=4,w=4,groups=6")
    assert (instance.ops, moved(instance)) == (group.ops, moved(group))
