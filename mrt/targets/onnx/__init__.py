"""CVM models as ONNX models that give the same integers."""
