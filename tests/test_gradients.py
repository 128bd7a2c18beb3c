"""Backward kernels: counts equal the naive ones, values equal finite differences."""

import dataclasses
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from oracle import ITEM_BYTES, Array, Counted, CountedIndex, Tally, bind, check_operations

from perfmodel.core import Bound, Gradient, Operator, Tensor, parse_precision
from perfmodel.kernels.naive import naive_kernel
from perfmodel.ops import registry
from perfmodel.readers.inline import complete_sizes

FP32 = parse_precision("fp32")
STEP = 1e-5
#: values of a tensor whose derivative is taken; a naive forward pass is slow
SAMPLED = 12

SMALL = [
    pytest.param(name, sizes, id=f"{name}-{i}")
    for name, op in registry().items()
    if op.has_gradient()
    for i, sizes in enumerate(op.small)
]

#: attention the inline form cannot say: attributes, length of q, keys, D, E
ATTENTION: list[tuple[Mapping[str, Any], int, int, int, int]] = [
    ({"q_heads": 2, "kv_heads": 1}, 2, 5, 3, 1),
    ({"q_heads": 4, "kv_heads": 2, "causal": True, "window": 2}, 4, 4, 2, 3),
    ({"q_heads": 2, "kv_heads": 2, "causal": True, "window": 9}, 5, 3, 1, 2),
    ({"q_heads": 2, "kv_heads": 1, "window": 3}, 4, 7, 2, 1),
    ({"q_heads": 3, "kv_heads": 1, "causal": True}, 5, 2, 1, 2),
]


def _bound(name: str, sizes: Mapping[str, Any]) -> tuple[Operator, Bound]:
    cls = registry()[name]
    op, inputs = cls.from_sizes(complete_sizes(cls, sizes), FP32)
    return op, bind(op, inputs, FP32)


def _attributes(op: Operator) -> dict[str, Any]:
    return {f.name: getattr(op, f.name) for f in dataclasses.fields(op)}


def _values(tensors: Bound, seed: int = 0) -> dict[str, Array]:
    random = np.random.default_rng(seed)
    values: dict[str, Array] = {}
    for tensor in (*tensors.inputs, *tensors.weights, *tensors.caches):
        # Distinct values some way apart, so that no maximum is a tie.
        shape = tuple(int(d) for d in tensor.shape)
        size = int(np.prod(shape, dtype=int))
        spread = random.permutation(size)
        if tensor.role == "index":
            values[tensor.name] = spread.reshape(shape)
        else:
            values[tensor.name] = (0.5 + spread / max(size, 1) * 1.3).reshape(shape)
    return values


def _forward(op: Operator, tensors: Bound, values: Mapping[str, Array]) -> tuple[Array, ...]:
    made = naive_kernel(op.name)(
        *(values[t.name] for t in tensors.inputs),
        weights={t.name: values[t.name] for t in tensors.weights},
        **{t.name: values[t.name] for t in tensors.caches},
        **_attributes(op),
    )
    return made if isinstance(made, tuple) else (made,)


Outputs = tuple[Array, ...]


def _kept(op: Operator, tensors: Bound, values: Mapping[str, Array]) -> dict[str, Array]:
    """Return what training keeps of the operator's temporaries."""
    if not tensors.kept:
        return {}
    made: dict[str, Array] = naive_kernel(f"{op.name}_kept")(  # type: ignore[assignment]
        *(values[t.name] for t in tensors.inputs),
        weights={t.name: values[t.name] for t in tensors.weights},
        **_attributes(op),
    )
    assert {n: a.shape for n, a in made.items()} == {t.name: t.shape for t in tensors.kept}
    return made


def _backward(
    op: Operator, tensors: Bound, values: Mapping[str, Array], dy: Outputs, y: Outputs, part: str
) -> dict[str, Array]:
    kept = {"kept": {t.name: values[t.name] for t in tensors.kept}} if tensors.kept else {}
    made: dict[str, Array] = naive_kernel(f"{op.name}_grad")(  # type: ignore[assignment]
        part,
        dy if len(dy) > 1 else dy[0],
        *(values[t.name] for t in tensors.inputs),
        output=y if len(y) > 1 else y[0],
        weights={t.name: values[t.name] for t in tensors.weights},
        **{t.name: values[t.name] for t in tensors.caches},
        **_attributes(op),
        **kept,
    )
    return made


@pytest.mark.parametrize(("name", "sizes"), SMALL)
def test_gradients_are_those_of_finite_differences(name: str, sizes: Mapping[str, Any]) -> None:
    check_values(*_bound(name, sizes))


def check_values(op: Operator, tensors: Bound) -> None:
    """Assert that the naive backward kernels give what finite differences give."""
    values = _values(tensors)
    y = _forward(op, tensors, values)
    values.update(_kept(op, tensors, values))
    random = np.random.default_rng(1)
    dy = tuple(random.uniform(0.5, 1.5, o.shape) for o in y)
    covered: set[str] = set()
    for gradient in op.gradients(tensors):
        made = _backward(op, tensors, values, dy, y, gradient.name)
        assert set(made) == {t.name for t in gradient.makes}
        for tensor in gradient.makes:
            covered.add(tensor.name)
            if gradient.sparse:
                continue  # its values are rows of a table; checked by its own test
            found = made[tensor.name]
            assert found.shape == tensor.shape
            places = list(np.ndindex(found.shape))
            if len(places) > SAMPLED:
                places = [places[i] for i in random.choice(len(places), SAMPLED, replace=False)]
            expected = []
            for place in places:
                sides = []
                for sign in (1, -1):
                    moved = dict(values)
                    moved[tensor.name] = values[tensor.name].copy()
                    moved[tensor.name][place] += sign * STEP
                    made_there = _forward(op, tensors, moved)
                    sides.append(
                        sum(float((d * o).sum()) for d, o in zip(dy, made_there, strict=True))
                    )
                expected.append((sides[0] - sides[1]) / (2 * STEP))
            sampled = [float(found[place]) for place in places]
            np.testing.assert_allclose(sampled, expected, rtol=1e-5, atol=1e-6)
    learned = {t.name for t in tensors.weights if t.role == "weight"}
    passed = {t.name for t in tensors.inputs if t.role != "index"}
    assert covered >= learned | passed, "a learned or passed tensor has no gradient"


