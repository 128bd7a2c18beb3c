"""The number format of a configuration: its dtype, and what its quantization makes of it."""

from __future__ import annotations

from perfmodel.core import parse_precision
from perfmodel.errors import InputError, shorten
from perfmodel.readers.huggingface.facts import Facts

#: torch's names of formats, as transformers writes them
DTYPES = {
    "float64": "fp64", "float32": "fp32", "float": "fp32", "bfloat16": "bf16", "float16": "fp16",
    "half": "fp16", "float8_e4m3fn": "fp8_e4m3", "float8_e5m2": "fp8_e5m2", "auto": "fp32",
}  # fmt: skip

#: methods whose weights are integers with a scale for each group, and their keys of group size
_GROUPED = {"gptq": "group_size", "awq": "group_size"}


def number_format(facts: Facts, outer: Facts) -> str:
    """Return the network's format, as `parse_precision` reads it.

    ``outer`` is the whole configuration, where ``facts`` may be its text model: the
    format may stand in either. Without one, fp32, in which transformers computes then.
    A quantization that no format here stands for is noted and left out.
    """
    own = next((f for f in (facts, outer) if _dtype_key(f)), facts)
    dtype = _dtype(own, _dtype_key(own))
    holder = facts if "quantization_config" in facts.data else outer
    quantization = holder.part("quantization_config")
    if quantization is None:
        return dtype
    method = quantization.data.get("quant_method")
    made = _quantized(quantization, method, dtype)
    if made is None:
        facts.notes.append(
            f"Its quantization ({shorten(method)}) has no format here: computed in {dtype};"
            " --dtype sets another."
        )
        return dtype
    facts.notes.append(
        f"Quantized ({method}): {made} stands for every weight, those of embedding and output"
        " layer too, which checkpoints keep in 16 bits."
    )
    return made


def _dtype_key(facts: Facts) -> str | None:
    return next((k for k in ("dtype", "torch_dtype") if facts.data.get(k) is not None), None)


def _dtype(facts: Facts, key: str | None) -> str:
    if key is None:
        return "fp32"
    value = facts.data[key]
    plain = value.removeprefix("torch.") if isinstance(value, str) else value
    if not isinstance(plain, str) or plain not in DTYPES:
        raise facts.fail(
            key, f"{key}: found {shorten(value)}, expected one of {', '.join(sorted(DTYPES))}"
        )
    return DTYPES[plain]


def _quantized(facts: Facts, method: object, dtype: str) -> str | None:
    if method == "fp8":
        return "fp8"
    if method not in _GROUPED or dtype not in ("fp16", "bf16", "fp32"):
        return None
    bits = facts.size(facts.named("bits", "w_bit"), 4, most=16)
    key = facts.named("group_size", "q_group_size")
    group = facts.size(key, 128, least=-1)
    # -1: one scale for a whole row of weights, which has no fixed length.
    if group < 1:
        return None
    half = "-bf16" if dtype == "bf16" else ""
    try:
        return parse_precision(f"w{bits}g{group}a16{half}").name
    except InputError:
        return None
