"""Gradient: one kernel of an operator's backward pass.

An operator's table of gradients says, for each kernel, which tensors'
gradients it makes, which tensors of the forward pass it reads (what training
must keep), and its work. What several consumers pass back to one tensor is
added up by the training transform, not here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from perfmodel.core.dims import Dim
from perfmodel.core.tensor import Tensor
from perfmodel.core.work import Work


@dataclass(frozen=True, eq=False)
class Gradient:
    """A backward kernel.

    Parameters
    ----------
    name : what it computes: 'input', 'weight', 'bias', ...; unique in the operator.
    makes : inputs and weights of the operator whose gradient it writes.
    saved : tensors of the forward pass that it reads (inputs, outputs, weights or kept).
    work : its cost; reads ``gradient_of(y)`` besides what is saved.
    sparse : it adds to some rows of a weight's gradient only (an embedding's).
    rows : how many, where only they are kept and stepped; None for a gradient kept whole.
    """

    name: str
    makes: tuple[Tensor, ...]
    saved: tuple[Tensor, ...]
    work: Work
    sparse: bool = False
    rows: Dim | None = None


def gradient_of(tensor: Tensor) -> Tensor:
    """Return the tensor that holds the gradient of ``tensor``: same shape and format."""
    role = "activation" if tensor.role == "kv" else tensor.role
    return replace(tensor, name=f"{tensor.name}.grad", role=role)
