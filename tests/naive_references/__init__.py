"""NumPy formulas that the naive kernels are held against, a module a family."""
