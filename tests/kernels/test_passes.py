"""What kernels state: products, bytes, reuse; and that a statement is what a run does."""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any

import numpy as np
import pytest

from perfmodel.errors import InputError
from perfmodel.kernels import cuda
from perfmodel.kernels.dry import DryError, DryNamespace
from perfmodel.kernels.passes import PRODUCTS, Pass, merged
from perfmodel.kernels.registry import case, kernel_for, kernels, kernels_of
from perfmodel.kernels.reuse import Reuse
from perfmodel.ops import registry

#: sizes at which nothing is computed in vain: a product a MAC of the operator's
EXACT = {
    ("matmul", "default"): [{"m": 64, "n": 48, "k": 32}, {"m": 1, "n": 48, "k": 32},
                            {"m": 7, "n": 9, "k": 33, "batch": 3}],
    ("affine", "default"): [{"m": 64, "n": 48, "k": 32}, {"m": 700, "n": 1000, "k": 5},
                            {"m": 3, "n": 1, "k": 9}],
    ("low_rank_affine", "default"): [{"m": 64, "n": 48, "k": 32, "rank": 4}],
    ("conv2d", "im2col"): [{"n": 2, "c": 8, "h": 20, "w": 22, "k": 12, "r": 3, "s": 3, "pad": 1},
                           {"n": 1, "c": 8, "h": 20, "w": 22, "k": 12, "r": 1, "s": 1},
                           {"n": 1, "c": 8, "h": 20, "w": 22, "k": 12, "r": 5, "s": 3, "groups": 2,
                            "stride": 2}],
    ("conv2d", "direct"): [{"n": 2, "c": 8, "h": 20, "w": 22, "k": 12, "r": 3, "s": 3, "pad": 1},
                           {"n": 1, "c": 8, "h": 20, "w": 22, "k": 12, "r": 1, "s": 1},
                           {"n": 1, "c": 8, "h": 20, "w": 22, "k": 12, "r": 5, "s": 3,
                            "stride": 2}],
    ("conv3d", "im2col"): [{"n": 1, "c": 4, "d": 5, "h": 6, "w": 7, "k": 3, "t": 2, "r": 2,
                            "s": 2}],
    ("conv_transpose2d", "default"): [{"n": 2, "c": 8, "h": 7, "w": 9, "k": 4, "r": 2, "s": 2,
                                       "stride": 2}],
    ("attention", "unfused"): [{"batch": 2, "q_heads": 4, "kv_heads": 2, "q_len": 20,
                                "head_dim": 8}],
    ("attention", "flash"): [{"batch": 2, "q_heads": 4, "kv_heads": 2, "q_len": 600,
                              "head_dim": 8}],
    ("lstm", "default"): [{"steps": 5, "batch": 3, "input": 8, "hidden": 16, "layers": 2}],
    ("gru", "default"): [{"steps": 5, "batch": 3, "input": 8, "hidden": 16, "directions": 2}],
    ("rnn", "default"): [{"steps": 5, "batch": 3, "input": 8, "hidden": 16}],
}  # fmt: skip


def products(passes: tuple[Pass, ...]) -> float:
    return sum(p.flops for p in passes if p.kind in PRODUCTS)


@pytest.mark.parametrize(("name", "algorithm"), EXACT)
def test_products_are_the_operators_own(name: str, algorithm: str) -> None:
    for sizes in EXACT[name, algorithm]:
        found = case(name, sizes)
        counted = found.op.work(found.tensors)
        stated = products(kernels_of(name)[algorithm].passes(found))
        assert stated == sum(n for (engine, _), n in counted.ops.items() if engine == "matrix")


