"""Headrace: Model-as-a-Service for ONNX models."""
