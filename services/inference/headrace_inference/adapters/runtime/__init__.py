"""ONNX Runtime: how a version is opened, warmed and run."""