def test_winograd_spends_sixteen_and_thirty_six_products_a_tile() -> None:
    sizes = {"n": 1, "c": 8, "h": 16, "w": 16, "k": 4, "r": 3, "s": 3, "pad": 1}
    for algorithm, m, places in (("winograd2", 2, 16), ("winograd4", 4, 36)):
        passes = kernels_of("conv2d")[algorithm].passes(sizes)
        tiles = (16 // m) ** 2
        assert sum(p.flops for p in passes if p.batch == places) == 2 * places * 8 * 4 * tiles


def test_a_causal_flash_skips_hidden_blocks() -> None:
    sizes = {"batch": 1, "q_heads": 1, "q_len": 4096, "head_dim": 2}
    kernel = kernels_of("attention")["flash"]
    whole = products(kernel.passes(sizes))
    assert 0.5 < products(kernel.passes({**sizes, "causal": True})) / whole < 0.6


def test_elementwise_passes_read_and_write_what_they_touch() -> None:
    (only,) = kernel_for("add").passes({"elements": 1000})
    assert (only.kind, only.dtype, only.elements) == ("add", "fp32", 1000)
    assert (only.reads, only.writes, only.inner) == ((4000, 4000), 4000, 1000)
    assert only.reuse == (12000, 12000)
    assert kernel_for("add").passes({"elements": 1000}, "fp64")[0].bytes == 24000


def test_results_are_fresh_in_place_or_neither() -> None:
    xp = DryNamespace()
    a, b = xp.empty((10,), "float32"), xp.empty((10,), "float32")
    xp.add(a, b)
    xp.add(a, b, out=a)
    xp.add(a, a, out=b)
    stated = [(p.fresh, p.in_place, len(p.reads)) for p in xp.recorder.passes]
    assert stated == [(True, 0, 2), (False, 40, 2), (False, 0, 1)]


def test_a_chain_in_blocks_stays_in_cache() -> None:
    passes = kernel_for("gelu_tanh").passes({"elements": 1 << 22})
    total = 4 * (1 << 22)
    far = sum(
        p.calls * size
        for p in passes
        for size, reuse in zip(p.reads, p.reuse, strict=True)
        if reuse > 1 << 20
    )
    assert far == total  # only the input comes from memory, once
    assert sum(p.flops for p in passes) == 9 * (1 << 22)


def test_formats_that_no_library_computes_in_are_converted() -> None:
    passes = kernel_for("matmul").passes({"m": 32, "n": 32, "k": 32}, "fp16")
    assert [p.kind for p in passes] == ["cast", "cast", "gemm", "cast"]
    assert [p.dtype for p in passes] == ["fp32", "fp32", "fp32", "fp16"]


def test_int8_products_saturate() -> None:
    built = kernel_for("matmul").build({"m": 4, "n": 5, "k": 64}, "int8")
    (y,) = kernel_for("matmul").run(built)
    a, b = (x.astype("int64") for x in built.arrays.inputs)
    assert str(y.dtype) == "int8"
    assert np.array_equal(y, np.clip(a @ b, -128, 127))


class Spy:
    """NumPy that counts the calls that a dry run records."""

    __name__ = "numpy"

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        found = getattr(np, name)
        if name not in COUNTED:
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            self.calls[name] += 1
            return found(*args, **kwargs)

        call.reduceat = getattr(found, "reduceat", None)
        return call


COUNTED = ("add", "subtract", "multiply", "divide", "exp", "tanh", "maximum", "matmul", "copyto",
           "sum", "max", "take", "sqrt", "reciprocal", "where", "greater", "minimum")  # fmt: skip
KINDS = {
    "matmul": PRODUCTS,
    "copyto": ("copy", "cast", "fill", "where"),
    "sum": ("sum", "sum_rows"),
    "max": ("max", "max_rows"),
}


SPIED = (
    "gelu", "lstm", "attention", "conv2d", "softmax", "layer_norm", "max_pool2d", "batch_norm",
    "swiglu", "embedding_bag",
)  # fmt: skip


@pytest.mark.parametrize("name", SPIED)
def test_a_statement_is_what_a_run_calls(name: str) -> None:
    for algorithm, kernel in kernels_of(name).items():
        found = case(name, type(case(name, kernel_sizes(name)).op).small[2])
        if kernel.refusal(found):
            continue
        spy = Spy()
        built = kernel.build(found, xp=spy)
        spy.calls.clear()
        kernel.run(built)
        passes = kernel.passes(found)
        for call in COUNTED:
            stated = sum(p.calls for p in passes if p.kind in KINDS.get(call, (call,)))
            assert spy.calls[call] == stated, f"{algorithm}: {call}"


def kernel_sizes(name: str) -> Any:
    from perfmodel.ops import get_operator

    return get_operator(name).small[0]


def test_every_kernel_states_passes_of_finite_positive_size() -> None:
    for name, ways in kernels().items():
        found = case(name, kernel_sizes(name))
        for kernel in ways.values():
            if kernel.refusal(found):
                continue
            for p in kernel.passes(found):
                assert p.calls >= 1
                assert p.elements >= 0
                assert all(r >= size for r, size in zip(p.reuse, p.reads, strict=True)), (name, p)
                assert p.kind not in PRODUCTS or p.m * p.n * p.k * p.batch > 0


#: an operator that stands for one that is not known
WITHOUT_KERNEL = {"opaque"}


def test_every_operator_has_a_kernel_but_the_unknown_one() -> None:
    assert set(registry()) - set(kernels()) == WITHOUT_KERNEL


def test_the_interpreters_own_steps_are_stated_where_asked_for() -> None:
    sizes = {"n": 1, "c": 4, "h": 8, "w": 8, "k": 4, "r": 3, "s": 3, "pad": 1}
    kernel = kernels_of("conv2d")["im2col"]
    *calls, steps = kernel.passes(sizes, python=True)
    assert tuple(calls) == kernel.passes(sizes)
    assert (steps.kind, steps.bytes, steps.flops) == ("python", 0, 0)
    more = kernel.passes({**sizes, "n": 2}, python=True)[-1]
    assert steps.calls < more.calls < 2 * steps.calls


def test_equal_calls_are_stated_once_with_their_number() -> None:
    one = Pass("add", "fp32", 10.0)
    two = Pass("exp", "fp32", 10.0)
    assert [p.calls for p in merged([one, two, one, one])] == [3, 1]


def test_reuse_counts_each_byte_once() -> None:
    reuse = Reuse()
    for buffer in (1, 2, 2, 3):
        reuse.next_call()
        reuse.touch(buffer, 0, 100, 100.0)
    assert reuse.distance(1, 0, 100, 100.0) == 300
    assert reuse.distance(3, 0, 100, 100.0) == 100
    assert reuse.distance(1, 50, 100, 50.0) == 300
    reuse.next_call()
    reuse.touch(1, 0, 50, 50.0)
    assert reuse.distance(1, 0, 100, 100.0) == (100 + 300) / 2


def test_what_would_be_silently_slow_is_refused() -> None:
    xp = DryNamespace()
    a, b = xp.empty((4, 4), "float32"), xp.empty((4, 4), "float64")
    with pytest.raises(DryError, match="silently"):
        xp.add(a, b)
    with pytest.raises(DryError, match="would copy"):
        a.T.reshape(-1)
    with pytest.raises(DryError, match="single value"):
        a[0, 0]
    with pytest.raises(DryError, match="in Python"):
        bool(a)
    with pytest.raises(DryError, match="BLAS"):
        xp.matmul(xp.empty((8, 8), "float32")[::2, ::2], a)


def test_every_kernel_can_be_stated_for_a_gpu() -> None:
    for name, ways in kernels().items():
        found = case(name, kernel_sizes(name))
        for kernel in ways.values():
            if not kernel.refusal(found):
                on_gpu = kernel.passes(found, backend="cupy")
                assert bool(on_gpu) == bool(kernel.passes(found)), name


def test_a_gpu_fuses_what_a_cpu_passes_over_again_and_again() -> None:
    for name, sizes, kind in (
        ("gelu", {"elements": 1 << 20}, "fused"),
        ("swiglu", {"elements": 1 << 20}, "fused"),
        ("softmax", {"rows": 1000, "cols": 1000}, "fused_rows"),
        ("rms_norm", {"rows": 1000, "cols": 1000}, "fused_rows"),
    ):
        (only,) = kernel_for(name).passes(sizes, "fp16", backend="cupy")
        assert (only.kind, only.dtype, only.calls) == (kind, "fp16", 1)
    (only,) = kernel_for("matmul").passes({"m": 64, "n": 64, "k": 64}, "fp16", backend="cupy")
    assert (only.kind, only.dtype) == ("gemm", "fp16")


def test_a_missing_cupy_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(InputError, match="needs the package 'cupy'") as error:
        cuda.cupy()
    assert "--backend numpy" in str(error.value)


def test_unknown_names_are_one_clear_line() -> None:
    with pytest.raises(InputError, match="unknown operator"):
        kernel_for("matmull")
    with pytest.raises(InputError, match="no kernel 'fast'"):
        kernel_for("matmul", "fast")
    with pytest.raises(InputError, match="has no size 'x'"):
        kernel_for("matmul").passes({"m": 1, "n": 1, "k": 1, "x": 2})
    with pytest.raises(InputError, match="lacks the size k"):
        kernel_for("matmul").passes({"m": 1, "n": 1})
    with pytest.raises(InputError, match="3x3"):
        kernels_of("conv2d")["winograd4"].passes(
            {"n": 1, "c": 1, "h": 8, "w": 8, "k": 1, "r": 5, "s": 5}
        )
