"""Scaled dot-product attention."""

from __future__ import annotations

from typing import Any

from perfmodel.core.dims import product, same
from perfmodel.readers.torch.call import Call
from perfmodel.readers.torch.handlers import Made, handles
from perfmodel.readers.tracing.attention import attend
from perfmodel.readers.tracing.values import Value

_NAMES = (
    "scaled_dot_product_attention", "_scaled_dot_product_flash_attention",
    "_scaled_dot_product_flash_attention_for_cpu", "_scaled_dot_product_efficient_attention",
    "_scaled_dot_product_cudnn_attention", "_scaled_dot_product_fused_attention_overrideable",
)  # fmt: skip


@handles(*_NAMES)
def attention(call: Call) -> Made:
    """``softmax(q k' / sqrt(D) + mask) v`` over ``q[B,H,S,D], k[B,Hkv,S',D], v[B,Hkv,S',E]``."""
    q, k, v = call.x("query"), call.x("key"), call.x("value")
    causal = bool(call.arg("is_causal", False))
    mask = call.maybe("attn_mask") or call.maybe("attn_bias")
    wide = [_four(call, x) for x in (q, k, v)]
    heads = [x.shape[1] for x in wide]
    rows = [_rows(call, x) for x in wide]
    more: dict[str, Any] = {"causal": causal}
    y = attend(call, rows, heads[0], heads[1], bias=mask, **more)
    batch, length, dim = rows[0].shape[0], rows[0].shape[1], wide[2].shape[3]
    split = call.view(y, (batch, length, heads[0], dim))
    out = call.view(call.turned(split, (0, 2, 1, 3)), call.shape)
    rest = [Value("", dtype, shape, stored=call.name) for shape, dtype in call.made[1:]]
    return [out, *rest]


def _four(call: Call, x: Value) -> Value:
    """Return ``x[B,H,S,D]``: axes before the heads as one, ``x[B,S,D]`` with one head."""
    if x.rank == 4:
        return x
    if x.rank == 3:
        return call.view(x, (x.shape[0], 1, *x.shape[1:]))
    if x.rank == 2:
        return call.view(x, (1, 1, *x.shape))
    return call.view(x, (product(x.shape[:-3]), *x.shape[-3:]))


def _rows(call: Call, x: Value) -> Value:
    """Return heads as rows ``x[B,S,H D]``: kernels follow steps in memory, nothing moves."""
    target = (x.shape[0], x.shape[2], x.shape[1] * x.shape[3])
    if x.axes == (0, 2, 1, 3) and x.seen is not None and x.tensor is None:
        return call.view(x.seen, target)
    if same(x.shape[1], 1) or same(x.shape[2], 1):
        return call.view(x, target)
    return call.view(call.turned(x, (0, 2, 1, 3)), target)
