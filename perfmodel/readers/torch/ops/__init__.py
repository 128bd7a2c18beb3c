"""Handlers of PyTorch operators, a file a family; discovered, never listed."""
