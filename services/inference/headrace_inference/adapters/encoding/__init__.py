"""Opens encoders: graphs on ONNX Runtime, and their tokenizers."""
