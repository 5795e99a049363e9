"""Opens language models: decoders on ONNX Runtime, tokenizers, grammars."""
