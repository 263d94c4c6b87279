"""ONNX models as graphs of MXNet's operators: a file per family of operators, each with a table of its rules."""
