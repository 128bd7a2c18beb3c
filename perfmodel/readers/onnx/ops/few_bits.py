"""Products and tables whose weights have few bits a value, in blocks that share a scale."""

from __future__ import annotations

from dataclasses import replace

from perfmodel.core.dims import product
from perfmodel.core.formats import get_format
from perfmodel.errors import InputError
from perfmodel.readers.onnx.call import Call
from perfmodel.readers.onnx.handlers import MICROSOFT, Made, handles
from perfmodel.readers.onnx.ops.activations import added
from perfmodel.readers.tracing.products import multiply
from perfmodel.readers.tracing.rows import over_rows, stored_where
from perfmodel.readers.tracing.values import Value


def few_bits(call: Call, bits: int, block: int) -> str:
    """Return the format of weights of so many bits in blocks of so many values, 0 for rows."""
    names = {2: "int2", 4: "int4", 8: "int8"}
    if bits not in names or block < 0:
        raise InputError(f"{call.op}: {bits} bits in blocks of {block}, expected 2, 4 or 8 bits")
    return get_format(f"{names[bits]}g{block}" if block and bits != 2 else names[bits]).name


def packed_format(held: object, values: object) -> str:
    """Return the format nearest to so many bytes for so many values."""
    bits = 8 * float(held) / float(values)  # type: ignore[arg-type]
    return get_format("int8g32" if bits > 6 else "int4g32" if bits > 3 else "int2").name


def _projected(
    call: Call, x: Value, packed: Value, units: int, bias: Value | None, suffix: str
) -> Value:
    """Put ``x[..., K] w[N, K]'`` into the graph, ``w`` packed as MatMulNBits has it."""
    dtype = few_bits(call, call.attr("bits", 4), call.attr("block_size", 32))
    weight = replace(packed, dtype=dtype, shape=(units, call.attr("K")), data=None)
    y = multiply(call, x, weight, transposed=(False, True), suffix=suffix)
    return added(call, y, [bias]) if bias is not None else y


@handles("MatMulNBits", "MatMulBnb4", "MatMulFpQ4", domain=MICROSOFT)
def matmul_n_bits(call: Call) -> Made:
    """``x[..., K] w[N, K]'``, weights of few bits in blocks that share a scale of 16 bits."""
    if call.attr("K") is None or call.attr("N") is None:
        raise InputError(f"{call.op} without K or N")
    if call.attr("block_size", 32) < 1:
        raise InputError(f"{call.op}: blocks of {call.attr('block_size')} values")
    bias = call.optional(5) if call.op == "MatMulNBits" else None
    return _projected(call, call.input(0), call.input(1), call.attr("N"), bias, "")


def _normed(call: Call, scale: int) -> tuple[Value, Value]:
    """Return the normed sum of the input and what is skipped, and the sum itself."""
    x = added(call, call.input(0), [call.optional(1)])
    gamma = call.optional(scale)
    if gamma is None:
        return x, x
    stored = stored_where(x.shape[-1], gamma=gamma)
    return over_rows(call, "rms_norm", x, x.rank - 1, stored), x


@handles("MatMulNBitsMlp", domain=MICROSOFT)
def n_bits_mlp(call: Call) -> Made:
    """A norm, two products of few bits, ``activation(gate) up``."""
    x, summed = _normed(call, 2)
    gate, up = (
        _projected(call, x, call.input(place), call.attr("N"), call.optional(place + 2), suffix)
        for place, suffix in ((3, ".gate"), (6, ".up"))
    )
    names = {"silu": "silu", "gelu": "gelu", "relu": "relu"}
    name = names.get(str(call.attr("activation", "silu")).lower(), "silu")
    (active,) = call.emit(name, gate, suffix=".activation")
    return [call.emit("mul", active, up)[0], summed]


@handles("MatMulNBitsQkv", domain=MICROSOFT)
def n_bits_qkv(call: Call) -> Made:
    """A norm, then the three products of few bits before an attention."""
    x, summed = _normed(call, 2)
    made = [
        _projected(call, x, call.input(place), call.attr(units), call.optional(place + 2), suffix)
        for place, units, suffix in ((3, "Nq", ".q"), (6, "Nkv", ".k"), (9, "Nkv", ".v"))
    ]
    return [*made, summed]


