"""The counts of every operator, against its naive kernel run on counting numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from oracle import Counted, Tally, bind, check_operator, count

from perfmodel.core import (
    Access,
    Algorithm,
    Bound,
    Dim,
    Engine,
    Operator,
    Precision,
    Tensor,
    Work,
    parse_precision,
)
from perfmodel.kernels.naive import naive_kernel
from perfmodel.ops import get_operator, registry
from perfmodel.readers.inline import complete_sizes, write_inline

FP32 = parse_precision("fp32")
#: a format a role, so that bytes taken in the wrong role's format show
MIXED = Precision("mixed", weight="fp8_e4m3", activation="fp16", kv="int4")

SMALL = [
    pytest.param(name, sizes, id=write_inline(name, sizes))
    for name, op_class in registry().items()
    for sizes in op_class.small
]

#: what inline sizes cannot say: operator, attributes, input shapes
BEYOND_INLINE: list[tuple[str, Mapping[str, Any], list[tuple[int, ...]]]] = [
    ("matmul", {}, [(2, 3, 4, 5), (5, 3)]),
    ("matmul", {}, [(2, 3, 4, 5), (2, 3, 5, 1)]),
    ("affine", {"units": 3, "bias": False}, [(2, 3, 5)]),
    ("affine", {"units": 2}, [(7,)]),
    ("layer_norm", {"bias": False}, [(2, 3, 5)]),
    ("rms_norm", {}, [(2, 1, 7)]),
    ("softmax", {}, [(2, 3, 1, 5)]),
    ("batch_norm", {}, [(2, 3, 4, 1, 2)]),
    ("lstm", {"hidden": 3, "biases": 2}, [(2, 3, 5)]),
    ("lstm", {"hidden": 2, "layers": 2, "directions": 2, "biases": 2}, [(1, 2, 3)]),
    *((name, {"hidden": 3, "biases": 0}, [(2, 3, 2)]) for name in ("rnn", "gru", "lstm")),
    ("slice", {"length": 2, "axis": 1, "start": 1}, [(2, 4, 3)]),
    ("transpose", {"axes": (2, 0, 1)}, [(2, 3, 5)]),
    ("transpose", {"axes": (0, -1, 1)}, [(2, 3, 5)]),
    ("concat", {"axis": 0}, [(2, 3), (1, 3), (4, 3)]),
    ("concat", {"axis": 1}, [(2, 3, 2), (2, 1, 2)]),
    ("reshape", {"shape": (3, -1, 2)}, [(4, 9)]),
    ("conv2d", {"out_channels": 2, "kernel": (3, 2), "stride": (2, 1), "padding": (1, 0, 2, 1),
                "dilation": (1, 2), "bias": True}, [(2, 3, 5, 7)]),
    ("conv2d", {"out_channels": 4, "kernel": 3, "padding": (0, 2), "groups": 2}, [(1, 2, 6, 5)]),
    ("max_pool2d", {"kernel": (3, 1), "stride": (2, 3), "padding": (1, 0, 0, 2)}, [(2, 1, 5, 7)]),
    ("avg_pool2d", {"kernel": 2, "stride": 1, "padding": (2, 0, 0, 1)}, [(1, 2, 3, 4)]),
    *((name, {}, [(2, 3, 4), shape]) for name in ("add", "sub", "mul", "div")
      for shape in ((4,), (3, 1))),
    ("add", {}, [(3, 1), (2, 1, 4)]),
]  # fmt: skip

#: attention the inline form cannot say: attributes, length of q, new keys, D, E
ATTENTION: list[tuple[Mapping[str, Any], int, int, int, int]] = [
    ({"q_heads": 2, "kv_heads": 1, "cached": True, "context": 4, "causal": True}, 1, 1, 3, 3),
    ({"q_heads": 2, "kv_heads": 2, "cached": True, "context": 5, "causal": True}, 3, 3, 2, 1),
    ({"q_heads": 1, "kv_heads": 1, "cached": True, "context": 0, "causal": True}, 3, 3, 2, 2),
    ({"q_heads": 1, "kv_heads": 1, "cached": True, "context": 254, "causal": True}, 4, 4, 1, 2),
    ({"q_heads": 1, "kv_heads": 1, "cached": True, "context": 6, "window": 3}, 2, 2, 2, 3),
    ({"q_heads": 2, "kv_heads": 1, "causal": True, "window": 130}, 3, 262, 1, 1),
    ({"q_heads": 1, "kv_heads": 1, "causal": True, "window": 9}, 4, 4, 2, 1),
    ({"q_heads": 1, "kv_heads": 1, "window": 9}, 3, 4, 2, 1),
    ({"q_heads": 1, "kv_heads": 1, "causal": True}, 5, 3, 2, 1),
    ({"q_heads": 2, "kv_heads": 1}, 2, 257, 1, 1),
]


def inline(
    name: str, sizes: Mapping[str, Any], precision: Precision
) -> tuple[Operator, list[Tensor]]:
    op_class = get_operator(name)
    return op_class.from_sizes(complete_sizes(op_class, sizes), precision)


@pytest.mark.parametrize("name", registry())
def test_every_operator_has_a_naive_kernel_and_three_small_sizes(name: str) -> None:
    assert callable(naive_kernel(name))
    assert len(registry()[name].small) >= 3


@pytest.mark.parametrize("precision", [FP32, MIXED], ids=lambda p: p.name)
@pytest.mark.parametrize(("name", "sizes"), SMALL)
def test_counts_equal_the_naive_kernel(
    name: str, sizes: Mapping[str, Any], precision: Precision
) -> None:
    check_operator(*inline(name, sizes, precision), precision)


@pytest.mark.parametrize("precision", [FP32, MIXED], ids=lambda p: p.name)
@pytest.mark.parametrize("case", BEYOND_INLINE, ids=str)
def test_counts_beyond_inline_sizes_equal_the_naive_kernel(
    case: tuple[str, Mapping[str, Any], list[tuple[int, ...]]], precision: Precision
) -> None:
    name, attributes, shapes = case
    inputs = [Tensor(shape, precision.activation) for shape in shapes]
    check_operator(get_operator(name)(**attributes), inputs, precision)


@pytest.mark.parametrize("precision", [FP32, MIXED], ids=lambda p: p.name)
@pytest.mark.parametrize("algorithm", ["flash", "unfused"])
@pytest.mark.parametrize("case", ATTENTION, ids=str)
def test_attention_counts_equal_the_naive_kernel(
    case: tuple[Mapping[str, Any], int, int, int, int], algorithm: str, precision: Precision
) -> None:
    attributes, q_len, new, head_dim, value_dim = case
    op = get_operator("attention")(**attributes, algorithm="auto")
    q_heads, kv_heads = attributes["q_heads"], attributes["kv_heads"]
    inputs = [
        Tensor((2, q_len, q_heads * head_dim), precision.activation),
        Tensor((2, new, kv_heads * head_dim), precision.kv),
        Tensor((2, new, kv_heads * value_dim), precision.kv),
    ]
    check_operator(op, inputs, precision, algorithm)


@pytest.mark.parametrize(("name", "sizes"), SMALL)
def test_one_operation_too_few_fails_the_check(
    name: str, sizes: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    op, inputs = inline(name, sizes, FP32)
    for key, operations in op.work(bind(op, inputs, FP32)).ops.items():
        if operations:
            plant(monkeypatch, op, lambda w, k=key: with_ops(w, k, w.ops.get(k, 0) - 1))
            refuses(op, inputs)
            monkeypatch.undo()


@pytest.mark.parametrize(("name", "sizes"), SMALL)
def test_one_element_too_few_moved_fails_the_check(
    name: str, sizes: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    op, inputs = inline(name, sizes, FP32)
    tensors = bind(op, inputs, FP32)
    checked = {t.name for t in (*tensors.inputs, *tensors.weights, *tensors.outputs)}
    for i, access in enumerate(op.work(tensors).accesses):
        if access.tensor in checked and access.bytes:
            plant(monkeypatch, op, lambda w, i=i: with_bytes(w, i, w.accesses[i].bytes - 4))
            refuses(op, inputs)
            monkeypatch.undo()


PLANTED: dict[str, tuple[str, Mapping[str, Any], Callable[[Work], Work]]] = {
    "an affine layer without its bias addition": (
        "affine", {"m": 2, "n": 3, "k": 4}, lambda w: with_ops(w, ("vector", "fp32"), 0)),
    "a convolution that ignores its two groups": (
        "conv2d", {"n": 1, "c": 4, "h": 5, "w": 5, "k": 4, "r": 3, "s": 3, "groups": 2},
        lambda w: replace(with_ops(w, ("matrix", "fp32"), 4 * w.macs), macs=2 * w.macs)),
    "MACs counted as two": (
        "matmul", {"m": 2, "n": 3, "k": 4}, lambda w: replace(w, macs=2 * w.macs)),
    "matrix operations on the vector engine": (
        "matmul", {"m": 2, "n": 3, "k": 4},
        lambda w: replace(w, ops={("vector", "fp32"): w.ops["matrix", "fp32"]})),
    "a tanh that is MACs": ("tanh", {"elements": 3}, lambda w: replace(w, macs=3)),
    "an embedding that reads its whole table": (
        "embedding", {"lookups": 2, "width": 3, "rows": 7}, lambda w: with_bytes(w, 1, 7 * 3 * 4)),
    "a reshape that moves": (
        "reshape", {"rows": 2, "cols": 3},
        lambda w: replace(w, accesses=(Access("output", "write", 24),))),
    "an input that is written": (
        "relu", {"elements": 3},
        lambda w: replace(w, accesses=(*w.accesses, Access("input 0", "write", 12)))),
}  # fmt: skip


@pytest.mark.parametrize("defect", PLANTED)
def test_a_planted_wrong_count_fails_the_check(
    defect: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, sizes, change = PLANTED[defect]
    op, inputs = inline(name, sizes, FP32)
    check_operator(op, inputs, FP32)
    plant(monkeypatch, op, change)
    refuses(op, inputs)


def test_a_relu_of_two_operations_fails_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    op, inputs = inline("relu", {"elements": 5}, FP32)
    monkeypatch.setattr(type(op), "vector_ops", 2)
    refuses(op, inputs)


def test_a_wrong_output_shape_fails_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    op, inputs = inline("transpose", {"rows": 2, "cols": 3}, FP32)
    monkeypatch.setattr(type(op), "order", lambda self, rank: tuple(range(rank)))
    refuses(op, inputs)


def test_an_operator_without_a_naive_kernel_fails_the_check(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    op, inputs = inline("relu", {"elements": 5}, FP32)
    monkeypatch.setattr(type(op), "name", "unheard_of")
    with pytest.raises(KeyError, match="unheard_of"):
        check_operator(op, inputs, FP32)


def test_an_algorithm_that_is_not_offered_fails_the_check() -> None:
    sizes = {"batch": 1, "q_heads": 1, "q_len": 2, "head_dim": 2}
    with pytest.raises(AssertionError, match="offers no algorithm"):
        check_operator(*inline("attention", sizes, FP32), FP32, "fft")


COUNTED: dict[str, tuple[Callable[[Any, Any], Any], Mapping[str, int]]] = {
    "sum": (lambda x, y: x + y, {"add": 1}),
    "sum with constants": (lambda x, y: 1.0 + x + 2.0, {"add": 2}),
    "difference": (lambda x, y: x - y, {"add": 1}),
    "differences with constants": (lambda x, y: 1.0 - x - 2.0, {"add": 2}),
    "product": (lambda x, y: x * y, {"multiply": 1}),
    "products with constants": (lambda x, y: 2.0 * x * 3.0, {"multiply": 2}),
    "quotients": (lambda x, y: 1.0 / (x / y), {"special": 2}),
    "negation": (lambda x, y: -x, {"negate": 1}),
    "largest": (lambda x, y: max(x, y, 0.0), {"compare": 2}),
    "smallest": (lambda x, y: min(0.0, x), {"compare": 1}),
    "special functions": (lambda x, y: x.exp().tanh().erf().sqrt(), {"special": 4}),
    "multiply-accumulate": (lambda x, y: x.mac(0.0, y), {"dense multiply": 1, "dense add": 1}),
    "operations on a constant": (lambda x, y: x.constant(0.0) + 1.0, {"add": 1}),
}


@pytest.mark.parametrize("case", COUNTED)
def test_a_counted_number_counts_every_operation_by_kind(case: str) -> None:
    compute, expected = COUNTED[case]
    tally = Tally()
    compute(Counted(1.0, tally), Counted(2.0, tally))
    assert tally.operations == expected


@pytest.mark.parametrize(
    "uncounted", [lambda x: x**2, float, abs, lambda x: x == 1.0, lambda x: x // 2.0, hash, int]
)
def test_a_counted_number_refuses_what_it_cannot_count(uncounted: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError):
        uncounted(Counted(1.0, Tally()))


def test_an_element_is_touched_when_used_or_passed_on() -> None:
    sizes = {"rows": 3, "cols": 5, "length": 2}
    op, inputs = inline("slice", sizes, FP32)
    assert count(op, inputs, FP32).touched == {"input 0": 3 * 2}
    op, inputs = inline("embedding", {"lookups": 2, "width": 3, "rows": 7}, FP32)
    assert count(op, inputs, FP32).touched == {"input 0": 2, "table": 2 * 3}


def plant(monkeypatch: pytest.MonkeyPatch, op: Operator, change: Callable[[Work], Work]) -> None:
    """Make every count of ``op`` the one that ``change`` returns."""
    cls = type(op)
    work, algorithms = cls.work, cls.algorithms

    def changed(self: Operator, t: Bound) -> list[Algorithm]:
        return [Algorithm(a.name, change(a.work)) for a in algorithms(self, t)]

    monkeypatch.setattr(cls, "work", lambda self, t: change(work(self, t)))
    if hasattr(op, "algorithm"):
        monkeypatch.setattr(cls, "algorithms", changed)


def refuses(op: Operator, inputs: list[Tensor]) -> None:
    with pytest.raises(AssertionError):
        check_operator(op, inputs, FP32)


def with_ops(work: Work, key: tuple[Engine, str], operations: Dim) -> Work:
    return replace(work, ops={**work.ops, key: operations})


def with_bytes(work: Work, index: int, moved: Dim) -> Work:
    accesses = list(work.accesses)
    accesses[index] = replace(accesses[index], bytes=moved)
    return replace(work, accesses=tuple(accesses))
