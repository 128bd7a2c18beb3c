"""ONNX files as workloads.

`wire` maps a file and leaves the weights in it; `model` parses the rest; `inputs`
says which sizes are open; `importer` walks the nodes, `fold` computes shapes,
`handlers` finds in `ops/` what each operator becomes; `workload` ties them together.
"""

from perfmodel.readers.onnx.workload import OnnxWorkload, read_onnx

__all__ = ["OnnxWorkload", "read_onnx"]
