"""Activations, losses, optimizers and dropout: values and costs that generic tests cannot say."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from oracle import bind, check_operator
from test_gradients import check_gradient

from perfmodel.core import Operator, Tensor, parse_precision
from perfmodel.core.selection import tree_selection
from perfmodel.errors import InputError
from perfmodel.kernels.naive import naive_kernel
from perfmodel.kernels.naive.dropout import philox
from perfmodel.ops import get_operator, registry
from perfmodel.readers.inline import complete_sizes

Array = npt.NDArray[Any]
FP32 = parse_precision("fp32")
BINARY = ("add", "sub", "mul", "div", "pow", "maximum", "minimum")


def random_array(shape: tuple[int, ...], seed: int, positive: bool = False) -> Array:
    values = np.random.default_rng(seed).normal(size=shape)
    return np.abs(values) + 0.1 if positive else values


def close(found: Any, expected: Any) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("name", "function"), [("log", np.log), ("sqrt", np.sqrt)])
def test_functions_of_positive_numbers(name: str, function: Any) -> None:
    x = random_array((2, 3, 5), 0, positive=True)
    close(naive_kernel(name)(x, weights={}), function(x))


def test_powers_broadcast() -> None:
    a, b = random_array((2, 3, 5), 0, positive=True), random_array((3, 1), 1)
    close(naive_kernel("pow")(a, b, weights={}), a**b)
    close(naive_kernel("pow")(a, weights={}), a**1.5)


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("shapes", [((2, 3, 4), (4,)), ((3, 1), (2, 3, 4)), ((2, 1), (1, 3))])
def test_the_gradient_of_a_broadcast_operand_is_a_sum(
    name: str, shapes: tuple[tuple[int, ...], ...]
) -> None:
    op = get_operator(name)()
    a, b = (Tensor(shape, "fp32") for shape in shapes)
    tensors = bind(op, [a, b], FP32)
    values = [random_array(shape, i, positive=True) for i, shape in enumerate(shapes)]
    y = naive_kernel(name)(*values, weights={})
    dy = random_array(y.shape, 7)
    for place, gradient in enumerate(op.gradients(tensors)):
        check_operations_of(op, tensors, gradient)
        made = backward(op, gradient.name, dy, *values, output=y)[f"input {place}"]
        expected = np.empty(shapes[place])
        for at in np.ndindex(*shapes[place]):
            sides = []
            for move in (1e-6, -1e-6):
                moved = [v.copy() for v in values]
                moved[place][at] += move
                sides.append(float((dy * naive_kernel(name)(*moved, weights={})).sum()))
            expected[at] = (sides[0] - sides[1]) / 2e-6
        np.testing.assert_allclose(made, expected, rtol=1e-6, atol=1e-6)


def check_operations_of(op: Operator, tensors: Any, gradient: Any) -> None:
    if gradient.work.launches:  # else dy is passed on, and nothing is there to count
        check_gradient(op, tensors, gradient)


def backward(op: Operator, part: str, dy: Any, *inputs: Array, **more: Any) -> dict[str, Array]:
    kernel: Any = naive_kernel(f"{op.name}_grad")
    made: dict[str, Array] = kernel(part, dy, *inputs, weights={}, **more)
    return made


def test_a_residual_connection_passes_its_gradient_on_and_moves_nothing() -> None:
    op = get_operator("add")()
    tensors = bind(op, [Tensor((4, 3), "fp32"), Tensor((4, 3), "fp32")], FP32)
    for gradient in op.gradients(tensors):
        assert (gradient.work.accesses, gradient.work.launches) == ((), 0)


def test_in_a_sweep_only_the_points_that_broadcast_sum_a_gradient() -> None:
    op = get_operator("add")()
    lengths = np.array([1.0, 5.0])
    tensors = bind(op, [Tensor((lengths, 3), "fp32"), Tensor((1, 3), "fp32")], FP32)
    work = op.gradients(tensors)[1].work
    np.testing.assert_array_equal(work.flops, [0, 12])
    np.testing.assert_array_equal(work.launches, [0, 1])
    np.testing.assert_array_equal(work.bytes_read, [0, 60])
    np.testing.assert_array_equal(work.bytes_written, [0, 12])


@pytest.mark.parametrize("shape", [(1, 1), (2, 3, 5), (4, 33)])
def test_online_softmax_equals_two_passes(shape: tuple[int, ...]) -> None:
    x = 30.0 * random_array(shape, 3)
    online, two_pass = (
        naive_kernel("softmax")(x, weights={}, algorithm=a) for a in ("online", "two_pass")
    )
    close(online, two_pass)


def test_online_softmax_reads_a_long_row_once_less() -> None:
    x = Tensor((8, 1024), "fp32")
    moved = []
    for algorithm in ("two_pass", "online"):
        op = get_operator("softmax")(algorithm=algorithm)
        (only,) = op.algorithms(bind(op, [x], FP32))
        assert only.name == algorithm
        moved.append(only.work.traffic(0))
        assert only.work.traffic(4096) == 2 * x.bytes
    assert moved == [4 * x.bytes, 3 * x.bytes]


def test_a_tournament_compares_less_than_passes_of_maximum() -> None:
    assert tree_selection(1024, 1) == 1023
    assert tree_selection(1024, 51) == 1023 + 50 * 10


def test_winners_are_the_largest_even_where_values_tie() -> None:
    x = np.array([[1.0, 3.0, 3.0, 2.0, -1.0], [0.0, 0.0, 0.0, 0.0, 0.0]])
    y = naive_kernel("k_winners_take_all")(x, weights={}, k=3)
    np.testing.assert_array_equal(y, [[0, 3, 3, 2, 0], [0, 0, 0, 0, 0]])


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_cross_entropy_is_the_log_softmax_at_the_target(reduction: str) -> None:
    x, target = random_array((2, 3, 5), 0), np.array([[0, 4, 2], [3, 3, 1]])
    losses = -np.take_along_axis(
        x - np.logaddexp.reduce(x, axis=-1, keepdims=True), target[..., None], axis=-1
    )[..., 0]
    found = naive_kernel("cross_entropy")(x, target, weights={}, reduction=reduction)
    close(found, losses.mean() if reduction == "mean" else losses)


def test_losses_do_not_overflow() -> None:
    x, target = np.array([-800.0, 800.0]), np.array([0.0, 1.0])
    found = naive_kernel("binary_cross_entropy")(x, target, weights={}, reduction="none")
    close(found, [0.0, 0.0])
    close(naive_kernel("softplus")(x, weights={}), [0.0, 800.0])


def moments(g: Array, m: Array, v: Array) -> tuple[Array, Array]:
    return 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2


def adapted(m: Array, v: Array) -> Array:
    """Adam's direction at the first step, with both moments corrected."""
    return (m / (1 - 0.9)) / (np.sqrt(v / (1 - 0.999)) + 1e-8)


