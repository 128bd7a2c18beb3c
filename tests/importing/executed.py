"""Multiply-accumulates of the nodes that really run, in branches and loops too.

ONNX's reference evaluator runs the model; its products and convolutions tally
themselves. Shares no code with perfmodel.
"""

from __future__ import annotations

from math import prod
from typing import Any

from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun
from onnx.reference.ops.op_conv import Conv as ReferenceConv

TALLY: list[int] = []


class MatMul(OpRun):
    """A product that tallies itself."""

    op_domain = ""

    def _run(self, a: Any, b: Any) -> Any:
        y = a @ b
        TALLY.append(y.size * a.shape[-1])
        return (y,)


class Gemm(OpRun):
    """A product, of the transposed too."""

    op_domain = ""

    def _run(self, a: Any, b: Any, c: Any = None, **more: Any) -> Any:
        a, b = (v.T if more.get(k) else v for k, v in (("transA", a), ("transB", b)))
        y = more.get("alpha", 1.0) * (a @ b)
        TALLY.append(y.size * a.shape[1])
        return (y if c is None else y + more.get("beta", 1.0) * c,)


class Conv(ReferenceConv):
    """A convolution that tallies itself."""

    op_domain = ""

    def _run(self, x: Any, w: Any, *rest: Any, **more: Any) -> Any:
        (y,) = super()._run(x, w, *rest, **more)
        TALLY.append(y.size * prod(w.shape[1:]))
        return (y,)


def run(model: Any, feeds: dict[str, Any]) -> int:
    """Return the tally of one run."""
    TALLY.clear()
    ReferenceEvaluator(model, new_ops=[MatMul, Gemm, Conv]).run(None, feeds)
    return sum(TALLY)
