"""The naive kernels' values, against vectorised NumPy formulas written apart from them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import naive_references
import numpy as np
import numpy.typing as npt
import pytest

from perfmodel.kernels.naive import naive_kernel
from perfmodel.ops import registry

Array = npt.NDArray[Any]
Shape = tuple[int, ...]
Reference = Callable[..., Array]

TOLERANCE = 1e-10
EPSILON = 1e-5

erf = np.vectorize(math.erf)


def conv2d(x: Array, weight: Array, bias: Array | float, **a: Any) -> Array:
    """Sum over windows of the padded image, group by group."""
    (top, left, bottom, right), (u, v), (dr, ds) = a["padding"], a["stride"], a["dilation"]
    R, S = a["kernel"]
    padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    reach = (dr * (R - 1) + 1, ds * (S - 1) + 1)
    windows = np.lib.stride_tricks.sliding_window_view(padded, reach, axis=(2, 3))
    windows = windows[:, :, ::u, ::v, ::dr, ::ds]
    groups = zip(
        np.split(windows, a["groups"], axis=1), np.split(weight, a["groups"], axis=0), strict=True
    )
    y = np.concatenate([np.einsum("ncpqrs,kcrs->nkpq", w, f) for w, f in groups], axis=1)
    return y + np.reshape(bias, (1, -1, 1, 1))


def pool(x: Array, reduce: Any, fill: float, kernel: Any, stride: Any, border: Any) -> Array:
    top, left, bottom, right = border
    padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=fill)
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel, axis=(2, 3))
    return reduce(windows[:, :, :: stride[0], :: stride[1]], axis=(-2, -1))


def softmax(x: Array) -> Array:
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def attention(q: Array, k: Array, v: Array, heads: int, kv_heads: int, mask: Array) -> Array:
    """Attention by full matrices; ``k`` and ``v`` hold the cached tokens too."""
    B, S, _ = q.shape
    q = q.reshape(B, S, heads, -1)
    k, v = (t.reshape(B, t.shape[1], kv_heads, -1).repeat(heads // kv_heads, 2) for t in (k, v))
    scores = np.einsum("bihd,bjhd->bhij", q, k) / math.sqrt(q.shape[-1])
    weights = softmax(np.where(mask, scores, -np.inf))
    return np.einsum("bhij,bjhe->bihe", weights, v).reshape(B, S, -1)


def sigmoid(x: Array) -> Array:
    return np.reciprocal(1 + np.exp(-x))


def lstm_direction(x: Array, of_input: Array, of_hidden: Array, bias: Array) -> Array:
    H = of_hidden.shape[1]
    h, c = np.zeros((x.shape[0], H)), np.zeros((x.shape[0], H))
    out = []
    for t in range(x.shape[1]):
        i, f, g, o = np.split(x[:, t] @ of_input.T + h @ of_hidden.T + bias.sum(axis=0), 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        out.append(h)
    return np.stack(out, axis=1)


def lstm(x: Array, weights: Mapping[str, Array], layers: int, directions: int) -> Array:
    for layer in range(layers):
        outputs = []
        for d in range(directions):
            W = weights["deeper_input_weight"][layer - 1] if layer else weights["input_weight"]
            turned = x[:, :: -1 if d else 1]
            U, bias = weights["hidden_weight"][layer, d], weights["bias"][layer, d]
            outputs.append(lstm_direction(turned, W[d], U, bias)[:, :: -1 if d else 1])
        x = np.concatenate(outputs, axis=-1)
    return x


def rope(x: Array, table: Array, head_dim: int) -> Array:
    """Turn each pair as a complex number."""
    B, S, _ = x.shape
    pairs = x.reshape(B, S, -1, head_dim // 2, 2)
    turn = table[:, : head_dim // 2] + 1j * table[:, head_dim // 2 :]
    turned = (pairs[..., 0] + 1j * pairs[..., 1]) * turn[None, :, None, :]
    return np.stack([turned.real, turned.imag], axis=-1).reshape(x.shape)


def normalized(x: Array, mean: Array | float, variance: Array) -> Array:
    return (x - mean) * (variance + EPSILON) ** -0.5


def per_channel(vector: Array, x: Array) -> Array:
    return vector.reshape(-1, *[1] * (x.ndim - 2))


def over_row(x: Array) -> tuple[Array, Array]:
    return x.mean(axis=-1, keepdims=True), x.var(axis=-1, keepdims=True)


#: operator: (attributes, shapes of inputs, shapes of weights, reference of inputs and weights)
Case = tuple[Mapping[str, Any], list[Shape], Mapping[str, Shape], Reference]
RAGGED: list[Shape] = [(2, 3, 5)]
CONV = {"kernel": (3, 2), "stride": (2, 1), "padding": (1, 0, 2, 3), "dilation": (1, 2)}
POOL = {"kernel": (3, 2), "stride": (2, 3), "padding": (1, 0, 2, 1)}
LSTM = {"hidden": 3, "layers": 3, "directions": 2, "biases": 2}
VECTOR5 = {"gamma": (5,), "beta": (5,)}
VECTOR3 = dict.fromkeys(("gamma", "beta", "mean", "variance"), (3,))

CASES: dict[str, list[Case]] = {
    "relu": [({}, RAGGED, {}, lambda x, w: np.where(x > 0, x, 0))],
    "sigmoid": [({}, RAGGED, {}, lambda x, w: sigmoid(x))],
    "tanh": [({}, RAGGED, {}, lambda x, w: np.tanh(x))],
    "silu": [({}, RAGGED, {}, lambda x, w: x * sigmoid(x))],
    "gelu": [({}, RAGGED, {}, lambda x, w: x * (1 + erf(x / np.sqrt(2))) / 2)],
    "gelu_tanh": [({}, RAGGED, {}, lambda x, w: x / 2 * (
        1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))))],
    "add": [({}, [(2, 3, 5), (3, 1)], {}, lambda a, b, w: a + b)],
    "sub": [({}, [(3, 1), (2, 3, 5)], {}, lambda a, b, w: a - b)],
    "mul": [({}, [(2, 3, 5), (5,)], {}, lambda a, b, w: a * b)],
    "div": [({}, [(2, 3, 5), (2, 1, 1)], {}, lambda a, b, w: a / b)],
    "matmul": [
        ({}, [(2, 3, 5, 7), (2, 3, 7, 1)], {}, lambda a, b, w: a @ b),
        ({}, [(2, 3, 5), (5, 4)], {}, lambda a, b, w: a @ b),
    ],
    "affine": [
        ({"units": 4, "bias": True}, RAGGED, {"weight": (4, 5), "bias": (4,)},
         lambda x, w: x @ w["weight"].T + w["bias"]),
        ({"units": 1, "bias": False}, RAGGED, {"weight": (1, 5)}, lambda x, w: x @ w["weight"].T),
    ],
    "conv2d": [
        ({**CONV, "out_channels": 4, "groups": 2, "bias": True}, [(2, 6, 7, 5)],
         {"weight": (4, 3, 3, 2), "bias": (4,)},
         lambda x, w: conv2d(x, w["weight"], w["bias"], **CONV, groups=2)),
        ({**CONV, "out_channels": 3, "groups": 1, "bias": False}, [(1, 2, 6, 9)],
         {"weight": (3, 2, 3, 2)}, lambda x, w: conv2d(x, w["weight"], 0.0, **CONV, groups=1)),
    ],
    "max_pool2d": [(POOL, [(2, 3, 7, 5)], {}, lambda x, w: pool(
        x, np.max, -np.inf, POOL["kernel"], POOL["stride"], POOL["padding"]))],
    "avg_pool2d": [(POOL, [(2, 3, 7, 5)], {}, lambda x, w: pool(
        x, np.mean, 0.0, POOL["kernel"], POOL["stride"], POOL["padding"]))],
    "global_avg_pool2d": [
        ({}, [(2, 3, 7, 5)], {}, lambda x, w: x.mean(axis=(2, 3), keepdims=True))],
    "batch_norm": [({}, [shape], VECTOR3, lambda x, w: per_channel(w["beta"], x) + normalized(
        x, per_channel(w["mean"], x), per_channel(w["variance"], x)) * per_channel(w["gamma"], x))
        for shape in ((2, 3, 5, 1), (4, 3))],
    "layer_norm": [
        ({"bias": True}, RAGGED, VECTOR5,
         lambda x, w: normalized(x, *over_row(x)) * w["gamma"] + w["beta"]),
        ({"bias": False}, RAGGED, {"gamma": (5,)},
         lambda x, w: normalized(x, *over_row(x)) * w["gamma"]),
    ],
    "rms_norm": [({}, RAGGED, {"gamma": (5,)}, lambda x, w: w["gamma"] * normalized(
        x, 0.0, (x**2).mean(axis=-1, keepdims=True)))],
    "softmax": [({}, RAGGED, {}, lambda x, w: softmax(x))],
    "lstm": [(LSTM, [(2, 4, 5)],
        {"input_weight": (2, 12, 5), "deeper_input_weight": (2, 2, 12, 6),
         "hidden_weight": (3, 2, 12, 3), "bias": (3, 2, 2, 12)},
        lambda x, w: lstm(x, w, 3, 2))],
    "rope": [({"head_dim": 4}, [(2, 3, 12)], {"table": (3, 4)},
              lambda x, w: rope(x, w["table"], 4)),
             ({"head_dim": 5, "rotary_dim": 2}, [(2, 3, 10)], {"table": (3, 2)},
              lambda x, w: np.concatenate(
                  [part for h in (x[..., :5], x[..., 5:])
                   for part in (rope(h[..., :2], w["table"], 2), h[..., 2:])], axis=-1))],
    "reshape": [({"shape": (3, -1, 2)}, [(4, 9)], {}, lambda x, w: x.reshape(3, 6, 2))],
    "flatten": [({}, RAGGED, {}, lambda x, w: x.reshape(2, 15))],
    "transpose": [
        ({"axes": ()}, RAGGED, {}, lambda x, w: x.T),
        ({"axes": (1, -1, 0)}, RAGGED, {}, lambda x, w: x.transpose(1, 2, 0)),
    ],
    "concat": [
        ({"axis": -1}, [(2, 3), (2, 1), (2, 4)], {}, lambda *t: np.concatenate(t[:-1], axis=1)),
        ({"axis": 0}, [(2, 3), (5, 3)], {}, lambda *t: np.concatenate(t[:-1], axis=0)),
    ],
    "slice": [({"length": 2, "axis": 1, "start": 1}, RAGGED, {}, lambda x, w: x[:, 1:3])],
}  # fmt: skip

#: compared apart: their inputs or masks are not plain random arrays
APART = {"attention", "embedding"}

# Each module of naive_references adds the CASES of a family, and what it compares APART.
for _module in sorted(m.name for m in iter_modules(naive_references.__path__)):
    _more = import_module(f"naive_references.{_module}")
    assert not set(_more.CASES) & set(CASES), _module
    CASES.update(_more.CASES)
    APART |= _more.APART


def random_array(shape: Shape, seed: int) -> Array:
    return np.random.default_rng(seed).normal(size=shape)


@pytest.mark.parametrize(
    ("name", "case"),
    [pytest.param(name, case, id=name) for name, cases in CASES.items() for case in cases],
)
def test_naive_kernels_compute_what_numpy_computes(name: str, case: Case) -> None:
    attributes, input_shapes, weight_shapes, reference = case
    inputs = [random_array(shape, i) for i, shape in enumerate(input_shapes)]
    weights = {
        key: np.abs(random_array(shape, 10 + i)) if key == "variance" else random_array(shape, i)
        for i, (key, shape) in enumerate(weight_shapes.items())
    }
    made: Any = naive_kernel(name)(*inputs, weights=weights, **attributes)
    wanted: Any = reference(*inputs, weights)
    outputs, expected = ((a if isinstance(a, tuple) else (a,)) for a in (made, wanted))
    for found, right in zip(outputs, expected, strict=True):
        assert found.shape == right.shape
        np.testing.assert_allclose(found, right, rtol=TOLERANCE, atol=TOLERANCE)


def test_every_operator_is_compared_with_numpy() -> None:
    assert set(registry()) == set(CASES) | APART


def test_embedding_gathers_rows() -> None:
    table, indices = random_array((7, 3), 0), np.array([[6, 0], [2, 2], [5, 1]])
    y = naive_kernel("embedding")(indices, weights={"table": table}, rows=7, width=3)
    np.testing.assert_array_equal(y, table[indices])


def visible(q_len: int, length: int, causal: bool, window: int) -> Array:
    """Return which key (column) a query (row) sees, one query after the other."""
    place = np.arange(length - q_len, length)[:, None]
    key = np.arange(length)[None, :]
    if causal:
        return (key <= place) & (key > place - (window or length))
    width = min(window or length, length)
    first = np.clip(place - width // 2, 0, length - width)
    return (key >= first) & (key < first + width)


@pytest.mark.parametrize("algorithm", ["flash", "unfused"])
@pytest.mark.parametrize("context", [0, 3])
@pytest.mark.parametrize("window", [0, 2, 130])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("q_len", "new"), [(4, 4), (1, 7), (2, 259)])
def test_attention_computes_what_full_matrices_compute(
    q_len: int, new: int, causal: bool, window: int, context: int, algorithm: str
) -> None:
    B, heads, kv_heads, D, E = 2, 4, 2, 3, 5
    q, k = random_array((B, q_len, heads * D), 0), random_array((B, new, kv_heads * D), 1)
    v = random_array((B, new, kv_heads * E), 2)
    caches = {
        "k_cache": random_array((B, kv_heads, context, D), 3),
        "v_cache": random_array((B, kv_heads, context, E), 4),
    }
    y = naive_kernel("attention")(
        q, k, v, weights={}, q_heads=heads, kv_heads=kv_heads, causal=causal, window=window,
        context=context, cached=context > 0, algorithm=algorithm, **(caches if context else {}),
    )  # fmt: skip
    keys, values = (
        np.concatenate(
            [cache.swapaxes(1, 2).reshape(B, context, new_tokens.shape[-1]), new_tokens], axis=1
        )
        for cache, new_tokens in zip(caches.values(), (k, v), strict=True)
    )
    expected = attention(
        q, keys, values, heads, kv_heads, visible(q_len, context + new, causal, window)
    )
    np.testing.assert_allclose(y, expected, rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("causal", [False, True])
def test_flash_attention_equals_unfused_where_scores_are_large(causal: bool) -> None:
    q, k, v = (40.0 * random_array((1, n, 4), n) for n in (3, 300, 301))
    v = v[:, :300]
    flash, unfused = (
        naive_kernel("attention")(
            q, k, v, weights={}, q_heads=2, kv_heads=2, causal=causal, window=0, context=0,
            cached=False, algorithm=algorithm,
        )
        for algorithm in ("flash", "unfused")
    )  # fmt: skip
    np.testing.assert_allclose(flash, unfused, rtol=TOLERANCE, atol=TOLERANCE)


def test_an_unknown_naive_kernel_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        naive_kernel("mac")