OPTIMIZED = [random_array((3, 5), i, positive=i == 3) for i in range(4)]


@pytest.mark.parametrize(("name", "kept"), [("adam", 1.0), ("adamw", 1 - 0.1 * 0.01)])
def test_adam_follows_its_paper(name: str, kept: float) -> None:
    p, g, m, v = OPTIMIZED
    m, v = moments(g, m, v)
    expected = (kept * p - 0.1 * adapted(m, v), m, v)
    for found, right in zip(naive_kernel(name)(*OPTIMIZED, weights={}), expected, strict=True):
        close(found, right)


def test_lamb_scales_its_step_by_norms() -> None:
    p, g, m, v = OPTIMIZED
    m, v = moments(g, m, v)
    update = adapted(m, v) + 0.01 * p
    ratio = np.linalg.norm(p) / np.linalg.norm(update)
    found = naive_kernel("lamb")(*OPTIMIZED, weights={})
    for made, right in zip(found, (p - 0.1 * ratio * update, m, v), strict=True):
        close(made, right)


def test_adafactor_factors_its_second_moment() -> None:
    p, g = OPTIMIZED[:2]
    rows, cols = random_array((3,), 4, positive=True), random_array((5,), 5, positive=True)
    new_rows = 0.8 * rows + 0.2 * (g**2).sum(axis=1)
    new_cols = 0.8 * cols + 0.2 * (g**2).sum(axis=0)
    update = g / np.sqrt(np.outer(new_rows, new_cols) / new_rows.sum())
    update = update / max(1.0, math.sqrt((update**2).mean()))
    step = 0.1 * max(1e-3, math.sqrt((p**2).mean()))
    found = naive_kernel("adafactor")(p, g, rows, cols, weights={})
    for made, right in zip(found, (p - step * update, new_rows, new_cols), strict=True):
        close(made, right)


@pytest.mark.parametrize("name", ["sgd", "momentum", "adam", "adamw", "lamb"])
def test_an_optimizer_keeps_the_state_it_states(name: str) -> None:
    op_class: Any = registry()[name]
    sizes = complete_sizes(op_class, {"elements": 7})
    op, inputs = op_class.from_sizes(sizes, parse_precision("bf16"))
    tensors = bind(op, inputs, parse_precision("bf16"))
    states = tensors.inputs[2:]
    assert [t.dtype for t in states] == ["fp32"] * op_class.state_tensors
    assert len(tensors.outputs) == 1 + op_class.state_tensors
    assert tensors.y.dtype == "bf16"
    # 2 bytes of parameter twice and of gradient once, 4 of each state twice.
    work = op.work(tensors)
    at_least = 7 * (6 + 8 * op_class.state_tensors)
    assert work.traffic(None) == at_least + (2 * 7 * 4 if name == "lamb" else 0)


