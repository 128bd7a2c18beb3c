"""Kernels at sizes where blocks, borders and several tiles occur, against PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from perfmodel.kernels.registry import case, kernels_of

torch = pytest.importorskip("torch")
F = torch.nn.functional

TOLERANCE = {"fp32": 1e-4, "fp64": 1e-9}
#: rounding of the transforms: F(4x4) amplifies it
LOOSE = {("winograd4", "fp32"): 1e-3, ("winograd4", "fp64"): 1e-9, ("fft", "fp32"): 1e-4}

CONV1D = "n=2,c=8,w=301,k=6,s=5,pad=2,stride={s},bias=true"
SIZES: dict[str, list[str]] = {
    "matmul": ["m=70,n=33,k=129", "m=5,n=300,k=64,batch=3", "m=1,n=40,k=500", "m=64,n=1,k=90"],
    "affine": ["m=700,n=1300,k=40", "m=1,n=65,k=33", "m=300,n=7,k=1,bias=false"],
    "conv1d": [CONV1D.format(s=1), CONV1D.format(s=2), "n=1,c=4,w=64,k=8,s=3,groups=2"],
    "conv2d": [
        "n=2,c=16,h=37,w=41,k=24,r=3,s=3,pad=1,bias=true",
        "n=1,c=8,h=30,w=29,k=12,r=3,s=3,pad=1,stride=2",
        "n=2,c=12,h=20,w=20,k=8,r=1,s=1,bias=true",
        "n=1,c=8,h=25,w=26,k=4,r=5,s=3,pad=2,dilation=2,groups=2",
        "n=1,c=3,h=64,w=64,k=16,r=7,s=7,pad=3,stride=2",
        "n=1,c=300,h=28,w=40,k=8,r=3,s=3,pad=1",
    ],
    "conv3d": ["n=1,c=4,d=6,h=9,w=8,k=5,t=3,r=3,s=3,pad=1,bias=true",
               "n=2,c=2,d=8,h=8,w=8,k=3,t=2,r=2,s=2,stride=2",
               "n=1,c=3,d=5,h=6,w=7,k=2,t=1,r=1,s=1"],
    "depthwise_conv2d": ["n=2,c=40,h=33,w=35,r=3,s=3,pad=1",
                         "n=1,c=9,h=28,w=28,r=5,s=5,stride=2",
                         "n=1,c=4,h=64,w=64,r=3,s=3,pad=1,multiplier=2"],
    "conv_transpose2d": ["n=2,c=24,h=14,w=15,k=10,r=2,s=2,stride=2",
                         "n=1,c=8,h=17,w=9,k=300,r=4,s=4,stride=2,pad=1",
                         "n=1,c=6,h=8,w=8,k=4,r=3,s=3"],
    "max_pool2d": ["n=2,c=70,h=57,w=55,r=3,s=3,stride=2,pad=1",
                   "n=1,c=3,h=64,w=64,r=2,s=2,stride=2",
                   "n=1,c=5,h=30,w=30,r=5,s=5,stride=1,pad=2"],
    "avg_pool2d": ["n=2,c=70,h=57,w=55,r=3,s=3,stride=2,pad=1",
                   "n=1,c=3,h=64,w=64,r=2,s=2,stride=2",
                   "n=1,c=5,h=30,w=30,r=7,s=7,stride=7"],
    "softmax": ["rows=200,cols=1001", "rows=3,cols=40000", "rows=5000,cols=10"],
    "log_softmax": ["rows=200,cols=1001", "rows=3,cols=40000", "rows=5000,cols=10"],
    "layer_norm": ["rows=200,cols=768", "rows=3,cols=40000", "rows=3000,cols=16"],
    "rms_norm": ["rows=200,cols=768", "rows=3,cols=40000", "rows=3000,cols=16"],
    "batch_norm": ["n=2,c=64,h=28,w=28", "n=1,c=5,h=300,w=300", "n=8,c=33,h=1,w=1"],
    "group_norm": ["n=2,c=64,h=28,w=28,groups=8", "n=1,c=6,h=200,w=200,groups=2",
                   "n=3,c=32,h=3,w=5,groups=32"],
    "attention": [
        "batch=2,q_heads=4,kv_heads=2,q_len=300,kv_len=300,head_dim=16,causal=true",
        "batch=1,q_heads=2,q_len=70,kv_len=900,head_dim=32",
        "batch=1,q_heads=6,kv_heads=2,q_len=1,kv_len=777,head_dim=16,causal=true",
        "batch=1,q_heads=2,q_len=600,head_dim=8,causal=true,window=100",
    ],
    "rnn": ["steps=20,batch=3,input=30,hidden=40", "steps=7,batch=1,input=5,hidden=64,layers=2",
            "steps=9,batch=4,input=8,hidden=8,directions=2"],
    "gru": ["steps=20,batch=3,input=30,hidden=40", "steps=7,batch=1,input=5,hidden=64,layers=2",
            "steps=9,batch=4,input=8,hidden=8,directions=2"],
    "lstm": ["steps=20,batch=3,input=30,hidden=40", "steps=7,batch=1,input=5,hidden=64,layers=2",
             "steps=9,batch=4,input=8,hidden=8,layers=2,directions=2"],
    "gelu": ["elements=100000", "elements=16384", "elements=16385"],
    "mish": ["elements=100000", "elements=16384", "elements=16385"],
    "silu": ["elements=100000", "elements=16384", "elements=16385"],
    "embedding_bag": ["lookups=6000,width=40,rows=900,bags=600",
                      "lookups=64,width=5,rows=90,bags=64",
                      "lookups=5000,width=64,rows=300,bags=500,mode=mean"],
    "cross_entropy": ["rows=300,cols=1000", "rows=2,cols=50000", "rows=4000,cols=10"],
}  # fmt: skip


def parse(text: str) -> dict[str, Any]:
    def value(v: str) -> Any:
        return int(v) if v.lstrip("-").isdigit() else {"true": True, "false": False}.get(v, v)

    return {k: value(v) for k, v in (pair.split("=") for pair in text.split(","))}


def _conv(op: Any, x: Any, w: Any) -> Any:
    call = {3: F.conv1d, 4: F.conv2d, 5: F.conv3d}[x.ndim]
    groups = getattr(op, "groups", x.shape[1])
    return call(x, w["weight"], w.get("bias"), op.stride, op.padding, op.dilation, groups)


def _recurrent(op: Any, x: Any, w: Any) -> Any:
    cls = {"rnn": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}[op.name]
    net = cls(
        x.shape[2], op.hidden, op.layers, bidirectional=op.directions == 2, batch_first=True
    ).to(x.dtype)
    with torch.no_grad():
        for layer in range(op.layers):
            for d in range(op.directions):
                end = f"_l{layer}" + ("_reverse" if d else "")
                into = w["deeper_input_weight"][layer - 1] if layer else w["input_weight"]
                getattr(net, f"weight_ih{end}").copy_(into[d])
                getattr(net, f"weight_hh{end}").copy_(w["hidden_weight"][layer, d])
                biases = w["bias"][layer, d]
                getattr(net, f"bias_ih{end}").copy_(biases[0])
                getattr(net, f"bias_hh{end}").copy_(biases[1] if len(biases) > 1 else 0 * biases[0])
        return net(x)[0]


def _attention(op: Any, q: Any, k: Any, v: Any) -> Any:
    def heads(t: Any, n: int) -> Any:
        return t.reshape(*t.shape[:2], n, -1).transpose(1, 2)

    q, k, v = heads(q, op.q_heads), heads(k, op.kv_heads), heads(v, op.kv_heads)
    shared = op.q_heads // op.kv_heads
    k, v = (t.repeat_interleave(shared, 1) for t in (k, v))
    S, T = q.shape[2], k.shape[2]
    place = torch.arange(S)[:, None] + T - S
    seen = torch.ones(S, T, dtype=torch.bool)
    if op.causal:
        seen = torch.arange(T)[None] <= place
    if op.window:
        seen &= torch.arange(T)[None] > place - op.window
    y = F.scaled_dot_product_attention(q, k, v, attn_mask=seen)
    return y.transpose(1, 2).reshape(q.shape[0], S, -1)


REFERENCES: dict[str, Callable[..., Any]] = {
    "matmul": lambda op, a, w: torch.matmul(*a),
    "affine": lambda op, a, w: F.linear(*a, w["weight"], w.get("bias")),
    "conv1d": lambda op, a, w: _conv(op, *a, w),
    "conv2d": lambda op, a, w: _conv(op, *a, w),
    "conv3d": lambda op, a, w: _conv(op, *a, w),
    "depthwise_conv2d": lambda op, a, w: _conv(op, *a, w),
    "conv_transpose2d": lambda op, a, w: F.conv_transpose2d(
        *a, w["weight"], w.get("bias"), op.stride, op.padding
    ),
    "max_pool2d": lambda op, a, w: F.max_pool2d(*a, op.kernel, op.stride, op.padding),
    "avg_pool2d": lambda op, a, w: F.avg_pool2d(*a, op.kernel, op.stride, op.padding),
    "softmax": lambda op, a, w: F.softmax(*a, -1),
    "log_softmax": lambda op, a, w: F.log_softmax(*a, -1),
    "layer_norm": lambda op, a, w: F.layer_norm(*a, a[0].shape[-1:], w["gamma"], w.get("beta")),
    "rms_norm": lambda op, a, w: F.rms_norm(*a, a[0].shape[-1:], w["gamma"], eps=1e-5),
    "batch_norm": lambda op, a, w: F.batch_norm(
        *a, w["mean"], w["variance"], w["gamma"], w["beta"]
    ),
    "group_norm": lambda op, a, w: F.group_norm(*a, op.groups, w["gamma"], w["beta"]),
    "attention": lambda op, a, w: _attention(op, *a),
    "rnn": lambda op, a, w: _recurrent(op, *a, w),
    "gru": lambda op, a, w: _recurrent(op, *a, w),
    "lstm": lambda op, a, w: _recurrent(op, *a, w),
    "gelu": lambda op, a, w: F.gelu(*a),
    "mish": lambda op, a, w: F.mish(*a),
    "silu": lambda op, a, w: F.silu(*a),
    "embedding_bag": lambda op, a, w: F.embedding_bag(
        a[0].long(), w["table"], *(o.long() for o in a[1:]), mode=op.mode
    ),
    "cross_entropy": lambda op, a, w: F.cross_entropy(a[0], a[1].long()),
}

CASES = [
    (name, algorithm, sizes, dtype)
    for name, texts in SIZES.items()
    for algorithm in kernels_of(name)
    for sizes in texts
    for dtype in ("fp32", "fp64")
]


def expected_of(op: Any, a: Any) -> Any:
    """Return PyTorch's result in double precision."""

    def tensor(x: Any) -> Any:
        return torch.from_numpy(x.astype("float64") if x.dtype.kind == "f" else x)

    inputs = [tensor(x) for x in a.inputs]
    return REFERENCES[op.name](op, inputs, {n: tensor(w) for n, w in a.weights.items()}).numpy()


