"""Naive kernels: each operator's definition as plain loops, one function an operator."""
