"""Search for texts: a decoder that the node carries, run once a token.

The model's graphs are attributes: ``encoder`` (models of an encoder and a decoder) or
``init_decoder`` for the prompt, ``decoder`` for each further token. All steps are taken
with a cache of their mean length, as an attention's work grows in proportion to it.
"""

from __future__ import annotations

from typing import Any

from perfmodel.core import Dim
from perfmodel.core.dims import maximum
from perfmodel.readers.onnx.call import Call
from perfmodel.readers.onnx.formats import FORMAT_OF
from perfmodel.readers.onnx.handlers import MICROSOFT, Made, handles
from perfmodel.readers.tracing.values import Value

_DECODER_ONLY = 0


@handles("GreedySearch", "Sampling", domain=MICROSOFT)
def greedy(call: Call) -> Made:
    """The likeliest token, or one by chance, again and again: ``ids[B,S] -> ids[B,L]``."""
    longest = _generate(call, 1)
    sequences = call.opaque((call.input(0).shape[0], longest), formats=["int32"])
    return [*sequences, Value("", "fp32", (call.input(0).shape[0], call.attr("vocab_size", 1)))]


@handles("BeamSearch", "WhisperBeamSearch", domain=MICROSOFT)
def beam(call: Call) -> Made:
    """The likeliest texts of several at once: ``ids[B,S] -> ids[B,R,L]``, R returned."""
    batch = call.input(0).shape[0]
    beams = call.known(3, "the work")[0]
    longest = _generate(call, beams)
    kept = call.known(4, "the shape of the output")[0] if call.optional(4) is not None else 1
    made = list(call.opaque((batch, kept, longest), formats=["int32"]))
    made.append(Value("", "fp32", (batch, kept)))
    made.append(Value("", "fp32", (longest, batch, beams, call.attr("vocab_size", 1))))
    return [*made, Value("", "fp32", (1,)), Value("", "fp32", (batch,))]


def _generate(call: Call, beams: Dim) -> Dim:
    """Put the model's runs into the graph and return the length of the longest text."""
    ids = call.input(0)
    longest: Dim = call.known(1, "the number of steps")[0]
    prompt = ids.shape[-1]
    rows = ids.shape[0] * beams
    alone = call.attr("model_type", _DECODER_ONLY) == _DECODER_ONLY
    first = call.attr("encoder") or call.attr("init_decoder")
    start: Dim = prompt if alone else 1
    steps = maximum(0, longest - start)
    call.net.note(f"{call.op}: every text is taken to reach its longest length")
    decoder = call.attr("decoder")
    run = first if first is not None else decoder
    _run(call, run, "first", rows if alone else ids.shape[0], prompt, 0, prompt)
    with call.net.times(steps):
        _run(call, decoder, "step", rows, 1, start + steps // 2, prompt)
    return longest


def _run(
    call: Call, graph: Any, place: str, rows: Dim, length: Dim, cached: Dim, prompt: Dim
) -> None:
    """Import one of the node's graphs for ``rows`` texts of ``length`` tokens each."""
    same_graph = call.attr("encoder") is None and call.attr("init_decoder") is None
    inputs = []
    for item in graph.input:
        kind = item.type.tensor_type
        shape = [
            d.dim_value if d.WhichOneof("value") == "dim_value"
            else _size(item.name, d.dim_param, i, len(kind.shape.dim),
                       {"rows": rows, "length": length, "cached": cached, "prompt": prompt})
            for i, d in enumerate(kind.shape.dim)
        ]  # fmt: skip
        dtype = FORMAT_OF.get(kind.elem_type, call.net.main)
        with call.net.once():
            (made,) = call.opaque(shape, formats=[dtype], read=[])
        inputs.append(made)
    call.subgraph(graph, inputs, "decoder" if same_graph else place)


def _size(name: str, axis: str, i: int, rank: int, sizes: dict[str, Dim]) -> Dim:
    """Return an open size of a graph's input, by what exporters call it and where it stands."""
    if "encode" in axis or "cross" in name or "encoder" in name:
        return sizes["rows"] if "batch" in axis or i == 0 else sizes["prompt"]
    if "batch" in axis or (rank < 5 and i == 0):
        return sizes["rows"]
    if name.startswith("past") or "past" in axis:
        return sizes["cached"]
    if "mask" in name or "total" in axis:
        return sizes["cached"] + sizes["length"]
    return sizes["length"]
