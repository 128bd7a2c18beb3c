"""One kernel an operator and algorithm, a file a family; see `perfmodel.kernels.registry`."""
