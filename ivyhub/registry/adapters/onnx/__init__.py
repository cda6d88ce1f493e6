"""ONNX: models that are read as graphs."""