def error_of(y: Any, expected: Any) -> float:
    return float(np.abs(y - expected).max() / max(1.0, np.abs(expected).max()))


@pytest.mark.parametrize(("name", "algorithm", "sizes", "dtype"), CASES)
def test_a_kernel_computes_what_pytorch_computes(
    name: str, algorithm: str, sizes: str, dtype: str
) -> None:
    kernel = kernels_of(name)[algorithm]
    found = case(name, parse(sizes), dtype)
    if why := kernel.refusal(found):
        pytest.skip(why)
    built = kernel.build(found, seed=1)
    (y,) = kernel.run(built)
    tolerance = LOOSE.get((algorithm, dtype), TOLERANCE[dtype])
    if name == "gelu":
        tolerance = max(tolerance, 1e-6)
    assert error_of(y, expected_of(found.op, built.arrays)) <= tolerance


@pytest.mark.parametrize("name", ["matmul", "conv2d", "attention", "lstm", "gelu", "batch_norm"])
def test_a_planted_error_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = next(iter(kernels_of(name).values()))
    found = case(name, parse(SIZES[name][0]))
    built = kernel.build(found, seed=1)
    (y,) = kernel.run(built)
    expected = expected_of(found.op, built.arrays)
    assert error_of(y, expected) <= TOLERANCE["fp32"]
    y.reshape(-1)[y.size // 2] += 0.01
    assert error_of(y, expected) > TOLERANCE["fp32"]
    real = np.add if name != "matmul" else np.matmul
    broken = "add" if name != "matmul" else "matmul"

    class Off:
        """NumPy with one call that is a little off."""

        __name__ = "numpy"

        def __getattr__(self, called: str) -> Any:
            return getattr(np, called)

    off = Off()

    def wrong(a: Any, b: Any, out: Any) -> Any:
        made = real(a, b, out=out)
        made *= 1.001
        return made

    monkeypatch.setattr(Off, broken, staticmethod(wrong), raising=False)
    (y,) = kernel.run(kernel.build(found, xp=off, seed=1))
    assert error_of(y, expected) > TOLERANCE["fp32"]
