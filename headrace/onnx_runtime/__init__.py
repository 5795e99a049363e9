"""The installed ONNX Runtime, for every process that uses it: whether it is whole, what its errors say."""
