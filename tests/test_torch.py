"""MACs of forward and backward against PyTorch's own flop counter, on autograd.

PyTorch is a development dependency: without it these tests are skipped.
"""

from collections.abc import Callable
from typing import Any

import pytest

import perfmodel

torch = pytest.importorskip("torch")
F = torch.nn.functional


def _torch_macs(forward: Callable[..., Any], *shapes: tuple[int, ...]) -> int:
    """Return MACs of ``forward`` and its backward pass with gradients for every tensor."""
    from torch.utils.flop_counter import FlopCounterMode

    tensors = [torch.randn(s, requires_grad=True) for s in shapes]
    counter = FlopCounterMode(display=False)
    with counter:
        forward(*tensors).sum().backward()
    return int(counter.get_total_flops()) // 2


def _our_macs(inline: str) -> int:
    result = perfmodel.analyze(inline, "h100-sxm", phase="training")
    return sum(r["macs"] * r["count"] for r in result.operators)


CASES: dict[str, tuple[str, Callable[..., Any], list[tuple[int, ...]]]] = {
    "affine": (
        "affine:m=6,n=5,k=7",
        lambda x, w, b: F.linear(x, w, b),
        [(6, 7), (5, 7), (5,)],
    ),
    "matmul": ("matmul:m=3,n=5,k=7,batch=4", torch.matmul, [(4, 3, 7), (4, 7, 5)]),
    "conv2d": (
        "conv2d:n=2,c=6,h=9,w=8,k=4,r=3,s=3,pad=1,stride=2",
        lambda x, w: F.conv2d(x, w, padding=1, stride=2),
        [(2, 6, 9, 8), (4, 6, 3, 3)],
    ),
    "conv2d dilated": (
        "conv2d:n=1,c=2,h=11,w=12,k=4,r=3,s=2,dilation=2",
        lambda x, w: F.conv2d(x, w, dilation=2),
        [(1, 2, 11, 12), (4, 2, 3, 2)],
    ),
    "conv2d grouped": (
        "conv2d:n=2,c=6,h=7,w=7,k=9,r=3,s=3,groups=3",
        # Group by group: the counter takes a grouped weight gradient for a dense one.
        lambda x, w: torch.cat(
            [F.conv2d(a, b) for a, b in zip(x.split(2, 1), w.split(3, 0), strict=True)], 1
        ),
        [(2, 6, 7, 7), (9, 2, 3, 3)],
    ),
    "conv_transpose2d": (
        "conv_transpose2d:n=1,c=4,h=5,w=6,k=3,r=3,s=3,stride=2",
        lambda x, w: F.conv_transpose2d(x, w, stride=2),
        [(1, 4, 5, 6), (4, 3, 3, 3)],
    ),
    "conv1d": (
        "conv1d:n=2,c=3,w=20,k=5,s=4,stride=3",
        lambda x, w: F.conv1d(x, w, stride=3),
        [(2, 3, 20), (5, 3, 4)],
    ),
    "conv3d": (
        "conv3d:n=1,c=2,d=5,h=6,w=7,k=3,t=2,r=3,s=3",
        F.conv3d,
        [(1, 2, 5, 6, 7), (3, 2, 2, 3, 3)],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_macs_of_training_are_pytorchs(name: str) -> None:
    inline, forward, shapes = CASES[name]
    assert _our_macs(inline) == _torch_macs(forward, *shapes)


def test_macs_of_unfused_attention_in_training_are_pytorchs() -> None:
    def attention(q: Any, k: Any, v: Any) -> Any:
        scores = torch.matmul(q, k.transpose(-1, -2)) / 8**0.5
        return torch.matmul(torch.softmax(scores, -1), v)

    inline = "attention:batch=2,q_heads=3,q_len=5,kv_len=5,head_dim=8,algorithm=unfused"
    assert _our_macs(inline) == _torch_macs(attention, *([(2, 3, 5, 8)] * 3))


def test_a_network_in_training_has_pytorchs_macs() -> None:
    # mnist-mlp: three GEMMs for the second layer, two for the first (no input gradient).
    model = torch.nn.Sequential(
        torch.nn.Linear(784, 800), torch.nn.ReLU(), torch.nn.Linear(800, 10)
    )

    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    with counter:
        F.cross_entropy(model(torch.randn(16, 784)), torch.zeros(16, dtype=torch.long)).backward()
    ours = perfmodel.analyze("mnist-mlp", "h100-sxm", phase="training", batch=16)
    assert ours.totals["macs"] == int(counter.get_total_flops()) // 2
