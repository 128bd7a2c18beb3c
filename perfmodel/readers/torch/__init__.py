"""PyTorch models as workloads, through torch.export.

`export` makes a program of ATen operators of a module, or reads a saved one; `sizes`
turns its symbolic sizes into dims; `walk` goes over the nodes, `handlers` finds in
`ops/` what each operator becomes; `workload` ties them together. PyTorch itself is
imported only when a model is read.
"""

from perfmodel.readers.torch.workload import TorchWorkload, from_torch, read_pt2

__all__ = ["TorchWorkload", "from_torch", "read_pt2"]
