"""Tensor: a shape, a number format and a role."""

from __future__ import annotations

from dataclasses import dataclass, replace

from perfmodel.core.dims import Dim, product, show_shape
from perfmodel.core.formats import FORMATS, Role


@dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor of a network.

    ``role``: 'activation' is produced and consumed, 'weight' is a learned
    parameter, 'frozen' one that training leaves as it is, 'state' is stored with
    the network but not a parameter (running statistics), 'kv' is the key/value
    cache, 'index' holds integers.
    """

    shape: tuple[Dim, ...]
    dtype: str
    role: Role = "activation"
    name: str = ""

    @property
    def elements(self) -> Dim:
        """Number of values."""
        return product(self.shape)

    @property
    def bytes(self) -> Dim:
        """Bytes in memory, scales of grouped formats included."""
        return FORMATS[self.dtype].bytes_of(self.elements)

    @property
    def is_parameter(self) -> bool:
        """Whether it counts as a parameter, trained or frozen."""
        return self.role in ("weight", "frozen")

    def named(self, name: str) -> Tensor:
        """Return the same tensor under another name."""
        return replace(self, name=name)

    def like(self, *shape: Dim) -> Tensor:
        """Return an activation of the same format with another shape."""
        return Tensor(shape, self.dtype)

    def __str__(self) -> str:
        return f"{self.name or 'tensor'}{show_shape(self.shape)} {self.dtype}"
