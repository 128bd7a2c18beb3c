"""What runs in integers: operators between a dequantization and a quantization.

Models quantized with pairs of those write every product in real numbers; runtimes
run it on the codes. The rule here: a dense operator all of whose operands are
dequantized codes reads the codes, and its result is dequantized where somebody reads
it as real numbers; other operators named below do so where their result is only
quantized again. The change of scale at the end belongs to the integer kernel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from perfmodel.core import Tensor
from perfmodel.core.formats import FORMATS, get_format
from perfmodel.readers.tracing.values import Value

if TYPE_CHECKING:
    from perfmodel.readers.tracing.step import Step

#: dense operators, which have kernels for codes
DENSE = frozenset(
    {
        "affine", "matmul", "einsum", "conv1d", "conv2d", "conv3d", "depthwise_conv2d",
        "conv_transpose1d", "conv_transpose2d", "conv_transpose3d",
    }
)  # fmt: skip
#: operators that runtimes have for codes of the same scale, or with a change of scale
FOLLOWING = frozenset(
    {
        "add", "mul", "sub", "maximum", "minimum", "relu", "relu6", "leaky_relu", "sigmoid", "tanh",
        "hard_sigmoid", "hard_swish", "silu", "softmax", "concat", "split", "slice", "transpose",
        "reshape", "pad", "resize", "gather", "max_pool1d", "max_pool2d", "max_pool3d",
        "avg_pool1d", "avg_pool2d", "avg_pool3d", "reduce_mean", "reduce_max", "reduce_min",
    }
)  # fmt: skip


def codes_of(
    call: Step, op: str, inputs: Sequence[Value], stored: Mapping[str, Value]
) -> list[Value] | None:
    """Return the codes that ``op`` reads in place of its inputs, None where it reads those."""
    if not inputs or any(v.whole is None for v in inputs):
        return None
    if op in DENSE:
        weight = stored.get("weight")
        if weight is not None and not FORMATS[get_format(weight.dtype).name].integer:
            return None
    elif op not in FOLLOWING or not call.only_quantized():
        return None
    if all(v.is_constant for v in inputs):
        return None
    return [_codes(call, v) for v in inputs]


def _codes(call: Step, value: Value) -> Value:
    if value.is_constant:
        # The tensor as stored, learned as it is; a node of its own reads it.
        return replace(value, tensor=call.net.parameter(value))
    assert value.whole is not None
    return value.whole


def real(call: Step, codes: Value, dtype: str) -> Value:
    """Return the real numbers of ``codes``, which are made where somebody reads them."""
    count, name = call.net.count, f"{call.name}.dequantized"

    def make() -> Tensor:
        from perfmodel.ops import make_operator

        form = call.net.format(dtype)
        wide = "activation" if form == call.net.precision.activation else form
        op = make_operator("dequantize", to=wide)
        with call.net.counting(count):
            return call.net.add(name, op, [call.net.tensor(codes)])[0]

    return Value(codes.name, dtype, codes.shape, whole=codes, make=make)