def check_gradient(op: Operator, tensors: Bound, gradient: Gradient) -> None:
    """Assert that operations, bytes and what is saved are those of the naive kernel."""
    tally = Tally()

    def numbers(name: str, array: Array, index: bool = False) -> Array:
        tally.touched[name] = set()
        out = np.empty(array.shape, dtype=object)
        for place, value in enumerate(array.flat):
            kind = CountedIndex if index else Counted
            out.flat[place] = kind(float(value), tally, (name, place))
        return out

    values = _values(tensors)
    y = _forward(op, tensors, values)
    values.update(_kept(op, tensors, values))
    counted = {
        t.name: numbers(t.name, values[t.name], t.role == "index")
        for t in (*tensors.inputs, *tensors.weights, *tensors.caches, *tensors.kept)
    }
    outputs = list(zip(tensors.outputs, y, strict=True))
    dy = tuple(numbers(f"{t.name}.grad", np.full(o.shape, 0.7)) for t, o in outputs)
    output = tuple(numbers(t.name, o, t.role == "index") for t, o in outputs)
    made = _backward(op, tensors, counted, dy, output, gradient.name)
    for array in made.values():
        for number in array.flat:
            if isinstance(number, Counted):
                number.touch()
    check_operations(gradient.work, tally.operations)
    _check_bytes(gradient, tensors, made, tally)


def _check_bytes(
    gradient: Gradient, tensors: Bound, made: Mapping[str, Array], tally: Tally
) -> None:
    moved: Counter[tuple[str, str]] = Counter()
    for access in gradient.work.accesses:
        moved[access.tensor, access.direction] += access.bytes
    forward: dict[str, Tensor] = {
        t.name: t
        for t in (
            *tensors.inputs, *tensors.weights, *tensors.caches, *tensors.outputs, *tensors.kept
        )
    }  # fmt: skip
    read = {name for name in forward if tally.touched[name]}
    assert read == {t.name for t in gradient.saved}, "saved is what the kernel reads"
    if gradient.work.launches == 0:
        assert not gradient.work.accesses, "what is passed on moves nothing"
        return
    for name, tensor in {**forward, **{f"{t.name}.grad": t for t in tensors.outputs}}.items():
        size = ITEM_BYTES[tensor.dtype]
        touched = len(tally.touched[name]) * size
        whole = float(np.prod([int(d) for d in tensor.shape])) * size
        assert moved[name, "read"] in (touched, whole), f"bytes read of {name}"
    for tensor in gradient.makes:
        size = ITEM_BYTES[tensor.dtype]
        assert moved[f"{tensor.name}.grad", "write"] == made[tensor.name].size * size


@pytest.mark.parametrize(("name", "sizes"), SMALL)
def test_backward_counts_equal_the_naive_kernel(name: str, sizes: Mapping[str, Any]) -> None:
    op, tensors = _bound(name, sizes)
    gradients = op.gradients(tensors)
    assert len({g.name for g in gradients}) == len(gradients)
    for gradient in gradients:
        check_gradient(op, tensors, gradient)


@pytest.mark.parametrize("algorithm", ["flash", "unfused"])
@pytest.mark.parametrize("case", ATTENTION, ids=str)
def test_attention_passes_back_what_the_naive_kernel_counts_and_differences_give(
    case: tuple[Mapping[str, Any], int, int, int, int], algorithm: str
) -> None:
    attributes, q_len, kv_len, head_dim, value_dim = case
    op: Any = registry()["attention"](**attributes, algorithm=algorithm)
    shapes = (
        (2, q_len, op.q_heads * head_dim),
        (2, kv_len, op.kv_heads * head_dim),
        (2, kv_len, op.kv_heads * value_dim),
    )
    tensors = bind(op, [Tensor(shape, "fp32") for shape in shapes], FP32)
    (gradient,) = op.gradients(tensors)
    check_gradient(op, tensors, gradient)
    # In the rectangle a row that sees no key has scores that the mask's rounding hides.
    if algorithm == "flash" or not op.causal or q_len <= kv_len:
        check_values(op, tensors)


@pytest.mark.parametrize("name", ["affine", "matmul"])
def test_dense_layers_cost_two_more_forwards(name: str) -> None:
    op, tensors = _bound(name, registry()[name].small[0])
    backward = sum(g.work.macs for g in op.gradients(tensors))
    assert backward == 2 * op.work(tensors).macs


def test_a_planted_wrong_gradient_fails() -> None:
    op, tensors = _bound("affine", {"m": 3, "n": 2, "k": 4})
    to_input, to_weight, _ = op.gradients(tensors)
    wrong = dataclasses.replace(to_input, work=op.gradients(tensors)[2].work)
    with pytest.raises(AssertionError):
        check_gradient(op, tensors, wrong)
    with pytest.raises(AssertionError, match="saved"):
        check_gradient(op, tensors, dataclasses.replace(to_weight, saved=()))