def test_lamb_and_adafactor_read_again_what_a_level_cannot_hold() -> None:
    for name, sizes, again in (
        ("lamb", {"elements": 1000}, 4000),
        ("adafactor", {"rows": 10, "cols": 100}, 12000),
    ):
        op_class = registry()[name]
        op, inputs = op_class.from_sizes(complete_sizes(op_class, sizes), FP32)
        work = op.work(bind(op, inputs, FP32))
        assert work.traffic(0) - work.traffic(1e9) == again
        assert work.traffic(1e9) == work.traffic(None)


def test_philox_gives_its_published_numbers() -> None:
    # Known-answer vectors of Random123, philox4x32-10.
    assert philox([0, 0, 0, 0], (0, 0)) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    ones = 0xFFFFFFFF
    assert philox([ones] * 4, (ones, ones)) == [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]


@pytest.mark.parametrize("rate", ["0", "0.1", "0.9"])
def test_dropout_drops_its_share_and_keeps_the_mean(rate: str) -> None:
    x = np.ones(4001)
    y, mask = naive_kernel("dropout")(x, weights={}, rate=rate, training=True)
    assert abs(mask.mean() - (1 - float(rate))) < 0.02
    close(y, mask / (1 - float(rate)))


@pytest.mark.parametrize("rate", ["1", "-0.1", "half"])
def test_dropout_refuses_a_rate_that_is_no_share(rate: str) -> None:
    with pytest.raises(InputError, match="rate"):
        bind(get_operator("dropout")(rate=rate), [Tensor((3,), "fp32")], FP32)


def test_dropout_is_free_in_inference_and_keeps_a_byte_an_element_in_training() -> None:
    x = Tensor((1000,), "fp16")
    free = get_operator("dropout")(training=False)
    assert free.is_a_view()
    tensors = bind(free, [x], FP32)
    assert free.work(tensors).traffic(None) == 0
    assert free.gradients(tensors)[0].work.launches == 0
    training = free.for_training()
    tensors = bind(training, [x], FP32)
    (gradient,) = training.gradients(tensors)
    assert sum(t.bytes for t in gradient.saved) == 1000
    assert training.work(tensors).traffic(None) == 2 * 2000 + 1000


REFUSED: list[tuple[str, dict[str, Any], list[tuple[int, ...]], str]] = [
    ("prelu", {}, [(3,)], r"expects x\[N,C,...\]"),
    ("swiglu", {}, [(3, 5)], "modulo 2"),
    ("geglu", {}, [()], "scalar"),
    ("k_winners_take_all", {"k": 6}, [(3, 5)], "k=6"),
    ("log_softmax", {}, [()], "scalar"),
    ("cross_entropy", {}, [(3, 5), (5,)], "axis 0 of the target"),
    ("cross_entropy", {}, [(3, 5), (3, 5)], r"target\[...\]"),
    ("mse", {}, [(3, 5), (3, 4)], "axis 1 of the target"),
    ("mse", {}, [(3, 5), (3,)], "2 axes"),
    ("adam", {}, [(3,), (3,), (3,), (4,)], "axis 0"),
    ("adafactor", {}, [(3, 5), (3, 5), (5,), (3,)], "axis 0"),
    ("adafactor", {}, [(3,), (3,), (3,), (3,)], r"p\[R,C\]"),
]


@pytest.mark.parametrize(("name", "attributes", "shapes", "message"), REFUSED)
def test_shapes_that_do_not_fit_are_refused(
    name: str, attributes: dict[str, Any], shapes: list[tuple[int, ...]], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        bind(get_operator(name)(**attributes), [Tensor(s, "fp32") for s in shapes], FP32)


@pytest.mark.parametrize(
    ("name", "attributes", "shapes"),
    [
        ("prelu", {"shared": True}, [(2, 3, 5)]),
        ("prelu", {}, [(2, 3, 5)]),
        ("swiglu", {}, [(2, 3, 4)]),
        ("softmax", {"algorithm": "online"}, [(2, 3, 5)]),
        ("k_winners_take_all", {"k": 2}, [(2, 3, 5)]),
        ("mse", {"reduction": "none"}, [(2, 3), (2, 3)]),
        ("binary_cross_entropy", {}, [(2, 3), (2, 3)]),
        ("lamb", {}, [(2, 3)] * 4),
        ("dropout", {"training": True, "rate": "0.2"}, [(3, 3)]),
    ],
)
def test_counts_beyond_inline_sizes(
    name: str, attributes: dict[str, Any], shapes: list[tuple[int, ...]]
) -> None:
    op = get_operator(name)(**attributes)
    inputs = [Tensor(shape, "fp32") for shape in shapes]
    check_operator(op, inputs, FP32)
    tensors = bind(op, inputs, FP32)
    for gradient in op.gradients(tensors):
        check_gradient(op, tensors, gradient)
