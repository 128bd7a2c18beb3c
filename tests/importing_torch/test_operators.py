"""Core ATen: every operator has a treatment, and what handlers make has PyTorch's shapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import perfmodel
from perfmodel.readers.torch.handlers import treatments

torch = pytest.importorskip("torch")
F = torch.nn.functional

pytestmark = pytest.mark.filterwarnings("ignore")


def core_operators() -> set[str]:
    found = set()
    names = {n.partition(".")[0] for n in torch._C._dispatch_get_all_op_names()}
    for name in sorted(n.removeprefix("aten::") for n in names if n.startswith("aten::")):
        packet = getattr(torch.ops.aten, name)
        if hasattr(packet, "overloads"):
            tags = (getattr(packet, o).tags for o in packet.overloads())
            if any(torch.Tag.core in t for t in tags):
                found.add(name)
    return found


def test_every_core_operator_is_treated() -> None:
    core = core_operators()
    assert len(core) > 130
    assert {n for n in core if ("aten", n) not in treatments()} == set()
    assert set(treatments().values()) == {"modelled", "free", "bounded"}


class Net(torch.nn.Module):
    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Any) -> Any:
        return self.function(*inputs)


X, SQUARE, IMAGE = (4, 6), (5, 5), (2, 4, 8, 8)
#: what is computed, on inputs of these shapes, and the operators that it becomes
FORMS: dict[str, tuple[Callable[..., Any], list[tuple[int, ...]], set[str]]] = {
    "comparisons": (lambda x, y: (x > y) & (x != 2) | ~(y <= x), [X, X], {"pointwise"}),
    "functions": (lambda x: torch.sin(x).erf().rsqrt().floor(), [X], {"pointwise"}),
    "integers and reals": (lambda x: x + torch.arange(6), [X], {"add", "opaque"}),
    "clamps": (lambda x: x.clamp(0, 6) + x.clamp(min=1), [X], {"relu6", "pointwise", "add"}),
    "where": (lambda x, y: torch.where(x > 0, y, 0.0), [X, X], {"pointwise"}),
    "statistics": (lambda x: torch.cat(torch.var_mean(x, 1)), [X],
                   {"reduce_mean", "sub", "mul", "concat", "reshape"}),
    "extremes": (lambda x: (x.max(1)[0], x.argmin(0), x.max(0)[1]), [X],
                 {"reduce_max", "argmax"}),
    "order": (lambda x: (x.sort(0)[0], x.topk(2)[1], x.cumsum(1)), [X],
              {"sort", "topk", "cumsum"}),
    "reductions": (lambda x: x.sum() + x.mean(0) + x.prod(1, keepdim=True), [X],
                   {"reduce_sum", "reduce_mean", "add"}),
    "views": (lambda x: x.t()[1:, ::2].unsqueeze(0).expand(3, -1, -1).diagonal().neg(), [X],
              {"transpose", "reshape", "slice", "expand", "neg"}),
    "splits": (lambda x: [a.neg() for a in x.split([2, 4], 1)], [X], {"slice", "neg"}),
    "pads": (lambda x: F.pad(F.pad(x, (1, -1, 2, 0)), (1, 1, 1, 1), mode="reflect"), [IMAGE],
             {"slice", "pad"}),
    "resizes": (lambda x: F.interpolate(x, scale_factor=2) + F.interpolate(
        x, size=(16, 16), mode="bicubic"), [IMAGE], {"resize", "add"}),
    "pools": (lambda x: F.max_pool2d(x, 3, 2, ceil_mode=True) + F.adaptive_avg_pool2d(x, 4),
              [IMAGE], {"max_pool2d", "adaptive_avg_pool2d", "add"}),
    "flat pools": (lambda x: F.avg_pool1d(x, 2) + F.max_pool1d(x, 2), [(2, 4, 8)], {"add"}),
    "norms": (lambda x: F.instance_norm(F.group_norm(x, 2)), [IMAGE],
              {"group_norm"}),
    "norms without weights": (
        lambda x: F.layer_norm(x, (6,)) + F.rms_norm(x, (6,)) + F.batch_norm(
            x, torch.zeros(6), torch.ones(6)), [X], {"layer_norm", "rms_norm", "batch_norm"}),
    "shuffles": (lambda x: F.pixel_unshuffle(F.pixel_shuffle(x, 2), 4), [IMAGE],
                 {"pixel_shuffle", "pixel_unshuffle"}),
    "gathers": (lambda x: (x[:, torch.tensor([0, 2, 1])], x.gather(1, x.argsort(1)), x.roll(1, 0)),
                [X], {"gather", "pointwise", "opaque", "sort"}),
    "products": (lambda a, b: torch.addmm(b, a, b) + torch.mv(a, b[0]) + torch.dot(a[0], b[0]),
                 [SQUARE, SQUARE], {"matmul", "einsum", "add"}),
    "transforms": (lambda x: torch.fft.rfft(x).abs(), [X], {"fft", "norm"}),
    "masked attention": (lambda q, k, v, m: F.scaled_dot_product_attention(q, k, v, m > 0),
                         [(2, 4, 5, 8), (2, 4, 7, 8), (2, 4, 7, 8), (2, 1, 5, 7)],
                         {"attention", "pointwise"}),
    "gates": (lambda x: F.glu(x, 1) * F.softplus(x[:, 3:]) * F.mish(x[:, 3:]), [X],
              {"glu", "softplus", "mish", "mul"}),
    "found": (lambda x: x.nonzero().sum(), [X], {"opaque", "reduce_sum"}),
    "placed": (lambda x, y: x.index_put((torch.tensor([0, 1]),), y), [X, (2, 6)], {"opaque"}),
    "grids": (lambda x, g: F.grid_sample(x, g, align_corners=False), [IMAGE, (2, 3, 3, 2)],
              {"grid_sample"}),
    "logarithms": (lambda x: F.log_softmax(x, 0) + x.logsumexp(1, keepdim=True), [X],
                   {"log_softmax", "add"}),
    "half": (lambda x: x.half().softmax(-1, dtype=torch.float32), [X], {"cast", "softmax"}),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
def test_forms_become_their_operators_with_pytorchs_shapes(name: str) -> None:
    function, shapes, operators = FORMS[name]
    inputs = [torch.randn(s) for s in shapes]
    workload = perfmodel.from_torch(Net(function), inputs)
    graph = workload.bind()
    assert operators <= {n.op.name for n in graph.nodes}
    assert graph.parameters() == 0
    assert not [n for n in graph.notes if "bytes only" in n]
    assert not [n for n in graph.nodes if n.op.coverage == "unknown"]
    made = function(*inputs)
    results = list(made) if isinstance(made, tuple | list) else [made]
    outputs = {t.name: t for n in graph.nodes for t in n.tensors.outputs}
    assert [outputs[o].shape for o in graph.outputs] == [tuple(r.shape) for r in results]
