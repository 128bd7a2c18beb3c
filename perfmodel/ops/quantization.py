"""Values in another number format: cast, quantize, dequantize."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from perfmodel.core import (
    REQUIRED,
    Bound,
    Dim,
    Gradient,
    Inferred,
    Operator,
    Precision,
    Tensor,
    Work,
    WorkBuilder,
    choice,
    flag,
    gradient_of,
    size,
)
from perfmodel.core.axes import axis_of
from perfmodel.core.formats import FORMATS
from perfmodel.errors import InputError

#: formats that a scale brings values into
QUANTIZED = ("int8", "int4", "fp8_e4m3", "fp8_e5m2")


@dataclass(frozen=True)
class Cast(Operator):
    """The same values in another number format: ``x[...] -> y[...]``.

    Converting is part of reading and writing; only bytes are counted. The
    gradient is cast back; none where a format is an integer.
    """

    name = "cast"
    category = "movement"
    sizes = {"elements": REQUIRED, "to": "fp16"}
    example = "cast:elements=16777216"
    small = ({"elements": 1}, {"elements": 6, "to": "fp64"}, {"elements": 13, "to": "fp8_e5m2"})

    to: str = choice("fp16", tuple(FORMATS), doc="the format of the output")

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        return Inferred((Tensor(inputs[0].shape, self.to),))

    def work(self, t: Bound) -> Work:
        return WorkBuilder().read(t.x).write(t.y).build()

    def gradients(self, t: Bound) -> list[Gradient]:
        if FORMATS[t.x.dtype].integer or FORMATS[self.to].integer:
            return []
        work = WorkBuilder().read(gradient_of(t.y)).write(gradient_of(t.x)).build()
        return [Gradient("input", (t.x,), (), work)]

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        x = Tensor((sizes["elements"],), precision.activation, name="x")
        return cls(to=sizes["to"]), [x]


@dataclass(frozen=True, kw_only=True)
class Scaled(Operator):
    """Base of conversions with a scale, and perhaps a zero point, a tensor or a channel."""

    category = "elementwise"

    per_channel: bool = flag(False, doc="a scale for each place along the axis, not for all")
    axis: Dim = size(1, doc="the axis of the channels", least=-16)
    zero_point: bool = flag(False, doc="zero has a code of its own (asymmetric)")

    def constants(self, x: Tensor, wide: str, narrow: str) -> tuple[Tensor, ...]:
        """Return the scale in the ``wide`` format and the zero point in the ``narrow`` one."""
        scales: Dim = 1
        if self.per_channel:
            scales = x.shape[axis_of(self.name, self.axis, len(x.shape))]
        scale = Tensor((scales,), wide, "state", "scale")
        if not self.zero_point:
            return (scale,)
        if not FORMATS[narrow].integer:
            raise InputError(f"{self.name}: {narrow} has no zero point", mend="zero_point: false")
        return (scale, Tensor((scales,), narrow, "state", "zero_point"))


@dataclass(frozen=True, kw_only=True)
class Quantize(Scaled):
    """Values divided by a scale and rounded: ``x[...] -> y[...]``, ``scale[C], zero_point[C]``.

    ``y = clamp(round(x / scale) + zero_point)``. A value takes a multiplication
    by the reciprocal of its scale, two additions that round it (of a constant so
    large that no fraction is left, and back; the zero point is part of it) and
    two comparisons; an 8-bit float takes no additions, it is rounded as it is
    written. A scale takes one division, a zero point one subtraction. No
    gradient: a straight-through estimator passes the output's on unchanged.
    Source: Jacob et al., arXiv:1712.05877, section 2.1; ONNX operator QuantizeLinear.
    """

    name = "quantize"
    sizes = {
        "rows": REQUIRED, "cols": REQUIRED, "to": "int8", "per_channel": False, "zero_point": False,
    }  # fmt: skip
    example = "quantize:rows=4096,cols=4096"
    small = (
        {"rows": 2, "cols": 3},
        {"rows": 1, "cols": 7, "per_channel": True, "zero_point": True},
        {"rows": 5, "cols": 4, "to": "int4", "per_channel": True},
        {"rows": 3, "cols": 5, "to": "fp8_e4m3"},
        {"rows": 4, "cols": 1, "zero_point": True},
    )

    to: str = choice("int8", QUANTIZED, doc="the format of the output")

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (x,) = inputs
        return Inferred((Tensor(x.shape, self.to),), self.constants(x, x.dtype, self.to))

    def work(self, t: Bound) -> Work:
        builder = WorkBuilder().read(t.x, *t.weights).write(t.y)
        scales = t.weight("scale").elements
        each = 5 if FORMATS[self.to].integer else 3
        shifts = scales if self.zero_point else 0
        builder.count("special", t.x.dtype, scales)
        return builder.count("vector", t.x.dtype, each * t.x.elements + shifts).build()

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        x = Tensor((sizes["rows"], sizes["cols"]), precision.activation, name="x")
        flags = {k: sizes[k] for k in ("to", "per_channel", "zero_point")}
        return cls(**flags), [x]


@dataclass(frozen=True, kw_only=True)
class Dequantize(Scaled):
    """Codes brought back to values: ``x[...] -> y[...]``, ``scale[C], zero_point[C]``.

    ``y = (x - zero_point) scale``: a multiplication a value, and a subtraction
    where there is a zero point. No gradient: codes are constants.
    Source: Jacob et al., arXiv:1712.05877, equation 1; ONNX operator DequantizeLinear.
    """

    name = "dequantize"
    sizes = {
        "rows": REQUIRED, "cols": REQUIRED, "to": "activation", "per_channel": False,
        "zero_point": False,
    }  # fmt: skip
    example = "dequantize:rows=4096,cols=4096"
    small = (
        {"rows": 2, "cols": 3},
        {"rows": 1, "cols": 7, "per_channel": True, "zero_point": True},
        {"rows": 5, "cols": 4, "per_channel": True},
        {"rows": 4, "cols": 1, "zero_point": True, "to": "fp16"},
    )

    to: str = choice(
        "activation",
        ("activation", *(f.name for f in FORMATS.values() if not f.integer)),
        doc="the format of the output; activation: that of the network's activations",
    )

    def infer(self, inputs: Sequence[Tensor], precision: Precision) -> Inferred:
        (x,) = inputs
        wide = precision.activation if self.to == "activation" else self.to
        if FORMATS[wide].integer:
            raise InputError(f"dequantize: {wide} is no format of real numbers", mend="as in fp16")
        return Inferred((Tensor(x.shape, wide),), self.constants(x, wide, x.dtype))

    def work(self, t: Bound) -> Work:
        builder = WorkBuilder().read(t.x, *t.weights).write(t.y)
        each = 2 if self.zero_point else 1
        return builder.count("vector", t.y.dtype, each * t.x.elements).build()

    @classmethod
    def from_sizes(
        cls, sizes: Mapping[str, Any], precision: Precision
    ) -> tuple[Operator, list[Tensor]]:
        narrow = precision.activation if FORMATS[precision.activation].integer else "int8"
        flags = {k: sizes[k] for k in ("to", "per_channel", "zero_point")}
        return cls(**flags), [Tensor((sizes["rows"], sizes["cols"]), narrow, name="x")]