@handles("MatMulNBitsQLoRA", domain=MICROSOFT)
def n_bits_lora(call: Call) -> Made:
    """A product of few bits plus that of two narrow adapters."""
    x = call.input(0)
    y = _projected(call, x, call.input(1), call.attr("N"), None, "")
    down, up = call.input(3), call.input(5)
    dtype = few_bits(call, call.attr("lora_bits", 4), call.attr("lora_block_size", 32))
    rank = down.shape[0]
    for weight, shape, suffix in (
        (down, (rank, call.attr("K")), ".lora_a"), (up, (call.attr("N"), rank), ".lora_b"),
    ):  # fmt: skip
        narrow = replace(weight, dtype=dtype, shape=shape, data=None)
        x = multiply(call, x, narrow, transposed=(False, True), suffix=suffix)
    return call.emit("add", y, x, suffix=".sum")


@handles("MatMulBlockQuantizedFp4Weight", domain=MICROSOFT)
def matmul_fp4(call: Call) -> Made:
    """``x w'`` with weights in nvfp4, two a byte."""
    w = call.input(1)
    weight = replace(w, dtype="nvfp4", shape=(w.shape[0], 2 * w.shape[1]), data=None)
    return multiply(call, call.input(0), weight, transposed=(False, True), bias=call.optional(5))


@handles("MatMulBlockQuantizedFp8Weight", domain=MICROSOFT)
def matmul_fp8(call: Call) -> Made:
    """``x w'`` with weights in fp8; the input is brought into fp8 where its scale is given."""
    x, w = call.input(0), call.input(1)
    if call.optional(3) is not None:
        (x,) = call.emit("quantize", x, to="fp8_e4m3", suffix=".codes")
    y = multiply(call, x, w, transposed=(False, True), bias=call.optional(4))
    return call.cast(y, call.input(0).dtype)


@handles("MatMulPacked", domain=MICROSOFT)
def matmul_packed(call: Call) -> Made:
    """``x w'`` with a weight in a blob of blocks, whose bytes say the bits of a value."""
    w, k, n = call.input(1), call.attr("K"), call.attr("N")
    dtype = packed_format(w.elements, k * n)
    weight = replace(w, dtype=dtype, shape=(n, k), data=None)
    return multiply(call, call.input(0), weight, transposed=(False, True))


@handles("GatherBlockQuantized", domain=MICROSOFT)
def gather_block_quantized(call: Call) -> Made:
    """Rows of a table of few bits, brought back: ``table, places, scales, zero points``."""
    table, places, scales = call.input(0), call.input(1), call.input(2)
    bits, block = call.attr("bits", 4), call.attr("block_size", 128)
    packed = 8 // bits if table.dtype == "int8" else 1
    shape = (*table.shape[:-1], table.shape[-1] * packed)
    axis = call.attr("gather_axis", 0) % table.rank
    dtype = table.dtype if table.dtype.startswith("fp") else few_bits(call, bits, block)
    if axis or table.rank != 2:
        return call.opaque((*shape[:axis], *places.shape, *shape[axis + 1 :]),
                           formats=[scales.dtype])  # fmt: skip
    stored = {"table": replace(table, dtype=dtype, shape=shape, data=None)}
    return call.emit("embedding", places, stored=stored, rows=shape[0], width=shape[1])


@handles("GatherPacked", domain=MICROSOFT)
def gather_packed(call: Call) -> Made:
    """Rows of a table in a blob of blocks, brought back."""
    table, places, width = call.input(0), call.input(1), call.attr("K")
    rows = table.shape[0]
    dtype = packed_format(product(table.shape), rows * width)
    stored = {"table": replace(table, dtype=dtype, shape=(rows, width), data=None)}
    return call.emit("embedding", places, stored=stored, rows=rows, width=width)
