"""Number formats of ONNX."""

#: ONNX TensorProto.DataType -> number format; what has none of its own takes one as wide
FORMAT_OF = {
    1: "fp32", 2: "int8", 3: "int8", 4: "int16", 5: "int16", 6: "int32", 7: "int64", 8: "int64",
    9: "bool", 10: "fp16", 11: "fp64", 12: "int32", 13: "int64", 14: "int64", 15: "fp64",
    16: "bf16", 17: "fp8_e4m3", 18: "fp8_e4m3", 19: "fp8_e5m2", 20: "fp8_e5m2", 21: "int4",
    22: "int4", 23: "int4", 24: "int8", 25: "int2", 26: "int2",
}  # fmt: skip
