"""Handlers of ONNX operators, a file a family; discovered, never listed."""
